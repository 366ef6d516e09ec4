package congestion

import "time"

// rivalState finds out whether there are rivals that fill queues.
type rivalState struct {
	busy    int // rounds in which the queue never went away
	backoff int // tests to leave out, after one that found none
	rounds  int // of the test or the contest under way
	least   time.Duration
	most    time.Duration // of the queue, in the window under way
	calm    time.Duration
	peak    time.Duration
	turned  time.Time
	rate    float64 // before the test
	kept    float64 // when the queue was last seen to go in a contest
	tested  time.Time
	met     time.Time // rivals were seen

	overflowed time.Time // when a queue was last seen to

	cubic *CUBIC // what we are in a contest
	check checkState
}

const (
	busyRounds = 5 // round trips without an empty queue before rivals are suspected
	testRounds = 4 // how long we yield to see
	testShare  = 0.5
	// againShare is how far we yield in a contest whose queue does not move: less,
	// because rivals take what is left to them.
	againShare = 0.8
	againTime  = 10 * time.Second
	// The rate moves by these parts of the capacity in a round trip.
	fairRise, fairFall = 0.05, 0.1
)

// watch looks for rivals while alone.
func (m *Model) watch(a Ack) {
	r := &m.rival
	if r.check.hold && a.Now.Sub(r.met) < againTime && m.arrivals.newest() > m.crowd() {
		// They had made room for a moment, as BBR does to see the round trip.
		m.rate, m.drain.on = max(m.rate, r.kept), false
		m.contest(a.Now)
		return
	}
	if !a.RoundEnd || m.background {
		return
	}
	if m.purse.full() || m.drain.on || m.arrivals.standing() < m.crowd() {
		r.busy = 0
		return
	}
	r.busy++
	need := busyRounds << min(r.backoff, 4)
	if m.rate < m.link()/16 && m.loss.share() > 0.001 {
		need = min(need, 4*busyRounds) // there is little to lose by a test
	}
	if !r.met.IsZero() && a.Now.Sub(r.met) < againTime {
		m.rate = max(m.rate, r.kept*0.9)
		m.contest(a.Now)
		return
	}
	if r.busy < need {
		return
	}
	r.busy, r.rounds, r.rate = 0, 0, m.rate
	r.tested = a.Now
	m.mode = modeTest
	m.rate *= testShare
}

// overflow notes a loss from a queue that is not ours: one may be a passer-by, two
// are of rivals, even if the queue has been there for so long that it seems part of
// the way.
func (m *Model) overflow(now time.Time) {
	r := &m.rival
	if m.background || m.arrivals.newest() < m.alarm() && (m.capacity.value > 0 || m.arrivals.newest() < 2*m.crowd()) {
		return
	}
	if !r.overflowed.IsZero() && now.Sub(r.overflowed) < againTime {
		m.contest(now)
	}
	r.overflowed = now
}

// crowd is the standing queue that our like do not make. Who does not know the link
// may be slow because of the queue, and must not take it for his own.
func (m *Model) crowd() time.Duration {
	if m.capacity.value == 0 {
		return max(5*time.Millisecond, m.minRTT/8)
	}
	return max(m.allowed(), 4*m.own())
}

// test yields until the queue has gone, or has not.
func (m *Model) test(a Ack) {
	r := &m.rival
	if len(a.Arrivals) > 0 && m.arrivals.newest() < m.crowd() {
		m.mode = modeAlone
		m.rate = r.rate
		r.backoff++
		m.steer.reset()
		return
	}
	if a.RoundEnd {
		if r.rounds++; r.rounds >= testRounds {
			m.rate = r.rate
			m.contest(a.Now)
		}
	}
}

func (m *Model) contest(now time.Time) {
	m.mode = modeCompete
	r := &m.rival
	r.busy, r.backoff, r.met, r.rounds = 0, 0, now, 0
	r.least, r.most, r.turned = infinite, 0, now
	r.calm, r.peak = 0, 0
	if !r.check.hold {
		m.emulate(m.rate)
	}
	r.check.again(now)
}

// emulate begins to be CUBIC at a rate, past its slow start.
func (m *Model) emulate(rate float64) {
	r := &m.rival
	if r.cubic == nil {
		r.cubic = new(CUBIC)
	}
	*r.cubic = *NewCUBIC(m.mtu)
	r.cubic.window = max(rate*m.srtt.Seconds(), float64(minimumWindow(m.mtu)))
	r.cubic.ssthresh = r.cubic.window
}

// compete does as CUBIC does, and so has what such flows have, however many of them
// and of us there are; but where rivals do not answer to loss, it holds a share.
func (m *Model) compete(a Ack, since time.Duration) {
	r := &m.rival
	if len(a.Arrivals) == 0 {
		return
	}
	q := m.arrivals.standing()
	if a.RoundEnd && !m.purse.full() && q < m.allowed() {
		m.mode = modeAlone
		r.busy, r.kept = 0, m.rate
		m.steer.reset()
		return
	}
	r.least, r.most = min(r.least, q), max(r.most, m.arrivals.newest())
	if a.Now.Sub(r.turned) > 2*time.Second+8*a.SRTT {
		r.calm, r.peak = r.least, r.most
		r.least, r.most, r.turned = infinite, 0, a.Now
		if r.peak > 0 && r.calm > r.peak/2 && a.Now.Sub(r.tested) > againTime && !r.check.running() {
			// The queue stands still: either rivals hold it there, or it is us and our
			// like, each with a share.
			r.rate, r.rounds, r.tested = m.rate, 0, a.Now
			m.mode = modeTest
			m.rate *= againShare
			return
		}
	}
	r.met = a.Now
	m.judge(a)
	link := m.link()
	rtt := max(a.SRTT, time.Millisecond).Seconds()
	if !r.check.hold {
		r.cubic.OnAck(a)
		r.cubic.window = max(r.cubic.window, link/16*rtt)
		m.rate = r.cubic.window / rtt
		return
	}
	goal := holdPart * link * min(1, holdLoss/max(m.loss.share(), holdLoss))
	part := since.Seconds() / rtt
	if m.rate < goal {
		if !m.purse.full() {
			m.rate = min(goal, m.rate+fairRise*link*part)
		}
	} else {
		m.rate = max(goal, m.rate-fairFall*link*part)
	}
}

// likeCUBIC: CUBIC decides.
func (m *Model) likeCUBIC() bool { return m.mode == modeCompete && !m.rival.check.hold }
