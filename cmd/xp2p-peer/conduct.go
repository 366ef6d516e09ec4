package main

import (
	"context"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/abr"
	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/playout"
)

// conduct plays the ladder until the stream is over.
func (l *ladder) conduct(ctx context.Context, container media.Container) error {
	low := l.playing
	first, err := l.join(low, node.Room{Start: playout.Start{Mode: playout.Back, Back: behindEdge}, Buffer: bufferDown}, 0)
	if err != nil {
		return explainOrigin(err)
	}
	l.rungs[low], l.proved[low] = first, true
	for i := range l.list {
		if i < low {
			l.fail(i, time.Now().Add(rest), "it is not on the air")
		}
		if i != low {
			l.sw.Absent(i) // until it is joined
		}
	}
	l.rule.Playing(low)
	l.work.Go(func() { l.known.ask(ctx) })
	log, err := l.openStats()
	if err != nil {
		return err
	}
	defer log.close()
	probes := l.probing(ctx)
	tick := time.NewTicker(conductEach)
	defer tick.Stop()
	var chosen, counted time.Time
	for {
		select {
		case <-tick.C:
		case <-l.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		now := time.Now()
		l.release()
		over, err := l.feed(now, log)
		if err != nil || over {
			return err
		}
		if now.Sub(chosen) >= chooseEach && !l.since.IsZero() {
			chosen = now
			l.choose(now, probes)
		}
		if now.Sub(counted) >= statsEvery {
			counted = now
			log.count(l)
		}
	}
}

// shown is the DTS that the model player shows at now.
func (l *ladder) shown(now time.Time) int64 { return l.dts + now.Sub(l.since).Milliseconds() }

// feed gives the switcher what is due, and writes what it gives.
func (l *ladder) feed(now time.Time, log *ladderLog) (over bool, err error) {
	has := l.rungs[l.playing].until()
	for i, r := range l.rungs {
		if r == nil {
			continue
		}
		due := int64(1 << 62)
		if !l.since.IsZero() {
			due = l.shown(now) + writeAhead.Milliseconds()
		}
		r.mu.Lock()
		if i == l.next && !l.asked.IsZero() {
			due = max(due, l.fed+lookAhead) // the switcher has to see where it can go over
		}
		n := 0
		for n < len(r.queue) && (r.queue[n].dts <= due || i == l.next && r.fed == 0 && n == 0) {
			n++
			if l.since.IsZero() {
				break
			}
		}
		give := r.queue[:n:n]
		r.queue = r.queue[n:]
		left, ended, failed := len(r.queue), r.over, r.err
		ready := ended
		switch {
		case len(r.keys) == 0:
		case i > l.playing: // what links do not carry is not gone over to
			ready = ready || r.caught.Load() && r.end >= max(r.keys[0], has-caughtUp)
		default: // in time for where it begins, as the old one may not reach the next such place
			ready = ready || r.end >= r.keys[0]+firstSecond || l.fed >= r.keys[0]-margin
		}
		for _, c := range give {
			r.bytes -= len(c.data)
		}
		r.fed += n
		r.mu.Unlock()
		for _, c := range give {
			if l.since.IsZero() {
				l.since, l.dts = now.Add(writeAhead/2), c.dts
			}
			if i == l.playing {
				if late := l.shown(now) - c.dts; late > 0 {
					log.stall(late)
					l.dts -= late // it stood
				}
				l.fed = max(l.fed, c.dts)
			}
			l.sw.Feed(i, c.data)
		}
		switch {
		case left > 0:
		case ended && i == l.playing && l.waits():
		case ended:
			l.sw.End(i, "")
		case (r.left || l.heir.silent) && i == l.playing && !l.waits():
			l.sw.Stalled(i) // all that there is of it is written
		case failed != nil && !r.left && i == l.playing:
			return false, failed
		}
		if i == l.next && l.asked.IsZero() && ready {
			l.asked = now
			l.sw.Ask(i, abr.Keyframe, "throughput")
		}
	}
	l.sw.Advance()
	for _, b := range l.sw.Output() {
		if _, err := l.out.Write(b); err != nil {
			return false, err
		}
	}
	for _, n := range l.sw.Notes() {
		l.io.Log.Warn(n)
	}
	if next := l.next; next >= 0 && !l.asked.IsZero() && !l.sw.Asked(next) && l.sw.Playing() == l.playing {
		l.giveUp(now, never)
	}
	for _, e := range l.sw.Events() {
		l.crossed(e, log)
	}
	l.hand()
	return l.sw.Done(), nil
}

// hand leaves the old rendition's swarm when all that is needed of it is here.
func (l *ladder) hand() {
	if l.next < 0 || l.asked.IsZero() {
		return
	}
	next := l.rungs[l.next]
	next.mu.Lock()
	at := next.keys[0]
	for _, k := range next.keys { // the first that can still be gone over to
		if at = k; k >= l.fed {
			break
		}
	}
	next.mu.Unlock()
	if !l.sw.Fits(l.next) {
		return // if it cannot follow, the old one goes on
	}
	if old := l.rungs[l.playing]; at >= l.fed && old.until() >= at+leaveMargin {
		l.leaveSwarm(old)
	}
}

// crossed is told that the output has gone over.
func (l *ladder) crossed(e abr.Switch, log *ladderLog) {
	was := l.playing
	l.playing = l.sw.Playing()
	if l.playing == was {
		return
	}
	l.leaveSwarm(l.rungs[was])
	l.gaps += l.rungs[was].gaps.Load()
	l.rungs[was] = nil
	l.sw.Absent(was) // its sound is the other's from here on
	l.next, l.crossedAt, l.heir = -1, time.Now(), heir{}
	l.proved[l.playing] = true
	l.rule.Playing(l.playing)
	l.io.Log.Info("goes on in another rendition", "from", e.From, "to", e.To, "at_ms", e.AtMS)
	log.crossed(e, &l.rungs[l.playing].tally)
}

// choose asks the rule, and begins to go over to what it says.
func (l *ladder) choose(now time.Time, probes chan<- int) {
	full := l.links.take(now, l.rule)
	r := l.rungs[l.playing]
	r.mu.Lock()
	end, keys := r.end, append([]int64(nil), r.keys...)
	r.mu.Unlock()
	if l.next >= 0 {
		if l.asked.IsZero() && now.Sub(l.rungs[l.next].joined) > giveUpJoin {
			l.giveUp(now, rest)
		}
		return
	}
	if l.failing(now, r) {
		l.succeed(now, r)
		return
	}
	if !r.caught.Load() && now.Sub(r.joined) < giveUpJoin {
		return
	}
	buffer := time.Duration(end-l.shown(now)) * time.Millisecond
	before := *l.rule
	c := l.rule.Choose(now, max(0, l.worth(now, buffer)))
	l.io.Log.Debug("the rule says", "rendition", l.list[c.Rendition].Name, "why", c.Reason, "throughput_bps", c.Throughput, "buffer_ms", buffer.Milliseconds(), "full", full)
	if r.left {
		c.Rendition = 0 // the one that was gone over to did not come
	} else if m := l.allowed(now, c.Rendition); m != c.Rendition {
		*l.rule = before // it has not moved there
		l.rule.Playing(l.playing)
		c.Rendition = m
	}
	if c.Rendition == l.playing {
		if !full && l.playing+1 < len(l.list) {
			select {
			case probes <- l.playing + 1:
			default:
			}
		}
		return
	}
	up := c.Rendition > l.playing
	epoch, ok := l.known.epoch(c.Rendition)
	// Pieces that are late for a moment take nothing from the buffer, and then
	// nothing has to be done.
	wait := buffer > emergency && (now.Sub(l.crossedAt) < settling || buffer > l.peak-unrest)
	if !ok || !up && wait || up && buffer < upBuffer {
		*l.rule = before // nothing has moved, and so nothing can be taken back
		l.rule.Playing(l.playing)
		return
	}
	at, others, hold := placeOf(keys, l.fed, end), othersUp, bufferUp
	if up {
		at = placeUp(keys, l.fed, end)
	} else {
		hold = bufferDown
		// What is left until it is due, less what the origin takes.
		left := time.Duration(at-l.shown(now))*time.Millisecond - writeAhead
		others = min(max(left-originTakes, othersLeast), othersMost)
	}
	l.sw.Restart(c.Rendition)
	next, err := l.join(c.Rendition, node.Room{Start: startOf(epoch, at), Buffer: hold, Patient: true}, others)
	if err != nil {
		l.io.Log.Warn("a rendition cannot be joined", "rendition", l.list[c.Rendition].Name, "err", err)
		l.rule.Playing(l.playing)
		return
	}
	l.io.Log.Info("another rendition is joined", "rendition", l.list[c.Rendition].Name, "why", c.Reason, "throughput_bps", c.Throughput, "buffer_ms", buffer.Milliseconds(), "at_ms", at)
	l.rungs[c.Rendition], l.next, l.begins, l.asked = next, c.Rendition, at, time.Time{}
	l.release()
}

// release leaves the swarm of what is played when a lower one is on its way that has
// been played before, and all that is needed until then is here: the rest would only
// take the link from it.
func (l *ladder) release() {
	if l.next < 0 || l.next > l.playing || !l.proved[l.next] {
		return
	}
	if old := l.rungs[l.playing]; old.until() >= l.begins+leaveMargin {
		l.leaveSwarm(old)
	}
}

// A stand is how much was in the buffer at a time.
type stand struct {
	at     time.Time
	buffer time.Duration
}

// worth is what a buffer is worth to the rule: one that falls will not be there
// for long, and it takes time to go over. It looks back for some seconds.
func (l *ladder) worth(now time.Time, buffer time.Duration) time.Duration {
	l.buffers = append(slices.DeleteFunc(l.buffers, func(s stand) bool { return now.Sub(s.at) > lookBack }), stand{now, buffer})
	l.peak = 0
	for _, s := range l.buffers {
		l.peak = max(l.peak, s.buffer)
	}
	return buffer - 2*max(0, l.peak-buffer-unrest)
}

// probing asks the origins about themselves: who reads nothing that waits has no
// other way to know what they would give.
func (l *ladder) probing(ctx context.Context) chan<- int {
	ask := make(chan int)
	l.work.Go(func() {
		rest := probeFirst
		for {
			select {
			case <-time.After(rest):
			case <-ctx.Done():
				return
			}
			select {
			case i := <-ask:
				rest = l.known.probe(ctx, l.links, i)
				l.io.Log.Debug("the origin was probed", "throughput_bps", int64(8*l.known.rate), "pieces_next", l.known.run)
			case <-ctx.Done():
				return
			}
		}
	})
	return ask
}
