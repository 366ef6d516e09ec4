package congestion

import (
	"math"
	"time"
)

// startState is the first round trip of a path: a train, a chirp behind it, and
// what they tell.
//
//	t = 0        16 packets at once: the train. Its spacing at the receiver is the capacity.
//	then         32 packets, closer and closer: the chirp. They keep the link in work, and
//	             meet no queue but the train's if nobody else is there.
//	then         32 packets as fast as the chirp ended.
//	acks come    half of the capacity as soon as it is known, all of it when a packet has
//	             found the link empty that should have; else what the chirp delivered.
//
// Where the peer asked with a flight of packets, the rate at which those came is known
// at once: then the chirp is half of it at least, and goes on for a round trip.
type startState struct {
	log      []Arrival // the first startLog; let go of when the start is over
	lost     int       // bytes
	came     int       // bytes that were acknowledged
	idle     int       // bytes that arrived while the application was the limit
	doubling float64   // the rate, where trains tell nothing
	best     float64   // the most that was delivered in it
	latest   float64
	flat     int     // measurements since
	hint     float64 // bytes per second to send at before anything is heard; 0: none
	hintTrip time.Duration
	asked    *capacityMeter // of the flight that asked for all this
}

const (
	trainPackets = 16 // within 1 % at 20 Mbit/s and 7 % at 100, as measured; 8 are twice as far off
	chirpPackets = 32
	// chirpTime is how long the chirp takes at most: the round trip is not known yet
	// as a rule, and this makes it 8 to 32 Mbit/s.
	chirpTime  = 24 * time.Millisecond
	chirpLeast = 12 * time.Millisecond
	// levelPackets go on as fast as the chirp ended, if nothing is heard yet: in all
	// 112 kB, thrice what others send in their first round trip.
	levelPackets = 32
	blindPackets = trainPackets + chirpPackets + levelPackets
	chirpRise    = 4.0
	startLog     = 64
	// crowdWait is the queue that others' packets made of the empty link that the
	// train should have left behind.
	crowdWait = 3 * time.Millisecond
	// flatMost measurements of delivery, each of half a round trip, without a higher
	// one end the doubling: as many as BBR's three round trips.
	flatMost = 6
	// nearTrip is the longest round trip of a network in a house, or a machine.
	nearTrip = 2 * time.Millisecond
	// hintTime is the most that is sent on a hint before anything is heard: without
	// a round trip to spread it over, a tenth of a second's worth.
	hintTime = 100 * time.Millisecond
	// askedPart of the rate at which the peer's question came through is what an answer
	// begins with. Links carry no less to a house than from it, as a rule; where it is
	// otherwise half is as cautious as with a path's own past (RFC 9959).
	askedPart = 0.5
	// askedMost is the most of that, 64 Mbit/s: twice what the chirp ends with.
	askedMost = 8e6
	// launchPart of the capacity is the rate behind a start that met nobody. Where a
	// train has measured too much, the queue says so within a round trip.
	launchPart = 1.0
)

func (s *startState) arrived(p Arrival) {
	if len(s.log) < startLog {
		s.log = append(s.log, p)
	}
}

func (s *startState) window(m *Model) int {
	// Who sends little makes no train, and goes on as in any slow start.
	w := blindPackets*m.mtu + s.idle
	if s.hint > 0 {
		rtt := hintTime
		if s.hintTrip > 0 {
			rtt = s.hintTrip
		}
		if m.srtt > 0 {
			rtt = 5 * m.srtt / 4
		}
		w = max(w, int(s.hint*rtt.Seconds()))
	}
	if level := s.level(); s.hint == 0 {
		rtt := hintTime
		if m.srtt > 0 {
			rtt = min(rtt, 5*m.srtt/4)
		}
		w = max(w, int(level*rtt.Seconds()))
	}
	w = max(w, int(1.5*s.doubling*m.answer().Seconds()))
	if c := m.capacity.value; c > 0 && m.srtt > 0 {
		return max(w, int(1.25*c*m.srtt.Seconds())+4*m.mtu)
	}
	return w
}

func (s *startState) rate(m *Model, srtt time.Duration) float64 {
	switch {
	case m.capacity.value > 0 && m.capacity.long >= 2*trainLeast:
		return max(m.capacity.value/2, min(s.hint, launchPart*m.capacity.value))
	case s.hint > 0:
		return s.hint
	case s.doubling > 0:
		return s.doubling
	}
	// The gaps of the chirp form a geometric series over its time.
	n := clamp(float64(m.inFlight)/float64(m.mtu)-trainPackets, 0, chirpPackets)
	t := min(max(srtt, chirpLeast), chirpTime).Seconds()
	mean := (1 - 1/chirpRise) / math.Log(chirpRise)
	gap := t / chirpPackets / mean * math.Pow(chirpRise, -n/chirpPackets)
	if level := s.level(); level > 0 && m.inFlight >= blindPackets*m.mtu {
		return level
	}
	return max(float64(m.mtu)/gap, s.level())
}

// level is the rate at which an answer may begin after the question came.
func (s *startState) level() float64 {
	if s.asked == nil {
		return 0
	}
	return min(askedPart*s.asked.value, askedMost)
}

// starting looks whether the start is over.
func (m *Model) starting(a Ack) {
	s := &m.start
	s.came += a.Bytes
	if a.AppLimited {
		s.idle = min(s.idle+a.Bytes, 2*(a.InFlight+a.Bytes))
	}
	c := m.capacity.value
	if c > 0 && m.capacity.long >= 2*trainLeast {
		switch s.verdict(c) {
		case linkFree:
			m.become(modeAlone, launchPart*c)
		case linkShared:
			rate, _, _, ok := m.arrivals.since(a.SRTT/4, 8*m.mtu)
			if !ok {
				rate = a.DeliveryRate
			}
			m.become(modeAlone, max(0.9*min(rate, c), c/4))
		}
		return
	}
	if c > 0 && len(s.log) >= startLog && s.doubling == 0 { // short trains only: little was sent at a time
		m.become(modeAlone, c/2)
		return
	}
	// No train has told anything, as when stamps come in heaps: send at twice what
	// arrived, until a queue shows, or no more arrives than before.
	// Over a round trip so short that the pace never fills a window, it is enough that
	// there is something to send; but what little there was says nothing of the path.
	little := s.doubling == 0 && 2*a.DeliveryRate < s.rate(m, a.SRTT)
	if m.capacity.broken == 0 || a.DeliveryRate == 0 || a.Starved || a.AppLimited && (a.MinRTT > nearTrip || little) {
		return
	}
	if a.DeliveryRate > s.best {
		s.best, s.flat = a.DeliveryRate, 0
	} else if a.DeliveryRate != s.latest {
		s.flat++
	}
	s.latest = a.DeliveryRate
	if 3*a.DeliveryRate > s.doubling {
		s.doubling = max(s.doubling, 2*a.DeliveryRate)
	}
	queue := m.arrivals.standing() > max(4*time.Millisecond, a.MinRTT/8)
	if queue || m.loss.share() > 0.02 || s.flat >= flatMost && len(s.log) >= startLog {
		if c < s.best {
			m.capacity = capacityMeter{} // what short trains told is not true
		}
		m.become(modeAlone, max(s.best, m.least()))
		if queue {
			m.rate *= 0.9
		}
	}
}

// Hint says what the path is believed to carry, in bytes per second, before
// anything was sent, and how long its round trip is, if that is known.
func (m *Model) Hint(rate float64, rtt time.Duration) { m.start.hint, m.start.hintTrip = rate, rtt }

// Asked says when a packet of the peer's question came, on any clock. Those that left
// at one moment are a train, too: of the other direction.
func (m *Model) Asked(at time.Duration, bytes int) {
	if m.mode != modeStart {
		return
	}
	s := &m.start
	if s.asked == nil {
		s.asked = new(capacityMeter)
	}
	s.asked.arrived(Arrival{At: at, Bytes: bytes})
}

// Carried is the rate to which this path has brought us, in bytes per second; 0 as
// long as it has only begun.
func (m *Model) Carried() float64 {
	if m.mode == modeStart {
		return 0
	}
	return min(m.rate, m.link())
}

// overrun notes a loss in the start. When a quarter of it is lost, the link is much
// slower than the first flight was for, or its queue much shorter: what got
// through says how fast it is. (Where Rapid Start retreats to 0.9 of a window, and
// then takes back what is acknowledged and lost, we know the rate and drain.)
func (m *Model) overrun(l Loss) {
	s := &m.start
	s.lost += l.Bytes
	got := 0
	for _, p := range s.log {
		got += p.Bytes
	}
	if s.lost < 8*m.mtu || 4*s.lost < s.lost+max(got, s.came) {
		return
	}
	rate := m.least()
	if n := len(s.log); n > 2 {
		if span := (s.log[n-1].At - s.log[0].At).Seconds(); span > 0 {
			rate = max(rate, 0.9*float64(got-s.log[0].Bytes)/span)
		}
	}
	rate = max(rate, 0.9*s.best) // if it doubled, the first flight was long ago
	if c := m.capacity.value; c > 0 {
		rate = min(rate, paceBelow*c)
	}
	m.become(modeAlone, rate)
	m.steer.burnt = l.Now
	m.drain.on, m.drain.level, m.drain.first, m.drain.until = true, rate, rate, l.Now.Add(4*m.srtt)
}

type verdict uint8

const (
	linkUnknown verdict = iota
	linkFree
	linkShared
)

// verdict holds the arrivals against those on a link of this capacity that
// carries nothing else.
func (s *startState) verdict(c float64) verdict {
	if len(s.log) == 0 {
		return linkUnknown
	}
	first := s.log[0]
	free := first.Sent // when the link is done with what came before
	for _, p := range s.log[1:] {
		took := time.Duration(float64(p.Bytes) / c * 1e9)
		wait := max(free-p.Sent, 0)
		free = max(free, p.Sent) + took
		excess := (p.At - first.At) - (free - first.Sent)
		if excess > crowdWait {
			return linkShared
		}
		if wait < took && excess < crowdWait/2 && p.Sent-first.Sent > trainGap {
			return linkFree // it found the link empty, as it should
		}
	}
	if len(s.log) == startLog {
		return linkFree // it was never empty, but with our own
	}
	return linkUnknown
}

func (m *Model) become(to mode, rate float64) {
	m.mode, m.rate = to, rate
	m.steer.reset()
	m.rival = rivalState{}
	m.start.log, m.start.asked = nil, nil
}
