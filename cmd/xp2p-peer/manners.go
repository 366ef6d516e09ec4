package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/tool"
)

// How often it is looked at whether the link is a metered one, and how often
// what was uploaded is written down.
const (
	linkEvery = 30 * time.Second
	bookEvery = 2 // of these
)

// manners keep what a viewer uploads within what its user allows: a month's
// quota, a ratio, nothing over a link that is paid for by the byte.
type manners struct {
	io    *tool.IO
	ratio float64
	quota *quota // nil: none

	watch   bool        // the link may become a metered one, or cease to be
	ask     func() bool // the system whether it is
	metered bool

	given atomic.Int64 // by the node, when it left
}

func newManners(t *tool.IO, o *options, now time.Time) (*manners, error) {
	m := &manners{io: t, ratio: o.uploadRatio, metered: o.metered == "yes", ask: onMeteredLink}
	if o.noUpload || o.originOnly {
		return m, nil
	}
	if m.watch = o.metered == "auto"; m.watch {
		m.look()
	}
	if o.uploadQuota > 0 {
		var err error
		if m.quota, err = openQuota(o.quotaFile, o.uploadQuota, now); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// look asks the system about the link.
func (m *manners) look() {
	was := m.metered
	if m.metered = m.ask(); m.metered && !was {
		m.io.Milestone("this link looks like one that is paid for by the byte: nothing is uploaded", "otherwise", "--metered no")
	}
}

// bounds are the node's from now on; it has given so much.
func (m *manners) bounds(now time.Time) (of func(given int64) node.Polite) {
	p := node.Polite{Allowance: -1, Ratio: m.ratio, Metered: m.metered}
	if m.quota == nil {
		return func(int64) node.Polite { return p }
	}
	end := m.quota.end(now)
	return func(given int64) node.Polite {
		p.Allowance = max(0, end-given)
		return p
	}
}

// book writes down what was uploaded.
func (m *manners) book(now time.Time, given int64) {
	if m.quota == nil {
		return
	}
	if err := m.quota.book(now, given); err != nil {
		m.io.Log.Warn("what was uploaded cannot be counted now", "bytes", given-m.quota.booked, "err", err)
	}
}

// leave writes down the last of it.
func (m *manners) leave() {
	if m.quota != nil {
		m.book(time.Now(), max(m.given.Load(), m.quota.booked))
	}
}

// behave keeps the manners up while the session lasts.
func (s *session) behave(ctx context.Context) error {
	m := s.manners
	if m.quota == nil && !m.watch {
		return nil
	}
	tick := time.NewTicker(linkEvery)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if m.watch {
			m.look()
		}
		if n%bookEvery == 0 {
			var given int64
			if err := s.ep.Call(ctx, func(time.Time) { given = s.node.Counts().Given }); err != nil {
				return nil
			}
			m.book(time.Now(), given)
		}
		bounds := m.bounds(time.Now())
		s.do(func(now time.Time) { s.node.SetPolite(now, bounds(s.node.Counts().Given)) })
	}
}
