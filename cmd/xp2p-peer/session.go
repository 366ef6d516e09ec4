package main

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/origin"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/signal"
	"github.com/xp2p/xp2p/lib/squeeze"
	"github.com/xp2p/xp2p/lib/store"
)

// A session is the viewer in one room: a stream, where it comes from, and the
// goroutines that do for it what is not a datagram.
type session struct {
	*viewer
	name string // of the room
	key  ed25519.PublicKey

	client *origin.Client
	local  *store.Room // what the node put out: stdout and local players read it

	// Of the endpoint's loop.
	opening  *opening // the start, asked for before there was a node; nil once it was used
	requests map[uint64]func()
	tracker  *signal.Client
	newest   segment.ID // that an origin has supplied
	// The origin's room is closed, without an end record.
	brokenOff bool

	othersFirst time.Time         // until then the other viewers alone are asked
	later       uint64            // the request for pieces that waits until then
	putOut      func(node.Output) // hears of all that is put out; may be nil
	arrived     func(node.Output) // hears of pieces when they come; may be nil
	held        []uint64          // requests that are to be cancelled behind the rush
	rush        bool              // the first stream of the origin is read until it has caught up

	waiting  waiting
	edge     edge
	entrance entrance
	playing  bool // somebody reads what is put out, and the backlog says how far
	backlog  backlog
	online   atomic.Bool // the tracker hears us
	gaps     atomic.Int64
	report   atomic.Pointer[measure.Report]
}

// hurries reports whether players here are brought to the live edge.
func (s *session) hurries() bool { return s.o.nearness != squeeze.Off && !s.edge.past.Load() }

// in reports whether the viewer is in the room by this session: it may have left,
// and come again by another. On the loop.
func (s *session) in() bool { return s.rooms[s.name] == s }

// event takes what the node has to say of the room. On the loop.
func (s *session) event(ev node.Event) {
	switch ev.Kind {
	case node.EventSignal:
		s.say(ev.Signal)
	case node.EventNeedOrigin:
		s.ask(ev.Origin)
	case node.EventStopOrigin:
		s.stopAsking(ev.Origin.ID)
	case node.EventOutput:
		s.put(ev.Output)
	case node.EventGap:
		s.io.Log.Warn("nobody has the next pieces any more: going on at a later keyframe", "at", store.FormatID(ev.Piece), "why", ev.Why)
		s.local.Reset()
		s.backlog.wrote(0, true)
	case node.EventEnd:
		s.local.Close()
	case node.EventStall:
		s.io.Log.Info("stalled", "piece", store.FormatID(ev.Piece))
	case node.EventResume:
		s.io.Log.Info("goes on", "piece", store.FormatID(ev.Piece), "late_ms", ev.Late.Milliseconds())
	case node.EventRestart:
		s.io.Log.Info("the broadcaster began anew", "at", store.FormatID(ev.Piece))
	case node.EventUp:
		s.waiting.met(ev.Neighbour, true)
		s.io.Log.Info("met a neighbour", "id", ev.Neighbour, "addr", ev.Addr)
	case node.EventDown:
		s.waiting.met(ev.Neighbour, false)
		s.io.Log.Info("a neighbour is gone", "id", ev.Neighbour, "why", ev.Why)
	case node.EventArrival:
		if s.arrived != nil {
			s.arrived(ev.Output)
		}
	case node.EventExplain:
		s.explain(ev)
	}
}

// put keeps the next part of the stream for whoever plays it here.
func (s *session) put(o node.Output) {
	s.waiting.end()
	if s.putOut != nil {
		s.putOut(o)
	}
	err := s.local.Append(o.Record)
	if errors.Is(err, store.ErrEnded) {
		return // the origin's room had closed without an end record
	}
	if err != nil {
		// The node gives out an exact, contiguous stream; the room checks it.
		s.over(fmt.Errorf("BUG: what the node put out does not fit: %w", err))
	}
	if o.Record.Kind == segment.KindPiece && s.playing {
		s.backlog.add(len(o.Record.Body))
	}
	s.closeBroken()
}

// explain writes why a piece came from where it came.
func (s *session) explain(ev node.Event) {
	from := ev.Source.String()
	if ev.Neighbour != 0 {
		from += " " + ev.Neighbour.String()
	}
	fmt.Fprintf(s.io.Err, "piece %s from %s: %s\n", store.FormatID(ev.Piece), from, ev.Why)
}
