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
	held    float64 // when the queue was last seen to go in a contest
	tested  time.Time
	met     time.Time // rivals were seen

	overflowed time.Time     // when a queue was last seen to
	guilty     time.Time     // when loss was so high that it may be ours; zero if it is not
	judged     time.Time     // when it was last looked at whether it is
	still      time.Duration // the least queue since then, and the most
	high       time.Duration
	deafAt     time.Time // when it turned out not to be
}

const (
	busyRounds = 5 // round trips without an empty queue before rivals are suspected
	testRounds = 4 // how long we yield to see
	testShare  = 0.5
	// againShare is how far we yield in a contest whose queue does not move: less,
	// because rivals take what is left to them.
	againShare = 0.8
	againTime  = 10 * time.Second
	// fairPart of the capacity is held against rivals that ignore loss: with one
	// rival it is half, as measured at 49 to 51 % against CUBIC and BBR with short
	// and long queues; and nobody is starved by it.
	fairPart = 0.5
	// heldPart is kept whatever CUBIC would do: of several of us beside rivals, one
	// may be alone in believing that it is he who fills the queue.
	heldPart = 1.0 / 12
	// The rate moves by these parts of the capacity in a round trip.
	fairRise, fairFall = 0.05, 0.1
	// deafLoss is the share of loss from which rivals are taken to ignore it:
	// CUBIC flows make 0.1 to 1 % here, BBR with a short queue 3 to 6.
	deafLoss = 0.025
	// guiltyLoss is the share of loss from which it may be we who make it, we and others
	// like us who would hold half each. Then we do as CUBIC does, and see whose doing it
	// is: when we have yielded, and others like us, each judgeTime tells.
	guiltyLoss = 0.10
	yieldTime  = time.Second
	judgeTime  = 3 * time.Second
	// Rivals who ignore loss lose some still, and their queue hardly swings: one BBR flow
	// with a queue of one round trip's worth keeps it above 0.63 to 0.69 of its most, and
	// loses 1 to 2 %. CUBIC's window W falls to 0.7 W, and so the queue Q of a way of R to
	// 0.7 Q - 0.3 R; a little less deep where steady flows stand beside it. (More loss than
	// guiltyLoss is of others who have not yielded yet.)
	deafStill  = 0.004
	deafSwing  = 0.88
	cubicSwing = 1 - cubicBeta
	// Who is found to be deaf is so for deafTime, and deafMost of loss is borne beside him.
	deafTime = 2 * time.Minute
	deafMost = 0.4
)

// watch looks for rivals while alone.
func (m *Model) watch(a Ack) {
	r := &m.rival
	if !a.RoundEnd || m.background {
		return
	}
	if m.purse.full() || m.drain.on || m.arrivals.standing() < m.crowd() {
		r.busy = 0
		return
	}
	r.busy++
	need := busyRounds << min(r.backoff, 4)
	if !r.met.IsZero() && a.Now.Sub(r.met) < againTime {
		m.rate = max(m.rate, r.held*0.9)
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

// overflow notes a loss from a queue that is not ours, and has stood for a while: that
// of a newcomer's first flight has not. One may be a passer-by, two are of rivals.
func (m *Model) overflow(now time.Time) {
	r := &m.rival
	if m.background || m.arrivals.standing() < m.alarm() {
		return
	}
	if !r.overflowed.IsZero() && now.Sub(r.overflowed) < againTime {
		m.contest(now)
	}
	r.overflowed = now
}

// crowd is the standing queue that our like do not make.
func (m *Model) crowd() time.Duration {
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
}

// compete moves towards a fair share of the link.
func (m *Model) compete(a Ack, since time.Duration) {
	r := &m.rival
	if len(a.Arrivals) == 0 {
		return
	}
	q := m.arrivals.standing()
	if a.RoundEnd && !m.purse.full() && q < m.allowed() {
		m.mode = modeAlone
		r.busy, r.held = 0, m.rate
		m.steer.reset()
		return
	}
	r.least, r.most = min(r.least, q), max(r.most, m.arrivals.newest())
	r.still, r.high = min(r.still, m.arrivals.newest()), max(r.high, m.arrivals.newest())
	if a.Now.Sub(r.turned) > 2*time.Second+8*a.SRTT {
		r.calm, r.peak = r.least, r.most
		r.least, r.most, r.turned = infinite, 0, a.Now
		if r.peak > 0 && r.calm > r.peak/2 && a.Now.Sub(r.tested) > againTime {
			// The queue stands still: either rivals hold it there, or it is us and our
			// like, each with a share.
			r.rate, r.rounds, r.tested = m.rate, 0, a.Now
			m.mode = modeTest
			m.rate *= againShare
			return
		}
	}
	r.met = a.Now
	m.judge(a.Now)
	link := m.link()
	goal := m.fair(a)
	rtt := max(a.SRTT, time.Millisecond).Seconds()
	part := since.Seconds() / rtt
	if m.rate < goal {
		if !m.purse.full() {
			m.rate = min(goal, m.rate+fairRise*link*part)
		}
	} else {
		m.rate = max(goal, m.rate-fairFall*link*part)
	}
}

// judge finds out whether much loss is the rivals' making or ours.
func (m *Model) judge(now time.Time) {
	r := &m.rival
	switch {
	case r.guilty.IsZero():
		if m.loss.share() <= guiltyLoss || m.deaf() {
			return
		}
		r.guilty, r.judged = now, now.Add(yieldTime)
	case now.Before(r.judged):
	case now.Sub(r.judged) < judgeTime:
		return
	case now.Sub(r.guilty) > 3*againTime:
		r.guilty = time.Time{}
	default:
		share, swing := m.loss.share(), cubicSwing*m.minRTT.Seconds()
		if share > deafStill && share < guiltyLoss && r.still.Seconds() > deafSwing*r.high.Seconds()-swing {
			r.guilty, r.deafAt = time.Time{}, now // we have yielded, and nothing has changed
		}
		r.judged = now
	}
	r.still, r.high = infinite, 0
	m.loss.forget()
}

// deaf reports whether the rivals are known to ignore loss.
func (m *Model) deaf() bool {
	return !m.rival.deafAt.IsZero() && m.now.Sub(m.rival.deafAt) < deafTime
}

// fair is the share to hold: half, or what a CUBIC flow would have if the rivals
// are such flows.
func (m *Model) fair(a Ack) float64 {
	goal := fairPart * m.link()
	if m.loss.share() < deafLoss && !m.deaf() || !m.rival.guilty.IsZero() {
		goal = min(goal, m.loss.cubicRate(a.Now, m.mtu, a.SRTT))
	}
	return max(goal, m.link()*heldPart)
}
