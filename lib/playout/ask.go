package playout

import (
	"maps"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
)

// An AskKind is a kind of request to the origin.
type AskKind uint8

const (
	AskStart  AskKind = iota + 1 // stream records from Start on
	AskAfter                     // stream records from behind After
	AskPieces                    // the pieces in Pieces
	AskInit                      // the init Init
	AskStop                      // the request ID is of no use any more
)

// An Ask is a request to the origin.
type Ask struct {
	ID       uint64
	Kind     AskKind
	Start    Start
	After    segment.ID
	For      time.Duration // After: so much stream time, from the first piece on; 0: all that follows
	Pieces   []segment.ID
	Init     segment.Hash
	Deadline time.Time
}

// Our choices. A hole is asked for when the origin could only just answer in
// time: its answering time, as much again for a packet that is lost, or more if its
// answers vary, and a margin for our own queue.
const (
	leadMargin  = 60 * time.Millisecond
	leadShort   = 110 * time.Millisecond // the same where all ask it all the time
	leadMin     = 150 * time.Millisecond
	easeMargin  = 110 * time.Millisecond // more than the lead, before a stream is left
	askBatch    = 64                     // pieces in one request
	askAhead    = 60 * time.Millisecond  // holes that are due a little later go along
	notOurTurn  = 150 * time.Millisecond // an answer of the origin, and a copy from a neighbour
	trustAgain  = 3 * time.Second        // after a failure of the origin
	askRetry    = time.Second            // at least, before a piece is asked for again
	backoffMin  = 250 * time.Millisecond // after a failure, doubled each time
	backoffMax  = 4 * time.Second
	surelyMin   = 30 * time.Millisecond  // more than an answer takes, however evenly they come
	lastCall    = 280 * time.Millisecond // in which a neighbour brings it
	maxAskedFor = 4096
	// What is due at once, as a keyframe's pieces are, comes one after another: so
	// much earlier than one by itself it is asked for, at the most.
	burstMost = 150 * time.Millisecond
	busyRetry = time.Second     // as Retry-After says; neighbours have the time to do better
	busyMax   = 8 * time.Second // refusals cost an origin too: in a crowd they would be all that it has room for
	dryRepeat = 2 * time.Second // between two streams that brought nothing
	// Of what is spoken of so much is under way at once: the pieces of a keyframe, or half
	// a second.
	spokenMost = 6
	// A stream that is asked for because neighbours are late brings so much, and ends.
	fewTime = 400 * time.Millisecond
)

// asks is what was asked of the origin, and what came of it.
type asks struct {
	next uint64
	rtt  time.Duration // of an answer's first piece: smoothed
	vary time.Duration // by how much it is slower than that, at times
	gap  time.Duration // between two pieces of one answer
	last struct {      // the newest piece of an answer
		ask uint64
		at  time.Time
	}
	start  uint64 // the request that told us where to start
	stream struct {
		id    uint64 // 0: none is open
		asked time.Time
		got   bool
		pos   segment.ID   // newest piece it brought
		span  segment.Span // after which it ends by itself
	}
	others   bool      // something came from others since a stream was asked for
	failedAt time.Time // when the origin last failed, or was busy
	fails    int       // of streams, in a row
	busies   int       // refusals for want of room, in a row
	busyTill time.Time // nothing is asked before
	retryAt  time.Time // no new stream before
	pieces   map[segment.ID]*asked
	inits    map[segment.Hash]time.Time // when it was asked for; zero: not yet
	want     []segment.Hash             // inits to ask for, in order
	open     map[uint64]time.Time       // requests that are under way: since when; zero: some of it has come
	queue    []Ask
	wake     time.Time
}

type asked struct {
	id    uint64
	again time.Time
	tries int
	gone  bool
}

func (a *asks) newID(now time.Time) uint64 {
	a.next++
	if a.open == nil {
		a.open = map[uint64]time.Time{}
	}
	if len(a.open) >= maxAskedFor { // the oldest has hung for an hour
		delete(a.open, slices.Min(slices.Collect(maps.Keys(a.open))))
	}
	a.open[a.next] = now
	return a.next
}

// lead is how long before its deadline a hole is asked for.
func (p *Player) lead() time.Duration {
	a := &p.asks
	margin := leadMargin
	if p.short {
		margin = leadShort
	}
	return min(max(a.rtt+max(a.rtt, 4*a.vary)+margin, leadMin), p.cfg.Buffer*6/10)
}

// turn is how much later than others this viewer asks the origin for a hole: it
// is another's turn, who will give it to us.
func (p *Player) turn(id segment.ID) time.Duration {
	if p.cfg.Turn == nil || p.cfg.Turn(id) {
		return 0
	}
	return p.notOurTurn()
}

func (p *Player) notOurTurn() time.Duration {
	if p.short {
		return min(notOurTurn, p.lead()/4) // who could give it to us has it too late himself
	}
	return min(notOurTurn, p.lead()/2)
}

// Backstop is how long before a piece is due the origin will have been asked for
// it, and will bring it; 0 if it has not answered well of late, takes too long, or
// owes an answer now. Within that time nobody else need be asked.
func (p *Player) Backstop(now time.Time) time.Duration {
	a := &p.asks
	if p.cfg.NoOrigin || !a.failedAt.IsZero() && now.Sub(a.failedAt) < trustAgain {
		return 0
	}
	if owed := p.owed(); a.surely() >= p.lead() || !owed.IsZero() && !now.Before(owed) {
		return 0
	}
	return p.lead()
}

// owed returns when the origin owes an answer: longer than one takes after it was
// asked for something of which nothing has come yet, or a little longer than most
// take, if that is the last moment to ask somebody else. Zero: it was asked for nothing.
func (p *Player) owed() (t time.Time) {
	a := &p.asks
	after := min(a.surely(), max(a.rtt+surelyMin, p.lead()-lastCall))
	for _, at := range a.open {
		if !at.IsZero() {
			t = earlier(t, at.Add(after))
		}
	}
	return t
}

// surely is how long after a question the origin has answered, if all is well.
func (a *asks) surely() time.Duration { return a.rtt + max(4*a.vary, a.rtt/4, surelyMin) }

// patience is how long the origin is waited for before it is asked again.
func (a *asks) patience() time.Duration { return max(2*a.rtt, leadMin) }

// NextAsk returns what to ask of the origin.
func (p *Player) NextAsk() (Ask, bool) {
	if len(p.asks.queue) == 0 {
		return Ask{}, false
	}
	q := p.asks.queue[0]
	p.asks.queue = p.asks.queue[1:]
	return q, true
}

// openStream asks for a stream of records: from the start, or from behind what is
// known. As long as others bring something, it ends after a moment: they are late, and
// no more of it is needed than they lack.
func (p *Player) openStream(now time.Time, front front) {
	a := &p.asks
	id := a.newID(now)
	a.stream.id, a.stream.asked, a.stream.got, a.stream.pos, a.stream.span = id, now, false, segment.ID{}, segment.Span{}
	q := Ask{ID: id, Kind: AskStart, Start: p.cfg.Start}
	if p.started && !p.lost {
		q = Ask{ID: id, Kind: AskAfter, After: front.last}
		a.stream.pos = front.last
		if p.model.Started() {
			q.Deadline = p.due(front.dts + p.step)
			if a.others {
				q.For, a.stream.span.For = fewTime, fewTime
			}
		}
	} else {
		if p.started {
			q.Start = Start{} // what was lost was before the live edge
		}
		a.start = id
	}
	a.others = false
	a.queue = append(a.queue, q)
}

// Streaming reports whether there is a stream from the origin that does not end by
// itself.
func (p *Player) Streaming() bool { return p.asks.stream.id != 0 && p.asks.stream.span.For == 0 }

// OriginAnswers reports whether the stream that was asked for has begun to come.
func (p *Player) OriginAnswers() bool { return p.asks.stream.id != 0 && p.asks.stream.got }

// Front returns the first piece that is not proved to exist.
func (p *Player) Front() segment.ID {
	next := p.at
	if p.tl.find(p.at.Epoch, p.at.Seq) == nil {
		return next
	}
	for _, r := range p.tl.segs {
		from := 0
		switch {
		case r.epoch < p.at.Epoch || r.epoch == p.at.Epoch && r.seq < p.at.Seq:
			continue
		case p.inside(r.epoch, r.seq):
			from = p.at.Index
		case r.epoch != p.at.Epoch || r.seq != next.Seq+1:
			return next
		}
		if n := max(r.count, r.known); n > from {
			next = segment.ID{Epoch: r.epoch, Seq: r.seq, Index: n}
		}
		if r.count == 0 {
			return next
		}
	}
	return next
}

// AtEase reports whether what comes next is needed so late that neighbours may bring
// it, and the origin can still be asked if they do not. Where they often do not, that
// is earlier.
func (p *Player) AtEase(now time.Time) bool {
	margin := easeMargin
	if p.short {
		margin = p.lead()
	}
	margin = min(margin, (p.cfg.Buffer-p.lead())/2)
	return p.model.Started() && now.Before(p.due(p.lastDTS+p.step).Add(-p.lead()-margin))
}

// StopStream closes the stream: the neighbours bring everything from here on.
func (p *Player) StopStream(now time.Time) {
	if s := &p.asks.stream; s.id != 0 {
		p.asks.queue = append(p.asks.queue, Ask{ID: s.id, Kind: AskStop})
		delete(p.asks.open, s.id)
		s.id = 0
	}
	p.plan(now)
}

// callOff stops a request for pieces of which the last that was missing has come
// from elsewhere: where the origin has more to do than it can, others wait for
// what nobody needs.
func (p *Player) callOff(id segment.ID, ask uint64) {
	a := &p.asks
	q := a.pieces[id]
	if q == nil || q.id == 0 || q.id == ask {
		return
	}
	for other, o := range a.pieces {
		if o.id == q.id && !p.Has(other) {
			return
		}
	}
	a.queue = append(a.queue, Ask{ID: q.id, Kind: AskStop})
	delete(a.open, q.id)
	q.id = 0
}

// An Answer is how a request to the origin ended. The zero Answer: it was
// complete.
type Answer struct {
	Failed bool // the origin could not answer
	Gone   bool // it does not have it, and never will
	Busy   bool // it has no room for us just now (Failed is set too)
}

// Answered tells that a request is done with. How one ended that was stopped says
// nothing: whoever carried it out may have broken it off.
func (p *Player) Answered(now time.Time, ask uint64, end Answer) {
	a := &p.asks
	if _, open := a.open[ask]; !open {
		return
	}
	failed, gone := end.Failed, end.Gone
	if failed {
		a.failedAt = now
	}
	delete(a.open, ask)
	switch {
	case end.Busy:
		a.busyTill = now.Add(min(backoffMin<<min(a.busies, 8), busyMax))
		a.busies++
	case !failed:
		a.busies = 0
	}
	if s := &a.stream; s.id == ask && ask != 0 {
		s.id = 0
		switch {
		case gone && p.started:
			p.lost = true
			a.retryAt = now.Add(backoffMin)
		case end.Busy:
			a.retryAt = now.Add(max(busyRetry, a.busyTill.Sub(now)))
		case failed || gone:
			a.retryAt = now.Add(backoff(a.fails))
			a.fails++
		default:
			a.retryAt = now.Add(dryRepeat)
		}
	}
	for id, q := range a.pieces {
		if q.id != ask || p.Has(id) {
			continue
		}
		q.gone = gone && p.proved(id) // else who spoke of it did not know, or spoke too early
		q.again = now.Add(backoff(q.tries))
		if end.Busy {
			q.again = now.Add(backoffMin) // it is there, and room for it may be in a moment
		}
		q.id = 0
	}
	if failed || gone {
		for h, at := range a.inits {
			if !at.IsZero() && at.Before(now) && !slices.Contains(a.want, h) {
				a.inits[h] = now.Add(backoffMin - askRetry)
			}
		}
	}
	p.advance(now)
}

func backoff(fails int) time.Duration {
	return min(backoffMin<<min(fails, 8), backoffMax)
}

// answered takes a sample of the origin's answering time.
func (a *asks) answered(now time.Time, ask uint64, d *segment.Piece) {
	if ask == 0 {
		a.others = true
		return
	}
	if ask != a.stream.id { // what is streamed comes as it is made
		if a.last.ask == ask {
			a.gap += (now.Sub(a.last.at) - a.gap) / 8
		}
		a.last.ask, a.last.at = ask, now
	}
	if at := a.open[ask]; !at.IsZero() {
		a.open[ask] = time.Time{}
		sample := now.Sub(at)
		a.vary += (max(0, sample-a.rtt) - a.vary) / 4
		a.rtt += (sample - a.rtt) / 4
	}
	if s := &a.stream; s.id == ask {
		a.fails = 0
		if !s.got || d.ID.Compare(s.pos) > 0 {
			s.pos = d.ID
		}
		s.got = true
		if s.span.Ends(d.DTS) {
			s.id, a.retryAt = 0, time.Time{} // it has done what it was for
		}
	}
}

func (a *asks) answeredInit(h segment.Hash) {
	delete(a.inits, h)
	a.want = slices.DeleteFunc(a.want, func(w segment.Hash) bool { return w == h })
}

// wantInit notes that an init is missing.
func (a *asks) wantInit(h segment.Hash) {
	if _, ok := a.inits[h]; ok || len(a.inits) >= maxInits {
		return
	}
	if a.inits == nil {
		a.inits = map[segment.Hash]time.Time{}
	}
	a.inits[h] = time.Time{}
	a.want = append(a.want, h)
}

// MissingInits returns the inits that keyframes name and that are not here.
func (p *Player) MissingInits() []segment.Hash { return p.asks.want }

// WantsInit reports whether a signed keyframe has named an init that is not
// here.
func (p *Player) WantsInit(h segment.Hash) bool {
	_, ok := p.asks.inits[h]
	return ok
}

func (a *asks) gone(id segment.ID) bool {
	q := a.pieces[id]
	return q != nil && q.gone
}

func (a *asks) forget(id segment.ID) { delete(a.pieces, id) }

// drop forgets requests for pieces before at.
func (a *asks) drop(at segment.ID) {
	for id := range a.pieces {
		if id.Compare(at) < 0 {
			delete(a.pieces, id)
		}
	}
}

// plan asks for what the neighbours have not brought in time.
func (p *Player) plan(now time.Time) {
	a := &p.asks
	a.wake = time.Time{}
	if p.cfg.NoOrigin {
		return
	}
	p.planInits(now)
	switch {
	case p.ended:
		return
	case !p.started || p.lost || !p.model.Started():
		// Everything hangs on the stream.
		if a.stream.id == 0 {
			p.reopen(now, p.front())
		}
		return
	case a.stream.id != 0 && p.asks.stream.pos.Compare(p.at) >= 0:
		// It brought what is missing here before its turn? Then it skipped it.
	case a.stream.id != 0:
		if late := a.stream.asked.Add(a.patience()); a.stream.got {
			return // it will bring what comes next
		} else if now.Before(late) {
			a.wake = earlier(a.wake, late)
			return
		}
		// It waits where the origin has much to send: what is small comes sooner.
	}
	if now.Before(a.busyTill) {
		a.wake = earlier(a.wake, a.busyTill)
		return
	}
	lead := p.lead() + p.burst(now)
	ask := now.Add(lead)
	var ids []segment.ID
	var deadline time.Time
	front, asked := p.holes(func(id segment.ID, dts int64) bool {
		latest := p.due(dts).Add(p.notOurTurn())
		if q := a.pieces[id]; q != nil && !latest.After(ask) && (q.gone || now.Before(q.again)) {
			// It was asked for, whoever's turn it is.
			if !q.gone {
				a.wake = earlier(a.wake, q.again)
			}
			return true
		}
		due := p.due(dts)
		early := func() bool { return due.After(ask.Add(askAhead)) || due.After(ask) && len(ids) == 0 }
		if !early() { // else it need not be known yet whose turn it is
			due = due.Add(p.turn(id))
		}
		if early() {
			a.wake = earlier(a.wake, due.Add(-lead))
			return false
		}
		q := a.pieces[id]
		switch {
		case q == nil && len(a.pieces) < maxAskedFor:
			q = &asked{}
			a.note(id, q)
		case q == nil || q.gone:
			return true
		case now.Before(q.again):
			a.wake = earlier(a.wake, q.again)
			return true
		}
		if len(ids) == 0 {
			deadline = due
		}
		ids = append(ids, id)
		q.tries++
		q.again = now.Add(max(askRetry, 4*a.rtt))
		a.wake = earlier(a.wake, q.again)
		return len(ids) < askBatch
	})
	if len(ids) > 0 {
		id := a.newID(now)
		for _, piece := range ids {
			a.pieces[piece].id = id
		}
		a.queue = append(a.queue, Ask{ID: id, Kind: AskPieces, Pieces: ids, Deadline: deadline})
	}
	if !asked || a.stream.id != 0 || p.endsAt(front.next) {
		return
	}
	// All that is proved to be missing was asked for. What lies behind it is not proved,
	// and may be needed as soon.
	if p.askSpoken(now, front) {
		return
	}
	if due := p.due(front.dts + p.step).Add(-p.lead()); now.Before(due) {
		a.wake = earlier(a.wake, due)
	} else {
		p.reopen(now, front)
	}
}

// askSpoken asks, each once, for the next pieces that neighbours speak of: an origin
// that many ask at once has room for a piece, where a stream would wait. It reports
// whether what is under way is to be waited for.
func (p *Player) askSpoken(now time.Time, front front) bool {
	a := &p.asks
	id := front.next
	if p.spoken.Epoch != id.Epoch || p.spoken.Seq != id.Seq || p.spoken.Index < id.Index || len(a.pieces)+spokenMost > maxAskedFor {
		return false
	}
	due := p.due(front.dts)
	if q := a.pieces[id]; q != nil {
		if q.id == 0 || !now.Before(q.again) {
			return false
		}
		a.wake = earlier(a.wake, q.again)
	} else if at := due.Add(p.turn(id) - p.lead()); now.Before(at) {
		a.wake = earlier(a.wake, at)
		return true
	}
	var ids []segment.ID
	for ; id.Compare(p.spoken) <= 0 && id.Index < front.next.Index+spokenMost; id.Index++ {
		if a.pieces[id] == nil {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return true
	}
	q := Ask{ID: a.newID(now), Kind: AskPieces, Pieces: ids, Deadline: due}
	for _, id := range ids {
		a.note(id, &asked{id: q.ID, tries: 1, again: now.Add(a.patience())})
	}
	a.wake = earlier(a.wake, now.Add(a.patience()))
	a.queue = append(a.queue, q)
	return true
}

// note keeps what is known of a request for a piece.
func (a *asks) note(id segment.ID, q *asked) {
	if a.pieces == nil {
		a.pieces = map[segment.ID]*asked{}
	}
	a.pieces[id] = q
}

// burst is how much longer than one piece all those need that are due as soon as
// the next.
func (p *Player) burst(now time.Time) time.Duration {
	a := &p.asks
	if a.gap < time.Millisecond {
		return 0
	}
	n := -1
	var first time.Time
	p.holes(func(id segment.ID, dts int64) bool {
		due := p.due(dts)
		if n < 0 {
			first = due
		}
		if due.After(first.Add(a.gap*time.Duration(n+2))) || a.gap*time.Duration(n+1) >= burstMost {
			return false
		}
		if q := a.pieces[id]; q == nil || !now.Before(q.again) {
			n++
		}
		return true
	})
	return min(max(0, a.gap*time.Duration(n)), burstMost)
}

// reopen opens a stream, unless the last one failed a moment ago.
func (p *Player) reopen(now time.Time, front front) {
	if now.Before(p.asks.retryAt) {
		p.asks.wake = earlier(p.asks.wake, p.asks.retryAt)
		return
	}
	p.asks.retryAt = now.Add(backoffMin)
	p.openStream(now, front)
}

func (p *Player) planInits(now time.Time) {
	a := &p.asks
	for _, h := range a.want {
		at := a.inits[h]
		if a.stream.id != 0 && at.IsZero() && !a.stream.got {
			continue // the stream begins with it
		}
		if !at.IsZero() && now.Before(at.Add(askRetry)) {
			a.wake = earlier(a.wake, at.Add(askRetry))
			continue
		}
		a.inits[h] = now
		a.wake = earlier(a.wake, now.Add(askRetry))
		a.queue = append(a.queue, Ask{ID: a.newID(now), Kind: AskInit, Init: h})
	}
}

// A front is how far the stream is known without a gap.
type front struct {
	last segment.ID // the newest piece that is proved to exist
	next segment.ID // the one behind it, if it is of the same segment
	dts  int64      // of what stands before next, as far as it is known
}

// front is the one of a player that knows of nothing but what it has put out.
func (p *Player) front() front { return front{p.last, p.at, p.lastDTS} }

// holes calls f with every piece that is known to exist and is not here, in
// stream order, and the DTS of what stands before it, until f returns false; then
// it returns false. It tells how far the stream is known without a gap.
func (p *Player) holes(f func(id segment.ID, dts int64) bool) (front, bool) {
	end := p.front()
	dts, gap := p.lastDTS, p.tl.find(p.at.Epoch, p.at.Seq) == nil
	for _, r := range p.tl.segs {
		from := 0
		switch {
		case r.epoch < p.at.Epoch || r.epoch == p.at.Epoch && r.seq < p.at.Seq:
			continue
		case r.epoch == p.at.Epoch && r.seq == p.at.Seq:
			from = p.at.Index
		case r.epoch != p.at.Epoch:
			return end, true // another stream's clock
		case r.seq != end.next.Seq+1:
			gap = true
		}
		for i := from; i < max(r.count, r.known); i++ {
			id := segment.ID{Epoch: r.epoch, Seq: r.seq, Index: i}
			if i < len(r.pieces) && r.pieces[i] != nil {
				dts = max(dts, r.pieces[i].rec.Piece.DTS)
			} else if !f(id, dts) {
				return end, false
			}
			if !gap {
				end = front{id, segment.ID{Epoch: r.epoch, Seq: r.seq, Index: i + 1}, dts}
			}
		}
		gap = gap || r.count == 0
	}
	return end, true
}
