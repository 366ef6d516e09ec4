package main

import (
	"sync"
	"time"

	"github.com/xp2p/xp2p/lib/abr"
	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/segment"
)

// Our choices for measuring links.
const (
	queued     = 150 * time.Millisecond // later than usual: a piece had to wait for others
	usualSpan  = 3 * time.Second        // for which, and once more, the least lateness is remembered
	longestGap = time.Second            // between two pieces that is counted as one's transfer
)

// A sample is what the rule is told: bytes from a source, and how long they took.
type sample struct {
	at   time.Time
	n    int64
	took time.Duration
	from abr.Source
}

// Links measures throughput, of the origin and of peers apart. A live stream comes
// as fast as it is made, which says nothing about the links; it says something
// when pieces come later than usual, because they waited for each other: then the
// time between two of them is what one took. Otherwise a probe asks the origin for
// something and takes the time.
type links struct {
	mu      sync.Mutex
	samples []sample
	usual   [2]usual // of what says when the origin took it in, and of the rest, by its DTS
	late    bool     // the newest piece was
	last    time.Time
	zero    time.Time
}

// A usual is the least that arrivals were behind something of late: while pieces wait
// for each other they come ever later, and what comes evenly did not wait, however
// far behind it is since the links were slow.
type usual struct {
	least, before time.Duration // of this span, and of the one before
	since         time.Time     // when this one began; zero: nothing has arrived
}

// late reports whether an arrival that far behind had to wait.
func (u *usual) late(now time.Time, behind time.Duration) bool {
	switch {
	case u.since.IsZero():
		u.since, u.least, u.before = now, behind, behind
	case now.Sub(u.since) >= usualSpan:
		u.since, u.before, u.least = now, u.least, behind
	}
	u.least = min(u.least, behind)
	return behind > min(u.least, u.before)+queued
}

func newLinks() *links { return &links{zero: time.Now()} }

// probed takes what a probe has measured.
func (l *links) probed(now time.Time, n int, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.samples = append(l.samples, sample{now, int64(n), took, abr.Origin})
}

// A tally counts the first second of a rendition by where it came from.
type tally struct {
	mu           sync.Mutex
	begun        bool
	first        int64
	bytes, peers int64
	whole        bool
}

func (t *tally) add(d *segment.Piece, n int, from measure.Source) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.begun {
		t.begun, t.first = true, d.DTS
	}
	if d.DTS >= t.first+1000 {
		t.whole = true
		return
	}
	t.bytes += int64(n)
	if from == measure.Peer {
		t.peers += int64(n)
	}
}

func (t *tally) take() (bytes, peers int64, whole bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bytes, t.peers, t.whole
}

// hear returns what hears of a rendition's pieces, on the endpoint's loop. What
// was made before it was joined, until caught up to, is late however fast the
// links are. Of other viewers it is asked for at leisure, so nothing is measured
// by it; if it comes from the origin as fast as it can (rush), all of it is.
func (l *links) hear(r *rung, until int64, rush bool) func(node.Output) {
	return func(o node.Output) {
		if o.Record.Kind != segment.KindPiece {
			return
		}
		d, n := o.Record.Piece, len(o.Record.Body)
		r.tally.add(d, n, o.Source)
		from := abr.Peers
		if o.Source == measure.Origin {
			from = abr.Origin
		}
		if !r.caught.Load() && d.DTS >= until {
			r.caught.Store(true)
			r.endRush()
		}
		l.piece(time.Now(), d.DTS, o.Ingest, n, from, r.caught.Load(), rush)
	}
}

func (l *links) piece(now time.Time, dts int64, ingest time.Time, n int, from abr.Source, caught, rush bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// A broadcaster that is late himself is not held against the links, where it
	// can be told apart.
	late := false
	if ingest.IsZero() {
		late = l.usual[1].late(now, now.Sub(l.zero)-time.Duration(dts)*time.Millisecond)
	} else {
		late = l.usual[0].late(now, now.Sub(ingest))
	}
	if !caught && !rush {
		return
	}
	l.late = late && caught
	if gap := now.Sub(l.last); (l.late || !caught) && !l.last.IsZero() && gap < longestGap {
		l.samples = append(l.samples, sample{now, int64(n), gap, from})
	}
	l.last = now
}

// take tells the rule what was measured since the last call.
func (l *links) take(rule *abr.Rule) (late bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.samples {
		rule.Feed(s.at, s.n, s.took, s.from)
	}
	l.samples = l.samples[:0]
	return l.late
}
