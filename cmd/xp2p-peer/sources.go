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
	probeFirst = 600 * time.Millisecond  // between two, at least
	probeLast  = 1000 * time.Millisecond // and at most
	probeShare = 4                       // between these, as many times as long as the last one took
	probeRise  = 1.3                     // times the rate of the one before: the link has become faster, and the next follows soon
	probeLeast = 2                       // pieces
	probeMost  = 8
	probeTime  = 400 * time.Millisecond // that one shall take, by the one before: on a narrow link it is in the way
	probeOver  = 2 * time.Second        // for one whose packets were lost
)

// Sources are where renditions come from beside the swarm, and what they say of
// the streams.
type sources struct {
	clients []*origin.Client
	mu      sync.Mutex
	newest  []*origin.Newest // nil: not known yet
	seen    []time.Time      // when that was said
	run     int              // pieces of the next probe
	rate    float64          // bytes per second of the last one
}

func newSources(base origin.RoomURL, list []wire.Rendition) (*sources, error) {
	s := &sources{newest: make([]*origin.Newest, len(list)), seen: make([]time.Time, len(list)), run: probeMost}
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
	s.newest[i], s.seen[i] = n, time.Now()
	return n
}

// lowest is the lowest rendition that is on the air: it is asked where its live
// edge is. If nobody says so of any, it is the lowest of all.
func (s *sources) lowest(ctx context.Context) int {
	for i := range s.clients {
		ctx, cancel := context.WithTimeout(ctx, probeOver)
		n := s.look(ctx, i)
		cancel()
		if n != nil && !n.Ended {
			return i
		}
	}
	return 0
}

// since is what a stream's origin has said of it since a moment; nil if nothing.
func (s *sources) since(i int, t time.Time) *origin.Newest {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[i].Before(t) {
		return nil
	}
	return s.newest[i]
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
// the connection, so that only the bytes take time. It returns how long to wait before
// the next.
func (s *sources) probe(ctx context.Context, to *links, i int) (rest time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, probeOver)
	defer cancel()
	asked := time.Now()
	n := s.look(ctx, i)
	idle := time.Since(asked) // an answer's time, without bytes
	if n == nil || len(n.Segments) == 0 {
		return probeFirst
	}
	g := n.Segments[len(n.Segments)-1]
	began := time.Now()
	recs, err := s.clients[i].At(ctx, segment.ID{Epoch: g.Epoch, Seq: g.Seq}, min(s.run, g.Pieces))
	if err != nil {
		s.run = probeLeast
		return probeFirst
	}
	bytes := 0
	for _, r := range recs {
		bytes += len(r.Body)
	}
	took := time.Since(began)
	s.run = min(max(int(float64(len(recs))*float64(probeTime)/float64(max(took, 1))), probeLeast), probeMost)
	to.probed(time.Now(), bytes, max(took-idle, took/3))
	before := s.rate
	s.rate = float64(bytes) / took.Seconds()
	return restAfter(took, s.rate, before)
}

// restAfter is how long to wait behind a probe that took some time, at its rate and at
// that of the one before.
func restAfter(took time.Duration, rate, before float64) time.Duration {
	if rate > probeRise*before {
		return probeFirst
	}
	return min(max(probeFirst, probeShare*took), probeLast)
}
