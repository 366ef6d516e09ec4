package abr

import (
	"math"
	"time"

	"github.com/xp2p/xp2p/lib/media"
)

const (
	// window is how much of two timelines is compared first, to know where they
	// meet; each time it is not known, twice as much is.
	window = 2 * second
	// forced is how often the stream waits for that when a switch is asked for:
	// until 8 s of both are there. Then the switch is refused.
	forced = 3
	// maxTries bounds how often it is tried at all: with 256 s the last time.
	maxTries = 8
)

// span is how much of the lane's pictures (of its sound, where it has none) has
// been read.
func (l *lane) span() int64 {
	line := l.reader.timeline.Track(media.Video)
	if line == nil {
		line = l.reader.timeline.Track(media.Audio)
	}
	if line == nil || len(line.Frames) == 0 || line.Timescale == 0 {
		return 0
	}
	return nanos(line.Frames[len(line.Frames)-1].DTS-line.Frames[0].DTS, line.Timescale)
}

// meet finds where l's timeline meets that of the first rendition, which gives
// the output its own. It returns false while that is not known: then needs says
// what has to be read, or, if nothing has, it never will be.
func (s *Switcher) meet(l *lane) bool {
	if l.met || l == s.first || s.cfg.Trust {
		return true
	}
	for l.tries < forced {
		have := func(x *lane) int64 {
			if x.ended || x.stalled {
				return math.MaxInt64
			}
			return x.span()
		}
		want := int64(window) << l.tries
		switch {
		case have(s.first) < want && s.first.queued() < maxQueued:
			s.needs = s.first
			return false
		case have(l) < want && l.queued() < maxQueued:
			s.needs = l
			return false
		}
		if s.tryToMeet(l) {
			return true
		}
	}
	s.fault("%v: %s is not switched to", l.astray, l.name)
	return false
}

func (s *Switcher) tryToMeet(l *lane) bool {
	span := int64(window) << l.tries
	l.tries++
	a, b := s.first.reader.timeline.first(span), l.reader.timeline.first(span)
	found := Confirm(a, b, 0)
	err := error(nil)
	if found.Confidence < MinConfidence {
		found, err = Align(a, b)
	}
	if err == nil {
		l.met = true
		by := int64(found.Offset)
		if s.cfg.Container == media.FLV {
			by = int64(found.Offset.Round(time.Millisecond))
		} else if found.Offset.Abs() < time.Millisecond {
			by = 0 // timescales round
		}
		l.move(by - l.offset)
		return true
	}
	l.astray = err
	return false
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
