package origin

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/xp2p/xp2p/lib/store"
)

// UplinkPart is the part of its uplink that a server plans with. The rest is for
// what nobody counts: headers, acknowledgements, what the tracker says.
const UplinkPart = 0.9

// Planned returns how many of an uplink's bits per second a server plans with.
// 0 is no bound.
func Planned(bps int64) int64 {
	if bps <= 0 {
		return 0
	}
	return max(1, int64(UplinkPart*float64(bps)))
}

// An uplink is a Handler's Admission, with a lock and a clock.
type uplink struct {
	bounded bool          // never changes: without a bound nobody waits for the lock
	line    chan struct{} // who holds its place is the next to be given pieces
	mu      sync.Mutex
	admit   Admission
}

func (u *uplink) init(bps int64) {
	u.admit.Rate = Planned(bps)
	u.bounded = u.admit.Rate > 0
	u.line = make(chan struct{}, 1)
}

// start lets a newcomer in, and takes what he will be sent at once out of the
// bucket: of a crowd that comes in one moment, each finds what the one before has
// left.
func (u *uplink) start(advance int) bool {
	if !u.bounded {
		return true
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	if !u.admit.Start(now) {
		return false
	}
	u.admit.Spend(now, advance, false)
	return true
}

// pieces lets a viewer have what its player is about to lack, when it is its turn:
// first come, first served. In advance it takes about what the answer will be out
// of the bucket. false: its turn did not come in time, or it has gone.
func (u *uplink) pieces(ctx context.Context, advance int) bool {
	if !u.bounded {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	select {
	case u.line <- struct{}{}:
		defer func() { <-u.line }()
	case <-ctx.Done():
		return false
	}
	for {
		u.mu.Lock()
		now := time.Now()
		wait := u.admit.Pieces(now)
		if wait == 0 {
			u.admit.Spend(now, advance, true)
		}
		u.mu.Unlock()
		if wait == 0 {
			return true
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return false
		}
	}
}

// spend takes n bytes out of the bucket; what was not used comes back below zero.
func (u *uplink) spend(n int, pieces bool) {
	if !u.bounded || n == 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.admit.Spend(time.Now(), n, pieces)
}

// Spent tells that n bytes left by the same uplink without the handler: what a
// seed gave to its viewers over XNTP.
func (h *Handler) Spent(n int) { h.uplink.spend(n, false) }

// usualPiece is what a piece takes of the uplink at most, unless a slicer was told
// to make larger ones.
const usualPiece = 16 << 10

// full refuses what the uplink has no room for, and says so. What is small, or
// tells a viewer whom else to ask, is always answered.
func (h *Handler) full(w *counted, r *http.Request, room *store.Room, t target) bool {
	if !h.uplink.bounded || r.Method == http.MethodHead {
		return false
	}
	switch t.kind {
	case startTarget, liveTarget:
		advance := opening(room)
		if h.uplink.start(advance) {
			w.paid = advance
			return false
		}
		busy(w, "the uplink is full: begin with what other viewers have, or ask again")
	case pieceTarget, atTarget, segmentTarget, segmentPiecesTarget:
		advance := opening(room)
		if t.kind == pieceTarget || t.kind == atTarget {
			advance = min(advance, usualPiece*max(1, t.n))
		}
		if h.uplink.pieces(r.Context(), advance) {
			w.paid, w.lacked = advance, true
			return false
		}
		busy(w, "the uplink is full: ask other viewers, or again")
	default:
		return false
	}
	h.served.Busy.Add(1)
	return true
}

// opening is about how much a newcomer is sent at once: the newest keyframe is a
// second ago, give or take one, and so much is a segment.
func opening(room *store.Room) int {
	s := room.Snapshot(1)
	if len(s.Segments) == 0 {
		return 0
	}
	return int(s.Segments[0].Size)
}

// busy answers that there is no room just now.
func busy(w http.ResponseWriter, why string) {
	w.Header().Set("Retry-After", "1")
	refuse(w, http.StatusServiceUnavailable, why)
}
