package main

import (
	"context"
	"crypto/ed25519"
	"net/http"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/origin"
	"github.com/xp2p/xp2p/lib/signal"
	"github.com/xp2p/xp2p/lib/wire"
)

// How often the room document is asked for while there is none.
const (
	askFirst = 200 * time.Millisecond
	askMax   = 5 * time.Second
)

// A briefing is the room document as it comes in.
type briefing struct {
	done chan struct{} // closed when it is there, or nobody asks any more
	doc  *wire.RoomDocument
	http *http.Client // it came by this one
}

// brief asks for the room document until there is one.
func brief(ctx context.Context, client *http.Client, room origin.RoomURL) *briefing {
	b := &briefing{done: make(chan struct{}), http: client}
	go func() {
		defer close(b.done)
		for wait := askFirst; ; wait = min(2*wait, askMax) {
			doc, err := signal.FetchRoom(ctx, b.http, room.Document())
			if err == nil {
				b.doc = doc
				return
			}
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return
			}
		}
	}()
	return b
}

// within waits for the document for at most d.
func (b *briefing) within(ctx context.Context, d time.Duration) (*wire.RoomDocument, bool) {
	select {
	case <-b.done:
		return b.doc, b.doc != nil
	case <-time.After(d):
	case <-ctx.Done():
	}
	return nil, false
}

// meet brings the tracker and the node together for as long as the session
// lasts. A tracker that goes away takes nothing with it: those who are in go on.
func (s *session) meet(ctx context.Context, b *briefing) error {
	select {
	case <-b.done:
	case <-ctx.Done():
		return nil
	}
	if b.doc == nil {
		return nil
	}
	m := node.Meeting{Seeds: b.doc.Seeds, STUN: signal.Resolve(ctx, b.doc.STUN), Relays: b.doc.Relays}
	if b.doc.TokenKey != nil {
		m.TokenKeys = []ed25519.PublicKey{b.doc.TokenKey[:]}
	}
	s.know(b.doc)
	var c *signal.Client
	if b.doc.Signal != "" {
		// It connects while a server is asked for our address, which the hello tells.
		c = signal.Dial(context.WithoutCancel(ctx), signal.ClientConfig{URL: b.doc.Signal, HTTP: b.http, Log: s.io.Log})
		defer context.AfterFunc(ctx, func() {
			s.lastReport()
			c.Close()
		})()
	}
	if err := s.ep.DoContext(ctx, func(now time.Time) {
		s.tracker, s.stun = c, m.STUN
		switch {
		case !s.in():
			return
		case (s.o.nat == "" || s.o.nat == "-") && len(m.STUN) > 0:
			s.node.ExpectNAT(now)
		}
		s.node.Meet(now, s.name, m)
	}); err != nil || c == nil {
		return nil
	}
	s.work.Go(func() {
		if err := s.knowNAT(ctx, m.STUN); err != nil {
			s.over(err)
		}
	})
	for ev := range c.Events() {
		s.online.Store(ev.Kind != signal.Down)
		switch ev.Kind {
		case signal.Message:
			s.do(func(now time.Time) {
				if !s.in() {
					return
				}
				if list, ok := ev.Signal.(*wire.SignalNeighbours); ok && !slices.ContainsFunc(list.Members, isViewer) {
					s.othersFirst = now // there are none
				}
				if err := s.node.Signal(now, s.name, ev.Signal); err != nil {
					s.io.Log.Warn("the tracker said what makes no sense", "err", err)
				}
			})
		case signal.Down:
			s.io.Log.Info("the tracker does not answer", "err", ev.Err, "retry", ev.Retry)
		}
	}
	return nil
}

func isViewer(m wire.SignalMember) bool { return m.Role == wire.RolePeer }

// lastReport tells the tracker what nobody can say for us any more: what we had
// of whom.
func (s *session) lastReport() {
	ctx, cancel := context.WithTimeout(context.Background(), leaveWithin)
	defer cancel()
	_ = s.ep.Call(ctx, func(now time.Time) { // without an endpoint there is nothing to tell
		if s.in() {
			s.node.Report(now, s.name)
			s.step(now)
		}
	})
}

// say passes a message of the node's to the tracker. On the loop.
func (s *session) say(m wire.Signal) {
	if s.tracker != nil {
		s.tracker.Send(m)
	}
}
