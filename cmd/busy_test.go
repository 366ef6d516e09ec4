package cmd_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The seed's uplink carries two and a half streams. Ordinary players take what
// two viewers leave of it, and four more find the origin full: they begin with
// what the others have, and have every byte.
func TestWhereTheUplinkIsFullNewcomersBeginWithWhatOthersHave(t *testing.T) {
	b := onAir(t, clip{seconds: 8}.live(t, asFLV), "--uplink", "2.75M") // a stream is 1.1 Mbit/s
	dir := t.TempDir()
	stats := func(i int) string { return filepath.Join(dir, number(i)) }
	peers := []*process{viewer(t, b.url, "--stats", stats(0)), viewer(t, b.url, "--stats", stats(1))}
	playing(t, peers...)
	b.input.grow(t, 10*time.Second, 150_000)

	// Players are let in until none has found room for a second: what those who
	// are in take, and the seed gives, is more than the uplink carries by then.
	var players []*process
	for at := time.Now(); time.Since(at) < time.Second; {
		p := run(t, launch{}, "curl", "-sfN", b.base+"/live/"+room+".flv")
		until(t, 5*time.Second, "an ordinary player is let in or not", func() bool { return !p.running() || p.out.len() > 1000 })
		if p.running() {
			players, at = append(players, p), time.Now()
		} else {
			p.wantExit(time.Second, 22) // curl's word for a status of 400 and above
		}
	}
	before := metric(t, b.base, "xp2p_origin_busy_total")
	started := metric(t, b.base, "xp2p_origin_start_bytes_total")
	for i := range 4 {
		peers = append(peers, viewer(t, b.url, "--stats", stats(2+i)))
	}
	for i, p := range peers[2:] {
		p.out.await(t, 5*time.Second, fmt.Sprintf("late viewer %d plays", i), func(out []byte) bool { return len(out) > 20_000 })
	}
	busy := metric(t, b.base, "xp2p_origin_busy_total") - before
	// What a player was about to lack may have come from the origin; a stream may not.
	if let := metric(t, b.base, "xp2p_origin_start_bytes_total") - started; let > 0 {
		t.Errorf("a late viewer was let in: it was given %.0f bytes", let)
	}
	b.wantAll(append(peers, players...)...)

	var all, fromPeers int64
	for i, p := range peers {
		lines := strings.Split(strings.TrimSpace(string(read(t, stats(i)))), "\n")
		var c counters
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &c); err != nil {
			t.Fatal(err)
		}
		began, _ := p.out.arrived(0)
		t.Logf("viewer %d: first byte after %3d ms; from peers %7d, from the seed %6d, from the origin %6d", i, began.Sub(p.began).Milliseconds(), *c.PeerBytes, *c.SeedBytes, *c.OriginBytes)
		all += *c.PeerBytes + *c.SeedBytes + *c.OriginBytes
		fromPeers += *c.PeerBytes
	}
	// Somebody has to have brought each byte in once.
	share, bound := float64(fromPeers)/float64(all), 1-float64(peers[0].out.len())/float64(all)
	t.Logf("%d ordinary players; viewers were refused %v times; share %.3f (bound %.3f)", len(players), busy, share, bound)
	if len(players) < 1 || len(players) > 5 {
		t.Errorf("%d ordinary players were let in", len(players))
	}
	if busy < 4 {
		t.Errorf("four viewers were refused %v times", busy)
	}
	if share < bound-0.08 {
		t.Errorf("a share of %.3f, want %.3f", share, bound-0.08)
	}
}
