package bench

import (
	"errors"
	"math"
	"time"

	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/origin"
	"github.com/xp2p/xp2p/lib/segment"
)

// A simOrigin answers as package origin does over HTTP: from a list, through the
// server's uplink, which it shares with the seed. An answer costs what TCP's
// start costs: a connection's round trip, and one more each time that what was
// sent doubles the ten packets of the first flight.
type simOrigin struct {
	world   *world
	recs    []segment.Record
	times   []time.Time
	where   map[segment.ID]int
	flows   []*answer // that follow the live edge
	slow    float64
	gone    bool
	admit   origin.Admission
	line    []*answer // requests for pieces that wait for their turn
	waiting bool
	// what the seed had given when somebody asked last
	seeded int64
}

const (
	httpHead    = 300 // of a response and its chunk
	httpRecord  = 12  // chunk framing
	descriptor  = 320 // of a record in a slice stream: JSON with its proof
	firstFlight = 14_000
	// What is asked of a server at once shares its uplink as TCP's flows do: small
	// answers do not stand behind large ones.
	prioHead   = 0
	prioPieces = 4
	prioStream = 5
)

func (o *simOrigin) init(x *world) {
	o.world, o.slow, o.where = x, 1, map[segment.ID]int{}
	if x.sc.ServerStreams > 0 {
		// What the seed gives is spent first, what is left is the origin's.
		o.admit.Rate = origin.Planned(int64(x.sc.ServerStreams * float64(x.sc.RateBPS)))
	}
}

func (o *simOrigin) add(rec segment.Record) {
	if rec.Kind == segment.KindPiece {
		o.where[rec.Piece.ID] = len(o.recs)
	}
	o.recs = append(o.recs, rec)
	o.times = append(o.times, o.world.sim.Now())
	live := o.flows[:0]
	for _, a := range o.flows {
		if a.pump() {
			live = append(live, a)
		}
	}
	o.flows = live
}

// find returns where a piece stands; -1 if the broadcaster never made it.
func (o *simOrigin) find(id segment.ID) int {
	if k, ok := o.where[id]; ok {
		return k
	}
	return -1
}

// following returns where the next piece stands behind the one at k.
func (o *simOrigin) following(k int) int {
	for k++; k < len(o.recs) && o.recs[k].Kind != segment.KindPiece; k++ {
	}
	return k
}

// newestKey returns where the newest piece with a keyframe stands; -1 if none.
func (o *simOrigin) newestKey() int {
	for i := len(o.recs) - 1; i >= 0; i-- {
		if p := o.recs[i].Piece; p != nil && len(p.Keyframes) > 0 {
			return i
		}
	}
	return -1
}

// An answer is on its way to a viewer.
type answer struct {
	o       *simOrigin
	v       *viewer
	id      uint64
	next    int // of the records, for one that follows the edge
	bytes   int
	follows bool
	wait    time.Duration // the connection's round trip
	pieces  []segment.ID  // that it asks for, in a line until till at most
	till    time.Time
	span    segment.Span // after which it ends
}

func (o *simOrigin) asked(v *viewer, ask node.Origin) {
	x := o.world
	trip := v.roundTrip()
	wait := x.sim.Delay(v.host, x.server)
	if !v.known {
		wait += trip
		v.known = true
	}
	x.sim.After(time.Duration(float64(wait)*o.slow), func() { o.serve(v, ask, time.Duration(float64(trip)*(o.slow-1))) })
}

var errNoAnswer = errors.New("no answer")

func (o *simOrigin) serve(v *viewer, ask node.Origin, late time.Duration) {
	x := o.world
	a := &answer{o: o, v: v, id: ask.ID, wait: late}
	if o.gone {
		x.sim.After(2*time.Second, func() { a.supply(node.Supply{Done: true, Err: errNoAnswer}) })
		return
	}
	now := x.sim.Now()
	given := x.seed.Uploaded(roomName)
	o.admit.Spend(now, int(given-o.seeded), false)
	o.seeded = given
	switch ask.Kind {
	case node.OriginStart, node.OriginAfter:
		if !o.admit.Start(now) {
			a.refuse()
			return
		}
	case node.OriginPieces:
		a.pieces, a.till = ask.Pieces, now.Add(origin.Patience)
		o.line = append(o.line, a)
		o.serveLine()
		return
	}
	switch ask.Kind {
	case node.OriginStart:
		i := o.newestKey()
		if i >= 0 {
			a.follows = true
			a.give(o.initOf(i))
		}
		a.follow(max(0, i))
	case node.OriginAfter:
		a.span.For = ask.For
		a.follow(o.find(ask.After) + 1)
	case node.OriginInit:
		for i := range o.recs {
			if in := o.recs[i].Init; in != nil && in.Hash == ask.Init {
				a.give(i)
				break
			}
		}
		a.done()
	}
}

// serveLine serves requests for pieces, in the order in which they came.
func (o *simOrigin) serveLine() {
	x := o.world
	for len(o.line) > 0 {
		a := o.line[0]
		now := x.sim.Now()
		wait := o.admit.Pieces(now)
		switch {
		case !a.open():
		case !now.Before(a.till):
			a.refuse()
		case wait > 0:
			if !o.waiting {
				o.waiting = true
				x.sim.After(min(wait, a.till.Sub(now)), func() { o.waiting = false; o.serveLine() })
			}
			return
		default:
			for _, id := range a.pieces {
				a.give(o.find(id))
			}
			a.done()
		}
		o.line = o.line[1:]
	}
}

func (a *answer) refuse() {
	a.send(httpHead, prioHead, func() { a.supply(node.Supply{Done: true, Err: node.ErrBusy}) })
}

func (o *simOrigin) initOf(k int) int {
	for j := k; j >= 0; j-- {
		if in := o.recs[j].Init; in != nil && in.Hash == o.recs[k].Piece.Keyframes[0].Init {
			return j
		}
	}
	return -1
}

func (a *answer) follow(from int) {
	a.next, a.follows = from, true
	if a.pump() {
		a.o.flows = append(a.o.flows, a)
	}
}

// pump sends what there is; false when that was the last, or the viewer does not
// listen any more.
func (a *answer) pump() bool {
	for ; a.next < len(a.o.recs); a.next++ {
		if !a.open() {
			return false
		}
		a.give(a.next)
		if d := a.o.recs[a.next].Piece; d != nil && a.span.Ends(d.DTS) {
			a.done()
			return false
		}
	}
	return a.open()
}

func (a *answer) open() bool { return a.v.here() && a.v.asks[a.id] }

// send takes bytes through the server's uplink, and then calls then.
func (a *answer) send(bytes int, prio uint8, then func()) {
	x := a.o.world
	a.o.admit.Spend(x.sim.Now(), bytes, len(a.pieces) > 0)
	before := a.bytes
	a.bytes += bytes
	rounds := math.Floor(math.Log2(1+float64(a.bytes)/firstFlight)) - math.Floor(math.Log2(1+float64(before)/firstFlight))
	if a.bytes > 8*firstFlight {
		rounds = 0
	}
	a.wait += time.Duration(rounds * float64(a.v.roundTrip()))
	wait := a.wait
	if x.flows == nil {
		x.sim.After(x.sim.Delay(x.server, a.v.host)+wait, then)
		return
	}
	x.flows.Of(x.server).Send(a.v.host, bytes, prio, func(time.Time) { x.sim.After(wait, then) })
}

func (a *answer) give(k int) {
	if k < 0 {
		return
	}
	rec := a.o.recs[k]
	ingest := a.o.times[k]
	prio := uint8(prioPieces)
	if a.follows {
		prio = prioStream
	}
	a.send(len(rec.Body)+descriptor+httpRecord, prio, func() {
		a.o.world.originBytes += int64(len(rec.Body))
		a.supply(node.Supply{Record: rec, Ingest: ingest})
	})
}

func (a *answer) done() {
	a.send(httpHead, prioPieces, func() { a.supply(node.Supply{Done: true}) })
}

func (a *answer) supply(s node.Supply) {
	if !a.open() {
		return
	}
	s.ID = a.id
	x := a.o.world
	a.v.proc.Do(func(now time.Time) { x.must(a.v.n.Supply(now, roomName, s)) })
	if s.Done {
		delete(a.v.asks, a.id)
	}
}
