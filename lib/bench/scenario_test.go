package bench

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestEveryBuiltInScenarioLoadsAndSaysWhatItIsAbout(t *testing.T) {
	names := Names()
	for _, want := range []string{
		"steady", "flash", "half-leaves", "churn", "uplink-0.5", "uplink-1", "uplink-2", "uplink-4", "mix", "nat",
		"polluters", "slow", "tracker-gone", "origin-slow", "two-isps",
	} {
		if !slices.Contains(names, want) {
			t.Errorf("there is no %s", want)
		}
	}
	for _, name := range names {
		s, err := Load(name)
		if err != nil {
			t.Error(err)
			continue
		}
		first, _, _ := strings.Cut(s.About, ". ")
		if s.Name != name || !strings.HasSuffix(s.About, ".") || len(first) > 110 {
			t.Errorf("%s: calls itself %q, about %q", name, s.Name, s.About)
		}
		if name == "calibrate" {
			continue // as small as real processes need it
		}
		if s.Peers != 1000 || s.RateBPS != 2_000_000 || s.GOPMS != 2000 || s.KeyFactor != 8 || s.RTTMS != [2]float64{20, 120} {
			t.Errorf("%s: not in the setting that all are compared in: %+v", name, s)
		}
	}
}

func TestTheUplinksOfAScenarioAreWhatItsNameSays(t *testing.T) {
	for name, want := range map[string]float64{"steady": 2, "uplink-0.5": 0.5, "uplink-1": 1, "uplink-2": 2, "uplink-4": 4} {
		s, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Uplinks) != 1 || (s.Uplinks[0].Low+s.Uplinks[0].High)/2 != want {
			t.Errorf("%s: %+v", name, s.Uplinks)
		}
		if unbounded := s.ServerStreams < 0; unbounded != (want < 1) {
			t.Errorf("%s: servers give %v streams", name, s.ServerStreams)
		}
	}
}

func TestWhatIsPrintedIsReadBackTheSame(t *testing.T) {
	for _, name := range Names() {
		s, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseScenario(s.JSON())
		if err != nil || !reflect.DeepEqual(s, again) || !bytes.Equal(s.JSON(), again.JSON()) {
			t.Errorf("%s: %v\n%s became\n%s", name, err, s.JSON(), again.JSON())
		}
	}
}

func TestAScenarioThatSaysNothingIsTheDefault(t *testing.T) {
	s, err := ParseScenario([]byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	want := &Scenario{
		Peers: 1000, Seconds: 120, RateBPS: 2_000_000, GOPMS: 2000, KeyFactor: 8, Join: Join{Kind: "ramp", OverS: 20},
		Session: Session{Kind: "stay"}, Uplinks: []Uplink{{1, 1, 3}}, Downlink: 20, RTTMS: [2]float64{20, 120}, ServerStreams: 20, Zones: 1,
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("%+v", s)
	}
}

func TestAShortBroadcastHasAShortJoin(t *testing.T) {
	for text, want := range map[string]Join{
		`{"seconds": 8}`: {Kind: "ramp", OverS: 8},
		`{"seconds": 8, "join": {"kind": "flash"}}`:   {Kind: "flash", First: 10, AtS: 2, OverS: 2},
		`{"seconds": 8, "join": {"kind": "poisson"}}`: {Kind: "poisson"},
	} {
		if s, err := ParseScenario([]byte(text)); err != nil || s.Join != want {
			t.Errorf("%s: %+v, %v", text, s, err)
		}
	}
}

func TestAScenarioIsToldWhatIsWrongWithIt(t *testing.T) {
	for _, tc := range []struct{ json, want string }{
		{``, "it is empty"},
		{"{\n\n\"peers\": oops}", "line 3: "},
		{`{"peers": 5`, "line 1: "},
		{`{"peers": 5} x`, "line 1: "},
		{`[]`, "want an object, got array"},
		{`{"peers": "many"}`, "peers: want a whole number, got string"},
		{`{"join": {"kind": 5}}`, "join.kind: want a text, got number"},
		{`{"pears": 5}`, "pears: no such field; there are name, about, peers, "},
		{`{"PEERS": 5}`, "PEERS: no such field"},
		{`{"join": {"frist": 5}}`, "join.frist: no such field; there are kind, first, at_s, over_s"},
		{`{"events": [{"at_s": 1, "kind": "leave", "ratio": 1}, {"at": 5}]}`, "events[1].at: no such field"},
		{`{"uplinks": [{"wieght": 5}]}`, "uplinks[0].wieght: no such field"},
		{`{"rtt_ms": [20]}`, "rtt_ms: want 2 values, got 1"},
		{`{"rtt_ms": [20, 40, 60]}`, "rtt_ms: want 2 values, got 3"},
		{`{"rtt_ms": [40, 20]}`, "rtt_ms[1]: want 40 to 60000, got 20"},
		{`{"peers": -1}`, "peers: want 1 to 1000000, got -1"},
		{`{"seconds": 0.5}`, "seconds: want 1 to 86400, got 0.5"},
		{`{"loss": 0.9}`, "loss: want 0 to 0.5, got 0.9"},
		{`{"unconnectable": 1.5}`, "unconnectable: want 0 to 1"},
		{`{"peers": 5, "slow": 6}`, "slow: want 0 to 5, got 6"},
		{`{"peers": 5, "join": {"kind": "flash", "first": 6}}`, "join.first: want 0 to 5"},
		{`{"join": {"kind": "crowd"}}`, `join.kind: want ramp or flash or poisson, got "crowd"`},
		{`{"session": {"kind": "short"}}`, `session.kind: want stay or pareto, got "short"`},
		{`{"uplinks": [{"weight": 0, "low": 1}]}`, "uplinks: no class has a weight"},
		{`{"uplinks": [{"weight": 1, "low": 3, "high": 2}]}`, "uplinks[0].high: want 3 to 10000, got 2"},
		{`{"downlink": 0.5}`, "downlink: want 1 to 10000, got 0.5"},
		{`{"events": [{"at_s": 500, "kind": "leave", "ratio": 0.5}]}`, "events[0].at_s: want 0 to 120, got 500"},
		{`{"events": [{"at_s": 5, "kind": "flood"}]}`, "events[0].kind: want leave or tracker_gone"},
		{`{"events": [{"at_s": 5, "kind": "leave"}]}`, "events[0].ratio: nobody leaves"},
		{`{"events": [{"at_s": 5, "kind": "leave", "ratio": 0.5, "for_s": 3}]}`, "events[0].for_s: who leaves does not come back"},
		{`{"events": [{"at_s": 5, "kind": "tracker_gone"}]}`, "events[0].for_s: say for how many seconds"},
		{`{"events": [{"at_s": 5, "kind": "origin_slow", "for_s": 5, "factor": 0.5}]}`, "events[0].factor: want 1 to 10000"},
		{`{"about": "` + strings.Repeat("x", MaxScenario) + `"}`, "longer than"},
	} {
		s, err := ParseScenario([]byte(tc.json))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%.60s: %v, %v", tc.json, s, err)
		}
	}
}

func TestAScenarioIsMadeSmallerAndTheOldOneStays(t *testing.T) {
	s, err := Load("flash")
	if err != nil {
		t.Fatal(err)
	}
	s.Slow = 20
	small, err := s.Resized(5)
	if err != nil || small.Peers != 5 || small.Join.First != 5 || small.Slow != 5 {
		t.Errorf("%+v, %v", small, err)
	}
	small.Uplinks[0].Low = 9
	if s.Peers != 1000 || s.Join.First != 10 || s.Uplinks[0].Low != 1 {
		t.Errorf("the first is now %+v", s)
	}
	if _, err := s.Resized(0); err == nil {
		t.Error("a room for nobody")
	}
}

func TestLoadTakesNamesAndFiles(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	os.WriteFile("mine.json", []byte(`{"name":"mine","peers":7}`), 0o600)
	os.WriteFile("bad.json", []byte(`{"pears":7}`), 0o600)
	os.WriteFile("steady", []byte(`{"name":"another"}`), 0o600)
	for arg, want := range map[string]string{"mine.json": "mine", filepath.Join(dir, "mine.json"): "mine", "steady": "steady", "./steady": "another"} {
		if s, err := Load(arg); err != nil || s.Name != want {
			t.Errorf("%s: %+v, %v", arg, s, err)
		}
	}
	if _, err := Load("bad.json"); err == nil || !strings.HasPrefix(err.Error(), "bad.json: scenario: pears: no such field") {
		t.Error(err)
	}
	if _, err := Load("staedy"); !errors.Is(err, ErrUnknownScenario) {
		t.Error(err)
	}
	for _, arg := range []string{"./staedy", "other.json", "../scenarios/steady", ""} {
		if _, err := Load(arg); err == nil || errors.Is(err, ErrUnknownScenario) && arg != "" {
			t.Errorf("%q: %v", arg, err)
		}
	}
}

func FuzzParseScenario(f *testing.F) {
	for _, name := range Names() {
		b, _ := scenarios.ReadFile("scenarios/" + name + ".json")
		f.Add(b)
	}
	f.Add([]byte(`{"rtt_ms":[0,1e308],"events":[null,{}],"uplinks":null,"join":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseScenario(b)
		if err != nil {
			return
		}
		again, err := ParseScenario(s.JSON())
		if err != nil || !bytes.Equal(s.JSON(), again.JSON()) {
			t.Fatalf("%v\n%s", err, s.JSON())
		}
		factsOf(s)
	})
}
