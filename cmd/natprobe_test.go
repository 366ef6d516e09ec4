package cmd_test

import (
	"encoding/json"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// named is what scripts read of a report.
type named struct {
	Type       string
	Class      string
	Candidates []string
	Mapping    string
	UDP, TCP   bool
	Servers    []struct {
		Addr  string
		RTTms float64 `json:"rtt_ms"`
	}
}

// natprobe runs the tool to its end and reads its last line.
func natprobe(t *testing.T, code int, args ...string) (r named) {
	t.Helper()
	p := run(t, launch{}, "natprobe", append([]string{"--json"}, args...)...)
	p.wantExit(10*time.Second, code)
	lines := strings.Split(strings.TrimSpace(p.out.String()), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil || r.Type != "nat" {
		t.Fatalf("%v: %s", err, p.out)
	}
	return r
}

// A seed as it comes, with one address, has two STUN ports, and its room's document
// says so: viewers learn from it whether their NAT gives each destination another
// port, and natprobe leaves no more open than that one address leaves.
func TestASeedHasASecondSTUNPortByItself(t *testing.T) {
	b := onAir(t, clip{seconds: 8}.live(t, asFLV))
	var doc struct{ STUN []netip.AddrPort }
	if err := json.Unmarshal(get(t, b.base+"/v1/rooms/"+room), &doc); err != nil || len(doc.STUN) != 2 ||
		doc.STUN[0].Addr() != doc.STUN[1].Addr() || doc.STUN[0].Port() == doc.STUN[1].Port() {
		t.Fatalf("%v: %+v", err, doc)
	}
	r := natprobe(t, 3, b.url)
	if !slices.Equal(r.Candidates, []string{"public", "symmetric-firewall"}) || !r.UDP || !r.TCP || len(r.Servers) != 2 || r.Servers[0].RTTms == 0 || r.Servers[1].RTTms == 0 {
		t.Errorf("%+v", r)
	}
}

// Two seeds with one address each tell all, if they know each other's keys; if not,
// they send nothing for each other.
func TestTwoSeedsThatKnowEachOtherTellAll(t *testing.T) {
	dir := t.TempDir()
	ids := []string{filepath.Join(dir, "a.json"), filepath.Join(dir, "b.json")}
	_, keyA := keys(t, ids[0])
	_, keyB := keys(t, ids[1])
	for _, friends := range []bool{true, false} {
		args := [][]string{
			{"--only", "stun", "--listen", "127.0.0.1:0", "--identity", ids[0]},
			{"--only", "stun", "--listen", "127.0.0.2:0", "--identity", ids[1]},
		}
		if friends {
			args[0] = append(args[0], "--stun", "127.0.0.2:3478#"+keyB)
			args[1] = append(args[1], "--stun", "127.0.0.1:3478#"+keyA)
		}
		var addrs []string
		for _, a := range args {
			addrs = append(addrs, strings.TrimPrefix(base(seed(t, launch{}, a...)), "http://"))
		}
		if !friends {
			if r := natprobe(t, 3, addrs...); r.Class != "" {
				t.Errorf("strangers: %+v", r)
			}
			continue
		}
		if r := natprobe(t, 0, addrs...); r.Class != "public" {
			t.Errorf("friends: %+v", r)
		}
	}
}

// Two addresses tell all, whether XNTP and HTTP share one of them or not; then STUN
// over TCP says that somebody is there.
func TestASeedWithTwoAddressesTellsAll(t *testing.T) {
	for i, args := range [][]string{
		{"--listen", "127.0.0.5:23478", "--stun-listen", "127.0.0.5:23478", "--stun-listen", "127.0.0.6:23479"},
		{"--stun-listen", "127.0.0.5:23488", "--stun-listen", "127.0.0.6:23489"},
	} {
		base(seed(t, launch{}, append([]string{"--only", "stun"}, args...)...))
		server := []string{"127.0.0.5:23478", "127.0.0.5:23488"}[i]
		if r := natprobe(t, 0, server); r.Class != "public" || r.Mapping != "endpoint-independent" || !r.TCP {
			t.Errorf("%v: %+v", args, r)
		}
	}
}

// Other people's clients understand our responder: coturn's asks for its address, and
// its discovery tool for everything that RFC 5780 has.
func TestOtherClientsUnderstandTheResponder(t *testing.T) {
	if _, err := exec.LookPath("turnutils_stunclient"); err != nil {
		t.Skip("coturn is not installed")
	}
	base(seed(t, launch{}, "--only", "stun", "--stun-listen", "127.0.0.5:23478", "--stun-listen", "127.0.0.6:23479"))
	p := run(t, launch{}, "turnutils_stunclient", "-p", "23478", "127.0.0.5")
	p.wantExit(10*time.Second, 0)
	if out := p.out.String(); !strings.Contains(out, "UDP reflexive addr: 127.0.0.1:") {
		t.Errorf("turnutils_stunclient: %s", out)
	}
	p = run(t, launch{}, "turnutils_natdiscovery", "-m", "-f", "-p", "23478", "127.0.0.5")
	p.wantExit(20*time.Second, 0)
	if out := p.out.String(); !strings.Contains(out, "Endpoint Independent Mapping") || !strings.Contains(out, "Endpoint Independent Filtering") {
		t.Errorf("turnutils_natdiscovery: %s", out)
	}
}
