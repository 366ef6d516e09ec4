package tracker

import (
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
)

// A knower had a peer in its list, and has it no more: for a while both may
// still be neighbours, and the one asks the other for what its new neighbours
// lack.
type knower struct {
	id   wire.PeerID
	till time.Time
}

const (
	// knowTime: members leave those whom no list names after about so long
	// (package swarm).
	knowTime   = 15 * time.Second
	maxKnowers = 64 // of one peer; then those who have known it longest are forgotten
)

// name notes whom p's next list names, and tells those whom it names no more
// that p still knows them.
func (p *peer) name(now time.Time, members []wire.SignalMember) {
	old := p.told
	p.told = make([]wire.PeerID, 0, len(members))
	for i := range members {
		p.told = append(p.told, members[i].ID)
	}
	slices.Sort(p.told)
	for _, id := range old {
		if _, ok := slices.BinarySearch(p.told, id); ok {
			continue
		}
		if o := p.room.peers[id]; o != nil {
			o.knowers = slices.DeleteFunc(o.knowers, func(k knower) bool { return k.id == p.id || !now.Before(k.till) })
			if len(o.knowers) >= maxKnowers {
				o.knowers = o.knowers[1:]
			}
			o.knowers = append(o.knowers, knower{p.id, now.Add(knowTime)})
		}
	}
}

// sayLeft notes that a peer leaves for the next list of those who know it.
func (t *Tracker) sayLeft(p *peer) {
	v, ok := p.room.top.View(topology.ID(p.id))
	if !ok {
		return
	}
	for _, m := range v.Members {
		p.leftTo(p.room.peers[wire.PeerID(m.ID)])
	}
	if len(p.knowers) > 0 {
		p.room.version++
	}
	for _, k := range p.knowers {
		if o := p.room.peers[k.id]; t.clock.Before(k.till) && p.leftTo(o) {
			o.version, o.list = p.room.version, true
			t.queue(o)
		}
	}
}

// leftTo notes for another that p has left; false if it knows, or has heard of
// so many that it will not hear of this one.
func (p *peer) leftTo(o *peer) bool {
	if o == nil || o == p || len(o.left) >= wire.MaxSignalMembers || slices.Contains(o.left, p.id) {
		return false
	}
	o.left = append(o.left, p.id)
	return true
}
