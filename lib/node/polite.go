package node

import (
	"time"

	"github.com/xp2p/xp2p/lib/swarm"
)

// Polite is what bounds a viewer's uploading.
type Polite = swarm.Polite

// helloEvery is how often the tracker hears that a viewer ceased to upload or
// does again: each time it tells all fellows of it.
const helloEvery = 10 * time.Second

// said is what the tracker was told last.
type said struct {
	at     time.Time // zero: nothing
	upload bool
}

// SetPolite changes what bounds the node's uploading, in all rooms: a new month
// has begun, other programs have used the same quota, the link is another. The
// node counts on by itself: Allowance is what may be given from now on.
func (n *Node) SetPolite(now time.Time, p Polite) {
	n.polite.Set(p)
	for _, r := range n.rooms {
		r.sw.SetPolite(p)
	}
	n.turn(now)
}

func (r *room) uploads() bool {
	ok, _ := r.sw.Uploads()
	return ok
}

// mindUpload has the tracker told when it believes something else of our
// uploading.
func (r *room) mindUpload(now time.Time) {
	if !r.hello.at.IsZero() && r.hello.upload != r.uploads() {
		r.helloAt = earlier(r.helloAt, later(now, r.hello.at.Add(helloEvery)))
	}
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
