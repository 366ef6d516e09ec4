package endpoint

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
)

var loopback = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}

// running is an endpoint in a test: it is stopped at the end, if not before.
type running struct {
	*Endpoint
	stop func()
}

func start(t testing.TB, m machine.Machine, c Config) running {
	t.Helper()
	e, err := New(m, c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return running{e, stop}
}

func wait(t testing.TB, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("it never happened")
	}
}

func closeOnce(c chan struct{}, now bool) {
	if now {
		select {
		case <-c:
		default:
			close(c)
		}
	}
}

// ask runs a duet against another over the given addresses, and returns both
// once the last answer has come.
func ask(t *testing.T, to func(answerer running) netip.AddrPort, ca, cb Config, a *duet) (answerer *duet, ea, eb running) {
	t.Helper()
	answerer = &duet{ecn: a.ecn}
	eb = start(t, answerer, cb)
	a.to = to(eb)
	done := make(chan struct{})
	ca.Step = func(time.Time) { closeOnce(done, a.round == a.rounds) }
	ea = start(t, a, ca)
	if err := ea.Do(a.start); err != nil {
		t.Fatal(err)
	}
	wait(t, done)
	eb.stop()
	ea.stop()
	return answerer, ea, eb
}

func local(r running) netip.AddrPort { return r.LocalAddr(0) }

func TestWhatTheKernelKnowsReachesTheMachine(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("stamps and ECN are asked for on Linux only")
	}
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		listen := []netip.AddrPort{netip.MustParseAddrPort(addr)}
		a := &duet{rounds: 3, size: 500, ecn: machine.ECT0, ttl: 9, noFrag: true}
		b, _, _ := ask(t, local, Config{Listen: listen}, Config{Listen: listen}, a)
		if b.seen.ECN != machine.ECT0 || a.seen.ECN != machine.ECT0 {
			t.Errorf("%s: ECN %d there, %d back", addr, b.seen.ECN, a.seen.ECN)
		}
		if age := b.latest.Sub(b.seen.Stamp); b.seen.Stamp.IsZero() || age < 0 || age > time.Second {
			t.Errorf("%s: stamped %v before it was handed over", addr, age)
		}
	}
}

func TestADualStackSocketSpeaksIPv4AndSaysSo(t *testing.T) {
	for name, plain := range map[string]bool{"batched": false, "plain": true} {
		t.Run(name, func(t *testing.T) {
			for _, host := range []string{"127.0.0.1", "::1"} {
				to := func(b running) netip.AddrPort {
					return netip.AddrPortFrom(netip.MustParseAddr(host), b.LocalAddr(0).Port())
				}
				c := Config{Plain: plain} // no Listen: one socket for both
				a := &duet{rounds: 3, size: 100, ttl: 33, ecn: machine.ECT1, noFrag: true}
				b, _, _ := ask(t, to, c, c, a)
				if got := a.seen.Remote.Addr().String(); got != host {
					t.Errorf("answer from %s, want %s", got, host)
				}
				if !plain && runtime.GOOS == "linux" && b.seen.ECN != machine.ECT1 {
					t.Errorf("%s: ECN %d", host, b.seen.ECN)
				}
			}
		})
	}
}

func TestRunLeavesNothingBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 20 {
		e, err := New(&duet{}, Config{Listen: append(loopback, loopback...)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error)
		go func() { ended <- e.Run(ctx) }()
		if err := e.Call(ctx, func(time.Time) {}); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := e.Do(func(time.Time) {}); !errors.Is(err, ErrClosed) {
			t.Errorf("Do after the end: %v", err)
		}
		conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(e.LocalAddr(1)))
		if err != nil {
			t.Errorf("its port is still taken: %v", err)
			continue
		}
		conn.Close()
	}
	for range 1000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		runtime.Gosched()
	}
	stacks := make([]byte, 1<<16)
	t.Errorf("%d goroutines, before %d:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
}

func TestCommandsWaitInABoundedQueue(t *testing.T) {
	e := start(t, &duet{}, Config{Listen: loopback})
	block, entered := make(chan struct{}), make(chan struct{})
	e.Do(func(time.Time) { close(entered); <-block })
	wait(t, entered)
	ran := 0
	for range commandQueue {
		if err := e.Do(func(time.Time) { ran++ }); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := e.DoContext(ctx, func(time.Time) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("one command too many: %v", err)
	}
	close(block)
	seen := 0
	if err := e.Call(t.Context(), func(time.Time) { seen = ran }); err != nil || seen != commandQueue {
		t.Errorf("%d commands ran before the last: %v", seen, err)
	}
}

func TestSocketsOpenAndCloseWhileItRuns(t *testing.T) {
	b := &duet{}
	e := start(t, b, Config{Listen: loopback})
	var addrs []netip.AddrPort
	var ids []machine.Socket
	e.Call(t.Context(), func(time.Time) {
		for range 100 { // more than there are batches
			id, err := e.OpenSocket(loopback[0])
			if err != nil {
				t.Error(err)
				return
			}
			ids, addrs = append(ids, id), append(addrs, e.SocketAddr(id))
		}
	})
	if len(addrs) != 100 {
		t.FailNow()
	}
	for _, i := range []int{0, 99} {
		a := &duet{rounds: 1, size: 5, to: addrs[i]}
		done := make(chan struct{})
		ea := start(t, a, Config{Listen: loopback, Step: func(time.Time) { closeOnce(done, a.round == 1) }})
		ea.Do(a.start)
		wait(t, done)
		ea.stop()
		e.Call(t.Context(), func(time.Time) {
			if b.seen.Socket != ids[i] {
				t.Errorf("socket %d heard what was for %d", b.seen.Socket, ids[i])
			}
		})
	}
	e.Call(t.Context(), func(time.Time) {
		for _, id := range ids {
			e.CloseSocket(id)
		}
	})
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(addrs[42]))
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestNoiseAndGiantsDoNoHarm(t *testing.T) {
	for name, plain := range map[string]bool{"batched": false, "plain": true} {
		t.Run(name, func(t *testing.T) {
			m := &duet{}
			e := start(t, m, Config{Listen: loopback, Plain: plain})
			conn, err := net.Dial("udp4", e.LocalAddr(0).String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.Write(make([]byte, maxDatagram+1))
			conn.Write(nil)
			conn.Write([]byte("abc"))
			for m := 0; m < 2 && t.Context().Err() == nil; {
				e.Call(t.Context(), func(time.Time) {})
				m = int(e.Stats().PacketsIn)
			}
			e.stop()
			if got := strings.Join(m.events, ", "); got != "noise of 0, noise of 3" || e.Stats().TooBig != 1 {
				t.Errorf("%s; %d too big", got, e.Stats().TooBig)
			}
		})
	}
}

func TestAPacketThatTheSystemRefusesIsCountedAndTheRestGoes(t *testing.T) {
	m := &script{}
	e := start(t, m, Config{Listen: loopback})
	r := &duet{}
	er := start(t, r, Config{Listen: loopback})
	good := er.LocalAddr(0)
	bad := netip.MustParseAddrPort("[2001:db8::1]:9") // an IPv4 socket cannot
	e.Call(t.Context(), func(time.Time) {
		for i := range 200 {
			p := machine.Packet{Remote: good, Data: []byte("abc"), DontFragment: i%7 == 0}
			switch {
			case i%3 == 0:
				p.Remote = bad
			case i%50 == 1:
				p.Socket = 5 // there is none
			}
			m.out = append(m.out, p)
		}
		m.out = append(m.out, machine.Packet{Remote: good, Data: make([]byte, 3500), Segment: 1000})
	})
	s := e.Stats()
	for s.PacketsOut+s.SendDrops < 204 && t.Context().Err() == nil { // the loop may take another call first
		e.Call(t.Context(), func(time.Time) {})
		s = e.Stats()
	}
	if s.PacketsOut+s.SendDrops != 204 || s.SendDrops != 67+3 {
		t.Errorf("%d out, %d dropped", s.PacketsOut, s.SendDrops)
	}
	for er.Stats().PacketsIn < s.PacketsOut && t.Context().Err() == nil {
		er.Call(t.Context(), func(time.Time) {})
	}
	er.stop()
	if last := r.events[len(r.events)-1]; r.got != 134 || !strings.Contains(last, "noise") && !strings.Contains(last, "asked") {
		t.Errorf("%d arrived, the last %q", r.got, last)
	}
}

func TestWhatDoesNotFitTheKernelsBufferIsCounted(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux says what it dropped")
	}
	e := start(t, &duet{quiet: true}, Config{Listen: loopback})
	conn, err := net.Dial("udp4", e.LocalAddr(0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	block, entered := make(chan struct{}), make(chan struct{})
	e.Do(func(time.Time) { close(entered); <-block })
	wait(t, entered)
	sent := uint64(0)
	for range 20000 { // 20 MB, where 8 are the most that was asked for
		conn.Write(make([]byte, 1000))
		sent++
	}
	close(block)
	// A datagram says what had been dropped before it.
	for t.Context().Err() == nil {
		e.Call(t.Context(), func(time.Time) {})
		if s := e.Stats(); s.PacketsIn+s.KernelDrops == sent {
			break
		} else if s.PacketsIn+s.KernelDrops > sent {
			t.Fatalf("%d in and %d dropped, of %d", s.PacketsIn, s.KernelDrops, sent)
		}
		conn.Write([]byte("?"))
		sent++
	}
	if s := e.Stats(); s.KernelDrops == 0 {
		t.Errorf("%+v", s)
	}
}

// A talker always has more to send.
type talker struct {
	to       netip.AddrPort
	got      int
	turns    func() uint64
	on       bool
	from, by uint64 // turns: of the first datagram, and of the last
	want     int
	done     chan struct{}
}

func (m *talker) Receive(time.Time, machine.Packet) {
	if m.got++; m.got == 1 {
		m.from = m.turns()
	}
	if m.got == m.want {
		m.on, m.by = false, m.turns()
		close(m.done)
	}
}

func (m *talker) Advance(time.Time)      {}
func (m *talker) NextTimeout() time.Time { return time.Time{} }

func (m *talker) AppendDatagram(_ time.Time, dst []byte) (machine.Packet, bool) {
	return machine.Packet{Remote: m.to, Data: append(dst, "?"...)}, m.on
}

// What has come is heard, however much there is to send: more than all batches hold
// in one turn, if there is more, and the readers are quick.
func TestWhoAlwaysHasMoreToSendHearsWhatHasCome(t *testing.T) {
	const each, tries = 10 * batchCount * batchSize, 50
	for range tries {
		if turns := turnsToHear(t, each); turns < 10 {
			return
		}
	}
	t.Errorf("%d datagrams are never heard in less than ten turns, which hold so many without a second look", each)
}

// turnsToHear returns in how many turns an endpoint hears datagrams that have come.
func turnsToHear(t *testing.T, datagrams int) int {
	sink, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	m := &talker{to: sink.LocalAddr().(*net.UDPAddr).AddrPort(), want: datagrams, on: true, done: make(chan struct{})}
	e, err := New(m, Config{Listen: loopback})
	if err != nil {
		t.Fatal(err)
	}
	m.turns = func() uint64 { return e.Stats().Turns }
	conn, err := net.Dial("udp4", e.LocalAddr(0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range datagrams { // the kernel keeps them until it runs
		conn.Write([]byte("!"))
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	wait(t, m.done)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	return int(m.by-m.from) + 1
}

func TestTheTimerOfOtherSystemsRingsOnceAndAtItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTimerAlarm()
		defer a.close()
		t0 := time.Now()
		a.set(t0, t0.Add(time.Second))
		a.set(t0, t0.Add(time.Minute)) // later: the alarm that stands is kept
		<-a.ring()
		a.rung()
		if got := time.Since(t0); got != time.Second {
			t.Errorf("rang after %v", got)
		}
		a.set(time.Now(), t0.Add(time.Minute))
		a.set(time.Now(), t0.Add(2*time.Second)) // earlier
		<-a.ring()
		a.rung()
		if got := time.Since(t0); got != 2*time.Second {
			t.Errorf("rang after %v", got)
		}
	})
}

func TestTheSteadyPathAllocatesNothing(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the batched path is Linux's")
	}
	a, b := &duet{rounds: 1 << 30, size: 1200, quiet: true}, &duet{quiet: true}
	eb := start(t, b, Config{Listen: loopback})
	a.to = eb.LocalAddr(0)
	const packets = 2000
	reached := make(chan struct{}, 16)
	until := packets
	ea := start(t, a, Config{Listen: loopback, Step: func(time.Time) {
		if a.round == until {
			until += packets
			select {
			case reached <- struct{}{}:
			default: // nobody counts any more
			}
		}
	}})
	ea.Do(a.start)
	run := func() { wait(t, reached) }
	run()
	n := testing.AllocsPerRun(1, run)
	if n > packets/100 {
		t.Errorf("%v allocations for %d packets each way", n, packets)
	}
}

// script sends what it is told.
type script struct{ out []machine.Packet }

func (s *script) Receive(time.Time, machine.Packet) {}
func (s *script) Advance(time.Time)                 {}
func (s *script) NextTimeout() time.Time            { return time.Time{} }
func (s *script) AppendDatagram(_ time.Time, dst []byte) (machine.Packet, bool) {
	if len(s.out) == 0 {
		return machine.Packet{}, false
	}
	p := s.out[0]
	s.out = s.out[1:]
	p.Data = append(dst, p.Data...)
	return p, true
}

// A deaf machine hears nothing and says nothing.
type deaf struct{}

func (deaf) Receive(time.Time, machine.Packet) {}
func (deaf) Advance(time.Time)                 {}
func (deaf) NextTimeout() time.Time            { return time.Time{} }
func (deaf) AppendDatagram(time.Time, []byte) (machine.Packet, bool) {
	return machine.Packet{}, false
}

func TestASocketIsClosedInTheMiddleOfAFlood(t *testing.T) {
	for _, plain := range []bool{false, true} {
		e := start(t, deaf{}, Config{Listen: loopback, Plain: plain})
		from, err := net.Dial("udp", e.LocalAddr(0).String())
		if err != nil {
			t.Fatal(err)
		}
		defer from.Close()
		closed := make(chan struct{})
		if err := e.Do(func(time.Time) {
			for len(e.pool) > 0 { // until the reader has filled every batch and waits
				from.Write([]byte("flood"))
				runtime.Gosched()
			}
			for range 100 {
				from.Write([]byte("flood"))
				runtime.Gosched()
			}
			e.CloseSocket(0)
			close(closed)
		}); err != nil {
			t.Fatal(err)
		}
		wait(t, closed)
	}
}
