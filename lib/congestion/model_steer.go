package congestion

import "time"

// steerState moves the rate so that our share of the queue is what it should be.
//
// Every flow that keeps k bytes waiting in a common queue of q seconds sends k/q
// (as in Copa: Arun and Balakrishnan, NSDI 2018): so rates become equal, whatever
// the round trips. How to get there is reckoned, not felt for: while the link is
// busy, the rate that would leave the queue as it is, is the rate at which our
// packets arrive; what is missing of the queue, or too much, is spread over
// settleTrips round trips.
type steerState struct {
	idle  bool // the application was the limit in the latest round
	empty int  // rounds for which the queue was next to nothing
	// A queue that came up is a neighbour's answer: for a while after it an empty
	// queue must last longer before it means that nobody is there.
	burnt  time.Time
	looked time.Time // at the queue, for empty
}

func (s *steerState) reset() { s.empty = 0 }

const (
	// surge is the growth in a round trip while the queue stays empty and the
	// link is known to carry more: half as much again, so that five times is four
	// round trips.
	surge = 1.5
	// calmRounds is for how long the queue must have been empty before a surge, and
	// wearyRounds the same within wearyTime of a queue that came up.
	calmRounds, wearyRounds = 1, 12
	wearyTime               = 2 * time.Second
	wearySurge              = 1.1
	// doubtRounds without a queue at more than the capacity, and it is no more
	// believed: trains have become too short to tell that the link got faster, or
	// packets are lost before they reach it.
	doubtRounds = 4
	// settleTrips is in how many round trips a wrong queue is set right: what is done
	// now is seen one round trip later, and less than two would swing.
	settleTrips = 2
	// settleLeast is the shortest round trip for that: the queue is seen as it was in
	// one to two times lowLeast.
	settleLeast = 2 * lowLeast
	// stepMost bounds what the queue adds to the rate or takes from it, as a part of
	// the capacity.
	stepMost = 0.25
	// arrivalSpan is the least time over which arrivals are counted: on a fast path
	// they come, and are acknowledged, in heaps.
	arrivalSpan = 4 * time.Millisecond
	// arrivalLeast packets are counted at least. Others' bursts of four stand between
	// ours: of fewer, the number would be off by half.
	arrivalLeast = 16
	// swingMost is how far from the rate what is counted may lie, for the same
	// reason, and either way: a bound above only would let a flow with a short round trip,
	// which counts few, sink to half of what one with a long one gets.
	swingMost = 1.1
	// roundLeast is the shortest round in which an empty queue says something: in
	// less, a few percent too much make no queue.
	roundLeast = 20 * time.Millisecond
)

func (m *Model) steerByQueue(a Ack, since time.Duration) {
	s := &m.steer
	s.idle = m.purse.full()
	if len(a.Arrivals) == 0 || m.drain.on || m.probe.saving || m.probe.left > 0 {
		return
	}
	q, k := m.arrivals.standing(), m.share()
	if a.RoundEnd && a.Now.Sub(s.looked) >= roundLeast {
		s.looked = a.Now
		if q < m.own()/4 {
			s.empty++
		} else {
			s.empty = 0
		}
	}
	calm, grow := calmRounds, surge
	if !s.burnt.IsZero() && a.Now.Sub(s.burnt) < wearyTime+8*a.SRTT {
		calm, grow = wearyRounds, wearySurge
	}
	if q > m.allowed() && !m.probe.seen(m, a) {
		s.burnt = a.Now
	}
	rtt := max(a.SRTT, time.Millisecond).Seconds()
	part := since.Seconds() / rtt
	link := m.link()
	settle := settleTrips * max(a.MinRTT, settleLeast).Seconds()
	// More is added where little is waiting, more is taken from who sends more: all
	// flows together put a wrong queue right once.
	step := clamp((k-q.Seconds()*m.rate)/settle, -stepMost*link, stepMost*link)
	switch {
	case s.empty >= calm && m.rate < paceBelow*link && m.capacity.value > 0:
		m.rate = min(m.rate*(1+(grow-1)*part), paceBelow*link)
	case s.idle:
		if q < m.alarm() {
			m.rate = max(m.rate, min(m.rate+fairRise*link*part, paceBelow*link))
		}
	case q < m.own():
		if q < m.own()/4 && calm == calmRounds && (m.rate < paceBelow*link || s.empty >= doubtRounds) {
			step *= float64(1 + min(s.empty, 8))
		}
		m.rate += step * part
	default:
		steady := m.rate
		if d, _, _, ok := m.arrivals.since(max(a.MinRTT/2, arrivalSpan), arrivalLeast*m.mtu); ok {
			steady = clamp(d/(1-min(m.loss.share(), lossMost)), m.rate/swingMost, m.rate*swingMost)
		}
		m.rate += (steady + step - m.rate) * min(1, 2*part)
	}
	if m.capacity.value > 0 && s.empty < doubtRounds {
		m.rate = min(m.rate, paceAbove*link)
	}
}

// purseState is what a flow has not used of its rate, at most a train. With it a
// message after a silence leaves at the link's pace, and not at a rate that was
// fit for a steady flow among many; over time no more leaves than the rate allows.
type purseState struct {
	bytes float64
	at    time.Time
}

// purseProbe times the capacity is the pace: of 16 packets three more than should be
// come to wait, and if none do the link carries more.
const purseProbe = 1.25

func (p *purseState) refill(now time.Time, rate float64, mtu int) {
	// A tenth of the rate is kept back, or the purse of who sends all the time would
	// stay as full as it was at the beginning. What left at one moment is owed: as
	// much as the pacer, at high rates, lets go at a time.
	p.bytes = max(p.bytes, -max(restBurst*float64(mtu), 0.002*rate))
	p.bytes = min(p.bytes+0.9*rate*now.Sub(p.at).Seconds(), float64(trainPackets*mtu))
	p.at = now
}

func (p *purseState) full() bool { return p.bytes > 0 }
