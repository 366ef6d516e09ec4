package playout

import (
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/internal/fifo"
	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/segment"
)

// Config says how to play. Zero fields mean the defaults.
type Config struct {
	Start     Start
	Resume    segment.ID    // go on behind this piece instead of at Start
	Buffer    time.Duration // of the model player; 0: 1 s
	OriginRTT time.Duration // until one was measured; 0: 200 ms
	NoOrigin  bool          // there is no origin to ask
	MaxBytes  int           // bodies that wait for their turn; 0: 64 MiB
	// Edge: whoever plays this is hurried to the live edge, so that a piece is due
	// Buffer after the stream got so far, if that is sooner than by the model player.
	Edge bool
	// Turn reports whether it is this viewer's turn, among those near him, to ask
	// the origin for a piece that all of them lack; nil: always.
	Turn func(segment.ID) bool
}

// Our choices, where DESIGN leaves them open.
const (
	defaultBuffer    = time.Second
	defaultOriginRTT = 200 * time.Millisecond
	defaultMaxBytes  = 64 << 20
	maxInits         = 32
	maxEvents        = 1024 // oldest are dropped: they are for people
	restartGrace     = time.Second
	startPatience    = 3 * time.Second  // then any keyframe will do
	giveUpAlone      = 2 * time.Second  // before a hole that is overdue, without an origin
	giveUp           = 10 * time.Second // the same, with one
	maxStep          = 5000             // ms: a larger step of DTS is a discontinuity
)

// A Verdict says what became of a record that was added.
type Verdict uint8

const (
	Fresh     Verdict = iota + 1 // new, and kept or put out
	Duplicate                    // it was here already
	Late                         // the output has passed it
	Refused                      // it does not fit the bounds, or means nothing to a player
)

// An EventKind says what happened to the player.
type EventKind uint8

const (
	Stall   EventKind = iota + 1 // nothing to play; Piece is what is missing
	Resume                       // Piece came, Late after its deadline
	Gap                          // the output goes on at Piece; what was before it is lost
	Restart                      // Piece begins a new stream of the broadcaster
	End                          // the stream is over
)

// An Event is what a person wants to know of the output.
type Event struct {
	Kind  EventKind
	Piece segment.ID
	Late  time.Duration
}

// A Player orders one stream.
type Player struct {
	cfg   Config
	born  time.Time
	now   time.Time // of the last call
	tl    timeline
	inits []heldInit // oldest first

	started bool
	at      segment.ID // the piece that comes next
	last    segment.ID // the newest that was put out
	lastDTS int64
	inForce segment.Hash // the init that was put out last
	step    int64        // the largest recent step of DTS from piece to piece
	waiting time.Time    // since when a new epoch waits for the old one's tail
	lost    bool         // what stands at `at` cannot be had: jump when possible
	stalled bool
	stuck   time.Time  // since when it stands before a hole
	spoken  segment.ID // so far neighbours say that the stream goes
	short   bool       // neighbours cannot give what all of them need
	end     *segment.End
	ended   bool

	model *measure.Player // for whom deadlines are
	edge  struct {        // with Config.Edge: the newest moment of the stream that is here
		epoch, dts int64
		at         time.Time
	}
	asks   asks
	out    fifo.Queue[Output]
	events []Event

	Gaps int64 // holes that were jumped over
}

type heldInit struct {
	rec    segment.Record
	source measure.Source
}

// New returns a player that has asked the origin where to start.
func New(now time.Time, cfg Config) *Player {
	if cfg.Buffer <= 0 {
		cfg.Buffer = defaultBuffer
	}
	if cfg.OriginRTT <= 0 {
		cfg.OriginRTT = defaultOriginRTT
	}
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = defaultMaxBytes
	}
	p := &Player{cfg: cfg, born: now, now: now, step: 100}
	p.model = measure.NewPlayer(cfg.Buffer)
	p.asks.rtt, p.asks.vary = cfg.OriginRTT, cfg.OriginRTT/8
	if cfg.Resume != (segment.ID{}) {
		p.started = true
		p.last = cfg.Resume
		p.at = segment.ID{Epoch: cfg.Resume.Epoch, Seq: cfg.Resume.Seq, Index: cfg.Resume.Index + 1}
	}
	if !cfg.NoOrigin {
		p.openStream(now, p.front())
	}
	return p
}

// Add takes a verified record that came from somewhere. ask names the request
// of which it is the answer, 0 for none.
func (p *Player) Add(now time.Time, rec segment.Record, from measure.Source, ingest time.Time, ask uint64) Verdict {
	v := p.add(now, rec, from, ingest, ask)
	p.advance(now)
	return v
}

func (p *Player) add(now time.Time, rec segment.Record, from measure.Source, ingest time.Time, ask uint64) Verdict {
	switch rec.Kind {
	case segment.KindInit:
		return p.addInit(rec, from)
	case segment.KindPiece:
		return p.addPiece(now, rec, from, ingest, ask)
	case segment.KindSegment:
		s := rec.Segment
		if p.passed(segment.ID{Epoch: s.Epoch, Seq: s.Seq, Index: s.Pieces - 1}) && !p.inside(s.Epoch, s.Seq) {
			return Late
		}
		p.tl.closed(s.Epoch, s.Seq, s.Pieces)
		r := p.tl.find(s.Epoch, s.Seq)
		switch {
		case r == nil:
			return Refused
		case r.record != nil:
			return Duplicate
		}
		r.record = &rec
		return Fresh
	case segment.KindEnd:
		// An end that was signed for an earlier stream of the room is not this
		// one's, whoever brings it again.
		if p.end != nil && !later(rec.End.Last, p.end.Last) {
			return Duplicate
		}
		p.end = rec.End
		p.tl.closed(rec.End.Last.Epoch, rec.End.Last.Seq, rec.End.Last.Pieces)
		return Fresh
	}
	return Refused
}

// later says whether the segment a stands behind b.
func later(a, b segment.Link) bool {
	return a.Epoch > b.Epoch || a.Epoch == b.Epoch && a.Seq > b.Seq
}

func (p *Player) addInit(rec segment.Record, from measure.Source) Verdict {
	for _, h := range p.inits {
		if h.rec.Init.Hash == rec.Init.Hash {
			return Duplicate
		}
	}
	if len(p.inits) == maxInits {
		p.inits = slices.Delete(p.inits, 0, 1)
	}
	p.inits = append(p.inits, heldInit{rec, from})
	p.asks.answeredInit(rec.Init.Hash)
	return Fresh
}

func (p *Player) addPiece(now time.Time, rec segment.Record, from measure.Source, ingest time.Time, ask uint64) Verdict {
	d := rec.Piece
	p.asks.answered(now, ask, d)
	if p.started && p.passed(d.ID) {
		return Late
	}
	if p.tl.bytes+len(rec.Body) > p.cfg.MaxBytes && !(p.started && d.ID == p.at) {
		if p.started {
			return Refused
		}
		p.makeRoom(len(rec.Body))
	}
	e := &entry{rec: rec, source: from, ingest: ingest, start: ask != 0 && ask == p.asks.start}
	if !p.tl.put(e) {
		if p.tl.get(d.ID) != nil {
			return Duplicate
		}
		return Refused
	}
	if d.Index == 0 && d.Prev != nil {
		p.tl.closed(d.Prev.Epoch, d.Prev.Seq, d.Prev.Pieces)
	}
	if g := &p.edge; p.cfg.Edge && (g.at.IsZero() || d.Epoch > g.epoch || d.Epoch == g.epoch && d.DTS > g.dts) {
		g.epoch, g.dts, g.at = d.Epoch, d.DTS, now
	}
	p.callOff(d.ID, ask)
	return Fresh
}

// makeRoom forgets the oldest segments of a player that has not started.
func (p *Player) makeRoom(need int) {
	for len(p.tl.segs) > 1 && p.tl.bytes+need > p.cfg.MaxBytes {
		r := p.tl.segs[1]
		p.tl.drop(segment.ID{Epoch: r.epoch, Seq: r.seq})
	}
}

// Announce tells that a piece exists: somebody has it. So the player knows of
// holes that no later piece has shown yet.
func (p *Player) Announce(now time.Time, id segment.ID) {
	if p.started && !p.passed(id) && id.Index >= 0 && id.Index < maxPieces {
		if r := p.tl.open(id.Epoch, id.Seq); r != nil && r.count == 0 {
			r.known = max(r.known, id.Index+1)
		}
	}
}

// Hear tells that neighbours speak of the pieces up to one, which may be wrong.
func (p *Player) Hear(id segment.ID) { p.spoken = id }

// SetShort tells whether the neighbours can give less than all of them need.
func (p *Player) SetShort(short bool) { p.short = short }

// proved reports whether a piece is known to exist.
func (p *Player) proved(id segment.ID) bool {
	r := p.tl.find(id.Epoch, id.Seq)
	return r != nil && id.Index < max(r.count, r.known, len(r.pieces))
}

// passed reports whether the output is behind id already.
func (p *Player) passed(id segment.ID) bool { return id.Compare(p.at) < 0 }

// inside reports whether the next piece is of the segment.
func (p *Player) inside(epoch, seq int64) bool {
	return p.at.Epoch == epoch && p.at.Seq == seq
}

// Has reports whether the piece needs no fetching: it waits for its turn or has
// been put out.
func (p *Player) Has(id segment.ID) bool {
	return p.started && p.passed(id) || p.tl.get(id) != nil
}

// Position returns the piece that comes next; false before the start.
func (p *Player) Position() (segment.ID, bool) { return p.at, p.started }

// Due returns when the player needs the byte with this DTS; false before the
// start. What lies behind a discontinuity is due no later than what is before
// it.
func (p *Player) Due(epoch, dts int64) (time.Time, bool) {
	if !p.model.Started() {
		return time.Time{}, false
	}
	if epoch != p.last.Epoch || dts < p.lastDTS || dts-p.lastDTS > 60_000 {
		dts = p.lastDTS + p.step
	}
	return p.due(dts), true
}

// due returns when what has this DTS is to be here.
func (p *Player) due(dts int64) time.Time {
	t := p.model.Deadline(dts)
	if g := &p.edge; !g.at.IsZero() && g.epoch == p.last.Epoch {
		t = earlier(t, g.at.Add(time.Duration(dts-g.dts)*time.Millisecond+p.cfg.Buffer))
	}
	return t
}

// Buffered returns how long the model player can go on with what it has.
func (p *Player) Buffered(now time.Time) time.Duration {
	if !p.model.Started() {
		return 0
	}
	return max(0, p.model.Deadline(p.lastDTS).Sub(now))
}

// Ended reports whether all of the stream has been put out.
func (p *Player) Ended() bool { return p.ended }

// Next returns the next part of the stream.
func (p *Player) Next() (Output, bool) { return p.out.Pop() }

// NextEvent returns what happened, oldest first.
func (p *Player) NextEvent() (Event, bool) {
	if len(p.events) == 0 {
		return Event{}, false
	}
	e := p.events[0]
	p.events = p.events[1:]
	return e, true
}

func (p *Player) tell(e Event) {
	if len(p.events) == maxEvents {
		p.events = p.events[1:]
	}
	p.events = append(p.events, e)
}

// Line returns the clock of what is due: dts of the epoch is needed at due, and
// what follows as much later as its DTS is; false before the start.
func (p *Player) Line() (epoch, dts int64, due time.Time, ok bool) {
	if !p.model.Started() {
		return 0, 0, time.Time{}, false
	}
	return p.last.Epoch, p.lastDTS, p.due(p.lastDTS), true
}
