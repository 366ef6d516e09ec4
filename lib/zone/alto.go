package zone

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// An altoDocument is a network map (RFC 7285 §11.2.1), a cost map (§11.2.3), or
// both in one object.
type altoDocument struct {
	Meta struct {
		VTag       *vtag  `json:"vtag"`
		Dependents []vtag `json:"dependent-vtags"`
		CostType   struct {
			Mode   string `json:"cost-mode"`
			Metric string `json:"cost-metric"`
		} `json:"cost-type"`
	} `json:"meta"`
	Networks *members[addresses]        `json:"network-map"`
	Costs    *members[members[float64]] `json:"cost-map"`
}

// addresses are the endpoints of a PID (§10.4.5); other types than these are
// not of the Internet, and are passed over.
type addresses struct {
	IPv4 []string `json:"ipv4"`
	IPv6 []string `json:"ipv6"`
}

// A vtag is a version of a resource (§10.3).
type vtag struct {
	Resource string `json:"resource-id"`
	Tag      string `json:"tag"`
}

func (v vtag) String() string { return fmt.Sprintf("%.64q at %.64q", v.Resource, v.Tag) }

// alto is what a Builder knows of the documents that it took.
type alto struct {
	network *tagged
	costs   []tagged
}

// A tagged map says which version of which network map it is or depends on.
type tagged struct {
	tags []vtag
	at   place
}

// members are those of a JSON object in the order of the text; one that comes
// twice is an error, as RFC 7285 §11.2.1.6 and 11.2.3.6 demand of PIDs.
type members[T any] []member[T]

type member[T any] struct {
	name  string
	value T
}

func (m *members[T]) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.New("not an object")
	}
	seen := map[string]bool{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		x := member[T]{name: key.(string)} // between braces the decoder gives no other
		if seen[x.name] {
			return fmt.Errorf("%.80q comes twice", x.name)
		}
		seen[x.name] = true
		if err := d.Decode(&x.value); err != nil {
			return fmt.Errorf("%.80q: %w", x.name, err)
		}
		*m = append(*m, x)
	}
	return nil
}

// addALTO reads the documents of a file, one behind the other. An error names
// the line at which its document begins, or that of a mistake in the JSON.
func (b *Builder) addALTO(data []byte) error {
	lineOf := func(offset int64) int { return 1 + bytes.Count(data[:min(int(offset), len(data))], []byte("\n")) }
	d := json.NewDecoder(bytes.NewReader(data))
	for {
		begin := d.InputOffset()
		rest := data[begin:]
		begin += int64(len(rest) - len(bytes.TrimLeft(rest, " \t\r\n")))
		var text json.RawMessage
		err := d.Decode(&text)
		var syntax *json.SyntaxError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &syntax):
			return b.errorf(b.here(lineOf(syntax.Offset)), "%w", err)
		case err != nil:
			return b.errorf(b.here(lineOf(int64(len(data)))), "%w", err)
		}
		if err := b.addDocument(b.here(lineOf(begin)), text); err != nil {
			return err
		}
	}
}

func (b *Builder) addDocument(at place, text []byte) error {
	var d altoDocument
	if err := json.Unmarshal(text, &d); err != nil {
		return b.errorf(at, "ALTO: %w", err)
	}
	if d.Networks == nil && d.Costs == nil {
		return b.errorf(at, "ALTO: neither a network-map nor a cost-map")
	}
	if d.Networks != nil {
		if err := b.addNetworkMap(at, &d); err != nil {
			return err
		}
	}
	if d.Costs != nil {
		return b.addCostMap(at, &d)
	}
	return nil
}

func (b *Builder) addNetworkMap(at place, d *altoDocument) error {
	switch v := d.Meta.VTag; {
	case v == nil || v.Resource == "" || v.Tag == "":
		return b.errorf(at, "ALTO network map: meta has no vtag with resource-id and tag")
	case b.alto.network != nil:
		return b.errorf(at, "ALTO network map: there is one at %s already", b.where(b.alto.network.at))
	}
	b.alto.network = &tagged{[]vtag{*d.Meta.VTag}, at}
	for _, pid := range *d.Networks {
		if _, err := b.zone(at, pid.name); err != nil { // even without an address it is one
			return err
		}
		b.zones[b.byName[pid.name]-1].placed = true
		for _, list := range [][]string{pid.value.IPv4, pid.value.IPv6} {
			for _, prefix := range list {
				if err := b.addNetwork(at, prefix, pid.name); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (b *Builder) addCostMap(at place, d *altoDocument) error {
	switch t := d.Meta.CostType; {
	case t.Mode != "numerical":
		return b.errorf(at, "ALTO cost map: cost-mode is %.40q, want numerical: ranks cannot be compared from map to map", t.Mode)
	case t.Metric != "routingcost" && t.Metric != "hopcount":
		return b.errorf(at, "ALTO cost map: cost-metric is %.40q, want routingcost or hopcount", t.Metric)
	case len(d.Meta.Dependents) == 0:
		return b.errorf(at, "ALTO cost map: meta has no dependent-vtags")
	}
	b.alto.costs = append(b.alto.costs, tagged{d.Meta.Dependents, at})
	for _, row := range *d.Costs {
		from, err := b.zone(at, row.name)
		if err != nil {
			return err
		}
		for _, x := range row.value {
			to, err := b.zone(at, x.name)
			if err != nil {
				return err
			}
			if !(x.value >= 0 && x.value <= MaxCost) {
				return b.errorf(at, "ALTO cost map: from %s to %s it costs %g: want 0 to %d", row.name, x.name, x.value, MaxCost)
			}
			if from == to {
				continue // what it costs within a PID is not of interest: it is always nearest
			}
			// Rounded up, so that what costs a little is not free.
			if err := b.addCost(at, from, to, uint32(math.Ceil(x.value))); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkTags holds the cost maps against the network map: one that was made for
// another version may speak of other PIDs by the same names (§11.2.3.6).
func (b *Builder) checkTags() error {
	for _, c := range b.alto.costs {
		if b.alto.network == nil {
			return b.errorf(c.at, "ALTO cost map: it depends on the network map %v, which is in no file", c.tags[0])
		}
		if have := b.alto.network.tags[0]; !slices.Contains(c.tags, have) {
			return b.errorf(c.at, "ALTO cost map: it depends on the network map %v, and the one at %s is %v", c.tags[0], b.where(b.alto.network.at), have)
		}
	}
	return nil
}
