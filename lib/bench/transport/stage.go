package transport

import (
	"context"
	"sync"
	"time"

	"github.com/xp2p/xp2p/lib/bench/rival"
)

// A stage is one run: a bed, the transports that were opened on it, and the
// flows that were dialed.
type stage struct {
	bed   bed
	start time.Time
	serve *sessions

	ends  []rival.Listener
	over  sync.Once
	mu    sync.Mutex
	flows []*flow
}

func newStage(l *Link, seed uint64) (*stage, error) {
	b, err := newBed(l, seed)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	return &stage{bed: b, start: start, serve: newSessions(start)}, nil
}

// A party is a transport on a stage, listening, and the way to it.
type party struct {
	stage     *stage
	group     int
	transport rival.Transport
	to        rival.Peer
}

// open lets a transport listen, and finds the way of a group to it.
func (s *stage) open(spec rival.Spec, o rival.Options, group int) (*party, error) {
	t, err := spec.New(o)
	if err != nil {
		return nil, err
	}
	l, err := t.Listen(s.bed.server(), s.serve.serve)
	if err != nil {
		return nil, err
	}
	s.ends = append(s.ends, l)
	to, err := s.bed.route(l.Peer(), group)
	return &party{s, group, t, to}, err
}

// dial begins a flow; times are counted from start.
func (p *party) dial(ctx context.Context, r request, start time.Time) (*flow, error) {
	f, err := dial(ctx, p.transport, p.stage.bed.client(p.group), p.to, r, start)
	if err != nil {
		return nil, err
	}
	p.stage.mu.Lock()
	p.stage.flows = append(p.stage.flows, f)
	p.stage.mu.Unlock()
	return f, nil
}

// close ends the flows first, so that those who serve them hear of it, and then
// everything else.
func (s *stage) close() {
	s.over.Do(func() {
		s.mu.Lock()
		flows := s.flows
		s.mu.Unlock()
		for _, f := range flows {
			f.conn.Close()
		}
		for _, l := range s.ends {
			l.Close()
		}
		s.serve.close()
		s.bed.close()
	})
}
