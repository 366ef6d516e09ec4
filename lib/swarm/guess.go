package swarm

import (
	"time"

	"github.com/xp2p/xp2p/lib/segment"
)

// Pieces that are lost with those who were to send them leave no trace here when
// nothing behind them in their segment has come: nobody would know what to ask for.
// So those who feed us are asked for what there must be by the clock of the stream.
// A guess that is wrong costs a few messages.
const (
	guessMost = 3 // pieces at a time
	// silence is how long nothing new comes, after others have left, before what is
	// next is guessed at: two pieces at 80 ms.
	silence = 160 * time.Millisecond
)

// guess looks for the end of a segment when a piece of the next one has come, but
// not its first, which says how many pieces the one before has: as many are looked
// for as the times leave room for.
func (s *Swarm) guess(now time.Time, h *held) {
	id := h.piece.ID
	i, ok := s.win.search(id.Epoch, id.Seq)
	if !ok || i == 0 || id.Index == 0 || s.mesh() || s.cfg.Seed {
		return
	}
	p := s.win.segs[i-1]
	if p.epoch != id.Epoch || p.seq != id.Seq-1 || p.count > 0 || p.guessed > 0 || p.at(p.sure-1) == nil {
		return
	}
	step := s.win.step()
	if step <= 0 {
		return
	}
	gap := time.Duration(h.piece.DTS-p.pieces[p.sure-1].piece.DTS) * time.Millisecond
	if n := gap/step - 1; n > 0 {
		s.suppose(now, p.epoch, p.seq, p.sure+int(min(n, guessMost)), false)
	}
}

// listen guesses at what comes next when nothing new has come for a while although
// others have left: each level of a tree asks the one above it at the same time, and
// not one behind the other.
func (s *Swarm) listen(now time.Time) {
	w := &s.want
	if s.mesh() || !w.on || !s.hedging(now) || s.newestAt.IsZero() || s.starting() {
		return
	}
	if at := s.newestAt.Add(silence); now.Before(at) {
		w.wake = earlier(w.wake, at)
		return
	}
	i, ok := s.win.search(s.newest.Epoch, s.newest.Seq)
	if !ok {
		return
	}
	p, last := s.win.segs[i], s.newest.Index
	if p.at(last) == nil || p.count > 0 {
		return
	}
	s.suppose(now, p.epoch, p.seq, last+1+guessMost, true)
	if i == 0 || p.at(0) == nil {
		return
	}
	// The next segment begins about as long after this one as this one did.
	q := s.win.segs[i-1]
	if q.seq != p.seq-1 || q.at(0) == nil {
		return
	}
	begin := p.pieces[0].piece.DTS
	came := time.Duration(p.pieces[last].piece.DTS-begin)*time.Millisecond + now.Sub(s.newestAt)
	if came > time.Duration(begin-q.pieces[0].piece.DTS)*time.Millisecond {
		s.suppose(now, p.epoch, p.seq+1, guessMost, true)
	}
}

// suppose takes it that a segment has so many pieces at least. late: they should
// have come by now.
func (s *Swarm) suppose(now time.Time, epoch, seq int64, pieces int, late bool) {
	if p := s.win.find(epoch, seq); p != nil && p.guessed >= pieces {
		return
	}
	s.exists(now, segment.ID{Epoch: epoch, Seq: seq, Index: pieces - 1}, late, false)
	if p := s.win.find(epoch, seq); p != nil {
		p.guessed = pieces
	}
}

// guessed reports whether a piece is one that a guess speaks of.
func (s *Swarm) guessed(id segment.ID) bool {
	p := s.win.find(id.Epoch, id.Seq)
	return p != nil && id.Index >= p.sure && id.Index < p.guessed
}
