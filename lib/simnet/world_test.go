package simnet

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
)

const ms = time.Millisecond

func addr(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

// pair is two hosts d apart; the first one pings the second one n times.
func pair(w *World, up, down Link, d, gap time.Duration, n, size int) (a, b *pinger, pa, pb *Process) {
	ha := w.AddHost(HostConfig{Addr: addr(1), Up: up})
	hb := w.AddHost(HostConfig{Addr: addr(2), Down: down})
	w.SetDelay(ha, hb, d)
	b = &pinger{}
	pb = hb.Run(b, 7, nil)
	a = &pinger{peers: []netip.AddrPort{pb.Addr(0)}, gap: gap, limit: n, size: size}
	pa = ha.Run(a, 0, nil)
	return a, b, pa, pb
}

func TestAPingTakesExactlyItsRoundTrip(t *testing.T) {
	w := New(1)
	a, _, _, _ := pair(w, Link{Delay: 5 * ms}, Link{Delay: 2 * ms}, 20*ms, 100*ms, 10, 100)
	w.RunFor(2 * time.Second)
	if len(a.rtt) != 10 {
		t.Fatalf("%d of 10 answers", len(a.rtt))
	}
	for _, rtt := range a.rtt {
		if rtt != 47*ms { // 5 + 20 + 2 there, 20 back: b's uplink and a's downlink are perfect
			t.Errorf("round trip of %v, want 47ms", rtt)
		}
	}
	if got := w.Now(); !got.Equal(Epoch.Add(2 * time.Second)) {
		t.Errorf("it is %v", got)
	}
}

func TestALinkCarriesExactlyItsRateAndDropsWhatItsQueueCannotHold(t *testing.T) {
	w := New(1)
	// 12 Mbit/s offered (1472+28 bytes each ms) to a link of 10: for 10 s, 1/6 is lost.
	a, _, _, _ := pair(w, Link{Rate: 10 * Mbps, Queue: 15000}, Link{}, 0, ms, 10000, 1472)
	w.RunFor(20 * time.Second)
	s := w.Stats()
	want := 10000 * 10 / 12
	if got := len(a.rtt); got < want-1 || got > want+11 {
		t.Errorf("%d came through, want %d and at most the queue's ten more", got, want)
	}
	if got := int(s.LostQueue) + len(a.rtt); got != 10000 {
		t.Errorf("%d lost at the queue, %d came through: of 10000", s.LostQueue, len(a.rtt))
	}
	if worst := slices.Max(a.rtt); worst > 12*ms || worst < 10*ms {
		t.Errorf("the longest wait was %v: ten packets of 1.2ms were wanted", worst)
	}
}

func TestLossJitterAndReorderingComeFromTheSeedInTheirShares(t *testing.T) {
	w := New(3)
	a, _, _, _ := pair(w, Link{Loss: 0.1}, Link{Jitter: 20 * ms}, 10*ms, ms, 10000, 100)
	w.RunFor(20 * time.Second)
	if lost := w.Stats().LostRandom; lost < 900 || lost > 1100 {
		t.Errorf("%d of 10000 lost at 10 %%", lost)
	}
	if lo, hi := slices.Min(a.rtt), slices.Max(a.rtt); lo < 20*ms || hi >= 40*ms || hi-lo < 15*ms {
		t.Errorf("round trips from %v to %v, want 20 to 40ms", lo, hi)
	}

	w = New(3)
	b, _, _, _ := pair(w, Link{Reorder: 0.2}, Link{}, 10*ms, ms, 10000, 100)
	w.RunFor(20 * time.Second)
	late := 0
	for _, rtt := range b.rtt {
		if rtt == 25*ms {
			late++
		}
	}
	if late < 1800 || late > 2200 {
		t.Errorf("%d of 10000 overtaken at 20 %%", late)
	}
}

func TestJitterKeepsOrder(t *testing.T) {
	w := New(4)
	var got []byte
	h := w.AddHost(HostConfig{Addr: addr(1), Down: Link{Jitter: 50 * ms}})
	h.Run(&sink{f: func(p machine.Packet) { got = append(got, p.Data[0]) }}, 7, nil)
	src := &burst{to: netip.AddrPortFrom(addr(1), 7)}
	p := w.AddHost(HostConfig{Addr: addr(2)}).Run(src, 0, nil)
	for i := range 100 {
		w.After(time.Duration(i)*ms, func() { p.Do(func(time.Time) { src.say(byte(i)) }) })
	}
	w.RunFor(time.Second)
	if len(got) != 100 || !slices.IsSorted(got) {
		t.Errorf("%v", got)
	}
}

func TestTheSameSeedGivesTheSameTrace(t *testing.T) {
	run := func(seed uint64) (uint64, Stats) {
		w := ring(seed, 200, 600, Link{Rate: 2 * Mbps, Loss: 0.02, Jitter: 5 * ms, Reorder: 0.01}, Link{Rate: 10 * Mbps, Delay: 3 * ms})
		w.RunFor(3 * time.Second)
		w.hosts[17].Kill()
		w.hosts[18].SetAddr(addr(9999))
		w.RunFor(3 * time.Second)
		return w.Trace(), w.Stats()
	}
	a, sa := run(7)
	b, sb := run(7)
	if a != b || sa != sb {
		t.Errorf("seed 7 gave %x and %x\n%+v\n%+v", a, b, sa, sb)
	}
	if c, _ := run(8); c == a {
		t.Error("seeds 7 and 8 gave the same trace")
	}
	if sa.LostRandom == 0 || sa.LostNobody == 0 {
		t.Errorf("a run in which nothing went wrong: %+v", sa)
	}
}

// Whatever happens to links and hosts, every datagram is delivered once, or
// lost for a reason that is counted.
func TestNothingIsLostWithoutReasonOrDeliveredTwice(t *testing.T) {
	for seed := range uint64(20) {
		rng := New(seed).Rand("test")
		some := func() Link {
			return Link{
				Rate: Rate(rng.IntN(4)) * Mbps, Queue: rng.IntN(20000), Delay: time.Duration(rng.IntN(30)) * ms,
				Jitter: time.Duration(rng.IntN(2)*10) * ms, Loss: rng.Float64() / 10, Reorder: rng.Float64() / 10,
			}
		}
		w := ring(seed, 20, 20, some(), some())
		for _, h := range w.hosts {
			h.SetLinks(some(), some())
		}
		for i := range 10 {
			h := w.hosts[rng.IntN(len(w.hosts))]
			w.After(time.Duration(rng.IntN(900))*ms, func() {
				switch i % 5 {
				case 0:
					h.Kill()
				case 1:
					h.SetAddr(addr(1000 + i))
				case 2:
					h.SetOnline(false)
				case 3:
					h.SetLinks(some(), some())
				case 4:
					h.SetOnline(true)
				}
			})
		}
		w.RunFor(time.Second)
		for _, h := range w.hosts {
			h.Kill()
		}
		w.RunFor(time.Minute) // what was on its way comes to nobody
		s := w.Stats()
		lost := s.LostRandom + s.LostQueue + s.LostTap + s.LostTooBig + s.LostNobody
		if s.Sent != s.Delivered+lost || s.Sent == 0 || s.Delivered == 0 {
			t.Errorf("seed %d: %+v", seed, s)
		}
		if n := w.queue.Len(); n != 0 || len(w.freeData) != len(w.datagrams) {
			t.Errorf("seed %d: %d events left, %d of %d buffers free", seed, n, len(w.freeData), len(w.datagrams))
		}
	}
}

func TestAKilledProcessIsGoneAndItsPortFree(t *testing.T) {
	w := New(1)
	a, _, _, pb := pair(w, Link{}, Link{}, 10*ms, 100*ms, 0, 100)
	w.RunFor(time.Second)
	n := len(a.rtt)
	pb.Host().Kill()
	w.RunFor(time.Second)
	if n < 9 || len(a.rtt) != n || pb.Alive() {
		t.Fatalf("%d answers before, %d after, alive %v", n, len(a.rtt), pb.Alive())
	}
	pb.Host().Run(&pinger{}, 7, nil)
	w.RunFor(time.Second)
	if len(a.rtt) < n+9 {
		t.Errorf("the newcomer at the same port answered %d times", len(a.rtt)-n)
	}
}

func TestAHostThatMovesOrGoesOfflineLosesWhatIsOnItsWay(t *testing.T) {
	w := New(1)
	a, _, pa, _ := pair(w, Link{}, Link{}, 10*ms, 100*ms, 0, 100)
	w.RunFor(105 * ms) // the second ping is on its way
	pa.Host().SetAddr(addr(77))
	w.RunFor(90 * ms)
	if len(a.rtt) != 1 {
		t.Errorf("%d answers, want only the first", len(a.rtt))
	}
	w.RunFor(100 * ms)
	if len(a.rtt) != 2 {
		t.Errorf("%d answers from the new address", len(a.rtt)-1)
	}
	pa.Host().SetOnline(false)
	w.RunFor(time.Second)
	if len(a.rtt) != 2 {
		t.Errorf("%d answers without a cable", len(a.rtt)-2)
	}
	pa.Host().SetOnline(true)
	w.RunFor(time.Second)
	if len(a.rtt) < 10 {
		t.Errorf("%d answers in all", len(a.rtt))
	}
	pa.Rebind(0, 0)
	before := len(a.rtt)
	w.RunFor(time.Second)
	if len(a.rtt) == before {
		t.Error("no answer after a rebinding")
	}
}

func TestATapCorruptsAndDrops(t *testing.T) {
	w := New(1)
	a, b, _, pb := pair(w, Link{}, Link{}, ms, 10*ms, 100, 100)
	n := 0
	w.Tap(func(_ time.Time, _, to netip.AddrPort, data []byte) bool {
		if to != pb.Addr(0) {
			return true
		}
		n++
		if n%2 == 0 {
			data[0] ^= 0x80
		}
		return n%4 != 1
	})
	w.RunFor(2 * time.Second)
	if len(a.rtt) != 25 || w.Stats().LostTap != 25 || b.lost != 0 {
		t.Errorf("%d answers, %d dropped", len(a.rtt), w.Stats().LostTap)
	}
}

func TestABatchIsManyDatagramsAndEachSocketHasItsOwnPort(t *testing.T) {
	w := New(1)
	var sizes []int
	var to []machine.Socket
	h := w.AddHost(HostConfig{Addr: netip.MustParseAddr("2001:db8::1")})
	p := h.Run(&sink{f: func(p machine.Packet) { sizes = append(sizes, len(p.Data)); to = append(to, p.Socket) }}, 7, nil)
	second := p.OpenSocket(0)
	src := &burst{to: p.Addr(second), segment: 1200}
	q := w.AddHost(HostConfig{Addr: netip.MustParseAddr("2001:db8::2")}).Run(src, 0, nil)
	q.Do(func(time.Time) { src.out = append(src.out, make([]byte, 3000)) })
	w.RunFor(ms)
	if !slices.Equal(sizes, []int{1200, 1200, 600}) || to[0] != second {
		t.Errorf("sizes %v on sockets %v", sizes, to)
	}
	p.CloseSocket(second)
	q.Do(func(time.Time) { src.out = append(src.out, make([]byte, 3000)) })
	w.RunFor(ms)
	if len(sizes) != 3 || w.Stats().LostNobody != 3 {
		t.Errorf("a closed socket heard %d", len(sizes)-3)
	}
}

func TestBigDatagramsAreFragmentedOrRefusedAndAFullQueueMarks(t *testing.T) {
	w := New(1)
	n := 0
	h := w.AddHost(HostConfig{Addr: addr(1), Down: Link{Rate: 10 * Mbps, Mark: 3000}})
	marked := 0
	h.Run(&sink{f: func(p machine.Packet) {
		n++
		if p.ECN == machine.CE {
			marked++
		}
	}}, 7, nil)
	src := &burst{to: netip.AddrPortFrom(addr(1), 7), ecn: machine.ECT0}
	p := w.AddHost(HostConfig{Addr: addr(2)}).Run(src, 0, nil)
	say := func(size int) {
		p.Do(func(time.Time) { src.out = append(src.out, make([]byte, size)) })
		w.RunFor(time.Second)
	}
	say(1472)
	src.noFrag = true
	say(1473)
	if n != 1 || w.Stats().LostTooBig != 1 {
		t.Errorf("%d came, %d too big", n, w.Stats().LostTooBig)
	}
	src.noFrag = false
	say(1473)
	if n != 2 || marked != 0 {
		t.Errorf("%d came, %d marked", n, marked)
	}
	p.Do(func(time.Time) {
		for range 10 {
			src.out = append(src.out, make([]byte, 1472))
		}
	})
	w.RunFor(time.Second)
	if n != 12 || marked != 8 {
		t.Errorf("%d came, %d marked, want 8: those that found 3000 bytes or more", n, marked)
	}
}

func TestMessagesOfAChannelKeepTheirOrder(t *testing.T) {
	w := New(1)
	var got []string
	c := NewChannel(w, func(now time.Time, s string) { got = append(got, fmt.Sprint(s, now.Sub(Epoch))) })
	c.Send(30*ms, "a")
	c.Send(10*ms, "b")
	w.After(35*ms, func() { c.Send(5*ms, "c") })
	w.After(41*ms, func() { c.Send(5*ms, "d"); c.Close() })
	w.RunFor(time.Second)
	if fmt.Sprint(got) != "[a30ms b30ms c40ms]" {
		t.Error(got)
	}
}

func TestRunUntilStopsAtOnce(t *testing.T) {
	w := New(1)
	a, _, _, _ := pair(w, Link{}, Link{}, 10*ms, 100*ms, 0, 100)
	if !w.RunUntil(func() bool { return len(a.rtt) == 3 }, time.Minute) || w.Elapsed() != 220*ms {
		t.Errorf("three answers after %v", w.Elapsed())
	}
	if w.RunUntil(func() bool { return false }, time.Second) || w.Elapsed() != 1220*ms {
		t.Errorf("it is %v", w.Elapsed())
	}
}

func TestABusyMachineIsCalledOne(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	w := New(1)
	w.AddHost(HostConfig{Addr: addr(1)}).Run(&busy{}, 7, nil)
	w.RunFor(time.Second)
}

func TestThePingerKeepsTheContract(t *testing.T) {
	sample := append([]byte{ping}, make([]byte, 40)...)
	err := machine.Conform(func() machine.Machine {
		return &pinger{peers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:1")}, gap: ms, size: 100}
	}, Epoch, sample)
	if err != nil {
		t.Error(err)
	}
}

// ring makes n hosts; each pings three others every gap ms.
func ring(seed uint64, n, gap int, up, down Link) *World {
	w := New(seed)
	w.SetDelayFunc(func(a, b *Host) time.Duration {
		return time.Duration(20+(a.id*7+b.id*13)%60) * ms
	})
	for i := range n {
		w.AddHost(HostConfig{Addr: addr(i + 1), Up: up, Down: down})
	}
	for i, h := range w.hosts {
		var peers []netip.AddrPort
		for k := 1; k <= 3; k++ {
			peers = append(peers, netip.AddrPortFrom(addr((i+k*k)%n+1), 7))
		}
		h.Run(&pinger{peers: peers, gap: time.Duration(gap) * ms, size: 1200}, 7, nil)
	}
	return w
}

func BenchmarkWorld(b *testing.B) {
	for _, n := range []int{1000, 10000} {
		for name, link := range map[string]Link{"perfect": {}, "queued": {Rate: 10 * Mbps, Delay: ms}} {
			b.Run(fmt.Sprintf("hosts=%d/links=%s", n, name), func(b *testing.B) {
				b.ReportAllocs()
				w := ring(1, n, 100, link, link)
				w.RunFor(time.Second)
				before := w.Stats().Events
				b.ResetTimer()
				for b.Loop() {
					w.RunFor(100 * ms)
				}
				b.ReportMetric(float64(w.Stats().Events-before)/b.Elapsed().Seconds(), "events/s")
				b.ReportMetric(float64(b.N)*0.1/b.Elapsed().Seconds(), "x-real-time")
			})
		}
	}
}

func TestTheSteadyPathAllocatesNothing(t *testing.T) {
	link := Link{Rate: 10 * Mbps, Delay: ms}
	w := ring(1, 100, 100, link, link)
	w.RunFor(2 * time.Second)
	for _, h := range w.hosts {
		for _, p := range h.ports {
			m := p.proc.m.(*pinger)
			m.rtt = make([]time.Duration, 0, 1000)
		}
	}
	if n := testing.AllocsPerRun(5, func() { w.RunFor(time.Second) }); n > 50 { // 12,000 datagrams
		t.Errorf("%v allocations a second", n)
	}
}

// sink shows what it receives.
type sink struct{ f func(machine.Packet) }

func (s *sink) Receive(_ time.Time, p machine.Packet) { s.f(p) }
func (s *sink) Advance(time.Time)                     {}
func (s *sink) NextTimeout() time.Time                { return time.Time{} }
func (s *sink) AppendDatagram(time.Time, []byte) (machine.Packet, bool) {
	return machine.Packet{}, false
}

// burst sends what it is told.
type burst struct {
	to      netip.AddrPort
	segment int
	ecn     machine.ECN
	noFrag  bool
	out     [][]byte
}

func (s *burst) say(b byte)                        { s.out = append(s.out, []byte{b}) }
func (s *burst) Receive(time.Time, machine.Packet) {}
func (s *burst) Advance(time.Time)                 {}
func (s *burst) NextTimeout() time.Time            { return time.Time{} }
func (s *burst) AppendDatagram(_ time.Time, dst []byte) (machine.Packet, bool) {
	if len(s.out) == 0 {
		return machine.Packet{}, false
	}
	d := s.out[0]
	s.out = s.out[1:]
	return machine.Packet{Remote: s.to, Data: append(dst, d...), Segment: s.segment, ECN: s.ecn, DontFragment: s.noFrag}, true
}

type busy struct{ sink }

func (busy) NextTimeout() time.Time { return Epoch }
