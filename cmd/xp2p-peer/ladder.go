package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xp2p/xp2p/lib/abr"
	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/origin"
	"github.com/xp2p/xp2p/lib/playout"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/signal"
	"github.com/xp2p/xp2p/lib/store"
	"github.com/xp2p/xp2p/lib/tool"
	"github.com/xp2p/xp2p/lib/wire"
)

// Our choices for --abr. The player is held some way behind the live edge, for
// whoever is at it has no time to go over to another rendition; little of that is
// written ahead of what it plays, for what is written cannot be of another any
// more.
const (
	behindEdge  = 6 * time.Second        // that play begins
	writeAhead  = time.Second            // of what the player shows
	ruleBuffer  = 8 * time.Second        // as the rule is told: it goes down below four tenths of it
	conductEach = 50 * time.Millisecond  // the ladder is looked after
	chooseEach  = 250 * time.Millisecond // the rule is asked
	margin      = 300                    // ms behind what is written, where another rendition begins at the earliest
	leaveMargin = 400                    // ms of the old rendition that reach beyond where the new one begins
	firstSecond = 1200                   // ms of a lower rendition that are there before it is gone over to
	caughtUp    = 1000                   // ms that a higher one may be behind the one that is played
	leadUp      = 2500                   // ms behind what is written, where a higher one begins at the earliest
	othersUp    = 3 * time.Second        // that the other viewers have to bring it, before the origin is asked
	othersMost  = 4 * time.Second        // the same going down, as the buffer allows
	othersLeast = time.Second
	originTakes = 700 * time.Millisecond // to bring what others did not
	// Of the model player by whose deadlines a rendition is fetched. The swarm asks
	// two and a half seconds before them.
	bufferDown  = 2500 * time.Millisecond
	bufferUp    = 2 * time.Second
	settling    = 3 * time.Second         // after going up, in which going down takes
	upBuffer    = 4 * time.Second         // that there must be to go up
	lookAhead   = 3000                    // ms of the new rendition that are looked at beyond what is written
	lookBack    = 4 * time.Second         // for how much the buffer falls
	unrest      = 500 * time.Millisecond  // by which it falls and rises anyway
	emergency   = 1500 * time.Millisecond // that is left of the buffer
	giveUpJoin  = 8 * time.Second         // on a rendition that does not come
	bitrateWait = 15 * time.Second        // for bit rates that nobody has measured yet
	maxQueued   = 64 << 20                // bytes of a rendition that wait to be written
)

// A ladder is a viewer of a room with renditions: it plays one, and goes over to
// another when the links ask for it, without a seam. The other's swarm is joined,
// and its pieces are there, before what is written changes.
type ladder struct {
	*viewer
	base  origin.RoomURL
	list  []wire.Rendition // by bit rate, lowest first
	rule  *abr.Rule
	links *links
	sw    *abr.Switcher
	out   io.Writer

	rungs   []*rung // by rendition; nil where it is not joined
	playing int
	next    int   // the rendition that is gone over to; -1: none
	begins  int64 // DTS from which it was asked for
	asked   time.Time
	// When the output last went over.
	crossedAt time.Time
	// What the buffer had of late, and the most of it.
	buffers []stand
	peak    time.Duration
	wake    chan struct{}

	known  *sources
	barred []time.Time // renditions that are not tried before
	proved []bool      // those that were played: they can follow the others
	gaps   int64       // of renditions that are not played any more
	lost   bool        // one of them failed
	heir   heir

	// The model player's clock: it shows dts at since.
	since time.Time
	dts   int64
	fed   int64 // DTS of what is written
}

// A rung is a rendition that was joined: what it brings, and where it stands.
type rung struct {
	*session
	ctx    context.Context
	cancel context.CancelFunc
	joined time.Time
	left   bool // its swarm: what is queued is still played
	// What comes out of its turn, while nothing comes in its turn since:
	since, heard time.Time
	total        int64 // bytes that had come when it was heard

	mu    sync.Mutex
	queue []chunk
	bytes int
	fed   int       // chunks that the switcher was given
	end   int64     // DTS up to which it has everything
	keys  []int64   // DTS of its keyframes, oldest first
	came  time.Time // the newest piece
	begun bool
	over  bool
	err   error
	tally tally

	caught atomic.Bool // what was made before it was joined is here
}

// until is the DTS up to which it has everything.
func (r *rung) until() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.end
}

// A chunk is what a piece gave a player to read.
type chunk struct {
	dts  int64
	data []byte
}

// runLadder plays a room with --abr.
func runLadder(ctx context.Context, t *tool.IO, o *options) error {
	began := time.Now()
	ctx, over := context.WithCancelCause(ctx)
	defer over(nil)
	list, err := o.rated(ctx)
	if err != nil {
		return err
	}
	container, _ := media.ParseContainer(list[0].Container)
	var rates []int64
	var names []string
	for _, r := range list {
		rates, names = append(rates, r.BitrateBPS), append(names, r.Name)
	}
	rule, err := abr.NewRule(abr.RuleConfig{Rates: rates, Segment: 2 * time.Second, Buffer: ruleBuffer})
	if err != nil {
		return tool.Failed("--abr: %w", err)
	}
	out, err := t.Output(o.output)
	if err != nil {
		return err
	}
	defer out.Close()
	l := &ladder{
		viewer: &viewer{o: o, io: t, began: began, over: over}, base: o.room, list: list, rule: rule, out: out, next: -1,
		rungs: make([]*rung, len(list)), wake: make(chan struct{}, 1), barred: make([]time.Time, len(list)), proved: make([]bool, len(list)),
	}
	l.links = newLinks()
	if l.known, err = newSources(o.room, list); err != nil {
		return tool.Failed("--abr: %w", err)
	}
	l.playing = l.known.lowest(ctx)
	l.sw = abr.NewSwitcher(abr.Config{Container: container, Names: names, First: l.playing, Mode: abr.Keyframe, Trust: true})
	stop, looped, err := l.start(ctx)
	if err != nil {
		return err
	}
	defer l.manners.leave()
	defer stop()
	g, gctx := errgroup.WithContext(ctx)
	l.ctx = gctx
	g.Go(func() error { return untilLooped(gctx, looped) })
	g.Go(func() error {
		if err := l.conduct(gctx, container); err != nil {
			return err
		}
		return errEnded
	})
	if o.portMap && !o.originOnly {
		g.Go(func() error { return l.mapPort(gctx) })
	}
	first := &session{viewer: l.viewer}
	g.Go(func() error { return first.behave(gctx) })
	err = g.Wait()
	for _, r := range l.rungs {
		if r != nil {
			r.cancel()
		}
	}
	l.leave(stop, looped)
	switch cause := context.Cause(ctx); {
	case errors.Is(err, errEnded):
		return l.verdict()
	case cause != nil:
		return cause
	}
	return err
}

// rated asks for the room's renditions until their bit rates are known, and
// returns them lowest first.
func (o *options) rated(ctx context.Context) ([]wire.Rendition, error) {
	for deadline := time.Now().Add(bitrateWait); ; {
		m, err := o.renditions(ctx)
		if err != nil {
			return nil, err
		}
		list := slices.Clone(m.Renditions)
		slices.SortStableFunc(list, func(a, b wire.Rendition) int { return int(a.BitrateBPS - b.BitrateBPS) })
		known := list[0].BitrateBPS > 0
		for i := 1; i < len(list); i++ {
			known = known && list[i].BitrateBPS > list[i-1].BitrateBPS
			if list[i].Container != list[0].Container {
				return nil, tool.Failed("--abr: %s is %s and %s is %s: one cannot follow the other", list[i].Name, list[i].Container, list[0].Name, list[0].Container)
			}
		}
		switch {
		case known:
			return list, nil
		case time.Now().After(deadline):
			return nil, tool.Failed("--abr: the renditions' bit rates are not known, or the same").Hint("--rendition NAME watches one")
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// join enters the swarm of a rendition and reads what it brings.
func (l *ladder) join(i int, as node.Room, others time.Duration) (*rung, error) {
	r := l.list[i]
	container, _ := media.ParseContainer(r.Container)
	url := origin.RoomURL{Base: l.base.Base, Room: r.Room, Key: l.base.Key}
	local, err := store.NewRoom(store.RoomConfig{Name: r.Room, Key: url.Key, Container: container, Window: l.o.window, WindowBytes: l.o.windowBytes})
	if err != nil {
		return nil, err
	}
	s := &rung{session: &session{viewer: l.viewer, name: r.Room, key: local.Key(), client: l.known.clients[i], local: local, requests: map[uint64]func(){}, othersFirst: time.Now().Add(others)}, joined: time.Now(), came: time.Now()}
	s.rush = as.Start.Mode != playout.At
	s.arrived, s.putOut = l.links.hear(s, l.known.edge(i), s.rush)
	as.Arrivals = true
	s.ctx, s.cancel = context.WithCancel(l.viewer.ctx)
	cur, err := local.Start(store.Oldest())
	if err == nil {
		err = s.join(as)
	}
	if err != nil {
		s.cancel()
		return nil, err
	}
	if !l.o.originOnly {
		doc := brief(s.ctx, signal.Reach(), url)
		l.work.Go(func() { _ = s.meet(s.ctx, doc) })
	}
	l.work.Go(func() { s.read(cur, l.wake) })
	return s, nil
}

// read queues what a player reads of the rendition.
func (r *rung) read(cur *store.Cursor, wake chan<- struct{}) {
	play := origin.NewPlayable(r.local.Container())
	add := func(dts int64, runs [][]byte) {
		for _, b := range runs {
			r.queue = append(r.queue, chunk{dts, b})
			r.bytes += len(b)
		}
	}
	for {
		rec, err := cur.Next(r.ctx)
		r.mu.Lock()
		switch {
		case errors.Is(err, store.ErrEnded):
			add(r.end, play.Finish())
			r.over = true
		case errors.Is(err, store.ErrFellBehind): // nobody had what comes next any more
			play.Rejoin()
			r.gaps.Add(1)
			cur, r.err = r.local.Start(store.Oldest())
		case err != nil:
			r.err = err
		case r.bytes > maxQueued:
			r.err = store.ErrFellBehind
		default:
			if p := rec.Piece; p != nil {
				r.end, r.came = max(r.end, p.DTS), time.Now()
			}
			add(r.end, play.Add(rec))
			if p := rec.Piece; p != nil && play.Started() {
				r.begun = true
				for _, k := range p.Keyframes {
					r.keys = append(r.keys, k.DTS)
				}
			}
		}
		done := r.over || r.err != nil
		r.mu.Unlock()
		select {
		case wake <- struct{}{}:
		default:
		}
		if done {
			return
		}
	}
}

// leaveSwarm says goodbye to those who bring the rendition. What is queued stays.
func (l *ladder) leaveSwarm(r *rung) {
	if r.left {
		return
	}
	r.left = true
	l.io.Log.Info("leaving a rendition's swarm", "room", r.name, "has_until_ms", r.end)
	r.cancel()
	l.do(func(now time.Time) {
		for id, stop := range r.requests {
			delete(r.requests, id)
			stop()
		}
		if r.in() {
			_ = l.node.Leave(now, r.name)
			l.step(now) // what it still has to say is this session's
			delete(l.rooms, r.name)
		}
	})
}

// segmentOf is the number of the segment that a keyframe at dts is in.
func segmentOf(dts int64) int64 {
	if dts < 0 {
		return -((999 - dts) / 1000)
	}
	return dts / 1000
}

// placeOf says where the rendition that is gone over to shall begin: at the last
// keyframe that the one that is played has, or at the next if that is written
// already. So the least is fetched twice, and what is fetched is what the swarm
// hands round just then. Encoders put keyframes at the same times.
func placeOf(keys []int64, written, end int64) int64 {
	gop := int64(2000)
	for i := 1; i < len(keys); i++ {
		if d := keys[i] - keys[i-1]; d > 0 {
			gop = d
		}
	}
	at := written + gop
	for i := len(keys) - 1; i >= 0; i-- {
		if at = keys[i]; at <= end-leaveMargin {
			break
		}
	}
	for at < written+margin {
		at += gop
	}
	return at
}

// placeUp says the same of a higher one: where it can be there in time, however much
// is in the buffer, for what is played goes on until it is there.
func placeUp(keys []int64, written, end int64) int64 {
	for _, k := range keys {
		if k >= written+leadUp && k <= end-leaveMargin {
			return k
		}
	}
	return placeOf(keys, written, end)
}

func startOf(epoch, dts int64) playout.Start {
	return playout.Start{Mode: playout.At, At: segment.ID{Epoch: epoch, Seq: segmentOf(dts)}}
}
