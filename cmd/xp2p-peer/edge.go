package main

import (
	"context"
	"encoding/json"
	"io"
	"sync/atomic"
	"time"

	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/origin"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/squeeze"
	"github.com/xp2p/xp2p/lib/store"
)

// Our choices for --latency.
const (
	// How long the start may wait for somebody's word on where the live edge is. It
	// was asked for at the same time as the start itself.
	edgePatience = 300 * time.Millisecond
	// With --catch-up skip: what a player must be behind, and what a newer keyframe
	// must gain.
	skipBehind = 1500 * time.Millisecond
	skipGain   = 500 // ms
)

// An edge is what is known of the newest moment of the stream, beside what has
// come here.
type edge struct {
	hint     atomic.Pointer[origin.Newest] // as the viewer came
	past     atomic.Bool                   // the room was over then: it has no edge
	playhead atomic.Pointer[squeeze.Playhead]
}

// learn asks where the edge is: the tracker's answer has been under way since
// the program began; a room without a tracker has an origin.
func (e *edge) learn(ctx context.Context, doc *briefing, c *origin.Client) {
	ctx, cancel := context.WithTimeout(ctx, edgePatience)
	defer cancel()
	var n *origin.Newest
	if d, ok := doc.within(ctx, edgePatience/2); ok && d.Newest != nil {
		n = new(origin.Newest)
		if json.Unmarshal(d.Newest, n) != nil {
			n = nil
		}
	}
	if n == nil {
		n, _ = c.Newest(ctx) // without it the edge is what comes here
	}
	if n != nil {
		e.past.Store(n.Ended)
		e.hint.Store(n)
	}
}

// dts is the newest time of the source that is known; false before the first.
func (s *session) dts() (ms int64, ok bool) {
	snap := s.local.Snapshot(0)
	if snap.Pieces == 0 {
		return 0, false
	}
	ms = snap.EdgeDTS
	if n := s.edge.hint.Load(); n != nil && n.Edge != nil && n.Edge.Epoch == snap.Edge.Epoch {
		ms = max(ms, n.Edge.DTS)
	}
	return ms, true
}

// measureEdge fills in how far the model player is from the newest moment at the
// origin.
func (s *session) measureEdge(now time.Time, r *measure.Report) {
	var d int64
	newest, ok := s.dts()
	switch h := s.edge.playhead.Load(); {
	case h != nil && h.Started && ok:
		d = newest - int64(h.Source(now))
	case r.StartupMS != nil && r.BufferMS != nil:
		d = *r.BufferMS
	default:
		return
	}
	if r.LagMS != nil {
		d += max(0, *r.LagMS) // what the origin has had since the newest that is here
	}
	d = max(0, d)
	r.EdgeDistanceMS = &d
}

// An edgeWriter writes what a player reads, in times that bring it to the live
// edge.
type edgeWriter struct {
	s        *session
	out      io.Writer
	playable *origin.Playable
	squeeze  *squeeze.Squeezer
	last     *segment.Piece
}

func (s *session) newEdgeWriter(out io.Writer) *edgeWriter {
	c := s.local.Container()
	return &edgeWriter{s: s, out: out, playable: origin.NewPlayable(c), squeeze: squeeze.New(c, s.o.nearness)}
}

func (w *edgeWriter) write(rec segment.Record, _ bool) error {
	if rec.Kind == segment.KindPiece {
		w.last = rec.Piece
	}
	return w.all(w.playable.Add(rec))
}

func (w *edgeWriter) all(runs [][]byte) error {
	newest, _ := w.s.dts()
	return w.put(w.squeeze.Add(time.Now(), newest, runs))
}

func (w *edgeWriter) put(runs [][]byte) error {
	for _, b := range runs {
		if _, err := w.out.Write(b); err != nil {
			return err
		}
	}
	w.squeeze.Wrote(time.Now())
	h := w.squeeze.Playhead()
	w.s.edge.playhead.Store(&h)
	return nil
}

func (w *edgeWriter) rejoin() error {
	w.playable.Rejoin()
	w.squeeze.Jump()
	return nil
}

func (w *edgeWriter) finish() error {
	if err := w.all(w.playable.Finish()); err != nil {
		return err
	}
	return w.put(w.squeeze.Finish(time.Now()))
}

// ahead returns a cursor at the newest keyframe, if the player is so far behind
// that it shall go on there; else nil.
func (w *edgeWriter) ahead() *store.Cursor {
	newest, ok := w.s.dts()
	if !ok || w.last == nil || w.squeeze.Behind(time.Now(), newest) < skipBehind {
		return nil
	}
	snap := w.s.local.Snapshot(0)
	if k := snap.Keyframe; k == nil || snap.KeyframeID.Compare(w.last.ID) <= 0 || snap.KeyframeID.Epoch == w.last.Epoch && k.DTS < w.last.DTS+skipGain {
		return nil
	}
	cur, err := w.s.local.Start(store.Live())
	if err != nil {
		return nil
	}
	return cur
}
