package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
)

// Bounds of a scenario. A scenario is a page of text that a person wrote; the
// numbers keep a slip of the finger from asking for a year of simulation.
const (
	MaxScenario = 1 << 20 // bytes of JSON

	maxPeers   = 1_000_000 // ten times what a simulator with room for it would want
	maxSeconds = 24 * 3600
	maxRTTMS   = 60_000 // a minute: farther is nobody
	maxTimes   = 10_000 // bitrates that a link can carry: 20 Gbit/s of a 2 Mbit/s stream
	maxClasses = 1000   // of uplinks, and events
)

// ParseScenario reads and checks a scenario of at most MaxScenario bytes and
// fills its defaults. An unknown field is an error, not a setting that has no
// effect; the error names it and those there are.
func ParseScenario(b []byte) (*Scenario, error) {
	if len(b) > MaxScenario {
		return nil, fmt.Errorf("scenario: longer than %d bytes", MaxScenario)
	}
	s := new(Scenario)
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("scenario: %w", explain(b, err))
	}
	if err := strange(reflect.TypeFor[Scenario](), b, ""); err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	s.Fill()
	if err := s.Check(); err != nil {
		return nil, err
	}
	return s, nil
}

// explain puts what encoding/json says into words for who wrote the file.
func explain(b []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case len(bytes.TrimSpace(b)) == 0:
		return errors.New("it is empty")
	case errors.As(err, &syntax):
		upTo := b[:min(max(syntax.Offset, 0), int64(len(b)))]
		return fmt.Errorf("line %d: %s", 1+bytes.Count(upTo, []byte("\n")), syntax)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it ends in the middle")
	case errors.As(err, &kind):
		want := "a number"
		switch kind.Type.Kind() {
		case reflect.String:
			want = "a text"
		case reflect.Int, reflect.Int64, reflect.Uint64:
			want = "a whole number"
		case reflect.Slice, reflect.Array:
			want = "a list"
		case reflect.Struct:
			want = "an object"
		}
		name := kind.Field
		if name == "" {
			return fmt.Errorf("want %s, got %s", want, kind.Value)
		}
		return fmt.Errorf("%s: want %s, got %s", name, want, kind.Value)
	}
	return err
}

// strange finds the first field in raw that t has no place for. encoding/json
// can refuse such fields too, but says neither where they stand nor what there
// is, takes PEERS for peers, and cuts a list that is too long.
func strange(t reflect.Type, raw json.RawMessage, at string) error {
	switch t.Kind() {
	case reflect.Struct:
		var given map[string]json.RawMessage
		if json.Unmarshal(raw, &given) != nil {
			return nil // null
		}
		known := map[string]reflect.Type{}
		var names []string
		for i := range t.NumField() {
			f := t.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			known[name] = f.Type
			names = append(names, name)
		}
		for _, name := range slices.Sorted(maps.Keys(given)) {
			ft, ok := known[name]
			if !ok {
				return fmt.Errorf("%s: no such field; there are %s", at+name, strings.Join(names, ", "))
			}
			if err := strange(ft, given[name], at+name+"."); err != nil {
				return err
			}
		}
	case reflect.Slice, reflect.Array:
		var given []json.RawMessage
		if json.Unmarshal(raw, &given) != nil {
			return nil
		}
		at = strings.TrimSuffix(at, ".")
		if t.Kind() == reflect.Array && given != nil && len(given) != t.Len() {
			return fmt.Errorf("%s: want %d values, got %d", at, t.Len(), len(given))
		}
		for i, v := range given {
			if err := strange(t.Elem(), v, fmt.Sprintf("%s[%d].", at, i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Fill puts the defaults where nothing was said. A scenario that is filled
// stays as it is.
func (s *Scenario) Fill() {
	orElse(&s.Peers, 1000)
	orElse(&s.Seconds, 120)
	orElse(&s.RateBPS, 2_000_000)
	orElse(&s.GOPMS, 2000)
	orElse(&s.KeyFactor, 8)
	orElse(&s.Downlink, 20)
	orElse(&s.RTTMS, [2]float64{20, 120})
	orElse(&s.ServerStreams, 20)
	orElse(&s.Zones, 1)
	orElse(&s.Join.Kind, "ramp")
	switch s.Join.Kind {
	case "ramp":
		orElse(&s.Join.OverS, min(20, s.Seconds))
	case "flash":
		orElse(&s.Join.First, min(10, s.Peers))
		orElse(&s.Join.AtS, min(20, s.Seconds/4))
		orElse(&s.Join.OverS, min(10, s.Seconds/4))
	}
	orElse(&s.Session.Kind, "stay")
	if s.Session.Kind == "pareto" {
		orElse(&s.Session.MeanS, 60)
		orElse(&s.Session.Alpha, 1.5)
	}
	if len(s.Uplinks) == 0 {
		s.Uplinks = []Uplink{{Weight: 1, Low: 1, High: 3}}
	}
	for i := range s.Uplinks {
		orElse(&s.Uplinks[i].High, s.Uplinks[i].Low)
	}
	for i := range s.Events {
		if e := &s.Events[i]; e.Kind == "origin_slow" {
			orElse(&e.Factor, 10)
		}
	}
}

func orElse[T comparable](p *T, otherwise T) {
	var zero T
	if *p == zero {
		*p = otherwise
	}
}

// Check reports what in a filled scenario is out of range.
func (s *Scenario) Check() error {
	c := checker{}
	c.in("peers", float64(s.Peers), 1, maxPeers)
	c.in("seconds", s.Seconds, 1, maxSeconds)
	c.in("rate_bps", float64(s.RateBPS), 10_000, 1e9)
	c.in("gop_ms", float64(s.GOPMS), 40, 60_000)
	c.in("key_factor", s.KeyFactor, 1, 1000)
	c.in("downlink", s.Downlink, 1, maxTimes) // slower is not watching
	c.in("rtt_ms[0]", s.RTTMS[0], 0, maxRTTMS)
	c.in("rtt_ms[1]", s.RTTMS[1], s.RTTMS[0], maxRTTMS)
	c.in("loss", s.Loss, 0, 0.5)
	c.in("server_streams", s.ServerStreams, -maxPeers, maxPeers)
	c.in("zones", float64(s.Zones), 1, 1000)
	c.in("cross_rtt_ms", s.CrossRTTMS, 0, maxRTTMS)
	c.in("zone_streams", float64(s.ZoneStreams), 0, maxPeers)
	c.in("unconnectable", s.Unconnectable, 0, 1)
	c.in("polluters", s.Polluters, 0, 1)
	c.in("slow", float64(s.Slow), 0, float64(s.Peers))
	c.in("no_upload", s.NoUpload, 0, 1)
	c.among("join.kind", s.Join.Kind, "ramp", "flash", "poisson")
	c.in("join.first", float64(s.Join.First), 0, float64(s.Peers))
	c.in("join.at_s", s.Join.AtS, 0, s.Seconds)
	c.in("join.over_s", s.Join.OverS, 0, s.Seconds)
	c.among("session.kind", s.Session.Kind, "stay", "pareto")
	c.in("session.mean_s", s.Session.MeanS, 0, maxSeconds)
	c.in("session.alpha", s.Session.Alpha, 0, 100)
	c.in("number of uplinks", float64(len(s.Uplinks)), 1, maxClasses)
	c.in("number of events", float64(len(s.Events)), 0, maxClasses)
	weights := 0.0
	for i, u := range s.Uplinks {
		at := fmt.Sprintf("uplinks[%d].", i)
		c.in(at+"weight", u.Weight, 0, 1e6)
		c.in(at+"low", u.Low, 0, maxTimes)
		c.in(at+"high", u.High, u.Low, maxTimes)
		weights += max(0, u.Weight)
	}
	if weights == 0 {
		c.say("uplinks: no class has a weight")
	}
	for i, e := range s.Events {
		c.event(fmt.Sprintf("events[%d].", i), e, s.Seconds)
	}
	return c.err
}

// A checker keeps the first thing that is wrong.
type checker struct{ err error }

func (c *checker) say(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("scenario: "+format, args...)
	}
}

func (c *checker) in(name string, v, low, high float64) {
	if !(v >= low && v <= high) { // and no NaN
		c.say("%s: want %s to %s, got %s", name, plain(low), plain(high), plain(v))
	}
}

func (c *checker) among(name, v string, words ...string) {
	if !slices.Contains(words, v) {
		c.say("%s: want %s, got %q", name, strings.Join(words, " or "), v)
	}
}

func (c *checker) event(at string, e Event, seconds float64) {
	c.in(at+"at_s", e.AtS, 0, seconds)
	c.among(at+"kind", e.Kind, "leave", "tracker_gone", "origin_slow", "origin_gone")
	if e.Kind == "leave" {
		c.in(at+"ratio", e.Ratio, 0, 1)
		if e.Ratio == 0 {
			c.say("%sratio: nobody leaves; want more than 0, at most 1", at)
		}
		if e.ForS != 0 {
			c.say("%sfor_s: who leaves does not come back", at)
		}
	} else if c.in(at+"for_s", e.ForS, 0, maxSeconds); e.ForS == 0 {
		c.say("%sfor_s: say for how many seconds", at)
	}
	if e.Kind == "origin_slow" {
		c.in(at+"factor", e.Factor, 1, maxTimes)
	}
}

// plain writes a number as people do: no exponent, no more digits than it has.
func plain(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return fmt.Sprintf("%d", int64(v))
	}
	return fmt.Sprintf("%g", v)
}

// Resized returns the scenario with n viewers. A crowd that finds more than n
// there finds all of them, and no more than n are slow.
func (s *Scenario) Resized(n int) (*Scenario, error) {
	c := s.clone()
	c.Peers = n
	c.Join.First, c.Slow = min(c.Join.First, max(n, 0)), min(c.Slow, max(n, 0))
	if err := c.Check(); err != nil {
		return nil, err
	}
	return c, nil
}

// clone shares nothing with s.
func (s *Scenario) clone() *Scenario {
	c := *s
	c.Uplinks, c.Events = slices.Clone(s.Uplinks), slices.Clone(s.Events)
	return &c
}

// JSON writes the scenario with its defaults filled in, for people to change.
func (s *Scenario) JSON() []byte {
	c := s.clone()
	c.Fill()
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		panic(err) // a value that Check lets through has a JSON
	}
	return append(b, '\n')
}
