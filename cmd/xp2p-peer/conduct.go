package main

import (
	"context"
	"time"

	"github.com/xp2p/xp2p/lib/abr"
	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/playout"
)

// conduct plays the ladder until the stream is over.
func (l *ladder) conduct(ctx context.Context, container media.Container) error {
	l.known.look(ctx, 0) // where the live edge is
	first, err := l.join(0, playout.Start{Mode: playout.Back, Back: behindEdge}, 0)
	if err != nil {
		return explainOrigin(err)
	}
	l.rungs[0] = first
	for i := range l.list {
		if i != 0 {
			l.sw.Stalled(i) // until it is joined
		}
	}
	l.sw.Notes()
	l.rule.Playing(0)
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
		default:
			ready = ready || r.end >= r.keys[0]+firstSecond
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
		case ended:
			l.sw.End(i, "")
		case r.left && i == l.playing:
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
		l.io.Log.Info("switching", "note", n)
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
	l.rungs[was] = nil
	l.sw.Stalled(was) // its sound is the other's from here on
	l.next, l.crossedAt = -1, time.Now()
	l.rule.Playing(l.playing)
	l.io.Log.Info("goes on in another rendition", "from", e.From, "to", e.To, "at_ms", e.AtMS)
	log.crossed(e, &l.rungs[l.playing].tally)
}

// choose asks the rule, and begins to go over to what it says.
func (l *ladder) choose(now time.Time, probes chan<- int) {
	late := l.links.take(l.rule)
	r := l.rungs[l.playing]
	r.mu.Lock()
	end, keys, over := r.end, append([]int64(nil), r.keys...), r.over
	r.mu.Unlock()
	if l.next >= 0 {
		if l.asked.IsZero() && (over || now.Sub(l.rungs[l.next].joined) > giveUpJoin) {
			l.leaveSwarm(l.rungs[l.next])
			l.sw.Stalled(l.next)
			l.rungs[l.next], l.next = nil, -1
			l.rule.Playing(l.playing)
		}
		return
	}
	if over || !r.caught.Load() && now.Sub(r.joined) < giveUpJoin {
		return
	}
	buffer := time.Duration(end-l.shown(now)) * time.Millisecond
	c := l.rule.Choose(now, max(0, l.worth(now, buffer)))
	if r.left {
		c.Rendition = 0 // the one that was gone over to did not come
	}
	if c.Rendition == l.playing {
		if !late && l.playing+1 < len(l.list) {
			select {
			case probes <- l.playing + 1:
			default:
			}
		}
		return
	}
	up := c.Rendition > l.playing
	if !up && now.Sub(l.crossedAt) < settling && buffer > emergency || up && buffer < upBuffer {
		l.rule.Playing(l.playing)
		return
	}
	at := placeOf(keys, l.fed, end)
	epoch, ok := l.known.epoch(c.Rendition)
	if !ok {
		l.rule.Playing(l.playing)
		return
	}
	l.sw.Restart(c.Rendition)
	others := othersDown
	if up {
		others = othersUp
	}
	next, err := l.join(c.Rendition, startOf(epoch, at), others)
	if err != nil {
		l.io.Log.Warn("a rendition cannot be joined", "rendition", l.list[c.Rendition].Name, "err", err)
		l.rule.Playing(l.playing)
		return
	}
	l.io.Log.Info("another rendition is joined", "rendition", l.list[c.Rendition].Name, "why", c.Reason, "throughput_bps", c.Throughput, "buffer_ms", buffer.Milliseconds(), "at_ms", at)
	l.rungs[c.Rendition], l.next, l.asked = next, c.Rendition, time.Time{}
	if !up && at <= end-leaveMargin {
		l.leaveSwarm(r) // it takes the link, and what is needed of it is here
	}
}

// worth is what a buffer is worth to the rule: one that falls will not be there
// for long, and it takes time to go over. It looks back for some seconds.
func (l *ladder) worth(now time.Time, buffer time.Duration) time.Duration {
	if buffer >= l.peak || now.Sub(l.peakAt) > lookBack {
		l.peak, l.peakAt = buffer, now
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
				rest = min(max(probeFirst, probeShare*l.known.probe(ctx, l.links, i)), probeLast)
			case <-ctx.Done():
				return
			}
		}
	})
	return ask
}
