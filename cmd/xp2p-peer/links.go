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
	queued    = 150 * time.Millisecond // later than usual: it had to wait for others
	usualSpan = 3 * time.Second        // for which, and once more, the least lateness is remembered
	silent    = 500 * time.Millisecond // without anything in its turn: what comes next is late
	longest   = time.Second            // between two looks of which what came between is counted
)

// Links measures throughput, of the origin and of peers apart. A live stream comes
// as fast as it is made, which says nothing about the links; it says something
// when it is late and all that comes is: then the links are full, and what comes is
// what they carry. One piece that is missing, where those behind it come as ever, is
// its sender's. Otherwise a probe asks the origin for something and takes the time.
type links struct {
	mu     sync.Mutex
	probes []sample
	zero   time.Time
	looked time.Time
	full   bool

	turn [2]usual // how far behind what is put out is: what says when the origin took it in, and the rest, by its DTS
	late bool     // the newest was
	last time.Time

	come [2]usual // the same of what has come, in whatever order
	news [2]news  // since the last look
	// And how many bytes of all that came, by source; rush: from the origin as fast
	// as it could.
	bytes [2]int64
	rush  bool
}

// A sample is what a probe has measured.
type sample struct {
	at   time.Time
	n    int64
	took time.Duration
}

// news is how far behind bytes were together.
type news struct {
	bytes  int64
	behind float64 // ns, of each byte
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
	l.probes = append(l.probes, sample{now, int64(n), took})
}

// behind is how far a piece is behind when the origin took it in, or, where nobody
// says when that was, behind its DTS. A broadcaster that is late himself is not held
// against the links, where it can be told apart.
func (l *links) behind(now time.Time, o *node.Output) (kind int, d time.Duration) {
	if o.Ingest.IsZero() {
		return 1, now.Sub(l.zero) - time.Duration(o.Record.Piece.DTS)*time.Millisecond
	}
	return 0, now.Sub(o.Ingest)
}

// put takes the next piece that is put out of what is played live.
func (l *links) put(now time.Time, o *node.Output) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kind, d := l.behind(now, o)
	l.late, l.last = l.turn[kind].late(now, d), now
}

// came takes a piece that has come, and whether it is of what is made now.
func (l *links) came(now time.Time, o *node.Output, live, rush bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	from, n := abr.Peers, int64(len(o.Record.Body))
	if o.Source == measure.Origin {
		from = abr.Origin
	}
	l.bytes[from] += n
	if live {
		kind, d := l.behind(now, o)
		l.news[kind].bytes += n
		l.news[kind].behind += float64(n) * float64(d)
	}
	l.rush = l.rush || rush && !live
}

// take tells the rule what was measured since the last call, and reports whether the
// links are full.
func (l *links) take(now time.Time, rule *abr.Rule) (full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.probes {
		rule.Feed(s.at, s.n, s.took, abr.Origin)
	}
	late, most := l.full, int64(0) // if nothing has come it is as it was
	for kind, n := range l.news {
		if n.bytes > 0 {
			if x := l.come[kind].late(now, time.Duration(n.behind/float64(n.bytes))); n.bytes > most {
				late, most = x, n.bytes
			}
		}
	}
	l.full = late && (l.late || !l.last.IsZero() && now.Sub(l.last) > silent)
	if took := now.Sub(l.looked); (l.full || l.rush) && took < longest {
		if n := l.bytes[abr.Origin]; n > 0 {
			rule.Feed(now, n, took, abr.Origin)
		}
		if n := l.bytes[abr.Peers]; n > 0 || l.bytes[abr.Origin] == 0 {
			rule.Feed(now, max(n, 1), took, abr.Peers)
		}
	}
	l.looked, l.probes, l.news, l.bytes, l.rush = now, l.probes[:0], [2]news{}, [2]int64{}, false
	return l.full
}

// hear returns what hears of a rendition's pieces, on the endpoint's loop: those that
// come, and those that are put out. What was made before it was joined, until caught
// up to, is late however fast the links are; if it comes from the origin as fast as it
// can (rush), it tells of them.
func (l *links) hear(r *rung, until int64, rush bool) (came, put func(node.Output)) {
	came = func(o node.Output) { l.came(time.Now(), &o, o.Record.Piece.DTS >= until, rush) }
	return came, func(o node.Output) {
		if o.Record.Kind != segment.KindPiece {
			return
		}
		d := o.Record.Piece
		r.tally.add(d, len(o.Record.Body), o.Source)
		if !r.caught.Load() && d.DTS >= until {
			r.caught.Store(true)
			r.endRush()
		}
		if r.caught.Load() {
			l.put(time.Now(), &o)
		}
	}
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
