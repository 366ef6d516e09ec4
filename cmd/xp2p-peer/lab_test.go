//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/netlab"
)

// Two viewers as processes, each behind a NAT of its own, meet as the matrix says and
// feed each other; scripts/natlab matrix has all pairs.
func TestViewersBehindRealNATsMeet(t *testing.T) {
	if err := netlab.Available(); err != nil {
		t.Skip(err)
	}
	if testing.Short() {
		t.Skip("takes seconds")
	}
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", bin, "../xp2p-slice", "../xp2p-seed", ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	const eim, apdm = nat.EndpointIndependent, nat.AddressAndPortDependent
	cone := nat.BoxConfig{Mapping: eim, Filtering: apdm}
	clash := nat.BoxConfig{Mapping: eim, Filtering: apdm, Clash: true}
	counts := nat.BoxConfig{Mapping: apdm, Filtering: apdm, Allocation: nat.Sequential}
	draws := nat.BoxConfig{Mapping: apdm, Filtering: apdm, Allocation: nat.Random}
	for _, c := range []struct {
		name string
		a, b nat.BoxConfig
		want nat.Way
	}{
		{"port-restricted and port-restricted", cone, cone, nat.Direct},
		{"with tables that clash", clash, clash, nat.Direct},
		{"port-restricted and sequential", cone, counts, nat.Predicted},
		{"sequential and sequential", counts, counts, nat.Predicted},
		{"port-restricted and random", cone, draws, nat.Birthday},
		{"random and random", draws, draws, nat.Relayed},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			meetInLab(t, bin, c.a, c.b, c.want)
		})
	}
	t.Run("no UDP", func(t *testing.T) {
		t.Parallel()
		reachOverTCP(t, bin, cone)
	})
	for name, other := range map[string]nat.BoxConfig{"no UDP and public": {}, "no UDP and port-restricted": cone, "no UDP and no UDP": {DropUDP: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			meetInLab(t, bin, nat.BoxConfig{DropUDP: true}, other, nat.OverTCP)
		})
	}
	t.Run("no UDP and random", func(t *testing.T) {
		t.Parallel()
		meetInLab(t, bin, nat.BoxConfig{DropUDP: true}, draws, nat.Relayed)
	})
}

// A stage is a lab in which a seed broadcasts and viewers a and b watch, each behind a
// box.
type stage struct {
	stats  map[string]string // files of --stats
	look   *time.Ticker
	enough <-chan time.Time
}

func stageInLab(t *testing.T, bin string, a, b nat.BoxConfig) stage {
	// A box without a mapping translates nothing: who is behind it is in the open, but
	// for UDP that it may drop.
	host := func(name, inside, outside string, box nat.BoxConfig) netlab.Host {
		switch {
		case box.Mapping != nat.Unknown:
			box.Public = []netip.Addr{netip.MustParseAddr(outside)}
			return netlab.Host{Name: name, Addr: netip.MustParseAddr(inside), Boxes: []nat.BoxConfig{box}}
		case box.DropUDP:
			return netlab.Host{Name: name, Addr: netip.MustParseAddr(outside), Boxes: []nat.BoxConfig{box}}
		}
		return netlab.Host{Name: name, Addr: netip.MustParseAddr(outside)}
	}
	l, err := netlab.New(netlab.Config{Delay: 20 * time.Millisecond, Hops: 10, Hosts: []netlab.Host{
		{Name: "seed", Addr: netip.MustParseAddr("192.0.2.1"), More: []netip.Addr{netip.MustParseAddr("192.0.2.2")}},
		host("a", "192.168.1.7", "203.0.113.1", a), host("b", "192.168.1.8", "203.0.113.2", b),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	running := 0
	start := func(c *exec.Cmd) {
		c.Env = append(os.Environ(), "XDG_CONFIG_HOME="+t.TempDir())
		var log bytes.Buffer
		if c.Stderr == nil {
			c.Stderr = &log
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		running++
		go func() {
			err := c.Wait()
			if t.Failed() || ctx.Err() == nil {
				t.Logf("%v: %v\n%s", c.Args, err, log.Bytes())
			}
			ended <- struct{}{}
		}()
	}
	t.Cleanup(func() {
		stop()
		for range running {
			<-ended
		}
	})
	slice := exec.CommandContext(ctx, filepath.Join(bin, "xp2p-slice"))
	seed := l.CommandContext(ctx, "seed", filepath.Join(bin, "xp2p-seed"), "--room", "match", "--listen", "192.0.2.1:8080",
		"--stun-listen", "192.0.2.1:3478", "--stun-listen", "192.0.2.2:3479", "--relay", "192.0.2.1:5000", "--relay-tls", "192.0.2.1:443")
	in, err := slice.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	slice.Stdout, seed.Stdin = w, r
	start(slice)
	start(seed)
	w.Close()
	r.Close()
	go broadcast(ctx, in)
	look := time.NewTicker(200 * time.Millisecond)
	t.Cleanup(look.Stop)
	for up := false; !up; <-look.C {
		l.Do("seed", func() error {
			c, err := net.Dial("tcp4", "192.0.2.1:8080") // goroutines of a client of HTTP would be elsewhere
			if err == nil {
				io.WriteString(c, "GET /v1/rooms/match HTTP/1.0\r\n\r\n")
				b, _ := io.ReadAll(c)
				up = bytes.Contains(b, []byte(`"token_key"`))
				c.Close()
			}
			return nil
		})
	}
	stats := map[string]string{}
	for _, host := range []string{"a", "b"} {
		stats[host] = filepath.Join(t.TempDir(), "stats")
		start(l.CommandContext(ctx, host, filepath.Join(bin, "xp2p-peer"), "-v", "-o", filepath.Join(t.TempDir(), "out.flv"),
			"--stats", stats[host], "--quota-file", filepath.Join(t.TempDir(), "quota"), "http://192.0.2.1:8080/match"))
	}
	return stage{stats, look, time.After(20 * time.Second)}
}

func meetInLab(t *testing.T, bin string, a, b nat.BoxConfig, want nat.Way) {
	s := stageInLab(t, bin, a, b)
	stats, look, enough := s.stats, s.look, s.enough
	met := map[string]measure.Neighbour{}
	for len(met) < 2 {
		select {
		case <-look.C:
		case <-enough:
			t.Fatalf("met: %+v", met)
		}
		for host, file := range stats {
			if n, ok := lastNeighbour(file); ok && n.ReceivedBytes+n.SentBytes > 0 {
				met[host] = n
			}
		}
	}
	for host, n := range met {
		t.Logf("%s: %s at %v after %d ms, round trip %.0f ms", host, n.Path, n.Addr, *n.ConnectMS, n.RTTMS)
		if n.Path != want.String() {
			t.Errorf("%s: the path is %s, want %v", host, n.Path, want)
		}
	}
	if want == nat.Relayed { // what a relay passes on is a server's
		if a, b := lastReport(stats["a"]), lastReport(stats["b"]); a.PeerBytes+b.PeerBytes > 0 {
			t.Errorf("of peers %d and %d bytes, relayed %d and %d", a.PeerBytes, b.PeerBytes, a.RelayBytes, b.RelayBytes)
		}
	}
}

// reachOverTCP: one without UDP plays what the origin gives, and has the seed for a
// neighbour over TCP.
func reachOverTCP(t *testing.T, bin string, other nat.BoxConfig) {
	s := stageInLab(t, bin, nat.BoxConfig{DropUDP: true}, other)
	for {
		select {
		case <-s.look.C:
		case <-s.enough:
			t.Fatalf("reports: %+v", lastReport(s.stats["a"]))
		}
		r := lastReport(s.stats["a"])
		if i := slices.IndexFunc(r.Neighbours, func(n measure.Neighbour) bool { return n.Role == "seed" }); i >= 0 && r.TotalBytes() > 0 {
			n := r.Neighbours[i]
			t.Logf("the seed: %s after %d ms, round trip %.0f ms", n.Path, *n.ConnectMS, n.RTTMS)
			if n.Path != nat.OverTCP.String() {
				t.Errorf("the path is %s", n.Path)
			}
			return
		}
	}
}

// lastNeighbour returns the first other viewer in the last line of a file of --stats.
func lastNeighbour(file string) (n measure.Neighbour, ok bool) {
	for _, n := range lastReport(file).Neighbours {
		if n.Role == "peer" {
			return n, true
		}
	}
	return n, false
}

// lastReport returns the last whole line of a file of --stats.
func lastReport(file string) (r measure.Report) {
	b, _ := os.ReadFile(file)
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	if json.Unmarshal(lines[len(lines)-1], &r) != nil {
		return measure.Report{}
	}
	return r
}

// broadcast writes FLV with 25 frames a second and a keyframe each second, until ctx
// ends.
func broadcast(ctx context.Context, w io.WriteCloser) {
	defer w.Close()
	b := []byte("FLV\x01\x01\x00\x00\x00\x09\x00\x00\x00\x00")
	b = flvTag(b, 0, []byte{0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 4, 0x67, 0x64, 0, 0x1f, 1, 0, 1, 0x68})
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		body := make([]byte, 4000)
		if body[0] = 0x27; i%25 == 0 {
			body[0] = 0x17
		}
		body[1] = 1
		copy(body[5:], fmt.Sprintf("frame %d", i))
		b = flvTag(b, uint32(40*i), body)
		if _, err := w.Write(b); err != nil {
			return
		}
		b = b[:0]
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func flvTag(b []byte, ms uint32, body []byte) []byte {
	n := len(body)
	b = append(b, 9, byte(n>>16), byte(n>>8), byte(n), byte(ms>>16), byte(ms>>8), byte(ms), byte(ms>>24), 0, 0, 0)
	b = append(b, body...)
	return binary.BigEndian.AppendUint32(b, uint32(n+11))
}
