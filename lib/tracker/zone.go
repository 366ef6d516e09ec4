package tracker

import (
	"slices"
	"strings"

	"github.com/xp2p/xp2p/lib/wire"
	"github.com/xp2p/xp2p/lib/zone"
)

// locate notes in which zone a peer is: that of the first address at which a
// server saw it and whose zone is known. Until one has seen it, it is where its
// signalling comes from. What the peer claims does not count.
func (r *room) locate(p *peer) {
	if r.zones == nil {
		return
	}
	z := zone.ID(0)
	for _, a := range p.observed {
		if z = r.zones.Lookup(a.Addr()); z != 0 {
			break
		}
	}
	if len(p.observed) == 0 {
		z = r.zones.Lookup(p.remote)
	}
	r.unlocate(p)
	p.zone, p.located = z, true
	if p.hello.Role != wire.RoleSeed {
		r.inZone[z]++
	}
}

// unlocate takes a peer out of the count of its zone.
func (r *room) unlocate(p *peer) {
	if !p.located || p.hello.Role == wire.RoleSeed {
		return
	}
	p.located = false
	if r.inZone[p.zone]--; r.inZone[p.zone] == 0 {
		delete(r.inZone, p.zone)
	}
}

// cost returns what it costs p to reach o.
func (p *peer) cost(o *peer) uint32 {
	if p.room.zones == nil {
		return 0
	}
	return p.room.zones.Cost(p.zone, o.zone)
}

// seedCost returns what it costs p to reach the nearest seed.
func (p *peer) seedCost() (least uint32) {
	for i, s := range p.room.seeds {
		if c := p.cost(s); i == 0 || c < least {
			least = c
		}
	}
	return least
}

// rate returns the bit rate of the room's stream, as its seeds take it in; 0:
// nobody has said it yet.
func (r *room) rate() (bps int64) {
	for _, s := range r.seeds {
		if s.report != nil {
			bps = max(bps, s.report.RateBPS)
		}
	}
	return bps
}

// unbounded says that a zone's budget bounds nothing.
const unbounded = -1

// crossings returns how many copies of a room's stream may cross the border of
// a zone, each way: the zone's budget over the rates of all rooms that have
// peers in it, so that they stay below it together. One may always: without it
// a zone would have nothing to share. It is unbounded where there is no budget,
// and as long as nobody has said how fast the stream is.
func (t *Tracker) crossings(r *room, z zone.ID) int {
	if t.cfg.Zones == nil || z == 0 {
		return unbounded
	}
	budget, rate := t.cfg.Zones.Budget(z), r.rate()
	if budget <= 0 || rate <= 0 {
		return unbounded
	}
	for _, o := range t.rooms {
		if o != r && o.inZone[z] > 0 {
			rate += o.rate()
		}
	}
	return int(max(1, budget/rate))
}

// A ZoneStats is a zone in numbers.
type ZoneStats struct {
	Name  string // empty: not known
	Peers int    // without seeds
}

// zoneStats returns the zones that have peers, ascending by name.
func (r *room) zoneStats() (all []ZoneStats) {
	for z, n := range r.inZone {
		all = append(all, ZoneStats{r.zones.Name(z), n})
	}
	slices.SortFunc(all, func(a, b ZoneStats) int { return strings.Compare(a.Name, b.Name) })
	return all
}
