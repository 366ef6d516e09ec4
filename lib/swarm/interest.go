package swarm

import (
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/topology"
)

// An interest is a request for a piece that we lack and want ourselves, from then
// on by the time by which the asker needs it. It is answered when the piece comes: so in a crowd of newcomers, each fed by others
// who have just come, a piece runs down through all of them without anybody
// asking twice. Only those who stand below are waited for, so that no two wait
// for each other.
type interest struct {
	peer   Peer
	id     segment.ID
	urgent bool
	end    time.Time
}

// maxInterests bounds the requests that are kept; one more is told GONE.
const maxInterests = 256

// interested keeps a request for later; false if it has no place.
func (s *Swarm) interested(now time.Time, n *neighbour, id segment.ID, urgent bool, life time.Duration) bool {
	m := s.want.misses[id]
	if n.tier != topology.Below || m == nil {
		return false
	}
	s.interests = slices.DeleteFunc(s.interests, func(i interest) bool { return !now.Before(i.end) })
	if len(s.interests) >= maxInterests {
		return false
	}
	s.interests = append(s.interests, interest{n.id, id, urgent, now.Add(life)})
	var answer time.Duration
	if o := s.peer(m.peer); o != nil {
		answer = s.answerTime(o)
	}
	need := now
	if !urgent {
		need = now.Add(life - answerGrace)
	}
	s.want.hurry(now, m, need, answer)
	return true
}

// satisfy answers those who wait for a piece that has come.
func (s *Swarm) satisfy(now time.Time, h *held) {
	if len(s.interests) == 0 {
		return
	}
	var come []interest
	s.interests = slices.DeleteFunc(s.interests, func(i interest) bool {
		if i.id == h.piece.ID {
			come = append(come, i)
		}
		return i.id == h.piece.ID
	})
	for _, i := range come {
		if n := s.peer(i.peer); n != nil && n.ready() && now.Before(i.end) {
			s.sendAsked(now, n, h, i.urgent, i.end.Sub(now))
		}
	}
}

// disinterested forgets what a neighbour waits for: a piece, or all, if id is
// zero.
func (s *Swarm) disinterested(p Peer, id segment.ID) {
	s.interests = slices.DeleteFunc(s.interests, func(i interest) bool {
		return i.peer == p && (i.id == id || id == segment.ID{})
	})
}
