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
	// ackMost is how many packets go without an acknowledgement at most.
	ackMost = 32
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
	total     int       // packets that wanted one
	due       time.Time // when the ACK must leave; zero if none is owed
	told      uint64    // stamps up to this number were sent
	ecn       wire.ECNCounts
	anyECN    bool
	stamps    [stampRing]struct {
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
// how long it may wait otherwise.
func (a *ackState) receive(now, stamp time.Time, number uint64, ecn machine.ECN, eliciting, urgent bool, hold time.Duration) {
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
	switch ecn {
	case machine.ECT0:
		a.ecn.ECT0++
	case machine.ECT1:
		a.ecn.ECT1++
	case machine.CE:
		a.ecn.CE++
	}
	a.anyECN = a.anyECN || ecn != machine.NotECT
	if !eliciting {
		return
	}
	a.eliciting++
	a.total++
	most := ackMost
	if a.total <= ackEager {
		most = 2
	}
	if gap || urgent || ecn == machine.CE || a.eliciting >= most {
		a.due = now
	} else if at := now.Add(hold); a.due.IsZero() || at.Before(a.due) {
		a.due = at
	}
}

// fill builds the ACK.
func (a *ackState) fill(now time.Time, f *wire.Frame) {
	f.Type = wire.FrameAck
	if a.anyECN {
		f.Type = wire.FrameAckECN
	}
	f.Ack.Reset()
	f.Ack.Delay = max(now.Sub(a.arrived), 0)
	f.Ack.ECN = a.ecn
	stamping := true
	for i := len(a.seen) - 1; i >= 0; i-- {
		r := a.seen[i]
		if !f.Ack.AddRange(wire.Range{First: r.start, Last: r.end - 1}) {
			break
		}
		for n := r.end; stamping && n > r.start; n-- {
			s := &a.stamps[(n-1)%stampRing]
			stamping = n > a.told && s.number == n-1 && f.Ack.AddStamp(s.at)
		}
	}
}

// sent notes that an ACK left.
func (a *ackState) sent() {
	a.eliciting, a.due = 0, time.Time{}
	a.told = a.largest + 1
}
