package main

import (
	"context"
	"errors"
	"time"

	"github.com/xp2p/xp2p/lib/portmap"
)

// mapPort has the router map the node's port until ctx ends. Without a router that
// does, viewers come in as they come to each other.
func (s *seed) mapPort(ctx context.Context) error {
	err := portmap.Keep(ctx, portmap.Config{Log: s.t.Log}, s.ep.LocalAddr(0).Port(), func(m portmap.Mapping) {
		if !m.Usable() && m.External.IsValid() {
			s.t.Log.Warn("the router stands behind another one: its port mapping is of no use", "external", m.External)
		}
		s.do(func(now time.Time) { s.node.Mapped(now, m.External) })
	})
	if errors.Is(err, portmap.ErrNone) {
		s.t.Log.Warn("--port-map: no router here maps ports")
	}
	return nil
}
