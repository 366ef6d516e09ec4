package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/tool"
)

// Our choices for renditions that fail.
const (
	silence     = 3 * time.Second        // without a piece of the one that is played
	nearlyEmpty = 3 * time.Second        // is the buffer then, before another is looked for
	goesOn      = 1000                   // ms that another is beyond where it ends
	lookEach    = 500 * time.Millisecond // at the others
	lookFor     = 5 * time.Second        // for one that goes on, when it has ended
	rest        = 30 * time.Second       // before one that did not come is tried again
	pause       = 4 * time.Second        // the same of one that came too slowly
	never       = 1000 * time.Hour
)

// An heir is looked for where the rendition that is played ends, or gives nothing,
// while others go on.
type heir struct {
	since  time.Time // it is looked for; zero: it is not
	asked  time.Time
	silent bool         // what it follows has not ended
	none   bool         // all have ended, or nobody says that they have not
	asking *atomic.Bool // they are being asked
}

// failing reports whether the rendition that is played is at its end, or gives
// nothing.
func (l *ladder) failing(now time.Time, r *rung) bool {
	heard := l.heard(now, r)
	r.mu.Lock()
	defer r.mu.Unlock()
	l.heir.silent = !r.over && !r.left && now.Sub(r.came) > silence && now.Sub(heard) > silence && r.end-l.shown(now) < nearlyEmpty.Milliseconds()
	if !r.over && !l.heir.silent {
		l.heir = heir{}
	}
	return r.over || l.heir.silent
}

// heard returns when anything of a rendition has come, in its turn or not, as far as
// that matters: where one piece is missing for long, others do come.
func (l *ladder) heard(now time.Time, r *rung) time.Time {
	r.mu.Lock()
	came, left := r.came, r.left
	r.mu.Unlock()
	if left || now.Sub(came) < silence/4 {
		return came
	}
	ctx, cancel := context.WithTimeout(l.ctx, leaveWithin)
	defer cancel()
	all, err := r.take(ctx)
	switch {
	case err != nil:
	case r.since != came: // it has just begun to be missing
		r.since, r.total, r.heard = came, all.TotalBytes(), came
	case all.TotalBytes() != r.total:
		r.total, r.heard = all.TotalBytes(), now
	}
	return r.heard
}

// waits reports whether the end of the rendition that is played is not the
// stream's: another may go on, and is not here yet.
func (l *ladder) waits() bool {
	return !l.heir.none && (l.next < 0 || l.asked.IsZero()) && (!l.heir.silent || l.next >= 0)
}

// succeed goes over to a rendition that goes on, from one that does not.
func (l *ladder) succeed(now time.Time, r *rung) {
	h := &l.heir
	if h.since.IsZero() {
		h.since, h.asking = now, new(atomic.Bool)
	}
	if now.Sub(h.asked) >= lookEach && h.asking.CompareAndSwap(false, true) {
		h.asked = now
		asking := h.asking
		l.work.Go(func() {
			defer asking.Store(false)
			ctx, cancel := context.WithTimeout(l.ctx, probeOver)
			defer cancel()
			for i := range l.list {
				l.known.look(ctx, i)
			}
		})
	}
	r.mu.Lock()
	end, keys, over := r.end, append([]int64(nil), r.keys...), r.over
	r.mu.Unlock()
	ended := 0
	for i := len(l.list) - 1; i >= 0; i-- {
		n := l.known.since(i, h.since)
		switch {
		case i == l.playing, now.Before(l.barred[i]), n != nil && n.Ended && n.Edge.DTS < end+goesOn:
			ended++
		case n != nil && n.Edge.DTS >= end+goesOn && (i < l.playing || !l.lower(now, h.since, end)):
			why := "it gives nothing"
			if over {
				why = "it ends"
			}
			l.fail(l.playing, time.Time{}, why)
			at := placeAfter(keys, l.fed)
			l.sw.Restart(i)
			next, err := l.join(i, node.Room{Start: startOf(n.Edge.Epoch, at), Buffer: bufferDown, Patient: true}, 0)
			if err != nil {
				l.barred[i] = now.Add(rest)
				return
			}
			l.rungs[i], l.next, l.begins, l.asked = next, i, at, time.Time{}
			return
		}
	}
	h.none = over && (ended == len(l.list) || now.Sub(h.since) > lookFor)
}

// lower reports whether a rendition below the one that is played goes on: the
// links carry it surely.
func (l *ladder) lower(now, since time.Time, end int64) bool {
	for i := range l.playing {
		if n := l.known.since(i, since); n != nil && n.Edge.DTS >= end+goesOn && !now.Before(l.barred[i]) {
			return true
		}
	}
	return false
}

// allowed is the rendition to go over to where the rule wants m: the next lower
// one that may be tried, or else what is played.
func (l *ladder) allowed(now time.Time, m int) int {
	for i := m; i >= 0 && (i > l.playing || m < l.playing); i-- {
		if !now.Before(l.barred[i]) {
			return i
		}
	}
	return l.playing
}

// giveUp leaves the rendition that was to be gone over to.
func (l *ladder) giveUp(now time.Time, until time.Duration) {
	r := l.rungs[l.next]
	r.mu.Lock()
	slow := r.begun
	r.mu.Unlock()
	switch {
	case until == never:
		l.fail(l.next, now.Add(until), "it cannot follow")
	case slow:
		l.io.Log.Info("a rendition comes too slowly", "rendition", l.list[l.next].Name)
		l.barred[l.next] = now.Add(pause)
	default:
		l.fail(l.next, now.Add(until), "it does not come")
	}
	l.leaveSwarm(l.rungs[l.next])
	l.sw.Absent(l.next)
	l.rungs[l.next], l.next, l.asked = nil, -1, time.Time{}
	l.rule.Playing(l.playing)
}

// fail notes that a rendition failed, and is not tried before a time.
func (l *ladder) fail(i int, until time.Time, why string) {
	l.lost = true
	l.barred[i] = until
	l.io.Log.Warn("a rendition fails", "rendition", l.list[i].Name, "why", why)
}

// verdict is what the program says of a stream that was written to its end.
func (l *ladder) verdict() error {
	if r := l.rungs[l.playing]; r != nil {
		l.gaps += r.gaps.Load()
	}
	switch {
	case l.gaps > 0:
		return tool.Incomplete("the output has %d gaps: nobody had the bytes any more", l.gaps)
	case l.lost || l.sw.Broken():
		return tool.Incomplete("--abr: the stream was written with what there was: a rendition failed")
	}
	return nil
}

// placeAfter is the first place behind what is written where a rendition can
// begin, as the one that is played has its keyframes: it waits for it.
func placeAfter(keys []int64, written int64) int64 {
	at, gop := written+1, int64(2000)
	for i, k := range keys {
		if at = k; k > written {
			return at
		}
		if i > 0 {
			gop = max(k-keys[i-1], 1)
		}
	}
	for at <= written {
		at += gop
	}
	return at
}
