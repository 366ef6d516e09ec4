package swarm

import (
	"bytes"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
)

// startAhead is how many pieces of a stream that nobody plays yet are asked for
// at once and first: a keyframe's, and then a little.
const startAhead = 6

// keyed notes a piece with a keyframe that has come: playing can begin there too,
// and who has holes behind it can still say so.
func (s *Swarm) keyed(id segment.ID) {
	if id.Compare(s.key) > 0 {
		s.key, s.keyRun = id, wire.Run{Epoch: id.Epoch, Seq: id.Seq, First: id.Index, Bits: []byte{1}}
	}
}

// onKey notes where a neighbour says that playing can begin: the newest wins,
// as far as it can be of this stream. Who has nothing to play yet is told at
// once: in a crowd of newcomers the word must not wait for the bytes.
func (s *Swarm) onKey(now time.Time, from *neighbour, r wire.Run) {
	if s.keyAt.IsZero() {
		s.keyAt, s.keyWake = now, now.Add(keyGather)
	}
	id := segment.ID{Epoch: r.Epoch, Seq: r.Seq, Index: r.First}
	if newest, known := s.win.newest(); id.Index >= maxKnown || id.Compare(s.key) <= 0 || known && !plausible(id, newest) {
		return
	}
	s.key, s.keyRun = id, wire.Run{Epoch: r.Epoch, Seq: r.Seq, First: r.First, Bits: bytes.Clone(r.Bits)}
	r.Each(func(i int) { id.Index = i })
	s.exists(now, id, true, false)
	for _, n := range s.peers {
		if n != from && n.ready() && n.starts && !n.seed && n.tier != topology.Above {
			s.tellKey(n, s.keyRun)
		}
	}
}

// keyGather is how long others are listened to when one neighbour has said where
// playing can begin: he may be behind.
const keyGather = 20 * time.Millisecond

// Entry returns where the neighbours say that playing can begin; false if none
// has said so, or others may know better.
func (s *Swarm) Entry(now time.Time) (segment.ID, bool) {
	return s.key, s.key != segment.ID{} && now.Sub(s.keyAt) >= keyGather
}

// newestKey returns the newest piece with a keyframe that we hold, and with it
// all that follows, but for the newest few, which are still being handed round.
func (w *window) newestKey() (segment.ID, bool) {
	fresh := freshPieces
	for i := len(w.segs) - 1; i >= 0; i-- {
		p := w.segs[i]
		for j := max(p.known, len(p.pieces)) - 1; j >= 0; j-- {
			if j >= len(p.pieces) || p.pieces[j] == nil {
				if fresh--; fresh < 0 {
					return segment.ID{}, false
				}
				continue
			}
			fresh--
			if len(p.pieces[j].piece.Keyframes) > 0 {
				return p.pieces[j].piece.ID, true
			}
		}
		if i > 0 && w.segs[i-1].epoch == p.epoch && w.segs[i-1].seq+1 < p.seq {
			return segment.ID{}, false
		}
	}
	return segment.ID{}, false
}

// startsFor is how long a neighbour that has said that it has nothing to play is
// told of keyframes.
const startsFor = 4 * time.Second

// sayKey tells a newcomer where playing can begin. What we have only heard is
// better than nothing.
func (s *Swarm) sayKey(n *neighbour) {
	key, ok := s.win.newestKey()
	if !ok {
		if s.key != (segment.ID{}) {
			s.tellKey(n, s.keyRun)
		}
		return
	}
	// The key's piece, and those behind it in its segment as far as they are
	// known to exist: the first picture is several pieces.
	run := wire.Run{Epoch: key.Epoch, Seq: key.Seq, First: key.Index, Bits: []byte{1}}
	for i := key.Index + 1; i < min(s.win.find(key.Epoch, key.Seq).sure, key.Index+64); i++ {
		for len(run.Bits) <= (i-key.Index)/8 {
			run.Bits = append(run.Bits, 0)
		}
		run.Bits[(i-key.Index)/8] |= 1 << ((i - key.Index) % 8)
	}
	s.tellKey(n, run)
}

func (s *Swarm) tellKey(n *neighbour, run wire.Run) {
	s.control(n, wire.AppendHave(nil, s.tag, wire.HaveKey, []wire.Run{run}))
}

// passInit hands an init that has come to those who have nothing to play yet.
func (s *Swarm) passInit(i *heldInit) {
	for _, n := range s.peers {
		if n.ready() && n.starts && !n.seed {
			s.sendInit(n, i)
		}
	}
}

// tellFrom tells a neighbour where we have begun: what is before it, nobody
// shall send us.
func (s *Swarm) tellFrom(n *neighbour) {
	f := s.want.began
	s.control(n, wire.AppendFrom(nil, s.tag, wire.Run{Epoch: f.Epoch, Seq: f.Seq, First: f.Index, Bits: []byte{1}}))
}

// onFrom notes where a neighbour has begun.
func (s *Swarm) onFrom(n *neighbour, runs []wire.Run) {
	if len(runs) == 1 {
		n.from = segment.ID{Epoch: runs[0].Epoch, Seq: runs[0].Seq, Index: runs[0].First}
		n.starts = false
	}
}

// starting reports whether the player waits for its first picture.
func (s *Swarm) starting() bool { return s.want.on && s.want.line.At.IsZero() }
