package congestion

import "time"

// checkState finds out whether rivals answer to loss.
//
// A flow that does as CUBIC does has its fair share of a link on which all answer to
// loss. Who gets next to nothing by it, while much is lost, has rivals that do not,
// and holds half of the link against them. Many of us leave by the same uplink, and
// at different times each would find its fellows there, holding; so we check in the
// same seconds of the clock, in which nobody holds. A clock that is wrong does
// little harm: a mistake lasts until the next check.
type checkState struct {
	hold  bool      // a share, until the next check
	held  bool      // the latest check found that we should
	found time.Time // when that was
	slot  time.Time
	until time.Time // end of the check under way; zero if there is none
	// What had arrived and was lost when it began.
	began struct {
		at         time.Time
		came, lost int64
	}
	// What had arrived when the latter part of it began, in which our window is what the
	// rivals have made of it.
	later struct {
		at   time.Time
		came int64
	}
}

const (
	// checkEach slot of the clock begins with checkTime of being CUBIC. Two seconds are a
	// dozen round trips of 160 ms.
	checkEach = 24 * time.Second
	checkTime = 4 * time.Second
	// checkMost is the part of the link to begin a check at, what seven others would
	// leave: above what we would hold for, so that a CUBIC flow that finds room
	// passes.
	checkMost = 0.125
	// deafShare of the link is what a CUBIC flow has at most whose rivals do not answer
	// to loss: 5 to 9 % beside one BBR flow and a queue of one product, by this
	// package's BBR; in the company of four CUBIC flows 12 to 25 %.
	deafShare = 0.11
	// deafLoss is what is lost then at least: 2.5 to 6 %, 1 % if a BBR flow just looked
	// how long the round trip is; 0.1 to 0.9 % among five that answer to loss but
	// have not come to equal shares yet. Half of it confirms what was found before.
	deafLoss = 0.01
	// holdPart of the capacity is held: half is what is fair against one, as measured
	// at 49 to 51 % against BBR with short and long queues; and of many who would
	// have answered none gets less than half of its due.
	holdPart = 0.5
	// holdLoss is more than what one BBR flow makes when half is held against it, 3 to
	// 13 %. If it is more, several of us hold, and each holds less.
	holdLoss = 0.15
)

func (c *checkState) running() bool { return !c.until.IsZero() }

// again begins a check anew whose queue went away meanwhile, as everybody sees: who
// made it makes room for a moment, or has to fill it again.
func (c *checkState) again(now time.Time) {
	if c.running() && now.Sub(c.slot) < 2*checkTime {
		c.until, c.began.at = now.Add(checkTime), time.Time{}
	}
	c.later.at = time.Time{}
}

// judge holds a check when it is time for one, the first as soon as there is a
// contest.
func (m *Model) judge(a Ack) {
	c := &m.rival.check
	if slot := a.Now.Truncate(checkEach); slot.After(c.slot) {
		fresh := slot.Sub(c.found) < 2*checkTime // we have just checked
		if c.until = slot.Add(checkTime); c.slot.IsZero() {
			c.until = a.Now.Add(3 * checkTime / 2) // somebody who just starts may have made the contest
		}
		c.slot, c.began.at = slot, time.Time{}
		switch {
		case c.hold && fresh:
			c.until = time.Time{}
		case c.hold:
			c.hold = false
			m.emulate(min(m.rate, checkMost*m.link()))
		}
	}
	if !c.running() {
		return
	}
	if m.arrivals.newest() < m.allowed() {
		c.again(a.Now)
	}
	if c.began.at.IsZero() {
		c.began.at, c.began.came, c.began.lost = a.Now, m.arrivals.sum, m.loss.gone
	}
	d := a.Now.Sub(c.later.at)
	switch {
	case a.AppLimited || a.Now.Add(checkTime/2).Before(c.until) || d > checkTime:
		c.later.at, c.later.came = a.Now, m.arrivals.sum
	case !a.Now.Before(c.until) && d >= checkTime/4:
		c.until, c.found = time.Time{}, a.Now
		rate := float64(m.arrivals.sum-c.later.came) / d.Seconds()
		lost := float64(m.loss.gone - c.began.lost)
		lost /= lost + float64(m.arrivals.sum-c.began.came)
		least := deafLoss
		if c.held {
			least /= 2
		}
		c.hold = rate < deafShare*m.link() && lost > least
		c.held = c.hold
	}
}
