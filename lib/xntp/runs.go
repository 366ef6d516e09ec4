package xntp

import "time"

// Packets that leave at one moment may leave a machine as one (machine.Packet.Alone
// says not to). It saves much at high rates, and only there: below joinRate, and as
// long as a path is being measured, packets leave alone, because some networks
// (virtual ones) carry what left as one as one, and then its spacing says nothing.
// Within a machine or a house, who has no more to say than may leave at once needs no
// measure, and a thousand such connections would otherwise cost one system call for
// each packet.
//
// And there are kernels and cards that spoil what they cut such a run into (Linux
// 7.0 and some before it, with some drivers; a bridge of a virtual machine), so that
// most of it never arrives. When much is lost of packets that left behind others,
// every other moment's leave alone for comparison; and if they fare better by far,
// all do, for a while.
const (
	joinRate = 50e6 / 8 // bytes per second: a pacer's millisecond is four packets and more

	runFates   = 32      // packets whose fate is known, before there is a word
	runSuspect = 1.0 / 8 // loss that no link should have
	runGuilty  = 4       // times as much lost as of those that leave alone
	// runRest is how long all packets leave alone, and, where that did not help, how
	// long it is not tried again, for an overfull queue looks the same; each time
	// twice as long, up to runRestMost times.
	runRest     = time.Minute
	runRestMost = 64
)

// A runKind says in which company a packet left.
type runKind uint8

const (
	runFirst  runKind = iota // of its moment, or by itself: nothing to learn
	runJoined                // perhaps as one with those before it
	runAlone                 // behind others, but not with them
	runKinds
)

// runState holds the two ways of leaving against each other.
type runState struct {
	judged     time.Time // the moment of which the next is known
	whole      bool      // all that there is to say leaves in it
	moment     time.Time // of the packet that left last
	comparing  bool      // every other moment's packets leave alone
	turn       bool      // this one's do
	until      time.Time // before it all packets leave alone
	rest       time.Time // no comparison before it
	times      int       // comparisons so far, as a factor
	gone, lost [runKinds]int
}

// company says how the packet leaves that leaves now.
func (c *conn) company(now time.Time) (kind runKind, alone bool) {
	r := &c.runs
	if !now.Equal(r.judged) {
		r.judged, r.whole = now, c.nearby() && c.out.waiting <= c.cc.Burst()
	}
	if !r.whole && (c.pacer.fine || c.pacingRate() < joinRate) {
		return runFirst, true
	}
	kind = r.next(now)
	return kind, kind == runAlone
}

// nearby reports whether the peer is on this machine, or in a network as near as that.
func (c *conn) nearby() bool {
	return c.path.addr.Addr().IsLoopback() || c.rtt.min > 0 && c.rtt.min <= jumboTrip
}

// next says the same where packets may leave together.
func (r *runState) next(now time.Time) runKind {
	if !now.Equal(r.moment) {
		r.moment, r.turn = now, r.comparing && !r.turn
		return runFirst
	}
	if r.turn || now.Before(r.until) {
		return runAlone
	}
	return runJoined
}

// fate notes what became of a packet.
func (r *runState) fate(now time.Time, kind runKind, lost bool) {
	r.gone[kind]++
	if lost {
		r.lost[kind]++
	}
	if now.Before(r.rest) {
		return
	}
	joined, alone := r.share(runJoined), r.share(runAlone)
	switch {
	case !r.comparing && r.gone[runJoined] >= runFates && joined >= runSuspect:
		r.comparing = true
		r.gone, r.lost = [runKinds]int{}, [runKinds]int{}
	case r.comparing && min(r.gone[runAlone], r.gone[runJoined]) >= runFates:
		r.comparing = false
		r.times = min(max(1, 2*r.times), runRestMost)
		r.rest = now.Add(time.Duration(r.times) * runRest)
		if joined >= runSuspect && runGuilty*alone < joined {
			r.until = r.rest
		}
		r.gone, r.lost = [runKinds]int{}, [runKinds]int{}
	case !r.comparing && r.gone[runJoined] >= 8*runFates: // what was long ago counts half
		r.gone[runJoined], r.lost[runJoined] = r.gone[runJoined]/2, r.lost[runJoined]/2
	}
}

func (r *runState) share(kind runKind) float64 {
	return float64(r.lost[kind]) / float64(max(1, r.gone[kind]))
}
