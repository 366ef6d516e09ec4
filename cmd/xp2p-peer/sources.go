package main

import (
	"context"
	"sync"
	"time"

	"github.com/xp2p/xp2p/lib/origin"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/wire"
)

// Our choices for probes.
const (
	probeFirst = time.Second             // between two, at least
	probeLast  = 1500 * time.Millisecond // and at most
	probeShare = 2                       // between these, as many times as long as the last one took
	probeRun   = 8                       // pieces
)

// Sources are where renditions come from beside the swarm, and what they say of
// the streams.
type sources struct {
	clients []*origin.Client
	mu      sync.Mutex
	newest  []*origin.Newest // nil: not known yet
}

func newSources(base origin.RoomURL, list []wire.Rendition) (*sources, error) {
	s := &sources{newest: make([]*origin.Newest, len(list))}
	for _, r := range list {
		c, err := origin.NewClient(origin.ClientConfig{Base: base.Base, Room: r.Room, Key: base.Key})
		if err != nil {
			return nil, err
		}
		s.clients = append(s.clients, c)
	}
	return s, nil
}

// ask asks for all streams' newest moments, until it knows them.
func (s *sources) ask(ctx context.Context) {
	for i := range s.clients {
		for wait := askFirst; s.look(ctx, i) == nil; wait = min(2*wait, askMax) {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return
			}
		}
	}
}

func (s *sources) look(ctx context.Context, i int) *origin.Newest {
	n, err := s.clients[i].Newest(ctx)
	if err != nil || n.Edge == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newest[i] = n
	return n
}

// epoch is that of a stream.
func (s *sources) epoch(i int) (epoch int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.newest[i] == nil {
		return 0, false
	}
	return s.newest[i].Edge.Epoch, true
}

// edge is the newest DTS of a stream that it has told.
func (s *sources) edge(i int) (dts int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.newest[i] == nil {
		return 0
	}
	return s.newest[i].Edge.DTS
}

// probe fetches pieces of a rendition's newest whole segment from its origin, to
// see what that would give, and throws them away. The question before it wakes
// the connection, so that only the bytes take time.
func (s *sources) probe(ctx context.Context, to *links, i int) (took time.Duration) {
	asked := time.Now()
	n := s.look(ctx, i)
	idle := time.Since(asked) // an answer's time, without bytes
	if n == nil || len(n.Segments) == 0 {
		return 0
	}
	g := n.Segments[len(n.Segments)-1]
	began := time.Now()
	recs, err := s.clients[i].At(ctx, segment.ID{Epoch: g.Epoch, Seq: g.Seq}, min(probeRun, g.Pieces))
	if err != nil {
		return 0
	}
	bytes := 0
	for _, r := range recs {
		bytes += len(r.Body)
	}
	took = time.Since(began)
	to.probed(time.Now(), bytes, max(took-idle, took/3))
	return took
}
