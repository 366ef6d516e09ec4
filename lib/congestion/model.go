package congestion

import (
	"fmt"
	"math"
	"time"
)

// A Model is XNTP's own control. It keeps a model of the path and paces by it:
//
//	capacity   of the narrowest link, from the spacing of packets that left together
//	delivery   the rate at which packets arrive, by the receiver's clock
//	queue      how much longer than the least they are under way
//	loss       its share, and its events
//
// The queue steers it, not loss. Alone, or among its like, each flow keeps about
// a millisecond's worth of bytes waiting, and so all come to equal rates and an
// almost empty queue. A flow that finds the queue standing whatever it does has
// rivals that fill queues, and holds a share of the capacity against them. Loss
// with an empty queue is taken for the radio's, up to a bound.
type Model struct {
	mtu        int
	background bool
	mode       mode
	rate       float64 // bytes per second

	capacity capacityMeter
	arrivals arrivalMeter
	loss     lossMeter

	srtt, minRTT time.Duration
	now          time.Time
	acked        time.Time // the latest acknowledgement
	inFlight     int
	usual        float64 // size of a packet

	start startState
	purse purseState
	steer steerState
	rival rivalState
	probe probeState
	drain struct {
		on    bool
		until time.Time
		level float64 // the rate that the path delivers
		first float64 // the same when it was noticed
	}
	marked time.Time // packets sent before it belong to an answered CE mark
	undo   struct {
		set  bool
		rate float64
	}
}

type mode uint8

const (
	modeStart   mode = iota // capacity unknown
	modeAlone               // the queue steers
	modeTest                // yielding, to see whether the queue goes away
	modeCompete             // rivals fill the queue
)

// NewModel returns the controller of a new path.
func NewModel(mtu int) *Model {
	return &Model{mtu: mtu}
}

// NewBackground returns the controller of a new path that leaves what it can to
// others: it keeps an eighth of what a Model keeps waiting, so that it gets a
// ninth beside one, and does not hold out against those who fill queues, as
// LEDBAT++ does not (draft-irtf-iccrg-ledbat-plus-plus).
func NewBackground(mtu int) *Model {
	m := NewModel(mtu)
	m.background = true
	return m
}

// Our choices, each with its reason.
const (
	// waitTime is what each flow keeps waiting, in time at the link's capacity:
	// well above what stamps and timers are wrong by, well below what a viewer or
	// a game would notice; and two packets at least, or a flow would see none of
	// its own queue.
	waitTime    = time.Millisecond
	waitPackets = 2
	// Who has all but a tenth of the link has nobody to hold his own against, and
	// keeps less, down to two fifths at fullPart. Should somebody come, who keeps the
	// whole, he gets his part all the sooner.
	fullPart, roomPart, leastPart = 0.98, 0.1, 0.4
	// paceBelow is the part of a measured capacity to send at: a measurement may
	// be a few percent too high (+5 to 7 % at 100 Mbit/s), and headers count.
	paceBelow = 0.95
	// paceAbove bounds what the queue's silence can teach beyond the capacity.
	paceAbove = 1.04
	// stepShare is where less arrives than left: the link has become slower.
	stepShare = 0.8
	// markBeta is the answer to a CE mark, by which the network tells of a short
	// queue (RFC 8511 takes 0.85 for CUBIC, 0.8 is its middle).
	markBeta = 0.8
	// lossMost is the share of loss from which it is no longer taken for the
	// radio's, whatever the queue says: nobody can use such a link, and it may be
	// a policer.
	lossMost = 0.18
)

func (m *Model) OnSent(now time.Time, bytes, inFlight int) {
	m.now, m.inFlight = now, inFlight
	m.purse.refill(now, m.rate, m.mtu)
	m.purse.bytes -= float64(bytes)
	if m.probe.left > 0 {
		if m.probe.left -= bytes; m.probe.left <= 0 {
			m.probe.spent = now
			m.purse.bytes = min(m.purse.bytes, 0) // it was saved, not left over
		}
	}
}

func (m *Model) OnAck(a Ack) {
	m.now, m.inFlight = a.Now, a.InFlight
	m.srtt, m.minRTT = a.SRTT, a.MinRTT
	since := min(a.Now.Sub(m.acked), a.SRTT)
	if m.acked.IsZero() {
		since = 0
	}
	m.acked = a.Now
	m.purse.refill(a.Now, m.rate, m.mtu)
	m.loss.acked(a.Bytes)
	// Of a burst of four the mean packet waits for one and a half.
	if c := m.capacity.value; c > 0 {
		m.arrivals.bursts = time.Duration((restBurst - 1) / 2.0 * m.usual / c * 1e9)
	}
	m.arrivals.untold(a)
	for _, p := range a.Arrivals {
		m.capacity.arrived(p)
		// Packets that are shorter than usual take less time on the link: their way is
		// another.
		if 3*float64(p.Bytes) > 4*m.usual {
			m.arrivals.have, m.start.log = false, m.start.log[:0]
		}
		m.usual = max(float64(p.Bytes), m.usual+(float64(p.Bytes)-m.usual)/64)
		full := 4*float64(p.Bytes) >= 3*m.usual
		m.arrivals.arrived(p, full, a.SRTT, m.mode == modeCompete)
		if m.mode == modeStart && full {
			m.start.arrived(p)
		}
	}
	if n := len(a.Arrivals); n > 0 {
		m.arrivals.mark(a.Arrivals[n-1])
		// What arrives is never more than the link carries.
		if c := m.capacity.value; c > 0 && m.mode == modeAlone {
			if rate, _, _, ok := m.arrivals.since(max(a.MinRTT/8, 2*time.Millisecond), 2*trainLeast*m.mtu); ok && rate > 1.02*c {
				m.capacity.keep(rate, 2*trainLeast, a.Arrivals[n-1].Sent)
			}
		}
	}
	if m.mode == modeStart {
		m.starting(a)
	}
	m.stepDown(a)
	m.stopDraining(a)
	var lost float64
	if a.RoundEnd {
		lost = m.loss.turn(a.Now, m.mtu)
	}
	switch m.mode {
	case modeAlone:
		m.steerByQueue(a, since)
		m.watch(a)
	case modeTest:
		m.test(a)
	case modeCompete:
		m.compete(a, since)
	}
	m.probeCapacity(a)
	if a.RoundEnd && lost > m.bearable() && m.loss.share() > lossMost/2 && m.mode != modeStart {
		m.breaker()
	}
	m.rate = max(m.rate, m.least())
}

// least is two packets a round trip, as the least window of others.
func (m *Model) least() float64 {
	return float64(minimumWindow(m.mtu)) / max(m.srtt, 10*time.Millisecond).Seconds()
}

// link is the capacity as far as it is known: of trains, or else the rate.
func (m *Model) link() float64 {
	if c := m.capacity.value; c > 0 {
		return c
	}
	return m.rate
}

// share is what this flow keeps waiting, in bytes.
func (m *Model) share() float64 {
	k := max(waitPackets*float64(m.mtu), m.link()*waitTime.Seconds())
	k *= clamp((fullPart-m.rate/max(m.link(), 1))/roomPart, leastPart, 1)
	if m.background {
		k /= 8
	}
	return k
}

// stepDown notices that less arrives than left while the queue grows: the link
// has become slower, or somebody else came in. It takes a quarter of a round
// trip and sixteen packets to be sure.
func (m *Model) stepDown(a Ack) {
	if len(a.Arrivals) == 0 || m.drain.on || m.purse.full() || m.mode == modeCompete || m.mode == modeStart && m.capacity.value == 0 || m.probe.seen(m, a) {
		return
	}
	span := max(a.MinRTT/4, 4*time.Millisecond)
	rate, took, sending, ok := m.arrivals.since(span, 16*m.mtu)
	if !ok || took-sending < max(3*time.Millisecond, a.MinRTT/16)+2*m.arrivals.jitter() || m.arrivals.newest() < m.alarm() {
		return
	}
	if rate > stepShare*m.rate || sending.Seconds() > stepShare*took.Seconds() {
		return
	}
	m.rate = 0.9 * rate
	m.drain.on, m.drain.level, m.drain.first = true, rate, rate
	m.steer.burnt = a.Now
	m.drain.until = a.Now.Add(4*a.SRTT + m.arrivals.newest())
	m.steer.reset()
}

// allowed is the queue above which something is wrong.
func (m *Model) allowed() time.Duration {
	return max(2*time.Millisecond, min(5*time.Millisecond, m.minRTT/8), 2*m.own())
}

// alarm is the queue at which less arriving than leaving is no swing: twice what
// as many flows like this one keep as the capacity has room for.
func (m *Model) alarm() time.Duration {
	return max(5*time.Millisecond, time.Duration(2*m.share()/max(m.rate, 1)*1e9))
}

// own is the queue that our own share makes.
func (m *Model) own() time.Duration {
	return time.Duration(m.share() / max(m.link(), 1) * 1e9)
}

func (m *Model) stopDraining(a Ack) {
	if !m.drain.on {
		return
	}
	// What arrives while it drains is the link's new rate, if only ours is on it.
	if rate, _, _, ok := m.arrivals.since(max(a.MinRTT/4, 4*time.Millisecond), 8*m.mtu); ok && rate < m.drain.level {
		m.drain.level = rate
		m.rate = 0.9 * rate
	}
	if len(a.Arrivals) > 0 && m.arrivals.newest() < m.allowed() || a.Now.After(m.drain.until) {
		m.drain.on = false
		// Others may have taken our part meanwhile: begin where we were, but below the
		// link.
		m.rate = max(m.rate, min(0.9*m.drain.first, paceBelow*m.link()))
	}
}

// bearable is the share of loss that is no reason to send less.
func (m *Model) bearable() float64 {
	if m.mode == modeCompete && m.deaf() {
		return deafMost
	}
	return lossMost
}

// breaker answers to loss that no radio makes.
func (m *Model) breaker() {
	rate, _, _, ok := m.arrivals.since(m.srtt/2, 8*m.mtu)
	if ok {
		m.rate = min(m.rate, rate)
	}
	m.rate *= 0.85
	m.steer.reset()
}

func (m *Model) OnLoss(l Loss) {
	m.now, m.inFlight = l.Now, l.InFlight
	if l.CE {
		if l.Sent.After(m.marked) {
			m.marked = l.Now
			m.undo.set = false
			m.rate = max(m.rate*markBeta, m.least())
			m.steer.reset()
		}
		return
	}
	// A queue that overflows does so for a round trip or two.
	event := m.loss.lost(l, 2*m.srtt)
	if l.Persistent {
		m.rate = m.least()
		m.undo.set = false
		m.mode = modeAlone
		m.steer.reset()
		return
	}
	if m.mode == modeStart {
		m.overrun(l)
		return
	}
	if !event || m.mode != modeAlone {
		return
	}
	if m.steer.idle {
		// A queue that overflows is not the radio. Who has little to send takes no
		// part in steering, and answers here.
		if m.arrivals.newest() > 2*m.allowed() {
			m.undo.set, m.undo.rate = true, m.rate
			m.rate = max(0.7*m.rate, m.least())
		}
		return
	}
	m.overflow(l.Now)
}

func (m *Model) OnSpurious(time.Time) {
	if m.undo.set {
		m.rate, m.undo.set = max(m.rate, m.undo.rate), false
	}
}

// Window is the inflight cap: what the rate brings in one and a half of the time
// until it is acknowledged, because lost packets count for an eighth longer; while
// a queue drains what the path holds without it.
func (m *Model) Window() int {
	if m.mode == modeStart {
		return m.start.window(m)
	}
	if m.drain.on {
		return max(minimumWindow(m.mtu), int(0.9*m.drain.level*m.minRTT.Seconds()))
	}
	return max((trainPackets+restBurst)*m.mtu, int(1.5*m.rate*m.answer().Seconds())+restBurst*m.mtu)
}

// answer is how long an acknowledgement takes: a round trip, and what the receiver
// may hold it, an eighth or a millisecond, which a sleepy timer makes two.
func (m *Model) answer() time.Duration {
	return m.srtt + max(2*time.Millisecond, m.srtt/8)
}

func (m *Model) Rate(srtt time.Duration) float64 {
	if m.mode == modeStart {
		return m.start.rate(m, srtt)
	}
	switch {
	case m.probe.left > 0:
		return float64(probePackets*m.mtu) / probeTime.Seconds()
	case m.probe.saving:
		return m.rate / 4
	}
	if m.purse.full() && !m.drain.on {
		return max(m.rate, purseProbe*m.capacity.value)
	}
	return m.rate
}

func (m *Model) Burst() int {
	if m.mode == modeStart {
		return trainPackets * m.mtu
	}
	return restBurst * m.mtu
}

func (m *Model) SetMTU(mtu int) { m.mtu = mtu }

// Capacity is the narrowest link's, in bytes per second; 0 until known.
func (m *Model) Capacity() float64 { return m.capacity.value }

func clamp(v, lo, hi float64) float64 { return math.Min(math.Max(v, lo), hi) }

// String is for traces: mode, rate, capacity, standing queue.
func (m *Model) String() string {
	return fmt.Sprintf("[%s %.2f of %.2f, q %.1f ms noise %.1f%s]", [...]string{"start", "alone", "test", "compete"}[m.mode], m.rate*8/1e6, m.capacity.value*8/1e6, m.arrivals.standing().Seconds()*1e3, m.arrivals.jitter().Seconds()*1e3, map[bool]string{true: " draining"}[m.drain.on])
}
