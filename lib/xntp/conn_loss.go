package xntp

import (
	"math"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/congestion"
	"github.com/xp2p/xp2p/lib/wire"
)

// onAck handles an ACK (RFC 9002 appendix A.7).
func (c *conn) onAck(now time.Time, a *wire.Ack, ecn bool) (code uint64) {
	l := &c.loss
	ranges := a.Ranges()
	largest := ranges[0].Last
	if largest >= l.next {
		return codeAck // RFC 9000 §13.1: acknowledges what was not sent
	}
	var newest *sentPacket
	var newestAt time.Time
	var bytes int
	var appLimited, largestNew bool
	stamps := a.Stamps()
	arrivals := c.e.arrivals[:0]
	for _, r := range ranges {
		if r.Last < l.first {
			break
		}
		for n := r.Last; n >= max(r.First, l.first); n-- {
			p := l.get(n)
			var left departure
			if len(stamps) > 0 {
				if p != nil && !p.at.Before(c.movedAt) {
					left.queued = c.way.queued(c.began, p.at, stamps[0])
					left.at = p.at.Add(left.queued)
					arrivals = append(arrivals, congestion.Arrival{Sent: p.at.Sub(c.began), At: stamps[0], Bytes: p.size})
				}
				stamps = stamps[1:]
			}
			if p != nil {
				if newest == nil {
					newest, newestAt, appLimited = p, p.at, p.appLimited
					largestNew = n == largest
				}
				switch p.state {
				case packetLeft:
					l.spurious++
				case packetLost:
					l.learn(p, max(largest, l.largest))
					l.countFate(1, -1)
					if l.episodeLost--; l.episodeLost == 0 {
						c.cc.OnSpurious(now)
					}
				case packetInFlight:
					l.flying--
					l.bytes -= p.size
					bytes += p.size
					l.countFate(1, 0)
					c.runs.fate(now, p.run, false)
				}
				if p.size > wire.HandshakeLen {
					c.bigAcked(p)
				}
				for i := range p.frames {
					c.onAcked(&p.frames[i], left)
				}
				l.drop(p)
			}
			if n == 0 {
				break
			}
		}
	}
	c.e.arrivals = arrivals[:0]
	slices.Reverse(arrivals)
	if newest == nil {
		return codeNone
	}
	if !l.acked || largest > l.largest {
		l.acked, l.largest = true, largest
	}
	c.protect.acked(largest)
	var sample time.Duration
	if largestNew && !newestAt.Before(c.movedAt) {
		sample = now.Sub(newestAt)
		c.rtt.sample(sample, a.Delay)
	}
	l.ptoCount, l.progress, l.silent = 0, now, time.Time{}
	if l.flying > 0 {
		l.silent = now
	}
	l.retire()
	c.rate.onAck(a, bytes, &c.rtt)
	c.detectLoss(now)
	if ecn && a.CE > c.ceSeen {
		c.ceSeen = a.CE
		c.cc.OnLoss(congestion.Loss{Now: now, Sent: newestAt, InFlight: l.bytes, CE: true})
	} else if !ecn && l.largest > 32 {
		c.ecnOff = true // RFC 9000 §13.4.2: marks are not reported, so none are asked for
	}
	round := largest >= c.roundEnd
	// A window that is not half used was not probed either, whatever the reason
	// (RFC 9002 §7.8; Linux draws the line at the same place).
	starved := appLimited
	appLimited = appLimited || c.cc.Window() > 2*max(c.flight, c.flightLast)
	if round {
		c.roundEnd = l.next
		c.flight, c.flightLast = l.bytes, c.flight
	}
	if bytes > 0 {
		c.cc.OnAck(congestion.Ack{
			Now: now, Sent: newestAt, Bytes: bytes, InFlight: l.bytes, RTT: sample, SRTT: c.rtt.smoothed, MinRTT: c.rtt.min,
			Arrivals: arrivals, DeliveryRate: c.rate.bps, AppLimited: appLimited, Starved: starved, RoundEnd: round,
		})
	}
	l.forget(now.Add(-3 * c.rtt.pto()))
	c.noteMetrics(now)
	return codeNone
}

// detectLoss finds packets that must be taken for lost (RFC 9002 §6.1).
func (c *conn) detectLoss(now time.Time) {
	l := &c.loss
	l.lossTime = time.Time{}
	if !l.acked {
		return
	}
	delay := l.lossDelay(&c.rtt)
	var bytes, count int
	var oldest, newest time.Time
	for n := l.first; n < l.largest; n++ {
		p := l.get(n)
		if p == nil || p.state != packetInFlight && p.state != packetProbe && p.state != packetAhead {
			continue
		}
		at, threshold := p.at.Add(delay), l.threshold
		if l.patience > delay && p.at.Before(c.movedAt) {
			at, threshold = p.at.Add(l.patience), math.MaxUint64 // it took another way
		}
		if now.Before(at) && l.largest-n < threshold {
			if p.state != packetInFlight {
				continue // nobody waits for it
			}
			if l.lossTime.IsZero() || at.Before(l.lossTime) {
				l.lossTime = at
			}
			continue
		}
		if p.state != packetInFlight {
			c.mtuProbeLost(p)
			l.drop(p)
			continue
		}
		p.state = packetLost
		c.note(now, Trace{Kind: TraceLost, Number: p.number, Bytes: p.size, Late: l.largest-n < threshold})
		l.flying--
		l.bytes -= p.size
		l.lostCount++
		l.countFate(0, 1)
		c.runs.fate(now, p.run, true)
		if p.block == 0 { // else the peer may bring it back
			for i := range p.frames {
				c.onLost(now, &p.frames[i], false)
			}
		}
		if p.size > wire.HandshakeLen {
			c.bigLost(p)
		}
		if p.at.Before(c.movedAt) {
			continue // RFC 9000 §9.4: not the new path's affair
		}
		bytes += p.size
		count++
		if oldest.IsZero() {
			oldest = p.at
		}
		newest = p.at
	}
	l.blockTime = time.Time{}
	if len(c.parity.blocks) > 0 {
		l.blockTime = c.judgeBlocks(now)
	}
	if count == 0 {
		return
	}
	l.episodeLost = max(l.episodeLost, 0) + count
	c.cc.OnLoss(congestion.Loss{
		Now: now, Sent: newest, Bytes: bytes, InFlight: l.bytes,
		// RFC 9002 §7.6.2 without its search for acknowledged packets in between:
		// a run of this length that is detected at once has none.
		Persistent: c.rtt.have && count >= 2 && l.flying == 0 && newest.Sub(oldest) > persistentPTOs*c.rtt.pto(),
	})
}

// lossTimer handles the timer of loss detection (RFC 9002 appendix A.9).
func (c *conn) lossTimer(now time.Time) {
	l := &c.loss
	if at := l.blockTime; !l.lossTime.IsZero() || !at.IsZero() && !now.Before(at) {
		c.detectLoss(now)
		if at := l.timeout(&c.rtt); at.IsZero() || now.Before(at) {
			return
		}
	}
	if l.flying == 0 || !l.lossTime.IsZero() {
		return
	}
	l.ptoCount++
	if l.ptoCount > maxPTOs && now.Sub(c.loss.progress) > lostAfter {
		c.gone(now, ClosedLost, 0)
		return
	}
	// RFC 9002 §6.2.4: one packet must leave, two may; with the timer backed off
	// one is enough.
	l.probes = 1
	if l.ptoCount == 1 && l.flying > 1 {
		l.probes = 2
	}
	c.requeueUrgent(now)
	l.lastEliciting = now // the next probe counts from here even if this one cannot leave
}

const (
	// maxPTOs and lostAfter together say when a peer that does not answer is
	// given up before the idle timeout.
	maxPTOs   = 6
	lostAfter = 15 * time.Second
)

// requeueUrgent makes the frames of the packets in flight that hold the most
// urgent object due again, without taking the packets for lost. If there is
// nothing to repeat a PING will do.
func (c *conn) requeueUrgent(now time.Time) {
	l := &c.loss
	c.ping = true
	for range l.probes {
		var best *sentPacket
		var bestObject *object
		for n := l.first; n < l.next; n++ {
			p := l.get(n)
			if p == nil || p.state != packetInFlight || p.at.Equal(now) {
				continue
			}
			for i := range p.frames {
				f := &p.frames[i]
				if f.kind != wire.FrameObj && f.kind != wire.FrameOpen {
					if best == nil && f.kind != wire.FramePing {
						best = p
					}
					continue
				}
				o := c.out.all[f.id]
				if o == nil || o.class == BestEffort {
					continue
				}
				if end := f.offset + uint64(f.n); f.n > 0 && (o.acked.covers(f.offset, end) || o.lost.covers(f.offset, end)) {
					continue
				}
				if bestObject == nil || o.before(bestObject) {
					best, bestObject = p, o
				}
			}
		}
		if best == nil {
			return
		}
		for i := range best.frames {
			c.onLost(now, &best.frames[i], true)
		}
	}
}
