package main

import (
	"context"
	"errors"
	"time"

	"github.com/xp2p/xp2p/lib/portmap"
)

// mapPort has the router map the node's port for as long as the session lasts.
// Without a router that does, all goes on without.
func (s *viewer) mapPort(ctx context.Context) error {
	err := portmap.Keep(ctx, portmap.Config{Log: s.io.Log}, s.ep.LocalAddr(0).Port(), func(m portmap.Mapping) {
		if !m.Usable() && m.External.IsValid() {
			s.io.Log.Warn("the router stands behind another one: its port mapping is of no use", "external", m.External)
		}
		s.do(func(now time.Time) { s.node.Mapped(now, m.External) })
	})
	if errors.Is(err, portmap.ErrNone) {
		s.io.Log.Warn("--port-map: no router here maps ports")
	}
	return nil
}
