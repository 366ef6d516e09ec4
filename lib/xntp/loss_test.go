package xntp

import (
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/congestion"
	"github.com/xp2p/xp2p/lib/wire"
)

// A lossTest is one side of a connection whose peer is the test: it sends,
// the test acknowledges.
type lossTest struct {
	t   *testing.T
	now time.Time
	e   *Endpoint
	c   *conn
	cc  *counting
}

// counting is a controller that remembers what it was told.
type counting struct {
	wideOpen
	acked, lost, losses, undone, marks int
	persistent                         bool
}

func (c *counting) OnAck(a congestion.Ack) { c.acked += a.Bytes }
func (c *counting) OnLoss(l congestion.Loss) {
	c.lost += l.Bytes
	c.losses++
	c.persistent = c.persistent || l.Persistent
	if l.CE {
		c.marks++
	}
}
func (c *counting) OnSpurious(time.Time) { c.undone++ }

func newLossTest(t *testing.T) *lossTest {
	cc := new(counting)
	w, a, _, ac, _ := pair(t, link{delay: 50 * time.Millisecond}, func(c *Config) {
		c.NewController = func(time.Time) congestion.Controller { return cc }
	})
	w.run(time.Second)
	lt := &lossTest{t: t, now: w.now, e: a.Endpoint, c: a.conns[ac], cc: cc}
	lt.c.parity.peer = false // RFC 9002 has none
	*cc = counting{}
	lt.want("a round trip of 100 ms", lt.c.rtt.min == 100*time.Millisecond)
	return lt
}

func (lt *lossTest) want(what string, ok bool) {
	lt.t.Helper()
	lt.t.Logf("# want %s", what)
	if !ok {
		lt.t.Errorf("not so: %s", what)
	}
}

// send sends n packets, an object each, and returns the first number.
func (lt *lossTest) send(n int) uint64 {
	lt.t.Helper()
	lt.t.Logf("# send %d", n)
	first := lt.c.loss.next
	for range n {
		if _, err := lt.e.Send(lt.now, lt.c.id, Object{Data: [][]byte{make([]byte, 1200)}}); err != nil {
			lt.t.Fatal(err)
		}
	}
	lt.drain()
	if got := lt.c.loss.next - first; got != uint64(n) {
		lt.t.Fatalf("%d packets left, want %d", got, n)
	}
	return first
}

func (lt *lossTest) drain() {
	var buf [maxMTU]byte
	for {
		if _, ok := lt.e.AppendDatagram(lt.now, buf[:0]); !ok {
			return
		}
	}
}

func (lt *lossTest) ack(ranges ...wire.Range) {
	lt.t.Helper()
	lt.t.Logf("# ack %v", ranges)
	var a wire.Ack
	for _, r := range ranges {
		a.AddRange(r)
	}
	if code := lt.c.onAck(lt.now, &a, false); code != codeNone {
		lt.t.Fatalf("refused with %d", code)
	}
	lt.e.touch(lt.c)
	lt.drain()
}

func (lt *lossTest) advance(d time.Duration) {
	lt.t.Logf("# %v pass", d)
	lt.now = lt.now.Add(d)
	lt.e.Advance(lt.now)
	lt.drain()
}

func TestLossByPacketThreshold(t *testing.T) {
	// RFC 9002 §6.1.1: "The RECOMMENDED initial value for the packet reordering
	// threshold (kPacketThreshold) is 3".
	lt := newLossTest(t)
	n := lt.send(5)
	lt.advance(100 * time.Millisecond)
	lt.ack(wire.Range{First: n + 2, Last: n + 2})
	lt.want("nothing lost two packets on", lt.c.loss.lostCount == 0)
	lt.ack(wire.Range{First: n + 2, Last: n + 3})
	lt.want("the first lost three packets on", lt.c.loss.lostCount == 1)
	lt.want("its frames sent again under a new number", lt.c.loss.next == n+6)
}

func TestLossByTimeThreshold(t *testing.T) {
	// RFC 9002 §6.1.2: "Once a later packet within the same packet number space
	// has been acknowledged, an endpoint SHOULD declare an earlier packet lost if
	// it was sent a threshold amount of time in the past." The threshold is
	// "max(kTimeThreshold * max(smoothed_rtt, latest_rtt), kGranularity)", 9/8.
	lt := newLossTest(t)
	n := lt.send(2)
	lt.advance(100 * time.Millisecond)
	lt.ack(wire.Range{First: n + 1, Last: n + 1})
	lt.want("nothing lost yet", lt.c.loss.lostCount == 0)
	lt.want("a timer at 9/8 of a round trip", lt.e.NextTimeout().Equal(lt.now.Add(12500*time.Microsecond)))
	lt.advance(12 * time.Millisecond)
	lt.want("nothing lost at 112 ms", lt.c.loss.lostCount == 0)
	lt.advance(time.Millisecond)
	lt.want("one lost at 113 ms", lt.c.loss.lostCount == 1)
}

func TestSpuriousLossIsNoticedAndTakenBack(t *testing.T) {
	lt := newLossTest(t)
	n := lt.send(8)
	lt.advance(100 * time.Millisecond)
	lt.ack(wire.Range{First: n + 5, Last: n + 5})
	lt.want("three taken for lost", lt.c.loss.lostCount == 3 && lt.cc.losses == 1)
	lt.ack(wire.Range{First: n, Last: n + 7})
	lt.want("all three found", lt.c.loss.spurious == 3)
	lt.want("the response undone once", lt.cc.undone == 1)
	lt.want("a threshold that would have sufficed", lt.c.loss.threshold == 8)
	lt.want("more time, too", lt.c.loss.timeThreshold == 12)
	lt.ack(wire.Range{First: n, Last: lt.c.loss.next - 1})
	m := lt.send(8)
	lt.advance(100 * time.Millisecond)
	lost := lt.c.loss.lostCount
	lt.ack(wire.Range{First: m + 6, Last: m + 6})
	lt.want("reordering of six forgiven now", lt.c.loss.lostCount == lost)
}

func TestProbeTimeout(t *testing.T) {
	// RFC 9002 §6.2.1: "PTO = smoothed_rtt + max(4*rttvar, kGranularity) +
	// max_ack_delay".
	lt := newLossTest(t)
	pto := lt.c.rtt.pto()
	n := lt.c.loss.next
	lt.e.Send(lt.now, lt.c.id, Object{Data: [][]byte{make([]byte, 1000)}}) // a probe is of the least size that every path carries
	lt.drain()
	lt.want("a timer", lt.e.NextTimeout().Equal(lt.now.Add(pto)))
	lt.advance(pto)
	lt.want("a probe", lt.c.loss.next == n+2)
	// §6.2.1: "the PTO timer MUST be set to twice its value" each time.
	lt.want("twice the time", lt.e.NextTimeout().Equal(lt.now.Add(2*pto)))
	// §7.5: "Probe packets MUST NOT be blocked by the congestion controller",
	// nor is anything taken for lost (§6.2.4).
	lt.want("nothing taken for lost", lt.c.loss.lostCount == 0 && lt.cc.losses == 0)
	lt.ack(wire.Range{First: n + 1, Last: n + 1})
	lt.want("the count back at zero", lt.c.loss.ptoCount == 0)
}

func TestAProbeRepeatsTheMostUrgent(t *testing.T) {
	lt := newLossTest(t)
	lt.e.Send(lt.now, lt.c.id, Object{Priority: 5, Data: [][]byte{make([]byte, 1200)}})
	lt.drain()
	urgent, _ := lt.e.Send(lt.now, lt.c.id, Object{Priority: 0, Data: [][]byte{make([]byte, 1200)}})
	lt.drain()
	lt.advance(lt.c.rtt.pto())
	p := lt.c.loss.get(lt.c.loss.next - 2)
	lt.want("the urgent object in the first probe", p != nil && p.frames[0].id == uint64(urgent))
}

func TestPersistentCongestion(t *testing.T) {
	// RFC 9002 §7.6.2: all packets "across a duration longer than the persistent
	// congestion duration" lost.
	lt := newLossTest(t)
	first := lt.send(1)
	for range 8 {
		lt.advance(lt.c.rtt.pto())
	}
	last := lt.send(1)
	lt.advance(100 * time.Millisecond)
	lt.ack(wire.Range{First: last, Last: last})
	lt.advance(200 * time.Millisecond)
	lt.want("persistent congestion told", lt.cc.persistent && first < last)
}

func TestAcknowledgingWhatWasNotSentIsAViolation(t *testing.T) {
	lt := newLossTest(t)
	var a wire.Ack
	a.AddRange(wire.Range{First: 0, Last: lt.c.loss.next})
	lt.want("a refusal", lt.c.onAck(lt.now, &a, false) == codeAck)
}

func TestMarksAreCongestionOnce(t *testing.T) {
	lt := newLossTest(t)
	n := lt.send(2)
	lt.advance(100 * time.Millisecond)
	var a wire.Ack
	a.AddRange(wire.Range{First: n, Last: n})
	a.CE = 1
	lt.c.onAck(lt.now, &a, true)
	a.Reset()
	a.AddRange(wire.Range{First: n, Last: n + 1})
	a.CE = 1
	lt.c.onAck(lt.now, &a, true)
	lt.want("one mark told", lt.cc.marks == 1)
}

func TestRoundTripEstimate(t *testing.T) {
	const ms = time.Millisecond
	var r rttState
	r.init()
	// RFC 9002 §6.2.2: "When no previous RTT is available, the initial RTT SHOULD
	// be set to 333 milliseconds."
	if r.smoothed != 333*ms {
		t.Errorf("initial %v", r.smoothed)
	}
	// §5.3: "smoothed_rtt = latest_rtt; rttvar = latest_rtt / 2" on the first sample.
	r.sample(100*ms, 0)
	if r.smoothed != 100*ms || r.variation != 50*ms || r.min != 100*ms {
		t.Errorf("after the first sample %+v", r)
	}
	// "smoothed_rtt = 7/8 * smoothed_rtt + 1/8 * adjusted_rtt", after rttvar.
	r.sample(200*ms, 20*ms)
	if r.smoothed != 110*ms || r.variation != (3*50*ms+80*ms)/4 {
		t.Errorf("after the second %+v", r)
	}
	// "MUST use the lesser of the acknowledgment delay and the peer's max_ack_delay".
	before := r.smoothed
	r.sample(200*ms, time.Second)
	if want := (7*before + 175*ms) / 8; r.smoothed != want {
		t.Errorf("an honest delay was expected: %v, want %v", r.smoothed, want)
	}
	// §5.3: not subtracted below min_rtt.
	before = r.smoothed
	r.sample(101*ms, 10*ms)
	if want := (7*before + 101*ms) / 8; r.smoothed != want {
		t.Errorf("%v, want %v", r.smoothed, want)
	}
}

func TestPacer(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	const mtu, rate = 1000, 1e6 // a packet in a millisecond
	var p pacerState
	burst := 16 * mtu
	drain := func() (n int) {
		for p.ready(now, rate, mtu, burst) {
			p.sent(mtu)
			n++
		}
		return n
	}
	if n := drain(); n != 16 {
		t.Errorf("first flight of %d", n)
	}
	burst = 4 * mtu
	if drain() != 0 {
		t.Error("more at the same moment")
	}
	// Then four at a time, and a timer that is right.
	for range 10 {
		next := p.next(rate, mtu)
		if d := next.Sub(now); d != 4*time.Millisecond {
			t.Fatalf("next in %v", d)
		}
		now = next
		if n := drain(); n != 4 {
			t.Errorf("%d packets after 4 ms", n)
		}
	}
	now = now.Add(time.Minute)
	if n := drain(); n != 4 {
		t.Errorf("%d packets after a minute of silence", n)
	}
	// A late timer is repaid: 1 ms late, 1 packet more next time.
	now = p.next(rate, mtu).Add(-time.Millisecond)
	if n := drain(); n != 0 {
		t.Errorf("%d packets before the quantum is there", n)
	}
	// Slow paths do not wait for four packets: 1 packet takes 1 s here.
	if q := quantum(1000, mtu); q != mtu {
		t.Errorf("quantum %v on a slow path", q)
	}
	if q := quantum(1e8, mtu); q != 1e5 {
		t.Errorf("quantum %v on a fast path", q)
	}
}

func TestRangesets(t *testing.T) {
	// Against the plainest possible model.
	w := newWorld(t, 8)
	for range 300 {
		var s rangeset
		var model [64]bool
		for range 60 {
			start := uint64(w.rng.IntN(64))
			end := min(start+uint64(w.rng.IntN(12)), 64)
			put := w.rng.IntN(3) > 0
			if put {
				s.add(start, end)
			} else {
				s.sub(start, end)
			}
			for i := start; i < end; i++ {
				model[i] = put
			}
			for i, in := range model {
				if s.contains(uint64(i)) != in {
					t.Fatalf("%v contains %d: %v", s, i, !in)
				}
			}
			for i, r := range s {
				if r.start >= r.end || i > 0 && s[i-1].end >= r.start {
					t.Fatalf("%v is not in order", s)
				}
			}
			a, b := uint64(w.rng.IntN(64)), uint64(w.rng.IntN(65))
			all := true
			for i := a; i < b; i++ {
				all = all && model[i]
			}
			if s.covers(a, b) != all {
				t.Fatalf("%v covers [%d, %d): %v", s, a, b, !all)
			}
		}
	}
}

func TestReceivedNumbersAreBounded(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	var a ackState
	for n := uint64(0); n < 1000; n += 2 {
		if a.duplicate(n) {
			t.Fatalf("%d is new", n)
		}
		a.receive(now, now, n, 0, true, false, ackHold{})
		now = now.Add(time.Millisecond)
	}
	var f wire.Frame
	a.fill(now, &f, time.Minute)
	if len(a.seen) != maxSeen || len(f.Ack.Ranges()) != wire.MaxAckRanges || !a.duplicate(1) || !a.duplicate(998) || a.duplicate(997) {
		t.Errorf("%d ranges kept, %d sent", len(a.seen), len(f.Ack.Ranges()))
	}
	stamps := f.Ack.Stamps()
	if len(stamps) < 32 || stamps[0]-stamps[1] != 2*time.Millisecond/2 {
		t.Errorf("stamps %v", stamps)
	}
}

func TestAcknowledgementsAreFew(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	var a ackState
	acks := 0
	n := uint64(0)
	run := func(packets int) int {
		acks = 0
		for range packets {
			a.receive(now, now, n, 0, true, false, ackHold{time.Second, time.Second, time.Second})
			n++
			if !a.due.IsZero() && !now.Before(a.due) {
				acks++
				a.sent()
			}
		}
		return acks
	}
	if got := run(ackEager); got != ackEager/2 {
		t.Errorf("%d acknowledgements for the first %d packets", got, ackEager)
	}
	if got := run(320); got != 10 {
		t.Errorf("%d for the next 320", got)
	}
	n += 5 // a gap
	if got := run(3); got != 3 {
		t.Errorf("%d acknowledgements for a gap and the two behind it, which show that it is no reordering", got)
	}
	if got := run(31); got != 0 {
		t.Errorf("%d for 31 packets behind a gap", got)
	}
}

func TestAnAcknowledgementOfFewWaitsLonger(t *testing.T) {
	const ms = time.Millisecond
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	var a ackState
	a.total = ackEager
	n := uint64(0)
	come := func(at time.Duration) time.Duration {
		a.receive(start.Add(at), time.Time{}, n, 0, true, false, ackHold{another: 20 * ms, few: 50 * ms, several: 5 * ms})
		n++
		return a.due.Sub(start)
	}
	for i, tc := range []struct{ at, due time.Duration }{
		{0, 20 * ms}, {9 * ms, 29 * ms}, {18 * ms, 38 * ms}, // a packet each 9 ms: three in one acknowledgement
		{40 * ms, 60 * ms}, {40 * ms, 60 * ms}, {40 * ms, 60 * ms}, {40 * ms, 60 * ms}, {40 * ms, 60 * ms}, {41 * ms, 61 * ms}, {42 * ms, 62 * ms}, {42 * ms, 62 * ms}, {42 * ms, 62 * ms}, {42 * ms, 62 * ms}, {42 * ms, 62 * ms},
		{43 * ms, 45 * ms}, {44 * ms, 45 * ms}, // as many as a piece of 16 KiB has, and one more
		{70 * ms, 90 * ms}, {87 * ms, 107 * ms}, {104 * ms, 120 * ms}, // a packet each 17 ms: not for ever
	} {
		if got := come(tc.at); got != tc.due {
			t.Errorf("packet %d at %v: due at %v, want %v", i, tc.at, got, tc.due)
		}
		if i == 2 || i == 15 {
			a.sent()
		}
	}
	// What is due at once stays so, whatever comes before it leaves.
	a.sent()
	n++
	come(200 * ms)
	a.alert = 0
	if got := come(200 * ms); got != 200*ms {
		t.Errorf("behind a gap, due at %v", got)
	}
}

func TestAnAcknowledgementForgetsOldGaps(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	var a ackState
	ranges := func() int {
		var f wire.Frame
		a.fill(now, &f, time.Second)
		return len(f.Ack.Ranges())
	}
	for n := uint64(0); n < 30; n += 3 {
		a.receive(now, now, n, 0, true, false, ackHold{})
	}
	if got := ranges(); got != 10 {
		t.Errorf("%d ranges at first, want 10", got)
	}
	now = now.Add(900 * time.Millisecond)
	a.receive(now, now, 28, 0, true, false, ackHold{})
	if got := ranges(); got != 10 {
		t.Errorf("%d ranges within the second, want 10", got)
	}
	for range 2 {
		now = now.Add(time.Second)
		a.receive(now, now, a.next(), 0, true, false, ackHold{})
		ranges()
	}
	if got := ranges(); got != 1 {
		t.Errorf("%d ranges two seconds on", got)
	}
}
