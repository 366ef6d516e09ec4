package swarm

import (
	"time"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
)

// Verify checks a record that came from elsewhere than a neighbour.
func (s *Swarm) Verify(rec *segment.Record) error { return s.verify.Verify(rec) }

// onPiece takes a piece from a neighbour: verify, keep, hand on.
func (s *Swarm) onPiece(now time.Time, n *neighbour, m *wire.PieceMessage) {
	d, err := s.verify.ParsePiece(m.Descriptor)
	if err != nil || d.Index >= maxKnown {
		s.Meter.Bad++
		s.leave(now, n, wire.ByeProtocol, true, "sent a descriptor that is none")
		return
	}
	if s.win.past(d.ID) || s.win.get(d.ID) != nil {
		n.dup += int64(len(m.Body))
		s.Meter.Duplicate += int64(len(m.Body))
		n.have.add(d.ID)
		s.want.answered(now, n, d.ID, len(m.Body), m.Flags&wire.PieceAsked != 0)
		// The origin was faster. The others wait for us all the same, and the
		// swarm has shown that it brings what is new.
		if h := s.win.get(d.ID); h != nil && h.piece.SHA256 == d.SHA256 {
			s.lastGot = now
			if m.Flags&wire.PieceAsked == 0 && !h.missed.IsZero() && !n.seed {
				s.want.lateBy(now, h.missed)
			}
			if m.Flags&wire.PieceDistribute != 0 && (!h.spread && !h.shared || m.Flags&wire.PieceAgain != 0) {
				s.passOn(now, h, n, true, false)
			}
		}
		return
	}
	rec := segment.Record{Kind: segment.KindPiece, Piece: d, Body: m.Body}
	if err := s.verify.Verify(&rec); err != nil {
		s.Meter.Polluted += int64(len(m.Body))
		s.ledger.polluted(now, n, len(m.Body))
		s.leave(now, n, wire.ByePolluted, true, "sent bytes that the room's key did not sign")
		return
	}
	n.have.add(d.ID)
	n.serve(now)
	why := ""
	if s.cfg.Explain {
		why = s.want.why(now, n, d.ID, m.Flags)
	}
	h := &held{piece: d, desc: s.verify.Keep(d, m.Descriptor), body: m.Body, ingest: m.IngestMS, hops: min(m.Hops, 1<<16) + 1}
	if m.Flags&(wire.PieceDistribute|wire.PieceAsked) == 0 {
		h.shared = true
	}
	if miss := s.want.misses[d.ID]; miss != nil && miss.peer == n.id && !miss.heard {
		h.missed = miss.since
	}
	asked := s.want.answered(now, n, d.ID, len(m.Body), m.Flags&wire.PieceAsked != 0)
	s.want.fade()
	if !s.keep(now, h) {
		return
	}
	n.in += int64(len(m.Body))
	s.ledger.got(now, n, len(m.Body))
	s.Meter.Received[n.source()] += int64(len(m.Body))
	if n.toll > 0 {
		s.Meter.InterZone += int64(len(m.Body))
	}
	s.lastGot = now
	if m.IngestMS > 0 {
		s.lag = now.Sub(time.UnixMilli(int64(min(m.IngestMS, 1<<53))))
	}
	s.act(Action{Kind: Got, Peer: n.id, Record: rec, Source: n.source(), Ingest: m.IngestMS, Why: why})
	s.passOn(now, h, n, m.Flags&wire.PieceDistribute != 0, asked)
	s.trim(now)
}

// keep stores a verified piece and learns from it which others exist.
func (s *Swarm) keep(now time.Time, h *held) bool {
	if !s.win.put(now, h) {
		return false
	}
	id := h.piece.ID
	if len(h.piece.Keyframes) > 0 {
		s.keyed(id)
	}
	s.cfg.Polite.took(len(h.body))
	s.want.got(s, now, id)
	s.exists(now, id, false, true)
	if p := h.piece.Prev; p != nil {
		s.whole(now, *p)
	}
	s.guess(now, h)
	if id.Compare(s.newest) > 0 {
		s.newest, s.newestAt = id, now
		if s.behind() {
			s.gain(now, h.piece.DTS)
		}
	}
	if s.hedging(now) {
		s.want.wake = earlier(s.want.wake, s.newestAt.Add(silence))
	}
	return true
}

// whole notes how many pieces a segment has, which ends what neighbours may
// say of it.
func (s *Swarm) whole(now time.Time, l segment.Link) {
	last := segment.ID{Epoch: l.Epoch, Seq: l.Seq, Index: l.Pieces - 1}
	if l.Pieces <= 0 || s.win.past(last) {
		return
	}
	s.exists(now, last, false, true)
	p := s.win.find(l.Epoch, l.Seq)
	if p == nil {
		return
	}
	p.count = l.Pieces
	for ; p.known > p.count; p.known-- {
		s.want.got(s, now, segment.ID{Epoch: l.Epoch, Seq: l.Seq, Index: p.known - 1})
	}
}

// exists notes that a piece exists, and so all before it in its segment.
// proved: the room's key says so; else a neighbour does. told: a neighbour has
// had it for a while.
func (s *Swarm) exists(now time.Time, id segment.ID, told, proved bool) {
	if id.Index < 0 || id.Index >= maxKnown {
		return
	}
	p := s.win.find(id.Epoch, id.Seq)
	if p == nil && !proved {
		if n, last := s.win.words(); n >= maxWords {
			x := segment.ID{Epoch: last.epoch, Seq: last.seq}
			if id.Compare(x) >= 0 {
				return
			}
			s.disbelieve(now, x)
		}
	}
	if p == nil {
		if p = s.win.open(now, id.Epoch, id.Seq); p == nil {
			return
		}
	}
	switch {
	case proved:
		p.sure = max(p.sure, id.Index+1)
	case p.count > 0:
		return
	default:
		id.Index = min(id.Index, p.sure+maxAhead-1)
	}
	if p.known > id.Index {
		return
	}
	from := p.known
	p.known = id.Index + 1
	if !s.cfg.Seed {
		s.want.discover(now, p, from, told)
	}
}

// Store takes a verified record that came from the origin: others may lack it.
func (s *Swarm) Store(now time.Time, rec segment.Record, ingest uint64) {
	switch rec.Kind {
	case segment.KindPiece:
		h := &held{piece: rec.Piece, desc: segment.AppendPiece(nil, rec.Piece), body: rec.Body, ingest: ingest}
		if s.keep(now, h) {
			s.passOn(now, h, nil, false, true)
			s.trim(now)
		}
	case segment.KindInit:
		s.keepInit(rec)
	case segment.KindSegment:
		s.keepClosing(rec)
	case segment.KindEnd:
		s.end = &rec
	}
	s.run(now)
}

// passOn hands a new piece on, if that is ours to do, and lets the others know
// of it.
func (s *Swarm) passOn(now time.Time, h *held, from *neighbour, distribute, fetched bool) {
	if s.cfg.Seed || !s.may(len(h.body)) {
		return
	}
	id := h.piece.ID
	defer s.satisfy(now, h) // behind those to whom it goes anyway
	switch {
	case s.flows():
		s.flow(now, h, from)
	case distribute && from != nil:
		h.spread = true
		s.willing(now, &s.view, 0)
		s.top.Route(&s.feed, topology.Piece(id), topology.ID(from.id), &s.route)
		if len(s.route.Push) == 0 && len(s.route.Tell) == 0 {
			s.routeUnknown(from)
		}
		s.pushAll(now, h, s.route.Push)
	case fetched && !s.mesh():
		// Whoever had to fetch it is the first of its group to have it, as far as
		// it knows: the others wait for it, and so do those below.
		h.spread, h.fetched = true, !s.livesOnStream(now)
		s.willing(now, &s.view, 0)
		s.top.Route(&s.feed, topology.Piece(id), 0, &s.route)
		s.pushAll(now, h, s.route.Push)
	}
	if !s.flows() {
		s.tell(now, id, fetched && !s.livesOnStream(now) || s.mesh() && distribute)
	}
	if len(h.piece.Keyframes) > 0 {
		for _, n := range s.peers {
			if n.ready() && n.starts && !n.seed && now.Sub(n.since) < startsFor {
				s.sayKey(n) // it may not have begun yet
			}
		}
	}
}

// routeUnknown routes a piece from one that our list does not have yet: it stands
// above us, for only those ask for distribution.
func (s *Swarm) routeUnknown(from *neighbour) {
	for _, m := range s.feed.Members {
		if !m.Seed && m.ID != s.view.Self && m.ID != topology.ID(from.id) && m.Tier == topology.Fellow {
			s.route.Push = append(s.route.Push, m.ID)
		}
	}
}

// onInit takes an init.
func (s *Swarm) onInit(now time.Time, n *neighbour, m *wire.InitMessage) {
	rec, _, err := segment.ParseStored(m.Descriptor)
	if err != nil || rec.Kind != segment.KindInit {
		s.Meter.Bad++
		s.leave(now, n, wire.ByeProtocol, true, "sent an init's descriptor that is none")
		return
	}
	rec.Body = m.Body
	if err := s.verify.Verify(&rec); err != nil {
		s.Meter.Polluted += int64(len(m.Body))
		s.ledger.polluted(now, n, len(m.Body))
		s.leave(now, n, wire.ByePolluted, true, "sent an init that the room's key did not sign")
		return
	}
	if s.keepInit(rec) {
		s.act(Action{Kind: Got, Peer: n.id, Record: rec, Source: n.source()})
		s.passInit(&s.inits[len(s.inits)-1])
	}
}

// keepInit stores an init; false if it is here already.
func (s *Swarm) keepInit(rec segment.Record) bool {
	for i := range s.inits {
		if s.inits[i].rec.Init.Hash == rec.Init.Hash && s.inits[i].rec.Init.Copy == rec.Init.Copy {
			return false
		}
	}
	if len(s.inits) == maxInits {
		s.inits = append(s.inits[:0], s.inits[1:]...)
	}
	s.inits = append(s.inits, heldInit{rec, segment.AppendStored(nil, &rec, "")})
	return true
}

func (s *Swarm) sendInit(n *neighbour, i *heldInit) {
	head := wire.AppendInitHead(nil, s.tag, i.desc)
	s.act(Action{Kind: Send, Peer: n.id, Priority: prioControl, Data: [][]byte{head, i.rec.Body}})
}

// AskInit asks neighbours for an init that a keyframe names: the nearest who
// feeds us, and one at random, for they may lack it too.
func (s *Swarm) AskInit(h segment.Hash) {
	var best, dice *neighbour
	count := 0
	for _, n := range s.peers {
		if !n.ready() {
			continue
		}
		if best == nil || n.tier < best.tier || n.tier == best.tier && n.rtt() < best.rtt() {
			best = n
		}
		if count++; s.cfg.Rand.IntN(count) == 0 {
			dice = n
		}
	}
	if best != nil {
		s.control(best, wire.AppendAskInit(nil, s.tag, h))
	}
	if dice != nil && dice != best {
		s.control(dice, wire.AppendAskInit(nil, s.tag, h))
	}
}

func (s *Swarm) onAskInit(n *neighbour, h segment.Hash) {
	for i := range s.inits {
		if s.inits[i].rec.Init.Hash == h {
			s.sendInit(n, &s.inits[i])
			return
		}
	}
}

// onRecord takes a segment or end record, and hands it on as a piece would be.
func (s *Swarm) onRecord(now time.Time, n *neighbour, m *wire.RecordMessage) {
	rec, _, err := segment.ParseStored(m.Descriptor)
	if err != nil || rec.Kind != segment.KindSegment && rec.Kind != segment.KindEnd {
		s.Meter.Bad++
		s.leave(now, n, wire.ByeProtocol, true, "sent a record that is none")
		return
	}
	if err := s.verify.Verify(&rec); err != nil {
		s.ledger.polluted(now, n, 0) // its bytes are no payload
		s.leave(now, n, wire.ByePolluted, true, "sent a record that the room's key did not sign")
		return
	}
	if rec.Kind == segment.KindSegment && !s.keepClosing(rec) {
		return
	}
	if rec.Kind == segment.KindEnd {
		if s.end != nil && s.end.End.Last == rec.End.Last {
			return
		}
		s.end = &rec
	}
	if rec.Kind == segment.KindSegment && !s.flows() {
		s.whole(now, rec.Segment.Link()) // where pieces flow in order, it has only overtaken the last of them
	}
	s.act(Action{Kind: Got, Peer: n.id, Record: rec, Source: n.source()})
	if s.flows() && s.uploads() {
		s.flowRecord(n, m.Descriptor)
	} else if m.Flags&wire.PieceDistribute != 0 && s.may(len(m.Descriptor)) {
		msg := wire.AppendRecord(nil, s.tag, 0, m.Descriptor)
		for _, o := range s.peers {
			if o != n && o.ready() && !o.seed {
				s.control(o, msg)
			}
		}
	}
}

// keepClosing notes a segment's record; false if it is here already.
func (s *Swarm) keepClosing(rec segment.Record) bool {
	e, q := rec.Segment.Epoch, rec.Segment.Seq
	for i := len(s.closed) - 1; i >= 0; i-- {
		if c := &s.closed[i]; c.epoch == e && c.seq == q {
			return false
		}
	}
	if len(s.closed) >= maxParts {
		s.closed = append(s.closed[:0], s.closed[1:]...)
	}
	s.closed = append(s.closed, closing{epoch: e, seq: q})
	return true
}
