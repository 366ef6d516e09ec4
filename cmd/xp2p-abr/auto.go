package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/abr"
	"github.com/xp2p/xp2p/lib/media"
)

const (
	// learn is how much of each rendition tells its rate.
	learn = 2 * time.Second
	// every is how often the rule is asked, in time of the stream.
	every = time.Second
)

// A chooser feeds the rule with what arrives, and asks for what it chooses.
type chooser struct {
	rule   *abr.Rule
	order  []int // renditions by their rates
	buffer time.Duration
	first  time.Time // when the first bytes were written
	next   time.Duration
	asked  int // what was asked for last
	reads  []arrival
}

// An arrival is what came before the rates were known.
type arrival struct {
	at time.Time
	n  int64
	d  time.Duration
}

// arrived tells of n bytes that took d to come.
func (c *chooser) arrived(now time.Time, n int, d time.Duration) {
	if c.rule != nil {
		c.rule.Feed(now, int64(n), d, abr.Origin)
	} else if len(c.reads) < 4096 {
		c.reads = append(c.reads, arrival{now, int64(n), d})
	}
}

// choose asks the rule, once in a while. The buffer is that of a player which
// began with the first bytes written and plays at the stream's speed.
func (c *chooser) choose(now time.Time, s *abr.Switcher, n int) (to int, reason string, ok bool, err error) {
	position := time.Duration(s.Position())
	if position < c.next || position == 0 {
		return 0, "", false, nil
	}
	if c.first.IsZero() {
		c.first = now
	}
	c.next = position + every
	if c.rule == nil {
		if ok, err := c.begin(s, n); !ok || err != nil {
			return 0, "", false, err
		}
		c.asked = s.Playing()
		c.rule.Playing(slices.Index(c.order, c.asked))
	}
	ahead := min(max(position-now.Sub(c.first), 0), c.buffer)
	choice := c.rule.Choose(now, ahead)
	to = c.order[choice.Rendition]
	if to == c.asked {
		return 0, "", false, nil
	}
	c.asked = to
	return to, fmt.Sprintf("auto: %s", choice.Reason), true, nil
}

// begin makes the rule once all rates are known.
func (c *chooser) begin(s *abr.Switcher, n int) (bool, error) {
	rates := make([]int64, n)
	for i := range rates {
		if rates[i] = rate(s.Timeline(i)); rates[i] == 0 {
			return false, nil
		}
		c.order = append(c.order[:i], i)
	}
	slices.SortFunc(c.order, func(a, b int) int { return cmp.Compare(rates[a], rates[b]) })
	var ladder []int64
	for _, i := range c.order {
		ladder = append(ladder, rates[i])
	}
	rule, err := abr.NewRule(abr.RuleConfig{Rates: ladder, Segment: 2 * time.Second, Buffer: c.buffer})
	if err != nil {
		return false, err
	}
	c.rule = rule
	for _, a := range c.reads {
		rule.Feed(a.at, a.n, a.d, abr.Origin)
	}
	c.reads = nil
	return true, nil
}

// rate is a rendition's mean rate in bit/s, 0 while too little of it is known.
func rate(t *abr.Timeline) int64 {
	bits, span := int64(0), time.Duration(0)
	for _, k := range []media.Track{media.Video, media.Audio} {
		l := t.Track(k)
		if l == nil || len(l.Frames) < 2 || l.Timescale == 0 {
			continue
		}
		d := time.Duration(l.Frames[len(l.Frames)-1].DTS-l.Frames[0].DTS) * time.Second / time.Duration(l.Timescale)
		if span == 0 {
			span = d
		}
		for _, f := range l.Frames {
			bits += 8 * int64(f.Size)
		}
	}
	if span < learn {
		return 0
	}
	return int64(float64(bits) / span.Seconds())
}
