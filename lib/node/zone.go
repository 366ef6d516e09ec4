package node

import "github.com/xp2p/xp2p/lib/wire"

// An originZone is what a room knows of where its origin stands: where the
// nearest seed does, for most often the two are one process.
type originZone struct {
	known   bool
	far     bool // in another zone than we
	unknown int  // bytes that came before it was known
}

// placeOrigin takes the tracker's word on what seeds cost: those of the list, or,
// where others feed us, the nearest.
func (r *room) placeOrigin(list *wire.SignalNeighbours) {
	seeds, far := list.SeedCost > 0, true
	for i := range list.Members {
		if m := &list.Members[i]; m.Role == wire.RoleSeed {
			seeds, far = true, far && m.Cost > 0
		}
	}
	if !seeds {
		return
	}
	if far {
		r.meter.InterZone(r.origin.unknown)
	}
	r.origin = originZone{known: true, far: far}
}

// fromOrigin counts payload of the origin that came from another zone.
func (r *room) fromOrigin(n int) {
	switch {
	case !r.origin.known:
		r.origin.unknown += n
	case r.origin.far:
		r.meter.InterZone(n)
	}
}
