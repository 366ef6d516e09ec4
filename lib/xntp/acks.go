package xntp

import (
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

const (
	// maxAckDelay is the longest time that an acknowledgement is held back; both
	// ends know it (RFC 9000 §18.2 has the same default).
	maxAckDelay = 25 * time.Millisecond
	// maxSeen is how many ranges of received numbers are remembered. What lies
	// below them counts as received: it was, or it comes too late to matter, as
	// its frames are sent again.
	maxSeen = 64
	// ackMost is how many packets go without an acknowledgement at most, and fewer
	// than ackFew, as many as a piece of 16 KiB has, wait for one another longer.
	ackMost = 32
	ackFew  = 12
	// ackAlert is how many packets behind a gap are acknowledged each by itself,
	// with the one that shows it as many as a sender needs to take what is
	// missing for lost (packetThreshold).
	ackAlert = packetThreshold - 1
	// ackEager is how many packets at the start of a connection are
	// acknowledged by twos, while the sender has most to learn.
	ackEager = 64
	// stampRing is how many receive times are kept until they are sent.
	stampRing = 128
)

// ackState is what was received, and what of that must be acknowledged when.
type ackState struct {
	seen      rangeset
	floor     uint64 // numbers below count as received
	have      bool
	largest   uint64
	arrived   time.Time // of the largest
	epoch     time.Time // stamps are counted from here
	eliciting int       // packets that want an ACK and have none
	since     time.Time // when the first of these came
	total     int       // packets that wanted one
	alert     int       // of the next ones, those that want it at once
	due       time.Time // when the ACK must leave; zero if none is owed
	atOnce    bool      // which is not put off any more
	told      uint64    // stamps up to this number were sent
	ce        uint64    // packets with the mark
	anyECN    bool
	// ACKs say nothing of what lies below old: it was said for long enough. later
	// becomes it at the turn.
	old, later uint64
	turn       time.Time
	stamps     [stampRing]struct {
		number uint64
		at     time.Duration
	}
}

// next is the number after the highest received.
func (a *ackState) next() uint64 {
	if !a.have {
		return 0
	}
	return a.largest + 1
}

func (a *ackState) duplicate(number uint64) bool {
	return number < a.floor || a.seen.contains(number)
}

// receive notes a packet. urgent asks for an acknowledgement at once, hold is
// how long it may wait otherwise, and once several packets wait for it.
func (a *ackState) receive(now, stamp time.Time, number uint64, ecn machine.ECN, eliciting, urgent bool, hold ackHold) {
	if stamp.IsZero() || stamp.After(now) {
		stamp = now
	}
	if !a.have {
		a.epoch = stamp.Add(-time.Second) // later packets may have earlier stamps
	}
	// RFC 9000 §13.2.1: "an endpoint SHOULD generate and send an ACK frame
	// without delay when it receives an ack-eliciting packet" that is out of
	// order or opens a gap, or has a CE mark.
	gap := a.have && number != a.largest+1
	a.seen.add(number, number+1)
	if len(a.seen) > maxSeen {
		a.floor = a.seen[0].end
		a.seen = append(a.seen[:0], a.seen[1:]...)
	}
	if !a.have || number > a.largest {
		a.have, a.largest, a.arrived = true, number, stamp
	}
	s := &a.stamps[number%stampRing]
	s.number, s.at = number, max(stamp.Sub(a.epoch), 0)
	if ecn == machine.CE {
		a.ce++
	}
	a.anyECN = a.anyECN || ecn != machine.NotECT
	if !eliciting {
		return
	}
	if a.eliciting++; a.eliciting == 1 {
		a.since = now
	}
	a.total++
	most := ackMost
	if a.total <= ackEager {
		most = 2
	}
	if gap {
		a.alert = ackAlert
	} else if a.alert > 0 {
		a.alert--
		urgent = true
	}
	switch {
	case a.atOnce || gap || urgent || ecn == machine.CE || a.eliciting >= most:
		a.due, a.atOnce = now, true
	case a.eliciting >= ackFew:
		a.due = a.since.Add(hold.several)
	default:
		a.due = now.Add(hold.another)
		if last := a.since.Add(hold.few); last.Before(a.due) {
			a.due = last
		}
	}
}

// An ackHold is how long an acknowledgement may wait for more packets: for another
// one, if there are few; since the first of few; since the first of several.
type ackHold struct{ another, few, several time.Duration }

// fill builds the ACK. Each range is told for keep at least: then the peer has
// forgotten what is missing between them.
func (a *ackState) fill(now time.Time, f *wire.Frame, keep time.Duration) {
	if now.Sub(a.turn) >= keep {
		a.old, a.later, a.turn = a.later, a.largest, now
	}
	f.Type = wire.FrameAck
	if a.anyECN {
		f.Type = wire.FrameAckECN
	}
	f.Ack.Reset()
	f.Ack.Delay = max(now.Sub(a.arrived), 0)
	f.Ack.CE = a.ce
	stamping := true
	for i := len(a.seen) - 1; i >= 0; i-- {
		r := a.seen[i]
		if r.end <= a.old {
			break
		}
		if !f.Ack.AddRange(wire.Range{First: r.start, Last: r.end - 1}) {
			break
		}
		for n := r.end; stamping && n > r.start; n-- {
			s := &a.stamps[(n-1)%stampRing]
			stamping = n > a.told && s.number == n-1 && f.Ack.AddStamp(s.at)
		}
	}
}

// owe makes an ACK due now.
func (a *ackState) owe(now time.Time) {
	a.eliciting = max(a.eliciting, 1)
	a.due, a.atOnce = now, true
}

// sent notes that an ACK left.
func (a *ackState) sent() {
	a.eliciting, a.due, a.atOnce = 0, time.Time{}, false
	a.told = a.largest + 1
}
