package cmd_test

import (
	"fmt"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/netlab"
)

// startup runs a program and says how long after its start the first byte of
// the first keyframe came.
func startup(t *testing.T, l launch, name string, args ...string) time.Duration {
	t.Helper()
	p := run(t, l, name, args...)
	var key int
	p.out.await(t, 10*time.Second, name+": a keyframe", func(out []byte) (ok bool) {
		key, ok = walk(out).firstKey()
		return ok
	})
	at, _ := p.out.arrived(key)
	p.cmd.Process.Kill()
	<-p.ended
	return at.Sub(p.began)
}

// startups starts xp2p-peer and curl in turn, n times each.
func startups(t *testing.T, l launch, b *broadcast, n int, peerArgs ...string) (peer, curl []time.Duration) {
	t.Helper()
	for range n {
		curl = append(curl, startup(t, l, "curl", "-sN", b.base+"/live/"+room+".flv"))
		peer = append(peer, startup(t, l, "peer", append(peerArgs, "-q", b.url)...))
	}
	return peer, curl
}

// quantile sorts d and returns its q-quantile.
func quantile(d []time.Duration, q float64) time.Duration {
	slices.Sort(d)
	return d[min(int(q*float64(len(d))), len(d)-1)]
}

func TestStartsAsFastAsCurlOnLoopback(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes 20 starts of each")
	}
	b := onAir(t, clip{seconds: 40}.live(t, asFLV))
	b.input.grow(t, 10*time.Second, 200_000)
	peer, curl := startups(t, launch{}, b, 20)
	p, c := quantile(peer, 0.5), quantile(curl, 0.5)
	t.Logf("median of 20 on loopback: xp2p-peer %v, curl %v: %v more (at most 100ms)", p, c, p-c)
	if p > c+100*time.Millisecond {
		t.Errorf("xp2p-peer takes %v to the first keyframe, curl %v", p, c)
	}
}

func TestStartsAsFastAsCurlAt40Milliseconds(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes 20 starts of each")
	}
	if err := netlab.Available(); err != nil {
		t.Skip(err)
	}
	lab, err := netlab.New(netlab.Config{
		Hosts: []netlab.Host{{Name: "seed"}, {Name: "viewer"}}, Delay: 20 * time.Millisecond, Realtime: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer lab.Close()
	at := func(host string) launch {
		return launch{wrap: func(name string, args ...string) *exec.Cmd { return lab.Command(host, name, args...) }}
	}
	b, in := pipeline(t, at("seed"), nil, "--listen", lab.Addr("seed").String()+":8080")
	b.source(in, clip{seconds: 40, gop: 37}.live(t, asFLV)).closes(in)
	b.ready()
	b.input.grow(t, 10*time.Second, 200_000)
	peer, curl := startups(t, at("viewer"), b, 20)
	p, c := quantile(peer, 0.5), quantile(curl, 0.5)
	t.Logf("median of 20 at 40 ms RTT: xp2p-peer %v, curl %v: %.2f times (at most 1.3)", p, c, float64(p)/float64(c))
	report := lab.Report()
	t.Logf("netlab: late by %v at p50, %v at p99", report.LateP50, report.LateP99)
	if float64(p) > 1.3*float64(c) {
		t.Errorf("xp2p-peer takes %v to the first keyframe, curl %v", p, c)
	}
	// Nothing of the lab may outlive it.
	b.seed.cmd.Process.Kill()
	<-b.seed.ended
}

// arrivals says when each sample of an output was complete.
func arrivals(out *recording) map[tagName]time.Time {
	at := map[tagName]time.Time{}
	for _, tag := range walk(out.bytes()).tags {
		if when, ok := out.arrived(tag.end - 1); ok {
			at[tag.name()] = when
		}
	}
	return at
}

// Ten viewers and one plain HTTP player watch the same seed: what the swarm
// adds to the delay of a sample is the difference between the two.
func TestTheSwarmAddsLittleLag(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes 20 s of real time")
	}
	b := onAir(t, clip{seconds: 20}.live(t, asFLV))
	plain := run(t, launch{}, "curl", "-sN", b.base+"/live/"+room+".flv")
	plain.out.await(t, 5*time.Second, "the plain player plays", func(out []byte) bool { return len(out) > 1000 })
	var peers []*process
	for range 10 {
		peers = append(peers, viewer(t, b.url))
	}
	for _, p := range peers {
		p.wantExit(40*time.Second, 0)
	}
	plain.wantExit(5*time.Second, 0)
	film := walk(b.input.bytes())
	base := arrivals(plain.out)
	var all []time.Duration
	for i, p := range peers {
		film.wantEnd(t, fmt.Sprintf("viewer %d", i), p.out.bytes())
		began, _ := p.out.arrived(0)
		var own []time.Duration
		for name, at := range arrivals(p.out) {
			// What was on the air before the viewer came is no lag.
			if ref, ok := base[name]; ok && ref.After(began) {
				own = append(own, at.Sub(ref))
			}
		}
		if len(own) == 0 {
			t.Fatalf("viewer %d shares no sample with the plain player", i)
		}
		t.Logf("viewer %d: %4d samples, added lag p50 %v, p95 %v, p99 %v", i, len(own), quantile(own, 0.5), quantile(own, 0.95), quantile(own, 0.99))
		all = append(all, own...)
	}
	p95 := quantile(all, 0.95)
	t.Logf("10 viewers, %d samples: added lag p50 %v, p95 %v (at most 250ms), p99 %v", len(all), quantile(all, 0.5), p95, quantile(all, 0.99))
	if p95 > 250*time.Millisecond {
		t.Errorf("the swarm adds %v of lag at the 95th percentile", p95)
	}
}
