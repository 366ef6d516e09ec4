package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/xp2p/xp2p/lib/endpoint"
	"github.com/xp2p/xp2p/lib/natprobe"
	"github.com/xp2p/xp2p/lib/tool"
	"github.com/xp2p/xp2p/lib/wire"
)

// asNatprobe in the environment makes this test binary the tool itself, for tests
// that run it inside a network of their own.
const asNatprobe = "XP2P_TEST_AS_NATPROBE"

func TestMain(m *testing.M) {
	if os.Getenv(asNatprobe) != "" {
		main()
	}
	os.Exit(m.Run())
}

func TestTheManualNamesEveryFlag(t *testing.T) {
	if err := tool.CheckManual(command()); err != nil {
		t.Error(err)
	}
}

// run is the tool with its streams caught.
func run(t *testing.T, ctx context.Context, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = tool.Run(ctx, command(), args, tool.Streams{In: strings.NewReader(""), Out: &o, Err: &e})
	return code, o.String(), e.String()
}

// respond runs a responder on loopback addresses until the test ends.
func respond(t *testing.T, at ...string) []netip.AddrPort {
	t.Helper()
	r := natprobe.NewResponder(natprobe.ResponderConfig{TokenKey: ed25519.NewKeyFromSeed(make([]byte, 32))})
	var listen []netip.AddrPort
	for _, a := range at {
		listen = append(listen, netip.MustParseAddrPort(a))
	}
	e, err := endpoint.New(r, endpoint.Config{Listen: listen})
	if err != nil {
		t.Skip(err) // some systems have one loopback address only
	}
	r.SetSites(listen)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); e.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return listen
}

var four = []string{"127.0.0.2:34780", "127.0.0.2:34790", "127.0.0.3:34780", "127.0.0.3:34790"}

// The names that scripts rely on, with and without what only Linux has.
func TestJSONHasTheNamesThatScriptsRelyOn(t *testing.T) {
	server := respond(t, four...)[0].String()
	for _, how := range [][]string{{}, {"--plain"}} {
		code, out, errs := run(t, t.Context(), append(how, "--json", "--explain", server)...)
		if code != tool.ExitDone {
			t.Fatalf("code %d: %s", code, errs)
		}
		lines := strings.Split(strings.TrimSpace(out), "\n")
		var last map[string]any
		for i, l := range lines {
			var v map[string]any
			if err := json.Unmarshal([]byte(l), &v); err != nil || !strings.HasPrefix(l, `{"type":"`) {
				t.Fatalf("%s: %v", l, err)
			}
			if want := map[bool]string{true: "nat", false: "probe"}[i == len(lines)-1]; v["type"] != want {
				t.Errorf("line %d is of type %v", i, v["type"])
			}
			last = v
		}
		for _, name := range []string{"class", "mapping", "filtering", "confidence", "candidates", "public_addrs", "port_preserving", "cgnat", "udp", "rtt_ms", "took_ms"} {
			if _, ok := last[name]; !ok {
				t.Errorf("%v: there is no %s in %s", how, name, lines[len(lines)-1])
			}
		}
		if last["class"] != "public" || last["confidence"] != "high" || last["filtering"] != "endpoint-independent" {
			t.Errorf("%v: %v", how, last)
		}
	}
	_, out, _ := run(t, t.Context(), "-q", server)
	if out != "public\n" {
		t.Errorf("-q says %q", out)
	}
	_, out, _ = run(t, t.Context(), "--mtu", "--explain", server)
	for _, want := range []string{"public  (confidence: high)", "largest packet", "Proved", "no NAT", "everybody can send to it"} {
		if !strings.Contains(out, want) {
			t.Errorf("there is no %q in\n%s", want, out)
		}
	}
}

func TestExitCodesSayWhatWasFound(t *testing.T) {
	one := respond(t, "127.0.0.1:34800")[0].String()
	for _, c := range []struct {
		name string
		args []string
		code int
		out  string
	}{
		{"no server", nil, tool.ExitUsage, ""},
		{"no such flag", []string{"--fast", one}, tool.ExitUsage, ""},
		{"two hours of one wish", []string{"--watch", "--lifetime", one}, tool.ExitUsage, ""},
		{"no port", []string{"127.0.0.1:0"}, tool.ExitUsage, ""},
		{"no room there", []string{"http://127.0.0.1:9/match"}, tool.ExitUnreachable, ""},
		{"a plain server", []string{"-q", one}, tool.ExitIncomplete, "inconclusive\n"},
		{"nobody", []string{"-q", "127.0.0.1:9"}, tool.ExitUnreachable, "inconclusive\n"},
	} {
		if code, out, errs := run(t, t.Context(), c.args...); code != c.code || out != c.out {
			t.Errorf("%s: code %d, want %d: %q %q", c.name, code, c.code, out, errs)
		}
	}
	t.Setenv("XP2P_STUN", one)
	if code, _, errs := run(t, t.Context(), "-q"); code != tool.ExitIncomplete {
		t.Errorf("from the environment: code %d: %s", code, errs)
	}
}

func TestARoomsTrackerNamesTheServers(t *testing.T) {
	list := respond(t, "127.0.0.2:34810", "127.0.0.2:34820", "127.0.0.3:34810", "127.0.0.3:34820")
	key := wire.Key(ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey))
	tracker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/rooms/match" {
			http.NotFound(w, r)
			return
		}
		d := wire.RoomDocument{Room: "match", Mode: "live", Container: "flv", RoomKey: key, Newest: []byte(`{}`), Topology: "mesh", STUN: []string{list[0].String()}}
		b, err := d.Append(nil)
		if err != nil {
			t.Error(err)
		}
		w.Write(b)
	}))
	defer tracker.Close()
	code, out, errs := run(t, t.Context(), "--json", tracker.URL+"/match")
	var r struct {
		Class string
		TCP   bool
	}
	if json.Unmarshal([]byte(out), &r) != nil || code != tool.ExitDone || r.Class != "public" || !r.TCP {
		t.Errorf("code %d: %s%s", code, out, errs)
	}
	if code, _, errs := run(t, t.Context(), tracker.URL+"/other"); code != tool.ExitUnreachable {
		t.Errorf("no such room: code %d: %s", code, errs)
	}
}

// A network that stays as it is is reported once, however often it is looked at.
func TestWatchingReportsAChangeAndEndsWithItsContext(t *testing.T) {
	server := respond(t, four...)[0].String()
	ctx, cancel := context.WithCancelCause(t.Context())
	reader, stop := &lineCounter{}, make(chan struct{})
	reader.first = func() { close(stop) }
	done := make(chan int)
	go func() {
		done <- tool.Run(ctx, command(), []string{"--watch", "--json", "--every", "1s", server}, tool.Streams{In: strings.NewReader(""), Out: reader, Err: new(bytes.Buffer)})
	}()
	<-stop
	cancel(&tool.Interrupt{Signal: os.Interrupt})
	if code := <-done; code != tool.ExitInterrupted || reader.n != 1 {
		t.Errorf("code %d, %d lines", code, reader.n)
	}
}

type lineCounter struct {
	n     int
	first func()
}

func (c *lineCounter) Write(b []byte) (int, error) {
	if c.n++; c.n == 1 {
		c.first()
	}
	return len(b), nil
}

// A server of each family: one is examined, the other asked whether it works.
func TestIPv6IsAFactBesideTheClass(t *testing.T) {
	four := respond(t, "127.0.0.2:34830", "127.0.0.2:34840", "127.0.0.3:34830", "127.0.0.3:34840")[0].String()
	six := respond(t, "[::1]:34830")[0].String()
	_, out, errs := run(t, t.Context(), "--json", six, four)
	var r struct {
		Class string
		IPv6  *bool
	}
	if json.Unmarshal([]byte(out), &r) != nil || r.Class != "public" || r.IPv6 == nil || !*r.IPv6 {
		t.Errorf("%s%s", out, errs)
	}
	code, out, errs := run(t, t.Context(), "--json", six)
	if json.Unmarshal([]byte(out), &r) != nil || code != tool.ExitIncomplete || r.IPv6 == nil || !*r.IPv6 {
		t.Errorf("IPv6 only: code %d: %s%s", code, out, errs)
	}
}

func TestServersAreHostsWithOrWithoutAPort(t *testing.T) {
	for in, want := range map[string]string{
		"127.0.0.1": "127.0.0.1:3478", "127.0.0.1:99": "127.0.0.1:99", "::1": "[::1]:3478", "[::1]": "[::1]:3478", "[::1]:99": "[::1]:99",
		"stun:127.0.0.1:99": "127.0.0.1:99",
	} {
		got, _, err := serversOf(t.Context(), []string{in})
		if err != nil || !slices.Contains(got, netip.MustParseAddrPort(want)) {
			t.Errorf("%s: %v, %v", in, got, err)
		}
	}
	for _, bad := range []string{"", ":99", "127.0.0.1:none", "http://x/", "[::1"} {
		if got, _, err := serversOf(t.Context(), []string{bad}); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}
