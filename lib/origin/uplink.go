package origin

import (
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
	bounded bool // never changes: without a bound nobody waits for the lock
	mu      sync.Mutex
	admit   Admission
}

func (u *uplink) init(bps int64) {
	u.admit.Rate = Planned(bps)
	u.bounded = u.admit.Rate > 0
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
	u.admit.Spend(now, advance)
	return true
}

// pieces reports whether a viewer may have what its player is about to lack.
func (u *uplink) pieces() bool {
	if !u.bounded {
		return true
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.admit.Pieces(time.Now())
}

// spend takes n bytes out of the bucket; what was not used comes back below zero.
func (u *uplink) spend(n int) {
	if !u.bounded || n == 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.admit.Spend(time.Now(), n)
}

// Spent tells that n bytes left by the same uplink without the handler: what a
// seed gave to its viewers over XNTP.
func (h *Handler) Spent(n int) { h.uplink.spend(n) }

// full refuses what the uplink has no room for, and says so. What is small, or
// tells a viewer whom else to ask, is always answered.
func (h *Handler) full(w *counted, r *http.Request, room *store.Room, kind targetKind) bool {
	if !h.uplink.bounded || r.Method == http.MethodHead {
		return false
	}
	switch kind {
	case startTarget, liveTarget:
		advance := opening(room)
		if h.uplink.start(advance) {
			w.paid = advance
			return false
		}
		busy(w, "the uplink is full: begin with what other viewers have, or ask again")
	case pieceTarget, atTarget, segmentTarget, segmentPiecesTarget:
		if h.uplink.pieces() {
			return false
		}
		busy(w, "the uplink is overdrawn: ask other viewers, or again")
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
