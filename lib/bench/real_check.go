package bench

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"sort"
	"time"
)

// A check holds what a viewer puts out against the broadcast, byte for byte as
// it comes: the init, and then an exact, contiguous run from a keyframe on. A
// gap, behind which the output goes on at a later keyframe, is counted; a byte
// that is not the broadcaster's is bad, and so are all behind it.
//
// It also notes when each piece was whole. Times are since the start of the
// broadcast.
type check struct {
	reel   *reel
	stage  int
	at     int    // in the broadcast: where the next byte must stand
	held   []byte // too few to say at which keyframe the output goes on
	from   int    // frame at which the output began; -1 before
	gaps   int
	lost   int64 // bytes that gaps left out
	good   int64
	bad    int64
	sum    hash.Hash // of all that came
	firstB time.Duration
	whole  time.Duration // when the first keyframe was whole
	piece  int           // the first that is not whole yet
	frame  int           // the first that is not whole yet
	when   []time.Duration
}

const (
	inInit = iota // the stream's init, from its first byte
	atKey         // a keyframe must begin here
	inRun         // the next byte is that of at
	astray        // nothing fits any more
)

// never marks pieces that did not come.
const never = time.Duration(-1)

// keyHead is how many bytes tell one keyframe from all others: the tag's header
// with its time, and some of its content.
const keyHead = 32

func newCheck(r *reel) *check {
	c := &check{reel: r, from: -1, sum: sha256.New(), when: make([]time.Duration, len(r.pieces))}
	for i := range c.when {
		c.when[i] = never
	}
	return c
}

// feed takes the next bytes, read at now.
func (c *check) feed(b []byte, now time.Duration) {
	c.sum.Write(b)
	for len(b) > 0 {
		switch c.stage {
		case inInit:
			n := common(c.reel.bytes[c.at:c.reel.init], b)
			c.at, c.good, b = c.at+n, c.good+int64(n), b[n:]
			switch {
			case c.at == c.reel.init:
				c.stage = atKey
			case len(b) > 0:
				c.stage = astray
			}
		case atKey:
			c.held = append(c.held, b...)
			b = c.enter(now)
		case inRun:
			n := common(c.reel.bytes[c.at:], b)
			c.run(n, now)
			if b = b[n:]; len(b) > 0 {
				// What stands here is not what follows. A gap is at the end of a frame.
				border := c.reel.start(c.frame)
				c.held = append(append(c.held[:0], c.reel.bytes[border:c.at]...), b...)
				c.good -= int64(c.at - border)
				c.at = border
				b = c.enter(now)
			}
		case astray:
			c.bad += int64(len(b))
			return
		}
	}
}

// enter looks for the keyframe that the held bytes begin with, and returns
// those that are to be fed on.
func (c *check) enter(now time.Duration) (rest []byte) {
	c.stage = atKey
	if c.from >= 0 {
		// Behind a gap a decoder is shown its configuration again.
		config := c.reel.bytes[13:c.reel.init]
		switch n := common(config, c.held); {
		case n == len(config):
			c.held = c.held[n:]
			c.good += int64(n)
		case n == len(c.held):
			return nil
		}
	}
	if len(c.held) < keyHead {
		return nil
	}
	next := 0
	if c.from >= 0 {
		next = c.frame + 1 // the frame that should stand here does not
	}
	for i := next; i < len(c.reel.frames); i++ {
		if at := c.reel.start(i); c.reel.frames[i].key && bytes.HasPrefix(c.reel.bytes[at:], c.held[:keyHead]) {
			if c.from < 0 {
				c.from, c.firstB = i, now
			} else {
				c.gaps++
				c.lost += int64(at - c.at)
			}
			c.at, c.frame, c.stage = at, i, inRun
			c.piece = sort.Search(len(c.reel.pieces), func(p int) bool { return c.reel.pieces[p].end > at })
			rest, c.held = c.held, nil
			return rest
		}
	}
	c.stage = astray
	rest, c.held = c.held, nil
	return rest
}

// run passes n bytes that are right.
func (c *check) run(n int, now time.Duration) {
	c.at += n
	c.good += int64(n)
	for c.piece < len(c.when) && c.reel.pieces[c.piece].end <= c.at {
		c.when[c.piece] = now
		c.piece++
	}
	for c.frame < len(c.reel.frames) && c.reel.frames[c.frame].end <= c.at {
		if c.frame == c.from {
			c.whole = now
		}
		c.frame++
	}
}

// close says that no more comes: what is held fits nowhere.
func (c *check) close() {
	c.bad += int64(len(c.held))
	c.held = nil
}

// exact reports whether the output was the init and one run up to the end of
// the broadcast, by its SHA-256.
func (c *check) exact() bool {
	if c.from < 0 {
		return false
	}
	want := sha256.New()
	want.Write(c.reel.bytes[:c.reel.init])
	want.Write(c.reel.bytes[c.reel.start(c.from):])
	return bytes.Equal(want.Sum(nil), c.sum.Sum(nil))
}

// common is how many bytes a and b begin with in common.
func common(a, b []byte) int {
	n := min(len(a), len(b))
	if bytes.Equal(a[:n], b[:n]) {
		return n
	}
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
