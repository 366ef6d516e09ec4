package zone

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
)

// A Builder puts a Map together from several files. The zero value is ready.
type Builder struct {
	// Foreign says that zones come from another source too: costs and budgets may
	// name some that have no network here.
	Foreign bool

	files    []string
	networks []network
	zones    []mention // by ID - 1
	byName   map[string]ID
	costs    map[pair]price
	budgets  map[ID]budget
	other    *price
	alto     alto
}

// A place is a line of a file.
type place struct{ file, line int32 }

// A mention is where a zone was first named, and whether it has a network.
type mention struct {
	name   string
	at     place
	placed bool
}

type price struct {
	cost uint32
	at   place
}

type budget struct {
	bps int64
	at  place
}

// Parse reads one text or ALTO document.
func Parse(text string) (*Map, error) {
	var b Builder
	if err := b.Add("zones", []byte(text)); err != nil {
		return nil, err
	}
	return b.Build()
}

// Add reads a file: ALTO documents, if it begins with a brace, else text. An
// error begins with name:line.
func (b *Builder) Add(name string, data []byte) error {
	if len(data) > MaxText {
		return fmt.Errorf("%s: %d bytes are more than %d", name, len(data), MaxText)
	}
	b.files = append(b.files, name)
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if isALTO(data) {
		return b.addALTO(data)
	}
	return b.addText(string(data))
}

// isALTO says whether data can be JSON at all, and so no text of ours.
func isALTO(data []byte) bool {
	data = bytes.TrimLeft(data, " \t\r\n")
	return len(data) > 0 && data[0] == '{'
}

func (b *Builder) here(line int) place { return place{int32(len(b.files) - 1), int32(line)} }

func (b *Builder) where(p place) string { return b.files[p.file] + ":" + strconv.Itoa(int(p.line)) }

func (b *Builder) errorf(p place, format string, args ...any) error {
	return fmt.Errorf("%s: %w", b.where(p), fmt.Errorf(format, args...))
}

// zone returns the ID of a name, which it gets when it is first seen.
func (b *Builder) zone(at place, name string) (ID, error) {
	if z, ok := b.byName[name]; ok {
		return z, nil
	}
	switch {
	case !CheckName(name):
		return 0, b.errorf(at, "%.80q is no name of a zone: want 1 to %d letters, digits and - _ . : @", name, maxName)
	case len(b.zones) >= MaxZones:
		return 0, b.errorf(at, "more than %d zones", MaxZones)
	case b.byName == nil:
		b.byName = map[string]ID{}
	}
	b.zones = append(b.zones, mention{name: name, at: at})
	z := ID(len(b.zones))
	b.byName[name] = z
	return z, nil
}

func (b *Builder) addNetwork(at place, text, name string) error {
	p, err := parsePrefix(text)
	if err != nil {
		return b.errorf(at, "%w", err)
	}
	if len(b.networks) >= MaxNetworks {
		return b.errorf(at, "more than %d networks", MaxNetworks)
	}
	z, err := b.zone(at, name)
	if err != nil {
		return err
	}
	b.zones[z-1].placed = true
	b.networks = append(b.networks, network{p, z, at})
	return nil
}

// parsePrefix reads a network, or an address, which is one of its own.
func parsePrefix(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		a, addrErr := netip.ParseAddr(text)
		if addrErr != nil || a.Zone() != "" {
			return p, fmt.Errorf("%.80q is no network: want one such as 203.0.113.0/24 or 2001:db8::/32", text)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	switch {
	case p.Addr().Is4In6():
		return p, fmt.Errorf("%s: write IPv4 as IPv4", text)
	case p != p.Masked():
		return p, fmt.Errorf("%s has bits behind its length: %s holds it", text, p.Masked())
	}
	return p, nil
}

// addCost notes a cost one way.
func (b *Builder) addCost(at place, from, to ID, cost uint32) error {
	k := pair{from, to}
	if old, ok := b.costs[k]; ok {
		if old.cost != cost {
			return b.errorf(at, "from %s to %s it costs %d by %s", b.zones[from-1].name, b.zones[to-1].name, old.cost, b.where(old.at))
		}
		return nil
	}
	if len(b.costs) >= MaxCosts {
		return b.errorf(at, "more than %d costs", MaxCosts)
	}
	if b.costs == nil {
		b.costs = map[pair]price{}
	}
	b.costs[k] = price{cost, at}
	return nil
}

// Build returns the map. The builder is of no use after it.
func (b *Builder) Build() (*Map, error) {
	if err := b.checkTags(); err != nil {
		return nil, err
	}
	if err := b.checkNetworks(); err != nil {
		return nil, err
	}
	m := &Map{
		table: newTable(b.networks), names: make([]string, 1, 1+len(b.zones)), byName: b.byName,
		costs: make(map[pair]uint32, len(b.costs)), budgets: make(map[ID]int64, len(b.budgets)), other: 1,
	}
	for _, z := range b.zones {
		m.names = append(m.names, z.name)
	}
	highest := uint32(0)
	for k, p := range b.costs {
		m.costs[k] = p.cost
		highest = max(highest, p.cost)
	}
	for z, x := range b.budgets {
		m.budgets[z] = x.bps
	}
	switch {
	case b.other != nil:
		m.other = b.other.cost
	case highest > 0:
		m.other = highest
	}
	return m, nil
}

// checkNetworks sorts the networks and looks for contradictions, and for names
// that are most likely misspelt.
func (b *Builder) checkNetworks() error {
	slices.SortStableFunc(b.networks, byPrefix)
	for i := 1; i < len(b.networks); i++ {
		x, y := &b.networks[i-1], &b.networks[i]
		if x.prefix == y.prefix && x.zone != y.zone {
			return b.errorf(y.at, "%s is in %s, and by %s in %s", y.prefix, b.zones[y.zone-1].name, b.where(x.at), b.zones[x.zone-1].name)
		}
	}
	b.networks = slices.CompactFunc(b.networks, func(x, y network) bool { return x.prefix == y.prefix })
	for _, z := range b.zones {
		if !z.placed && !b.Foreign {
			return b.errorf(z.at, "%s is the zone of no network", z.name)
		}
	}
	return nil
}
