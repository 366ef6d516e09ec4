package swarm

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
)

// want is the asking side: what is missing, who was asked, when to ask again.
type want struct {
	on       bool
	from     segment.ID // pieces before it are not wanted
	began    segment.ID // the first that was ever wanted
	line     Line
	streams  time.Time // since when the line does
	misses   map[segment.ID]*miss
	order    []*miss // the same, in stream order
	wake     time.Time
	crowded  bool // whoever has some of it is asked as much as he may be: one who has answered can be asked
	covered  bool // the neighbours have brought everything, once
	patience patience
	shaken   time.Time     // others have left: until then what is late counts as lost
	late     time.Duration // how much later than its followers a pushed piece may come: a maximum that fades
}

// A miss is a piece that exists and is not here.
type miss struct {
	id    segment.ID
	since time.Time // we know of it
	next  time.Time // not to be asked for before
	peer  Peer      // who was asked; 0: nobody
	at    time.Time // when
	until time.Time // when an answer should be here
	tries int
	tried []Peer
	kept  []Peer    // those above who were too slow, and keep our request
	far   time.Time // of those who have it all are in other zones: not before; zero: not looked at
	heard bool      // a neighbour has it to give, and it will not come by itself
	need  time.Time // when somebody below needs it, who waits for us; zero: nobody does
}

func (m *miss) compare(id segment.ID) int { return m.id.Compare(id) }

// A Line says when the player needs what: DTS at At, in stream time from there
// on. The zero Line: nobody plays yet.
type Line struct {
	Epoch, DTS int64
	At         time.Time
	// Backstop is how long before its time a piece comes from elsewhere, if it has
	// not come by then; 0: it will not.
	Backstop time.Duration
	// Streams says that the origin brings the stream from here on.
	Streams bool
}

// Our choices.
const (
	graceMin    = 150 * time.Millisecond
	graceMax    = 800 * time.Millisecond
	lateFade    = 128                     // pieces
	shakenTime  = 1500 * time.Millisecond // for the others to have found their places
	seedAfter   = 250 * time.Millisecond  // in a mesh: how long a piece that nobody has is waited for
	timeoutMin  = 150 * time.Millisecond
	timeoutMax  = 1500 * time.Millisecond
	retryNobody = 100 * time.Millisecond  // nobody could be asked: look again
	urgentSlack = 150 * time.Millisecond  // beside three round trips
	gather      = 5 * time.Millisecond    // requests that become ready a little later go along
	horizon     = 2500 * time.Millisecond // before its time a piece is not asked for, where pieces are pushed
	maxMisses   = 8192
	startWait   = 100 * time.Millisecond // before what follows the first picture is looked at again
	ownerWait   = 300 * time.Millisecond // for the fellow whose piece it is to fetch it for all
	freshPieces = 8                      // of those that a newcomer hears of, the newest are still being handed round
	surelyAfter = 500 * time.Millisecond // then those above have what we lack, or know that they lack it
	guesses     = 2                      // fellows who are asked although they did not say that they have it
	queueTime   = 300 * time.Millisecond // of answers that a neighbour may have in its queue for us
	typicalSize = 16 << 10
)

func (w *want) init() {
	w.misses = map[segment.ID]*miss{}
}

// SetWant tells where the player stands: the next piece that it needs, and
// when it needs what. Nothing is asked for before the first call.
func (s *Swarm) SetWant(now time.Time, from segment.ID, line Line) {
	w := &s.want
	if line.Backstop == 0 && w.line.Backstop > 0 && len(w.order) > 0 {
		w.wake = earlier(w.wake, now) // what was left to the origin
	}
	if line.Streams && !w.line.Streams {
		w.streams = now
	}
	w.line = line
	if w.on && from.Compare(w.from) == 0 || s.cfg.Seed {
		return
	}
	first := !w.on || from.Compare(w.from) < 0
	if first || s.starting() && from.Compare(w.began) > 0 {
		w.began = from
		for _, n := range s.peers {
			if n.ready() && !n.seed {
				s.tellFrom(n)
			}
		}
	}
	w.on, w.from = true, from
	w.drop(s, from)
	if first {
		for i, p := range s.win.segs {
			w.discover(now, p, 0, true)
			// The newest may be on their way to us.
			if i == len(s.win.segs)-1 && !s.mesh() {
				for j := max(0, p.known-freshPieces); j < p.known; j++ {
					if m := w.misses[segment.ID{Epoch: p.epoch, Seq: p.seq, Index: j}]; m != nil {
						m.heard = false
					}
				}
			}
		}
	}
	s.run(now)
}

// drop forgets what is before a position.
func (w *want) drop(s *Swarm, from segment.ID) {
	n := 0
	for n < len(w.order) && w.order[n].id.Compare(from) < 0 {
		m := w.order[n]
		if o := s.peer(m.peer); m.peer != 0 && o != nil {
			o.asked--
		}
		delete(w.misses, m.id)
		n++
	}
	w.order = slices.Delete(w.order, 0, n)
}

// discover notes which pieces of a segment, from an index on, are missing.
// heard: a neighbour speaks of them; else they are just late.
func (w *want) discover(now time.Time, p *part, from int, heard bool) {
	if !w.on {
		return
	}
	for i := from; i < p.known; i++ {
		id := segment.ID{Epoch: p.epoch, Seq: p.seq, Index: i}
		if i < len(p.pieces) && p.pieces[i] != nil || id.Compare(w.from) < 0 || w.misses[id] != nil {
			continue
		}
		if n := len(w.order); n >= maxMisses {
			// What is nearer to the player matters more.
			last := w.order[n-1]
			if id.Compare(last.id) >= 0 || last.peer != 0 {
				continue
			}
			delete(w.misses, last.id)
			w.order = w.order[:n-1]
		}
		at, _ := slices.BinarySearchFunc(w.order, id, (*miss).compare)
		m := &miss{id: id, since: now, heard: heard}
		w.order = slices.Insert(w.order, at, m)
		w.misses[id] = m
		w.wake = earlier(w.wake, now.Add(gather))
	}
}

// heard notes that a neighbour holds pieces that are missing here. mesh: nobody
// brings them unasked.
func (w *want) heard(now time.Time, r wire.Run, mesh bool) {
	r.Each(func(i int) {
		if m := w.misses[segment.ID{Epoch: r.Epoch, Seq: r.Seq, Index: i}]; m != nil && (!m.heard || mesh && m.peer == 0) {
			m.heard, m.next = true, time.Time{}
			if mesh {
				w.wake = now // each hop waits for it, and words come one by one
			} else {
				w.wake = earlier(w.wake, now.Add(gather))
			}
		}
	})
}

// again looks at everything anew: there are other neighbours.
func (w *want) again(now time.Time) {
	for _, m := range w.order {
		m.next = time.Time{}
	}
	if len(w.order) > 0 {
		w.wake = earlier(w.wake, now)
	}
}

// answered notes that a piece came from a neighbour, and reports whether it was
// asked for it: asked, by its own word, which may be long ago.
func (w *want) answered(now time.Time, n *neighbour, id segment.ID, size int, asked bool) bool {
	m := w.misses[id]
	switch {
	case m == nil:
		return false
	case m.peer != n.id:
		if !m.heard && !asked {
			w.lateBy(now, m.since) // it came by itself
		}
		return asked
	}
	n.asked--
	m.peer = 0
	w.freed(now)
	took := now.Sub(m.at)
	w.patience.answered(took - n.leastTrip())
	if took > 0 {
		n.rate += (float64(size)*float64(n.asked+1)/took.Seconds() - n.rate) / 8
	}
	return true
}

// freed notes that a neighbour may be asked for more.
func (w *want) freed(now time.Time) {
	if w.crowded {
		w.wake = earlier(w.wake, now)
	}
}

// lateBy notes how late a pushed piece was. Such lateness comes in bursts, with
// the large frames, so what is remembered is the greatest of the last few
// seconds, and a little more.
func (w *want) lateBy(now, since time.Time) {
	if d := now.Sub(since); !now.Before(w.shaken) {
		w.late = max(w.late, min(d+d/4, graceMax))
	}
}

// shake notes that others have left who may have been about to bring pieces: for
// a while what is late is more likely lost, and how late it comes says nothing.
func (w *want) shake(now time.Time) {
	w.shaken = now.Add(shakenTime)
	w.wake = earlier(w.wake, now.Add(gather))
}

// hedgeTime is how long after others have left the origin is no backstop: all who
// have lost neighbours ask it, and it cannot answer all of them in time.
const hedgeTime = 3 * time.Second

func (s *Swarm) hedging(now time.Time) bool {
	return !s.want.shaken.IsZero() && now.Sub(s.want.shaken) < hedgeTime-shakenTime
}

// fade forgets a little with every piece that comes.
func (w *want) fade() { w.late -= w.late / lateFade }

// got takes a piece off the list, and calls off who else was asked for it.
func (w *want) got(s *Swarm, now time.Time, id segment.ID) {
	m := w.misses[id]
	if m == nil {
		return
	}
	if o := s.peer(m.peer); o != nil {
		o.asked--
		w.freed(now)
		s.cancel(o, id)
	}
	for _, p := range m.kept {
		if o := s.peer(p); o != nil && p != m.peer {
			s.cancel(o, id)
		}
	}
	delete(w.misses, id)
	if i, ok := slices.BinarySearchFunc(w.order, id, (*miss).compare); ok {
		w.order = slices.Delete(w.order, i, i+1)
	}
}

// hurry notes that somebody below needs a missing piece by a time: then it is as
// urgent here, however much our own player has in store.
func (w *want) hurry(now time.Time, m *miss, need time.Time, answer time.Duration) {
	if !m.need.IsZero() && !need.Before(m.need) {
		return
	}
	m.need = need
	if m.peer != 0 {
		m.until = earlier(m.until, later(now, m.at.Add(answer)))
	}
	w.wake = earlier(w.wake, now.Add(gather))
}

// left notes that a neighbour is gone: what it was asked for is open again.
func (w *want) left(now time.Time, id Peer) {
	for _, m := range w.order {
		if m.peer == id {
			m.peer, m.next = 0, now
			w.wake = earlier(w.wake, now)
		}
	}
}

// grace is how long a piece may be late before it is asked for.
func (s *Swarm) grace(now time.Time) time.Duration {
	w := &s.want
	if now.Before(w.shaken) {
		return max(graceMin, 2*s.typicalRTT())
	}
	return min(max(graceMin, 2*s.typicalRTT(), w.late), graceMax)
}

// due returns when the player needs a missing piece, whose DTS is at least that
// of the piece before it; zero if nobody plays.
func (s *Swarm) due(id segment.ID) time.Time {
	l := s.want.line
	if l.At.IsZero() {
		return time.Time{}
	}
	dts := l.DTS
	if id.Epoch == l.Epoch {
		i, ok := s.win.search(id.Epoch, id.Seq)
		from := id.Index
		for range 3 { // this segment and the two before
			if ok && i >= 0 && i < len(s.win.segs) && s.win.segs[i].epoch == id.Epoch {
				p := s.win.segs[i]
				for j := min(from, len(p.pieces)) - 1; j >= 0; j-- {
					if h := p.pieces[j]; h != nil {
						return l.At.Add(time.Duration(max(h.piece.DTS, dts)-dts) * time.Millisecond)
					}
				}
			}
			i, ok, from = i-1, true, maxKnown
		}
	}
	return l.At
}

// runWant asks for what is missing and was given its chance.
func (s *Swarm) runWant(now time.Time) {
	w := &s.want
	if w.wake.IsZero() || now.Before(w.wake) || s.cfg.Seed {
		return
	}
	w.wake = time.Time{}
	if s.mesh() {
		s.runPull(now)
		return
	}
	s.listen(now)
	type ready struct {
		id     segment.ID
		m      *miss
		urgent bool
		due    time.Time
		rarity int
		dice   uint32
	}
	var list []ready
	grace := s.grace(now)
	slack := urgentSlack + 3*s.typicalRTT()
	var lost []segment.ID
	starting, open := s.starting(), 0
	backstop := w.line.Backstop
	if s.hedging(now) {
		backstop = 0
	}
	for place, m := range w.order {
		id := m.id
		if m.peer != 0 {
			if now.Before(m.until) {
				w.wake = earlier(w.wake, m.until)
				if now.Sub(m.at) < patientLong {
					open++
				}
				continue
			}
			s.timedOut(now, id, m)
		}
		own := s.due(id)
		due := earlier(own, m.need)
		// The origin is the surest source of what we need soon, but not for those
		// below who need it sooner.
		others := !m.need.IsZero() && (own.IsZero() || m.need.Before(own))
		hurry := backstop == 0 || others || now.After(own)
		urgent := hurry && !due.IsZero() && now.Add(slack).After(due) || starting && place < startAhead
		at := m.next
		if m.tries == 0 && !urgent && !s.alone(now) {
			switch {
			case !s.mesh() && !m.heard:
				at = later(at, m.since.Add(grace))
			case s.mesh() && !m.heard:
				at = later(at, m.since.Add(graceMin))
			}
			switch {
			case due.IsZero():
				if starting && !s.mesh() {
					at = later(at, now.Add(startWait)) // the first picture first
				}
			case at.After(due.Add(-slack)):
				at = due.Add(-slack)
			case !s.mesh():
				// What is needed later may yet come by itself, and others may need
				// something sooner; but not for ever: who has fallen behind catches up.
				if t := due.Add(-horizon); t.Before(m.since.Add(horizon)) {
					at = later(at, t)
				} else {
					at = later(at, m.since.Add(horizon))
				}
			}
		}
		if b := backstop; b > 0 && !own.IsZero() && own.Sub(now) < b+s.typicalRTT() && (now.Before(own) || s.behind()) && !due.Before(own) {
			// An answer would come when the origin's has: whoever would send it has
			// better things to send. If the origin has not answered by then, it is slow;
			// or our link is, if we are behind, and then both would take twice as long.
			if now.Before(own) {
				w.wake = earlier(w.wake, own)
			} else {
				w.wake = earlier(w.wake, now.Add(retryNobody))
			}
			continue
		}
		if (s.give.load.short || s.view.Short) && backstop > 0 && !others && !starting && !own.IsZero() && now.Before(own) && !m.heard && !s.ours(id) {
			// Those who have it have more to send than they can.
			w.wake = earlier(w.wake, own)
			continue
		}
		// The first of all is small, and nothing can be shown without it. Else, however
		// urgent it is to all of a group, it comes soonest when one of them asks for it.
		if m.tries == 0 && (!urgent || id != w.began) && !s.ours(id) {
			at = later(at, m.since.Add(ownerWait))
		}
		if now.Add(gather).Before(at) {
			w.wake = earlier(w.wake, at)
			continue
		}
		rarity := 0
		if !starting && (!urgent || s.unproved(id)) { // else nobody asks how rare it is
			for _, n := range s.peers {
				if n.have.has(id) {
					rarity++
				}
			}
			if rarity == 0 && s.unproved(id) && !s.guessed(id) {
				if !s.spokenOf(id) {
					lost = append(lost, id)
					continue
				}
				if !s.hedging(now) { // somebody will say that he has it
					w.wake = earlier(w.wake, now.Add(retryNobody))
					continue
				}
			}
		}
		list = append(list, ready{id, m, urgent, due, rarity, s.cfg.Rand.Uint32()})
	}
	for _, id := range lost {
		s.disbelieve(now, id)
	}
	slices.SortStableFunc(list, func(a, b ready) int {
		if a.urgent != b.urgent {
			if a.urgent {
				return -1
			}
			return 1
		}
		if a.urgent || starting || s.cfg.Patient {
			return a.id.Compare(b.id)
		}
		return cmp.Or(cmp.Compare(a.rarity, b.rarity), cmp.Compare(a.dice, b.dice))
	})
	batches := map[Peer]*[2][]batch{}
	w.crowded = false
	for _, r := range list {
		if w.misses[r.id] != r.m {
			continue // it was lost with another
		}
		if s.cfg.Patient && (!r.urgent || s.behind()) && !w.patience.room(open) {
			w.crowded = true // an answer will bring us back, or that it is urgent
			w.wake = earlier(w.wake, now.Add(retryNobody))
			continue
		}
		n := s.choose(now, r.id, r.m, r.urgent)
		if n == nil {
			r.m.next = now.Add(retryNobody)
			w.wake = earlier(w.wake, r.m.next)
			continue
		}
		r.m.peer, r.m.at, r.m.tries = n.id, now, r.m.tries+1
		r.m.until = now.Add(s.answerTime(n))
		if !r.urgent && !r.due.IsZero() {
			// It may take its time, as long as there is as much to ask another.
			r.m.until = later(r.m.until, now.Add(r.due.Add(-slack).Sub(now)/2))
		}
		if !slices.Contains(r.m.tried, n.id) {
			r.m.tried = append(r.m.tried, n.id)
		}
		n.asked++
		open++
		w.wake = earlier(w.wake, r.m.until)
		if starting && r.id == w.began && r.m.tries == 1 || r.m.tries > 1 && !r.due.IsZero() && now.After(r.due) && s.hedging(now) {
			// All waits for this one: whoever is first of two.
			o := s.holder(now, r.id, r.m, true, false)
			if o == nil {
				o = s.choose(now, r.id, r.m, true)
			}
			if o != nil && o != n && !o.seed {
				s.askFor(now, o, &batch{ids: []segment.ID{r.id}}, wire.WantUrgent)
			}
		}
		if batches[n.id] == nil {
			batches[n.id] = new([2][]batch)
		}
		b := &batches[n.id][0]
		if r.urgent {
			b = &batches[n.id][1]
		}
		*b = addTo(*b, r.id, r.due)
	}
	for _, n := range s.peers {
		if pair := batches[n.id]; pair != nil {
			for i := range pair[1] {
				s.askFor(now, n, &pair[1][i], wire.WantUrgent)
			}
			for i := range pair[0] {
				s.askFor(now, n, &pair[0][i], 0)
			}
		}
	}
}

// batchSpan is how far apart the times may be at which the pieces of one WANT
// are needed: it names one time for all.
const batchSpan = 200 * time.Millisecond

// addTo puts a piece into a batch of those that are needed at about the same
// time.
func addTo(list []batch, id segment.ID, due time.Time) []batch {
	for i := range list {
		if b := &list[i]; b.due.Equal(due) || due.Sub(b.due).Abs() < batchSpan {
			b.ids = append(b.ids, id)
			if due.Before(b.due) {
				b.due = due
			}
			return list
		}
	}
	return append(list, batch{[]segment.ID{id}, due})
}

// Turn reports whether it is our turn to fetch a piece from elsewhere: our whole
// group lacks it, or, in a mesh, nobody has been asked for it.
func (s *Swarm) Turn(id segment.ID) bool {
	if s.mesh() {
		m := s.want.misses[id]
		return m == nil || m.peer == 0
	}
	return s.ours(id)
}

// ours reports whether a missing piece is ours to fetch: some neighbour of our
// own group has it, or nobody has and it is our turn. Where all members of a
// group lack the same pieces, each fetches his and gives it to the others; else
// those above would be asked for each piece by everybody.
func (s *Swarm) ours(id segment.ID) bool {
	top, ok := s.top.(interface {
		Owner(*topology.View, topology.Piece) topology.ID
	})
	if !ok {
		return true
	}
	f := &s.feed
	f.Self, f.Group, f.Short, f.Members = s.view.Self, s.view.Group, s.view.Short, f.Members[:0]
	for i := range s.view.Members {
		m := &s.view.Members[i]
		if m.Seed || m.Tier != topology.Fellow {
			continue
		}
		if m.ID == s.view.Self {
			f.Members = append(f.Members, *m)
			continue
		}
		n := s.peer(Peer(m.ID))
		if n == nil || !n.ready() || !n.uploads {
			continue
		}
		if n.have.has(id) {
			return true
		}
		if n.behind {
			continue
		}
		f.Members = append(f.Members, *m)
		if n.uplink > 0 {
			f.Members[len(f.Members)-1].Uplink = n.uplink
		}
	}
	return top.Owner(f, topology.Piece(id)) == s.view.Self
}

// A batch is what goes into one WANT.
type batch struct {
	ids []segment.ID
	due time.Time
}

func (s *Swarm) askFor(now time.Time, n *neighbour, b *batch, flags byte) {
	if len(b.ids) == 0 {
		return
	}
	slices.SortFunc(b.ids, segment.ID.Compare)
	budget := uint64(0)
	if !b.due.IsZero() {
		budget = uint64(max(1, b.due.Sub(now).Milliseconds()))
	}
	for len(b.ids) > 0 {
		var runs []wire.Run
		i := 0
		for ; i < len(b.ids); i++ {
			var ok bool
			if runs, ok = wire.AppendToRuns(runs, b.ids[i].Epoch, b.ids[i].Seq, b.ids[i].Index); !ok {
				break
			}
		}
		s.control(n, wire.AppendWant(nil, s.tag, flags, budget, runs))
		b.ids = b.ids[max(i, 1):]
	}
}

// cancel calls a request off.
func (s *Swarm) cancel(n *neighbour, id segment.ID) {
	runs, _ := wire.AppendToRuns(nil, id.Epoch, id.Seq, id.Index)
	s.control(n, wire.AppendCancel(nil, s.tag, runs))
}

// timedOut gives a request up.
func (s *Swarm) timedOut(now time.Time, id segment.ID, m *miss) {
	if n := s.peer(m.peer); n != nil {
		n.asked--
		n.rate -= n.rate / 8
		n.fail(now, missesLimit)
		switch {
		case n.tier != topology.Above || n.gives(id):
			s.cancel(n, id)
		case !slices.Contains(m.kept, n.id):
			m.kept = append(m.kept, n.id) // it waits for the piece as we do, and sends it when it comes
		}
	}
	m.peer, m.next = 0, now
}

// unproved reports whether only neighbours speak of a piece.
func (s *Swarm) unproved(id segment.ID) bool {
	p := s.win.find(id.Epoch, id.Seq)
	return p == nil || id.Index >= p.sure
}

// spokenOf reports whether a neighbour has a piece by his word, or one behind it in
// its segment, so that it must exist.
func (s *Swarm) spokenOf(id segment.ID) bool {
	return slices.ContainsFunc(s.peers, func(n *neighbour) bool { return n.ready() && n.have.reaches(id) })
}

// disbelieve forgets what neighbours said of a segment from a piece on, as far as it
// is not proved, and the segment, if nothing is left.
func (s *Swarm) disbelieve(now time.Time, id segment.ID) {
	s.want.got(s, now, id)
	i, ok := s.win.search(id.Epoch, id.Seq)
	if !ok {
		return
	}
	p := s.win.segs[i]
	for ; p.known > max(p.sure, id.Index); p.known-- {
		s.want.got(s, now, segment.ID{Epoch: id.Epoch, Seq: id.Seq, Index: p.known - 1})
	}
	if p.known == 0 {
		s.win.segs = slices.Delete(s.win.segs, i, i+1)
	}
}

// onGone notes that a neighbour will not send what it was asked for, or was to
// push: because it lacks it, or because it has too much to send.
func (s *Swarm) onGone(now time.Time, n *neighbour, runs []wire.Run, lacks bool) {
	for _, r := range runs {
		r.Each(func(i int) {
			id := segment.ID{Epoch: r.Epoch, Seq: r.Seq, Index: i}
			if lacks {
				n.have.remove(id)
			} else {
				n.have.add(id)
			}
			m := s.want.misses[id]
			switch {
			case m == nil:
				if !lacks {
					s.exists(now, id, false, false)
				}
			case m.peer == n.id:
				n.asked--
				m.peer, m.next = 0, now
				s.want.wake = earlier(s.want.wake, now)
				if lacks && m.tries >= guesses && s.guessed(id) {
					s.disbelieve(now, id) // most likely there is none
				}
			}
		})
	}
}

// company reports whether we are at home in our group: most of those whom the
// tracker named for us are connected and have known us for a moment, so that
// what is new is sent to us too, and what is not can be asked for.
func (s *Swarm) company(now time.Time) bool {
	const settled = 200 * time.Millisecond
	named, there := 0, 0
	for i := range s.view.Members {
		m := &s.view.Members[i]
		if m.Seed || m.ID == s.view.Self || m.Tier == topology.Below {
			continue
		}
		named++
		if n := s.peer(Peer(m.ID)); n != nil && n.ready() && n.uploads && now.Sub(n.since) >= settled {
			there++
		}
	}
	return named > 0 && 2*there > named
}

// Covers reports whether the neighbours bring everything from a position on: new
// pieces keep coming from them, and we are at home among them, or of what is
// missing each is held by one of them, or on its way.
func (s *Swarm) Covers(now time.Time, from segment.ID) bool {
	ok := s.covers(now, from)
	s.want.covered = s.want.covered || ok
	return ok
}

func (s *Swarm) covers(now time.Time, from segment.ID) bool {
	const fresh = 400 * time.Millisecond
	switch {
	case s.lastGot.IsZero() || now.Sub(s.lastGot) > fresh:
		return false // even a whole group may be cut off
	case s.flows():
		return s.rooted(now)
	case s.mesh() && s.company(now):
		return true
	}
	return s.joined(from) && (s.held(from) || s.view.Short && s.want.line.Backstop > 0 && s.company(now))
}

// held reports whether of what is missing from a position on each piece is held
// by a neighbour, or on its way.
func (s *Swarm) held(from segment.ID) bool {
	fresh := freshPieces
	for i := len(s.want.order) - 1; i >= 0; i-- {
		m := s.want.order[i]
		id := m.id
		if id.Compare(from) < 0 {
			break
		}
		if fresh--; m.peer != 0 || fresh >= 0 && !m.heard {
			continue
		}
		if !slices.ContainsFunc(s.peers, func(n *neighbour) bool { return n.gives(id) }) {
			return false
		}
	}
	return true
}

// joined reports whether no segment is left out between a position and the
// newest piece that is known.
func (s *Swarm) joined(from segment.ID) bool {
	i, ok := s.win.search(from.Epoch, from.Seq)
	if !ok {
		return false
	}
	for ; i+1 < len(s.win.segs); i++ {
		p, q := s.win.segs[i], s.win.segs[i+1]
		if len(q.pieces) > 0 && q.pieces[0] != nil {
			if l := q.pieces[0].piece.Prev; l == nil || l.Epoch == p.epoch && l.Seq == p.seq {
				continue
			}
			return false
		}
		if q.epoch != p.epoch || q.seq != p.seq+1 {
			return false
		}
	}
	return true
}

// Short reports whether the room's members can give less than all of them need.
func (s *Swarm) Short() bool { return s.view.Short }

// Newest returns the newest piece that is proved to exist.
func (s *Swarm) Newest() (segment.ID, bool) { return s.win.newest() }

// Spoken returns the newest piece, in the segment of one that is not here, that a
// neighbour speaks of.
func (s *Swarm) Spoken(from segment.ID) (segment.ID, bool) {
	p := s.win.find(from.Epoch, from.Seq)
	if p == nil || p.known <= from.Index {
		return segment.ID{}, false
	}
	return segment.ID{Epoch: from.Epoch, Seq: from.Seq, Index: p.known - 1}, true
}

// why explains a piece that has just come from a neighbour.
func (w *want) why(now time.Time, n *neighbour, id segment.ID, flags byte) string {
	m := w.misses[id]
	switch {
	case flags&wire.PieceDistribute != 0:
		return "handed to us to distribute"
	case m != nil && m.peer == n.id:
		return fmt.Sprintf("asked %v ago (try %d), after it was missing for %v", now.Sub(m.at).Round(time.Millisecond), m.tries, m.at.Sub(m.since).Round(time.Millisecond))
	case m != nil && m.peer != 0:
		return "pushed, while another was asked for it"
	case m != nil:
		return fmt.Sprintf("pushed, %v behind a later one", now.Sub(m.since).Round(time.Millisecond))
	}
	return "pushed"
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
