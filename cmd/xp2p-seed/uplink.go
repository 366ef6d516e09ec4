package main

import (
	"context"
	"time"

	"github.com/xp2p/xp2p/lib/origin"
)

// shareEvery is how often the origin hears what the swarm has taken of the
// uplink: often beside the second that the origin may save up or overdraw.
const shareEvery = 100 * time.Millisecond

// share tells the origin what the node gives to viewers over XNTP, and what the relay
// passes on, for all leave by one uplink. They come first: each byte that the node
// gives is handed on, and a relay's viewers have no other way.
func (s *seed) share(ctx context.Context) error {
	tick := time.NewTicker(shareEvery)
	defer tick.Stop()
	told := int64(0)
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		// A seed is sent no pieces, so the payload is what it gave.
		if given := s.counts().Payload + s.relayed(); given > told {
			s.content.Spent(int(given - told))
			told = given
		}
	}
}

// swarmUpload is what the node may give, in bits per second; 0 is no bound.
func (o *options) swarmUpload() int64 {
	part := origin.Planned(o.uplink)
	if part == 0 || o.maxUpload > 0 && o.maxUpload < part {
		return o.maxUpload
	}
	return part
}
