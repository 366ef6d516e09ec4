package cmd_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// keys are the public keys of an identity, which is made if need be.
func keys(t *testing.T, identity string) (seedKey, stunKey string) {
	t.Helper()
	p := run(t, launch{}, "seed", "--identity", identity, "--print-key")
	p.wantExit(5*time.Second, 0)
	for _, line := range strings.Split(p.out.String(), "\n") {
		name, key, _ := strings.Cut(line, " ")
		switch name {
		case "seed":
			seedKey = key
		case "stun":
			stunKey = key
		}
	}
	return seedKey, stunKey
}

// metric is the sum of a metric over its labels that begin with what is given.
func metric(t *testing.T, base, name string) (sum float64) {
	t.Helper()
	for _, line := range strings.Split(string(get(t, base+"/metrics")), "\n") {
		if rest, ok := strings.CutPrefix(line, name); ok {
			i := strings.LastIndexByte(rest, ' ')
			v, err := strconv.ParseFloat(rest[i+1:], 64)
			if err != nil {
				t.Fatal(line, err)
			}
			sum += v
		}
	}
	return sum
}

// Every part is a process of its own; viewers know only the tracker.
func TestThePartsRunByThemselves(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	seedID, stunID := filepath.Join(dir, "seed.json"), filepath.Join(dir, "stun.json")
	seedKey, _ := keys(t, seedID)
	_, stunKey := keys(t, stunID)

	b := onAir(t, clip{seconds: 25}.live(t, asFLV), "--only", "origin")
	stun := seed(t, launch{}, "--only", "stun", "--identity", stunID)
	stunAddr := strings.TrimPrefix(base(stun), "http://")
	logs := seed(t, launch{}, "--only", "log", "--upstream", b.url)
	// A key may begin with a dash, which is no value of its own then.
	tracker := seed(t, launch{}, "--only", "tracker", "--upstream", b.url, "--stun", stunAddr+"#"+stunKey, "--log", base(logs), "--allow-seed="+seedKey)
	member := seed(t, launch{}, "--only", "seed", "--upstream", b.url, "--tracker", base(tracker), "--identity", seedID)

	url := base(tracker) + "/" + room
	var doc struct {
		Origins, STUN []string
		Seeds         []struct{ Key string }
		Log, Signal   string
	}
	until(t, 10*time.Second, "the room document names the seed", func() bool {
		if err := json.Unmarshal(get(t, base(tracker)+"/v1/rooms/"+room), &doc); err != nil {
			t.Fatal(err)
		}
		return len(doc.Seeds) == 1
	})
	if doc.Seeds[0].Key != seedKey || len(doc.Origins) != 1 || doc.Origins[0] != b.base || len(doc.STUN) != 1 || doc.STUN[0] != stunAddr || !strings.HasPrefix(doc.Log, base(logs)) {
		t.Errorf("room document: %+v", doc)
	}
	stats := filepath.Join(dir, "stats")
	peers := append(viewers(t, 2, url), viewer(t, url, "--stats", stats, "--explain"))
	b.wantAll(peers...)

	lines := strings.Split(strings.TrimSpace(string(read(t, stats))), "\n")
	var last counters
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || len(last.missing()) > 0 {
		t.Fatalf("--stats: %v, missing %v: %s", err, last.missing(), lines[len(lines)-1])
	}
	if *last.SeedBytes+*last.PeerBytes <= *last.OriginBytes {
		t.Errorf("the seed and the peers gave %d and %d bytes, the origin %d", *last.SeedBytes, *last.PeerBytes, *last.OriginBytes)
	}
	explained := 0
	for _, line := range strings.Split(peers[2].errs.String(), "\n") {
		if strings.HasPrefix(line, "piece ") && strings.Contains(line, " from ") {
			explained++
		}
	}
	if explained < 20 {
		t.Errorf("--explain wrote %d lines:\n%s", explained, last500(peers[2].errs.String()))
	}
	if n := metric(t, base(stun), "xp2p_stun_tokens_total"); n < 4 {
		t.Errorf("the responder proved %v addresses, there are four members", n)
	}
	if n := metric(t, base(logs), "xp2p_received_bytes_total"); n < 1_000_000 {
		t.Errorf("the log knows of %v bytes", n)
	}
	if n := metric(t, base(member), "xp2p_xntp_payload_bytes_total"); n < 100_000 {
		t.Errorf("the seed gave %v bytes over XNTP", n)
	}
	for _, p := range []*process{stun, logs, tracker, member} {
		p.signal(syscall.SIGTERM)
		p.wantExit(2*time.Second, 143)
	}
}

func last500(s string) string { return last(s, 500) }

// A stranger is no seed, and hears so.
func TestATrackerTakesOnlySeedsThatItKnows(t *testing.T) {
	b := onAir(t, clip{seconds: 8}.live(t, asFLV), "--only", "origin", "--only", "tracker", "--only", "stun")
	p := run(t, launch{}, "seed", "--log-format", "text", "--only", "seed", "--listen", "127.0.0.1:0", "--upstream", b.url, "--tracker", b.base)
	p.errs.await(t, 10*time.Second, "the tracker refuses", func(s []byte) bool { return bytes.Contains(s, []byte("--allow-seed")) })
	if doc := get(t, b.base+"/v1/rooms/"+room); bytes.Contains(doc, []byte(`"seeds"`)) {
		t.Errorf("the room names a seed that it does not know: %s", doc)
	}
}

// health is what /healthz says.
func health(t *testing.T, base string) (status int, text string) {
	t.Helper()
	resp, err := http.Get(base + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// /healthz says when an upstream is gone and when stdin broke off.
func TestHealthTellsWhatIsWrong(t *testing.T) {
	b, in := pipeline(t, launch{}, nil)
	b.source(in, clip{seconds: 25}.live(t, asFLV))
	b.ready()
	edge := seed(t, launch{}, "--upstream", b.url)
	v := viewer(t, b.url)
	playing(t, v)
	for _, at := range []string{b.base, base(edge)} {
		if status, text := health(t, at); status != 200 {
			t.Errorf("%s: %d %s", at, status, text)
		}
	}
	b.slice.cmd.Process.Kill() // no end record
	until(t, 5*time.Second, "the seed is unwell", func() bool {
		status, text := health(t, b.base)
		return status == 503 && strings.Contains(text, "stdin")
	})
	b.seed.cmd.Process.Kill()
	<-b.seed.ended
	until(t, 10*time.Second, "the edge is unwell", func() bool {
		status, text := health(t, base(edge))
		return status == 503 && strings.Contains(text, "upstream")
	})
	edge.signal(os.Interrupt)
	edge.wantExit(2*time.Second, 130)
}

// What cannot begin says why, and with which code.
func TestASeedThatCannotBegin(t *testing.T) {
	content := thin(1)
	dir := sliced(t, "old", content)
	taken := seed(t, launch{}, dir)
	addr := strings.TrimPrefix(base(taken), "http://")
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--listen", addr, dir}, 1, "address already in use"},
		{[]string{"--listen", "127.0.0.1:0", "--udp", addr, dir}, 1, "address already in use"},
		{[]string{"--listen", "127.0.0.1:0", t.TempDir()}, 4, "hint: xp2p-slice -o"},
		{[]string{"--listen", "127.0.0.1:0", "--upstream", base(taken) + "/new"}, 5, "404"},
		{[]string{"--listen", "127.0.0.1:0", "--room", room}, 4, "hint: ffmpeg"},
		{[]string{"--only", "cinema"}, 2, "no such part"},
		{[]string{"--print-key"}, 2, "--identity"},
		{[]string{"--allow-seed", "me", dir}, 2, "no key"},
		{[]string{"--stun", "nowhere", dir}, 2, "--stun"},
	} {
		p := run(t, launch{in: strings.NewReader("FLV, but not sliced")}, "seed", c.args...)
		p.wantExit(5*time.Second, c.code)
		if s := p.errs.String(); !strings.Contains(s, c.says) {
			t.Errorf("%v: it says %q, want %q in it", c.args, s, c.says)
		}
	}
}

// A player that has stopped reading does not keep a viewer from leaving, and a
// seed leaves its viewers in time.
func TestLeavingTakesNoLongerThanTwoSeconds(t *testing.T) {
	b := onAir(t, clip{seconds: 25, rate: "4000k"}.live(t, asFLV))
	v := viewers(t, 2, b.url)
	playing(t, v...)
	r, w := pipe(t)
	p := run(t, launch{out: w}, "peer", "-q", "--listen", "127.0.0.1:0", b.url)
	w.Close()
	defer r.Close()
	if _, err := r.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	v[0].out.grow(t, 10*time.Second, 1_000_000) // more than a pipe holds
	p.signal(os.Interrupt)
	p.wantExit(2*time.Second, 130)
	b.seed.signal(syscall.SIGTERM)
	b.seed.wantExit(2*time.Second, 143)
}

// One room that breaks off takes no other with it.
func TestARoomThatBreaksOffLeavesTheOthers(t *testing.T) {
	t.Parallel()
	content := thin(1)
	p := run(t, launch{in: bytes.NewReader(content)}, "slice", "-q")
	p.wantExit(10*time.Second, 0)
	slices := p.out.bytes()
	s := seed(t, launch{in: bytes.NewReader(slices[:len(slices)-100])}, "--room", room, sliced(t, "old", content))
	until(t, 5*time.Second, "the seed is unwell", func() bool {
		status, text := health(t, base(s))
		return status == 503 && strings.Contains(text, "stdin")
	})
	if got := get(t, base(s)+"/live/old.flv"); !bytes.Equal(got, content) {
		t.Errorf("%d of %d bytes of the other room, or they differ", len(got), len(content))
	}
	s.signal(os.Interrupt)
	s.wantExit(2*time.Second, 130)
}
