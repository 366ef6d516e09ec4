package xntp

import (
	"math"
	"time"

	"github.com/xp2p/xp2p/lib/wire"
)

const (
	// parityRoom is what a packet of a block leaves free, so that its shard fits into
	// a PARITY frame: that has two bytes more in front, and the shard's own header.
	parityRoom = 2 + wire.ShardHeaderLen + 4
	// parityZ is how many deviations above the mean loss are made good: one block in
	// some hundred lacks more.
	parityZ = 2.8
	// A tail is what is sent within parityTail round trips of the end of all that there
	// is to send: what is lost of it, and sent again, comes last.
	parityTail = 1.25
	// arqTrips is how many round trips it takes to send twice what was lost: a deadline
	// beyond it needs no parity.
	arqTrips = 3
	// onceTrips is how many it takes to send once more. Of what has less time only
	// parity can make good: rareMost of it may be lost for good.
	onceTrips = 1.75
	rareMost  = 6e-4
	// Until earlyFates packets are acknowledged or lost, earlyLoss is what such a
	// block is made for.
	earlyFates, earlyLoss = 128, 0.02
	// A block ends after a quarter of a round trip, as it keeps what was lost waiting.
	// Where nothing is sent again it takes slackPart of the time that there is, at
	// most half a round trip: of more packets the same share of parity brings back more.
	blockTrips = 4
	slackPart  = 0.65
	// sentBlocks is how many blocks may wait for what becomes of them.
	sentBlocks = 32
	// firstFlight is how many packets leave before there is a word of loss. Of
	// firstMost of them parity is two packets, of firstSome one.
	firstFlight, firstMost, firstSome = 80, 16, 6
)

// parityState is the block that is being sent, and those of which it is not known yet
// whether the peer could recover them.
type parityState struct {
	peer   bool // the peer understands
	next   uint64
	open   bool
	timed  bool // its objects have deadlines, and others will follow: do not end it when the queue is empty
	rare   bool // nor can they be sent again in time
	began  time.Time
	due    time.Time // when the first of its objects is
	shards [][]byte
	size   int // of the longest
	total  int // PARITY frames to send, once it has ended
	sent   int
	blocks []sentBlock
}

// A sentBlock is one that has been sent. What is lost of it is not sent again before
// the peer has had all that there is, and the time to say so.
type sentBlock struct {
	id          uint64
	first, last uint64    // packets
	ended       time.Time // when the last left; zero until then
	bare        bool      // there is no parity
}

func (p *parityState) owed() bool { return p.sent < p.total }

// blockEnd is when the block under way is ended although it is not full.
func (c *conn) blockEnd() time.Time {
	p := &c.parity
	if !p.open || p.owed() {
		return time.Time{}
	}
	takes := max(c.rtt.smoothed/blockTrips, 4*granularity)
	if p.rare {
		slack := p.due.Sub(p.began) - c.rtt.smoothed/2
		takes = max(takes, min(time.Duration(slackPart*float64(slack)), c.rtt.smoothed/2))
	}
	return p.began.Add(takes)
}

// missing is the share of packets that are lost, with half a deviation more because
// few are known at first; zero if none was.
func (l *lossState) missing() float64 {
	if l.recentLost < 0.5 {
		return 0
	}
	n := l.recentLost + 1
	return (n + math.Sqrt(n)/2) / (l.recent + 8)
}

// countFate notes that packets were acknowledged or lost. What was a thousand packets
// ago counts half.
func (l *lossState) countFate(acked, lost int) {
	l.recent += float64(acked + lost)
	l.recentLost = max(l.recentLost+float64(lost), 0)
	if l.recent > 1024 {
		l.recent, l.recentLost = l.recent/2, l.recentLost/2
	}
}

// protects tells whether the next packet is to be of a block: where sending again
// would come too late, or later than everything else.
func (c *conn) protects(now time.Time) bool {
	p := &c.parity
	if !p.peer || c.loss.probes > 0 || c.mtu > ethernetMTU {
		return false
	}
	o := c.sendable()
	if o == nil || o.class == BestEffort {
		return false
	}
	lossy := c.loss.missing() > 0
	if !o.deadline.IsZero() {
		left := o.deadline.Sub(now)
		return lossy && left < arqTrips*c.rtt.smoothed || c.loss.recent < earlyFates && c.scarce(left)
	}
	if c.nearby() {
		return false
	}
	if !c.loss.acked && c.out.waiting <= firstFlight*c.mtu && c.loss.next < firstFlight {
		return true
	}
	// Who is supplied all the time has no tail, unless it is all there since a moment.
	supplied := now.Sub(c.out.supplied) < c.rtt.smoothed/2 && now.Sub(c.out.busy) > c.rtt.smoothed
	tail := parityTail * c.pacingRate() * c.rtt.smoothed.Seconds()
	if c.loss.recent < earlyFates && c.rtt.have && c.out.waiting > firstFlight*c.mtu {
		// The rate may be half of what it will be, and whether anything is lost will be known
		// when the block ends.
		tail, lossy = 2*tail, true
	}
	return lossy && !supplied && float64(c.out.waiting) < tail
}

// scarce says that what is lost cannot be sent again within a time.
func (c *conn) scarce(left time.Duration) bool {
	return left.Seconds() < onceTrips*c.rtt.smoothed.Seconds()
}

// appendShard appends SHARD, behind which the packet's frames belong to the block
// under way.
func (c *conn) appendShard(now time.Time, b []byte) []byte {
	p := &c.parity
	if !p.open {
		p.open, p.began, p.timed, p.rare, p.size = true, now, false, false, 0
		p.shards, c.e.spareShards = c.e.spareShards, nil
		p.blocks = append(p.blocks, sentBlock{id: p.next, first: c.loss.next})
		if len(p.blocks) > sentBlocks {
			c.judge(now, &p.blocks[0])
			p.blocks = p.blocks[:copy(p.blocks, p.blocks[1:])]
		}
	}
	f := &c.e.frame
	f.Type, f.ID, f.Index = wire.FrameShard, p.next, uint8(len(p.shards))
	return f.Append(b)
}

// keepSent takes the frames of a packet into the block.
func (c *conn) keepSent(now time.Time, q *sentPacket, frames []byte) {
	p := &c.parity
	s := c.e.shardBuffer()
	if s == nil {
		c.dropBlock(now)
		return
	}
	q.block = p.next + 1
	s = append(appendShardHeader(s, q.number, len(frames)), frames...)
	p.shards = append(p.shards, s)
	p.size = max(p.size, len(s))
	p.blocks[len(p.blocks)-1].last = q.number
	for i := range q.frames {
		if o := c.out.all[q.frames[i].id]; o != nil && q.frames[i].kind == wire.FrameObj {
			if p.timed = !o.deadline.IsZero(); p.timed && len(p.shards) == 1 {
				p.due, p.rare = o.deadline, o.class != Reliable && c.scarce(o.deadline.Sub(now))
			}
		}
	}
}

// fill ends the block under way after a packet of it has left, if it is full, or nothing
// more is to come.
func (c *conn) fill(now time.Time) {
	p := &c.parity
	if p.open && !p.owed() && (len(p.shards) == wire.MaxShards || !p.timed && c.sendable() == nil || !now.Before(c.blockEnd())) {
		c.endBlock(now)
	}
}

// endBlock decides how much parity the block gets.
func (c *conn) endBlock(now time.Time) {
	p := &c.parity
	k := len(p.shards)
	p.total, p.sent = 0, 0
	switch lost := c.loss.missing(); {
	case k == 0:
	case p.timed && p.rare && (lost > 0 || c.loss.recent < earlyFates):
		if c.loss.recent < earlyFates {
			lost = max(lost, earlyLoss)
		}
		p.total = parityFor(k, lost)
	case lost > 0:
		mean := lost * float64(k) / (1 - min(lost, 0.5))
		r := min(int(mean+parityZ*math.Sqrt(mean)+0.5), (k+3)/4, wire.MaxParity)
		// What it saves is a round trip, if something is lost; what it costs is its time
		// on the link.
		saves := (1 - math.Pow(1-lost, float64(k))) * c.rtt.smoothed.Seconds()
		if p.timed || saves > float64(r*p.size)/c.pacingRate() {
			p.total = r
		}
	case !c.loss.acked && k >= firstMost:
		p.total = 2
	case !c.loss.acked && k >= firstSome:
		p.total = 1
	}
	if p.total == 0 {
		c.dropBlock(now)
		c.judgeBlocks(now)
	}
}

// parityFor is the least number of PARITY frames with which of a block's packets no
// more than rareMost are lost for good.
func parityFor(k int, lost float64) (r int) {
	lost = min(lost, 0.5)
	for most := min((k+3)/4, wire.MaxParity); r < most; r++ {
		// Of n packets, j are lost with the binomial's probability; if more than r are,
		// those of the k among them are not brought back.
		n := k + r
		p, gone := math.Pow(1-lost, float64(n)), 0.0
		for j := range n + 1 {
			if j > r {
				gone += p * float64(j) / float64(n)
			}
			p *= float64(n-j) / float64(j+1) * lost / (1 - lost)
		}
		if gone <= rareMost {
			break
		}
	}
	return r
}

// free lets go of the shards.
func (p *parityState) free(e *Endpoint) {
	for _, s := range p.shards {
		e.freeShard(s)
	}
	e.spareShards, p.shards = p.shards[:0], nil
}

// dropBlock ends the block under way without more parity.
func (c *conn) dropBlock(now time.Time) {
	p := &c.parity
	p.free(c.e)
	if p.open {
		b := &p.blocks[len(p.blocks)-1]
		b.ended, b.bare = now, p.sent == 0
		p.next++
	}
	p.open, p.total, p.sent = false, 0, 0
}

// appendParity appends a PARITY frame, if it fits.
func (c *conn) appendParity(now time.Time, b []byte, end int, q *sentPacket) []byte {
	p := &c.parity
	f := &c.e.frame
	f.Type, f.ID, f.Shards, f.Index, f.Data = wire.FrameParity, p.next, uint8(len(p.shards)), uint8(p.sent), nil
	start := len(b)
	b = f.Append(b)
	if len(b)+p.size > end {
		c.dropBlock(now)
		return b[:start]
	}
	data := b[len(b) : len(b)+p.size]
	clear(data)
	encode(data, p.shards, p.sent)
	b = b[:len(b)+p.size]
	q.frames = append(q.frames, sentFrame{kind: wire.FrameParity})
	q.block = p.next + 1
	p.blocks[len(p.blocks)-1].last = q.number
	c.stats.parityBytes += int64(p.size)
	if p.sent++; p.sent == p.total {
		c.dropBlock(now)
	}
	return b
}

// judge ends the waiting for a block: what was lost of it, and not recovered, is to be
// sent again.
func (c *conn) judge(now time.Time, b *sentBlock) {
	for number := max(b.first, c.loss.first); number <= b.last; number++ {
		q := c.loss.get(number)
		if q == nil || q.block != b.id+1 {
			continue
		}
		q.block = 0
		if q.state != packetLost {
			continue
		}
		for i := range q.frames {
			c.onLost(now, &q.frames[i], false)
		}
	}
}

// judgeBlocks ends the waiting for blocks that got no parity, of which a packet behind
// the last one was acknowledged, or that are old. It returns when to look again.
func (c *conn) judgeBlocks(now time.Time) (again time.Time) {
	p := &c.parity
	delay := c.loss.lossDelay(&c.rtt)
	if p.open && !now.Before(p.began.Add(2*delay)) {
		c.dropBlock(now) // its parity cannot leave
	}
	rest := p.blocks[:0]
	for _, b := range p.blocks {
		at := b.ended.Add(delay)
		if b.ended.IsZero() {
			at = p.began.Add(2 * delay)
		}
		switch {
		case b.bare || !b.ended.IsZero() && c.loss.acked && c.loss.largest >= b.last || !now.Before(at):
			c.judge(now, &b)
		default:
			rest = append(rest, b)
			if again.IsZero() || at.Before(again) {
				again = at
			}
		}
	}
	p.blocks = rest
	return again
}

// judgeAll ends all waiting.
func (c *conn) judgeAll(now time.Time) {
	c.dropBlock(now)
	for i := range c.parity.blocks {
		c.judge(now, &c.parity.blocks[i])
	}
	c.parity.blocks = c.parity.blocks[:0]
}

// onRecovered handles RECOVERED: the frames have arrived, the packets have not.
func (c *conn) onRecovered(numbers []uint64) (code uint64) {
	for _, n := range numbers {
		if n >= c.loss.next {
			return codeAck
		}
		q := c.loss.get(n)
		if q == nil || q.block == 0 {
			continue
		}
		for i := range q.frames {
			c.onAcked(&q.frames[i], departure{})
		}
		q.frames = q.frames[:0]
	}
	return codeNone
}
