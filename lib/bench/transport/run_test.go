package transport

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/bench/rival"
	"github.com/xp2p/xp2p/lib/netlab"
)

// once carries out a run, whether or not the emulator is on time: this machine
// may be busy.
func once(t *testing.T, p *Plan, name string) Sample {
	t.Helper()
	p.Only, p.Runs, p.Timeout = []string{name}, 1, 20*time.Second
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	spec, err := rival.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Lacks(spec); err != nil {
		t.Skip(err)
	}
	s, err := p.run(t.Context(), spec, 1)
	if err != nil {
		t.Fatal(err)
	}
	if s.Failed != nil {
		t.Errorf("%s: %v", name, s.Failed)
	}
	return s
}

func TestAColdObjectCrossesTheLinkNoFasterThanPhysicsLetsIt(t *testing.T) {
	for _, kind := range []string{UDP, TUN} {
		if kind == TUN && netlab.Available() != nil {
			t.Logf("no tun link: %v", netlab.Available())
			continue
		}
		for _, name := range []string{"xntp", "quic", "tcp-cubic"} {
			if kind == UDP && name == "tcp-cubic" {
				continue
			}
			if testing.Short() && (name == "quic" || kind == TUN && name == "xntp") {
				continue // each way of each link once
			}
			t.Run(kind+" "+name, func(t *testing.T) {
				p := &Plan{Link: Link{Kind: kind, Rate: 20e6, RTT: 20 * time.Millisecond}, Workload: Cold, Size: 64 << 10}
				s := once(t, p, name)
				// The emulator counts what came through: the object, and headers.
				if s.Bytes != p.Size || s.Link.Bytes < uint64(p.Size) || s.Elapsed < 20*time.Millisecond+time.Duration(p.Size*8*50) || s.First < 20*time.Millisecond {
					t.Errorf("%d bytes in %v, the first after %v; %d on the link", s.Bytes, s.Elapsed, s.First, s.Link.Bytes)
				}
			})
		}
	}
}

func TestFlowsShareALink(t *testing.T) {
	p := &Plan{Link: Link{Kind: UDP, Rate: 50e6, RTT: 4 * time.Millisecond}, Workload: Fair, Duration: time.Second, Flows: 2, Against: "quic", Others: 1}
	s := once(t, p, "xntp")
	if len(s.Each) != 3 || s.Jain < 1.0/3 || s.Share <= 0 || s.Share > 1 || s.Link.Packets == 0 {
		t.Errorf("%+v", s)
	}
}

func TestLiveMessagesArriveWithTheirTimes(t *testing.T) {
	p := &Plan{Link: Link{Kind: UDP, Rate: 50e6, RTT: 10 * time.Millisecond}, Workload: Live, Duration: 200 * time.Millisecond, Bitrate: 1e6, Latency: 10 * time.Second}
	for _, name := range []string{"xntp", "quic"} {
		if s := once(t, p, name); s.Messages != 19 || s.Delivered != 1 || s.LatencyP50 < 5*time.Millisecond || s.LatencyP99 < s.LatencyP50 {
			t.Errorf("%s: %d messages, %v of those sent, p50 %v, p99 %v", name, s.Messages, s.Delivered, s.LatencyP50, s.LatencyP99)
		}
	}
}

func TestLoopbackAndCPUNeedNoLink(t *testing.T) {
	none := Link{Kind: None}
	s := once(t, &Plan{Link: none, Workload: Loopback, Duration: 500 * time.Millisecond}, "xntp")
	if _, ok := s.cpuPerGB(); s.Bytes == 0 || s.Goodput == 0 || !ok || s.Emulated {
		t.Errorf("%+v", s)
	}
	s = once(t, &Plan{Link: none, Workload: CPU, Duration: 500 * time.Millisecond, Bitrate: 20e6}, "quic")
	if s.Bytes < pieceBytes || s.Bytes > 20e6/8 {
		t.Errorf("%d bytes at 20 Mbit/s", s.Bytes)
	}
}

func TestRunsOfALateEmulatorAreRejectedRepeatedAndCounted(t *testing.T) {
	p := &Plan{Link: Link{Kind: UDP, Rate: 1e6}, Workload: Cold, Size: 1, Only: []string{"xntp", "tcp-cubic", "kcp"}, Runs: 2, Attempts: 5, Timeout: time.Second}
	tries := map[string][]uint64{}
	late := func(_ context.Context, s rival.Spec, seed uint64) (Sample, error) {
		tries[s.Name] = append(tries[s.Name], seed)
		x := Sample{Emulated: true, Late: time.Millisecond * time.Duration(len(tries[s.Name])), Elapsed: time.Second}
		if s.Name == "kcp" || len(tries[s.Name])%2 == 1 {
			x.Rejected = context.DeadlineExceeded
		}
		return x, nil
	}
	var last Progress
	all, err := p.do(t.Context(), late, func(g Progress) { last = g })
	if err != nil {
		t.Fatal(err)
	}
	if r := all[0]; len(r.Samples) != 2 || r.Rejected != 2 || r.ElapsedMS.Value != 1000 {
		t.Errorf("every other run is late: %d count, %d rejected", len(r.Samples), r.Rejected)
	}
	if r := all[1]; r.Skipped == nil || len(tries["tcp-cubic"]) != 0 {
		t.Errorf("TCP over UDP: %+v", r)
	}
	if r := all[2]; r.Known() || r.Rejected != 5 || r.LateWorst != 5*time.Millisecond || r.ElapsedMS.N != 0 {
		t.Errorf("every run is late: %d count, %d rejected", len(r.Samples), r.Rejected)
	}
	if seeds := tries["xntp"]; len(seeds) != 4 || seeds[0] == seeds[1] {
		t.Errorf("seeds %v", seeds)
	}
	if last.Rejected != 6 || last.Transport != "kcp" {
		t.Errorf("%+v", last)
	}
}

func TestTwoMachinesMeasureBetweenThem(t *testing.T) {
	s, err := NewServer("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served, done := make(chan string, 100), make(chan error, 1)
	go func() {
		done <- s.Run(ctx, func(_ netip.AddrPort, what string, err error) {
			if err != nil {
				what = err.Error()
			}
			served <- what
		})
	}()
	addr := s.Addr().String()
	p := &Plan{Link: Link{Kind: Remote}, Workload: Cold, Size: 100_000, Only: []string{"xntp", "quic", "tls"}, Runs: 1, Timeout: 20 * time.Second}
	all, err := p.DoRemote(t.Context(), addr, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if r.Skipped == nil && (r.Failed > 0 || r.Samples[0].Bytes != p.Size) {
			t.Errorf("%s: %+v", r.Transport, r)
		}
	}
	bulk := &Plan{Link: Link{Kind: Remote}, Workload: Bulk, Duration: 400 * time.Millisecond, Parallel: 2, Only: []string{"xntp", "quic"}, Runs: 1, Timeout: 20 * time.Second}
	for _, reverse := range []bool{false, true} {
		all, err := bulk.DoRemote(t.Context(), addr, reverse, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range all {
			if r.Failed > 0 || r.Samples[0].Bytes == 0 || len(r.Samples[0].Tenths) == 0 {
				t.Errorf("%s, reverse %v: %+v", r.Transport, reverse, r)
			}
		}
	}
	bulk.Only = []string{"kcp"}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := bulk.DoRemote(t.Context(), addr, false, nil); err == nil {
		t.Error("measured against a server that is gone")
	}
	if first := <-served; first != "xntp" {
		t.Errorf("the server measured %q first", first)
	}
}
