package xntp

import (
	"time"

	"github.com/xp2p/xp2p/lib/wire"
)

const (
	// packetThreshold is kPacketThreshold of RFC 9002 §6.1.1; it is where the
	// adaptive threshold begins.
	packetThreshold = 3
	// maxPacketThreshold bounds what reordering can teach.
	maxPacketThreshold = 256
	// maxTimeThreshold bounds, in eighths of a round trip, how long a packet may
	// be missing; kTimeThreshold of RFC 9002 §6.1.2 is 9.
	minTimeThreshold, maxTimeThreshold = 9, 16
	// persistentPTOs is kPersistentCongestionThreshold of RFC 9002 §7.6.1.
	persistentPTOs = 3
)

type packetState uint8

const (
	packetInFlight packetState = iota
	packetLost                 // kept a while, for it may turn out to have arrived
	packetLeft                 // the same, given up because the peer moved
	packetProbe                // of the path's MTU: neither in flight nor missed
	packetAhead                // the same, sent to an address that is not proved yet
)

// A sentFrame remembers what must be done when its packet is acknowledged or
// lost.
type sentFrame struct {
	kind   wire.FrameType
	fin    bool
	n      uint32
	id     uint64 // the object; of WINDOW the limit
	offset uint64 // of OBJ; of EXPIRED and CANCEL what was charged
}

// A sentPacket is a packet whose fate is not known.
type sentPacket struct {
	number     uint64
	at         time.Time
	size       int
	state      packetState
	appLimited bool
	run        runKind
	block      uint64 // the block that it is of, plus one; 0 if of none, or none that waits
	frames     []sentFrame
}

// lossState knows the packets that were sent and finds out which were lost
// (RFC 9002 §6). Numbers are never used twice, so that an acknowledgement for a
// packet taken for lost is noticed: the thresholds then widen.
type lossState struct {
	ring    []*sentPacket // by number modulo its length, a power of two
	first   uint64        // the lowest number that may be in the ring
	next    uint64        // the next number to send
	free    []*sentPacket
	flying  int    // packets in flight
	bytes   int    // bytes in flight
	largest uint64 // acknowledged; valid if acked
	acked   bool

	threshold     uint64 // packets
	timeThreshold int64  // eighths of a round trip
	lossTime      time.Time
	blockTime     time.Time // when to judge whether parity brings packets back
	lastEliciting time.Time
	silent        time.Time // when the first was sent of those since which nothing was acknowledged
	progress      time.Time // when something was acknowledged last
	ptoCount      int
	probes        int           // packets that may leave beyond the window
	patience      time.Duration // for packets of the path before this one, if it was left on purpose

	recent, recentLost float64 // packets whose fate became known lately

	episodeLost int // packets that the latest reduction of the window answers to
	sentCount   int64
	lostCount   int64
	spurious    int64
}

const firstRing = 64 // packets whose fate is not known, before the ring grows

func (l *lossState) init() {
	*l = lossState{ring: make([]*sentPacket, firstRing), threshold: packetThreshold, timeThreshold: minTimeThreshold}
}

func (l *lossState) get(number uint64) *sentPacket {
	if number < l.first || number >= l.next {
		return nil
	}
	return l.ring[number&uint64(len(l.ring)-1)]
}

func (l *lossState) drop(p *sentPacket) {
	l.ring[p.number&uint64(len(l.ring)-1)] = nil
	l.free = append(l.free, p)
}

// begin returns the record of the packet with the next number.
func (l *lossState) begin() *sentPacket {
	var p *sentPacket
	if n := len(l.free); n > 0 {
		p, l.free = l.free[n-1], l.free[:n-1]
	} else {
		p = &sentPacket{frames: make([]sentFrame, 0, 4)}
	}
	*p = sentPacket{number: l.next, frames: p.frames[:0]}
	return p
}

// abandon takes back a packet that did not come to be.
func (l *lossState) abandon(p *sentPacket) { l.free = append(l.free, p) }

// sent notes that the packet left. Its number is used up.
func (l *lossState) sent(p *sentPacket, now time.Time, size int, eliciting bool) {
	l.track(p, now, size)
	if !eliciting {
		l.drop(p)
		l.retire()
		return
	}
	l.flying++
	l.bytes += size
	if l.silent.IsZero() {
		l.silent = now
	}
	if l.ptoCount == 0 {
		l.lastEliciting = now // what is sent into silence does not put off the next probe
	}
}

// track gives the packet that left its place.
func (l *lossState) track(p *sentPacket, now time.Time, size int) {
	p.at, p.size = now, size
	l.sentCount++
	if l.next-l.first >= uint64(len(l.ring)) {
		l.grow() // for quiet packets too: places are by number
	}
	l.ring[p.number&uint64(len(l.ring)-1)] = p
	l.next++
}

func (l *lossState) grow() {
	old := l.ring
	l.ring = make([]*sentPacket, 2*len(old))
	for _, p := range old {
		if p != nil {
			l.ring[p.number&uint64(len(l.ring)-1)] = p
		}
	}
}

// retire moves the lower end past numbers whose fate is known.
func (l *lossState) retire() {
	for l.first < l.next && l.get(l.first) == nil {
		l.first++
	}
}

// forget drops packets that have been lost for so long that no
// acknowledgement will come for them.
func (l *lossState) forget(before time.Time) {
	for l.first < l.next {
		p := l.get(l.first)
		if p != nil {
			if p.state == packetInFlight || p.at.After(before) || p.block != 0 {
				return
			}
			l.drop(p)
		}
		l.first++
	}
}

// learn widens the thresholds after packet p, taken for lost, arrived after all.
// Our choice, because RFC 9002 §6.1.1 only says that implementations "MAY
// adapt": the packet threshold becomes what would have sufficed, the time
// threshold an eighth of a round trip more.
func (l *lossState) learn(p *sentPacket, largest uint64) {
	l.spurious++
	if largest > p.number {
		l.threshold = min(max(l.threshold, largest-p.number+1), maxPacketThreshold)
	}
	l.timeThreshold = min(l.timeThreshold+1, maxTimeThreshold)
}

// lossDelay is how long after it was sent a packet is taken for lost once a
// later one was acknowledged (RFC 9002 §6.1.2).
func (l *lossState) lossDelay(r *rttState) time.Duration {
	return max(time.Duration(l.timeThreshold)*max(r.smoothed, r.latest)/8, granularity)
}

// timeout is when loss must be looked for or a probe sent; zero means never.
func (l *lossState) timeout(r *rttState) time.Time {
	if !l.lossTime.IsZero() {
		return earlier(l.lossTime, l.blockTime)
	}
	if l.flying == 0 {
		return l.blockTime
	}
	at, pto := l.lastEliciting, r.pto()
	if l.ptoCount == 0 && at.Sub(l.silent) > pto {
		at = l.silent.Add(pto) // nor does it put off the first for ever, as RFC 9002 §6.2.1 has it
	}
	return earlier(at.Add(backoff(pto, l.ptoCount)), l.blockTime)
}

// maxProbeWait bounds the backoff of probes: a peer that changes its network is
// found again within it.
const maxProbeWait = 3 * time.Second

func backoff(pto time.Duration, count int) time.Duration {
	return max(pto, min(pto<<min(count, 10), maxProbeWait))
}

// earlier is the earlier of two times; zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
