package playout

import (
	"time"

	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/segment"
)

// Advance tells that time has passed.
func (p *Player) Advance(now time.Time) { p.advance(now) }

func (p *Player) advance(now time.Time) {
	p.now = now
	if !p.started {
		p.tryStart(now)
	}
	if p.started {
		for p.forward(now) || p.hopeless(now) && p.jump(now) {
		}
		p.checkStall(now)
		p.checkStuck(now)
	}
	p.plan(now)
}

// NextTimeout returns when Advance wants to be called. What was due at the last
// call and could not be done waits for a record, not for time.
func (p *Player) NextTimeout() (t time.Time) {
	wake := func(at time.Time) {
		if at.After(p.now) {
			t = earlier(t, at)
		}
	}
	wake(p.asks.wake)
	wake(p.owed()) // then neighbours are asked for it
	if p.started && p.model.Started() && !p.ended {
		if !p.stalled {
			wake(p.expected())
		}
		wake(p.patience())
	}
	if !p.waiting.IsZero() {
		wake(p.waiting.Add(restartGrace))
	}
	if !p.started && len(p.tl.segs) > 0 {
		wake(p.born.Add(startPatience))
	}
	return t
}

// earlier returns the earlier of two times of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// forward puts out the next piece, or goes over to the next segment; false if
// it can do neither.
func (p *Player) forward(now time.Time) bool {
	r := p.tl.find(p.at.Epoch, p.at.Seq)
	if r != nil {
		if p.at.Index < len(r.pieces) && r.pieces[p.at.Index] != nil {
			e := r.pieces[p.at.Index]
			p.tl.release(r, p.at.Index+1)
			p.put(now, e, 0, false)
			return true
		}
		if p.at.Index < max(r.count, r.known) {
			return false // a hole
		}
	}
	complete := r != nil && r.count > 0
	atEnd := p.endsAt(p.at)
	n := p.tl.next(p.at.Epoch, p.at.Seq)
	if n == nil || len(n.pieces) == 0 || n.pieces[0] == nil {
		if atEnd && !p.ended && (n == nil || n.epoch != p.at.Epoch) {
			p.ended, p.stalled = true, false
			p.closeSegment(r)
			p.out.Push(Output{Record: segment.Record{Kind: segment.KindEnd, End: p.end}})
			p.tell(Event{Kind: End, Piece: p.last})
		}
		return false
	}
	first := n.pieces[0].rec.Piece
	if first.Prev != nil {
		if !complete || first.Prev.Epoch != p.at.Epoch || first.Prev.Seq != p.at.Seq || first.Prev.Pieces != p.at.Index {
			return false
		}
		p.closeSegment(r)
		p.enter(n)
		return true
	}
	if !atEnd {
		// The old stream's last words may still be on their way.
		if p.waiting.IsZero() {
			p.waiting = now
		}
		if now.Before(p.waiting.Add(restartGrace)) {
			return false
		}
	}
	return p.restart(now, r, n)
}

// endsAt reports whether the stream is known to end before id.
func (p *Player) endsAt(id segment.ID) bool {
	return p.end != nil && p.end.Last == (segment.Link{Epoch: id.Epoch, Seq: id.Seq, Pieces: id.Index})
}

// closeSegment puts out the record of a segment whose last piece was put out.
func (p *Player) closeSegment(r *run) {
	if r != nil && r.record != nil {
		p.out.Push(Output{Record: *r.record})
		r.record = nil
	}
}

func (p *Player) enter(n *run) {
	p.at = segment.ID{Epoch: n.epoch, Seq: n.seq}
	p.tl.drop(p.at)
	p.waiting = time.Time{}
}

// restart goes over to a new stream, which n begins. Its first bytes are the
// init that its first keyframe needs; false if that is not known yet.
func (p *Player) restart(now time.Time, r, n *run) bool {
	if n.pieces[0].rec.Piece.Partial {
		return p.jumpTo(now, n.epoch, Restart)
	}
	init, ok := p.opening(n)
	if !ok {
		return false
	}
	if init.rec.Init.Copy {
		return p.jumpTo(now, n.epoch, Restart)
	}
	p.closeSegment(r)
	p.enter(n)
	p.ended = false
	p.rebuffer(now)
	p.tell(Event{Kind: Restart, Piece: p.at})
	p.out.Push(Output{Record: init.rec, Source: init.source})
	p.inForce = init.rec.Init.Hash
	return true
}

// rebuffer lets a model player that has run dry begin anew with a full buffer,
// as players do when a stream does.
func (p *Player) rebuffer(now time.Time) {
	if !now.Before(p.expected()) {
		p.model = measure.NewPlayer(p.cfg.Buffer)
	}
}

// opening returns the init that a stream begins with: its first keyframe names
// it.
func (p *Player) opening(n *run) (heldInit, bool) {
	for _, e := range n.pieces {
		if e == nil {
			return heldInit{}, false
		}
		if k := e.rec.Piece.Keyframes; len(k) > 0 {
			h, ok := p.init(k[0].Init)
			if !ok {
				p.asks.wantInit(k[0].Init)
			}
			return h, ok
		}
	}
	if n.count == 0 || len(n.pieces) < n.count {
		return heldInit{}, false
	}
	// A whole segment without a keyframe: the newest init that opens a stream.
	for i := len(p.inits) - 1; i >= 0; i-- {
		if !p.inits[i].rec.Init.Copy {
			return p.inits[i], true
		}
	}
	return heldInit{}, false
}

func (p *Player) init(h segment.Hash) (heldInit, bool) {
	for _, i := range p.inits {
		if i.rec.Init.Hash == h {
			return i, true
		}
	}
	return heldInit{}, false
}

// put gives a piece out and tells the model player.
func (p *Player) put(now time.Time, e *entry, skip int, begin bool) {
	d := e.rec.Piece
	switch {
	case !p.model.Started():
		p.model.Start(now, d.DTS)
	case d.Epoch != p.last.Epoch || d.Disc || d.DTS < p.lastDTS || d.DTS-p.lastDTS > maxStep:
		p.model.Jump(d.DTS)
	default:
		// Remembered for a while, so that one pause does not stay for ever.
		p.step = max(d.DTS-p.lastDTS, p.step-p.step/64, 40)
	}
	late := now.Sub(p.model.Deadline(d.DTS))
	p.model.Play(d.DTS, now)
	if late > 0 {
		if !p.stalled {
			p.tell(Event{Kind: Stall, Piece: d.ID})
		}
		p.tell(Event{Kind: Resume, Piece: d.ID, Late: late})
	}
	p.stalled, p.stuck = false, time.Time{}
	p.aside(d)
	p.last, p.lastDTS = d.ID, d.DTS
	p.at = segment.ID{Epoch: d.Epoch, Seq: d.Seq, Index: d.Index + 1}
	p.out.Push(Output{Record: e.rec, Skip: skip, Source: e.source, Ingest: e.ingest, Begin: begin})
	p.asks.forget(d.ID)
}

// aside puts out the copy of an init that a keyframe of the next piece names, if
// it is another than the last one: whoever keeps the records needs it for those
// who join there. Its bytes stand in the stream already, so none are to be
// written.
func (p *Player) aside(d *segment.Piece) {
	for _, k := range d.Keyframes {
		if k.Init == p.inForce || k.Init.IsZero() {
			continue
		}
		h, ok := p.init(k.Init)
		if !ok {
			p.asks.wantInit(k.Init)
			continue
		}
		p.inForce = k.Init
		p.out.Push(Output{Record: h.rec, Source: h.source, Skip: len(h.rec.Body)})
	}
}

// expected returns when the player will have nothing to play unless the next
// piece comes.
func (p *Player) expected() time.Time { return p.model.Deadline(p.lastDTS + p.step) }

// checkStall tells at once that the player waits; how long is told when it ends.
func (p *Player) checkStall(now time.Time) {
	if p.model.Started() && !p.stalled && !p.ended && !now.Before(p.expected()) {
		p.stalled = true
		p.tell(Event{Kind: Stall, Piece: p.at})
	}
}

// checkStuck notes since when the player stands before a hole, with something
// behind it. While nothing is behind it, there is nothing to jump to, and the
// stream may just have paused.
func (p *Player) checkStuck(now time.Time) {
	newest, ok := p.tl.newest()
	if !p.stalled || !ok || newest.Compare(p.at) <= 0 {
		p.stuck = time.Time{}
	} else if p.stuck.IsZero() {
		p.stuck = now
	}
}

// patience returns when a hole is given up; zero if there is none.
func (p *Player) patience() time.Time {
	switch {
	case p.stuck.IsZero():
		return time.Time{}
	case p.cfg.NoOrigin:
		return p.stuck.Add(giveUpAlone)
	}
	return p.stuck.Add(giveUp)
}

// hopeless reports whether the output will never go on where it stands.
func (p *Player) hopeless(now time.Time) bool {
	if p.ended || !p.model.Started() {
		return false
	}
	late := p.patience()
	return p.lost || p.asks.gone(p.at) || !late.IsZero() && !now.Before(late)
}

// jump goes on at the next keyframe that can be decoded.
func (p *Player) jump(now time.Time) bool {
	return p.jumpTo(now, p.at.Epoch, Gap) || p.jumpTo(now, -1<<63, Gap)
}

// jumpTo goes on at the first keyframe behind the output's position, in an
// epoch not before the one given. It asks for an init if that is all that is
// missing.
func (p *Player) jumpTo(now time.Time, epoch int64, kind EventKind) bool {
	for _, r := range p.tl.segs {
		if r.epoch < epoch {
			continue
		}
		for _, e := range r.pieces {
			if e == nil || e.rec.Piece.ID.Compare(p.at) <= 0 {
				continue
			}
			if p.begin(now, e, kind) {
				return true
			}
		}
	}
	return false
}

// begin makes a piece with a keyframe the first of a run; kind 0 is the start.
func (p *Player) begin(now time.Time, e *entry, kind EventKind) bool {
	d := e.rec.Piece
	for _, k := range d.Keyframes {
		h, ok := p.init(k.Init)
		if !ok {
			p.asks.wantInit(k.Init)
			continue
		}
		p.beginAt(now, e, h, k.Offset, kind)
		return true
	}
	return false
}

func (p *Player) beginAt(now time.Time, e *entry, h heldInit, skip int, kind EventKind) {
	d := e.rec.Piece
	if kind == Gap {
		p.Gaps++
	}
	if kind != 0 {
		p.tell(Event{Kind: kind, Piece: d.ID})
		p.rebuffer(now)
	}
	p.started, p.lost, p.ended, p.waiting = true, false, false, time.Time{}
	p.out.Push(Output{Record: h.rec, Source: h.source, Begin: true, Gap: kind == Gap})
	p.inForce = h.rec.Init.Hash
	if r := p.tl.find(d.Epoch, d.Seq); r != nil {
		p.tl.release(r, d.Index+1)
	}
	p.put(now, e, skip, true)
	p.tl.drop(p.at)
	p.asks.drop(p.at)
}

// tryStart begins the output when there is something to begin with.
func (p *Player) tryStart(now time.Time) {
	patient := now.Before(p.born.Add(startPatience))
	anything := p.cfg.Start.Mode == Live || p.cfg.Start.Mode == At || p.cfg.NoOrigin || !patient
	newest := p.cfg.Start.Mode == Live
	for i := range p.tl.segs {
		if newest {
			i = len(p.tl.segs) - 1 - i
		}
		r := p.tl.segs[i]
		for j := range r.pieces {
			if newest {
				j = len(r.pieces) - 1 - j
			}
			e := r.pieces[j]
			if e == nil || !(anything || e.start) || p.cfg.Start.Mode == At && !p.enters(e.rec.Piece.ID, patient) {
				continue
			}
			if !newest && p.beginStream(now, e) || p.begin(now, e, 0) {
				return
			}
		}
	}
	// A stream without keyframes, audio alone, is played from where the origin
	// began.
	if newest {
		for _, r := range p.tl.segs {
			for _, e := range r.pieces {
				if e != nil && e.start && p.beginStream(now, e) {
					return
				}
			}
		}
	}
}

// enters reports whether the output may begin with a piece where its place was
// given: what lies behind its segment only when that does not come.
func (p *Player) enters(id segment.ID, patient bool) bool {
	at := p.cfg.Start.At
	return id.Compare(at) >= 0 && (!patient || id.Epoch == at.Epoch && id.Seq == at.Seq)
}

// beginStream starts with the stream's very first piece, keyframe or not.
func (p *Player) beginStream(now time.Time, e *entry) bool {
	if d := e.rec.Piece; d.Index != 0 || d.Prev != nil || d.Partial {
		return false
	}
	for i := len(p.inits) - 1; i >= 0; i-- {
		if !p.inits[i].rec.Init.Copy {
			p.beginAt(now, e, p.inits[i], 0, 0)
			return true
		}
	}
	return false
}
