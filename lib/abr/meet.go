package abr

import (
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/media"
)

const (
	// forced is how often the stream waits for that whatever happens when a switch is
	// asked for: until 8 s of both are there, unless that is too much to hold. From
	// then on it is the switch that waits, if the renditions come slowly.
	forced = 3
	// maxTries bounds how often it is tried: with 64 s the last time, and with 256 s
	// where both can be read again.
	maxTries, maxScans = 10, 12
)

// window is how much of two timelines is compared at the n-th try, from 0 on: 2, 4, 8,
// 16 s, from there on 8 s more each time, and in the end 128 and 256 s.
func window(n int) int64 {
	switch {
	case n <= forced:
		return 2 * second << n
	case n < maxTries:
		return 8 * second * int64(n-1)
	}
	return 64 * second << (n - maxTries + 1)
}

// A meeting says how far it is known where two timelines meet.
type meeting int

const (
	found  meeting = iota
	needed         // more has to be read first: needs or scan says what
	later          // more will have been read later
	refused
)

// A Scan is a second reading of a rendition from its beginning, for its times alone.
type Scan struct {
	Rendition int // of Config.Names
	lane      *lane
	reader    *Reader
	span      int64
	ended     bool
}

// Scan returns what has to be read again before anything can be written, or nil.
// Feed it until it has enough, or End it.
func (s *Switcher) Scan() *Scan { return s.scan }

// Feed takes the next bytes from the rendition's beginning on, and returns
// whether they are enough.
func (c *Scan) Feed(p []byte) bool {
	c.reader.Feed(p)
	c.reader.Discard()
	return c.reader.timeline.span() >= c.span
}

// End says that the rendition has ended, or cannot be read again.
func (c *Scan) End() {
	c.reader.End()
	c.reader.Discard()
	c.ended = true
}

// span is how much of a timeline's pictures (of its sound, where it has none) there is.
func (t *Timeline) span() int64 {
	line := t.Track(media.Video)
	if line == nil {
		line = t.Track(media.Audio)
	}
	if line == nil || len(line.Frames) == 0 || line.Timescale == 0 {
		return 0
	}
	return nanos(line.Frames[len(line.Frames)-1].DTS-line.Frames[0].DTS, line.Timescale)
}

func (l *lane) span() int64 { return l.reader.timeline.span() }

// timeline is what is compared of a lane, and whether it is all of it that there will be.
func (l *lane) timeline() (t *Timeline, whole bool) {
	if c := l.scan; c != nil && c.reader.timeline.span() > l.span() {
		return &c.reader.timeline, c.ended
	}
	return &l.reader.timeline, l.ended || l.stalled
}

// has reports whether so much of a lane can be compared, or all of it.
func (l *lane) has(span int64) bool {
	t, whole := l.timeline()
	return whole || t.span() >= span
}

// meet finds where l's timeline meets that of the first rendition, which gives
// the output its own.
func (s *Switcher) meet(l *lane) meeting {
	if l.met || l == s.first || s.cfg.Trust {
		return found
	}
	again := s.first.again && l.again
	for l.tries < maxTries || again && l.tries < maxScans {
		want := window(l.tries)
		for _, x := range []*lane{s.first, l} {
			switch {
			case x.has(want):
			case (l.tries < forced || !s.slow && !x.again) && x.queued() < maxQueued:
				s.needs, s.meets = x, l.tries >= forced
				return needed
			case x.again && (x.scan == nil || !x.scan.ended && x.scan.span < want):
				x.scan = &Scan{Rendition: slices.Index(s.lanes, x), lane: x, reader: newTimes(x.name, s.cfg.Container), span: max(want, window(maxTries-1))}
				s.scan, s.needs = x.scan, x
				return needed
			default:
				if !l.late {
					l.late = true
					s.note("%s: it is not known yet where it meets %s: the switch waits for that", l.name, s.first.name)
				}
				return later
			}
		}
		if s.tryToMeet(l) {
			return found
		}
	}
	s.fault("%v: %s is not switched to", l.astray, l.name)
	return refused
}

// WaitsToMeet reports whether nothing is written only so that it becomes known where
// renditions meet.
func (s *Switcher) WaitsToMeet() bool { return s.meets }

// MeetLater says that the renditions come too slowly to wait for that: from now on
// it is the switch that waits.
func (s *Switcher) MeetLater() { s.slow, s.meets, s.needs = true, false, nil }

// tryToMeet compares what there is, up to the next window.
func (s *Switcher) tryToMeet(l *lane) bool {
	span := window(l.tries)
	l.tries++
	a, wholeA := s.first.timeline()
	b, wholeB := l.timeline()
	if wholeA && wholeB && max(a.span(), b.span()) <= span {
		l.tries = maxScans // there will not be more
	}
	a, b = a.first(span), b.first(span)
	al := Confirm(a, b, 0)
	err := error(nil)
	if al.Confidence < MinConfidence {
		al, err = Align(a, b)
	}
	if err != nil {
		l.astray = err
		return false
	}
	l.met = true
	by := int64(al.Offset)
	if s.cfg.Container == media.FLV {
		by = int64(al.Offset.Round(time.Millisecond))
	} else if al.Offset.Abs() < time.Millisecond {
		by = 0 // timescales round
	}
	l.move(by - l.offset)
	l.recall(s.shown)
	return true
}

// recall takes back into the queue what was thought to be shown elsewhere, and is not.
func (l *lane) recall(shown int64) {
	if l.past.head() == nil || l.past.head().pts <= shown {
		return
	}
	l.video.samples = append(l.past.samples, l.video.samples...)
	l.video.bytes += l.past.bytes
	l.past.clear()
}

// first is what of a timeline was read first: how much more has come by chance
// must not count, or the same renditions would meet at one time and not at another.
func (t *Timeline) first(span int64) *Timeline {
	part := *t
	part.Tracks = nil
	for _, l := range t.Tracks {
		for i, f := range l.Frames {
			if l.Timescale > 0 && nanos(f.DTS-l.Frames[0].DTS, l.Timescale) > span {
				l.Frames = l.Frames[:i]
				break
			}
		}
		part.Tracks = append(part.Tracks, l)
	}
	return &part
}

// move shifts the lane's times.
func (l *lane) move(by int64) {
	if by == 0 {
		return
	}
	l.offset += by
	for _, q := range []*deque{&l.video, &l.audio, &l.past} {
		for i := range q.samples {
			q.samples[i].dts += by
			q.samples[i].pts += by
		}
	}
	for _, t := range []*int64{&l.newest, &l.sound, &l.idr, &l.shown, &l.last} {
		if *t != never {
			*t += by
		}
	}
}

// guess moves a lane whose times are far from those of the first to where it
// begins, until it is known where they meet.
func (s *Switcher) guess(l *lane) {
	at := func(l *lane) int64 {
		if h := l.video.head(); h != nil {
			return h.pts
		}
		if h := l.audio.head(); h != nil {
			return h.pts
		}
		return never
	}
	a, b := at(s.first), at(l)
	if a != never && b != never && (a-b > 2*jump || b-a > 2*jump) {
		l.move(a - b)
	}
}
