package abr

import (
	"fmt"
	"math"

	"github.com/xp2p/xp2p/lib/media"
)

const (
	// never is earlier than any time, for what has not been.
	never = math.MinInt64 / 4
	// samePicture is how far apart the same picture's times in two renditions may
	// be: timescales round, a millisecond at the worst.
	samePicture = 4_000_000
	// usualFrame is taken for a frame's duration where there is no other to tell.
	usualFrame = 40_000_000
	// usualGOP is taken for the distance of keyframes where there is no other.
	usualGOP = 4 * second
	// maxQueued is how many bytes of a lane wait, unless what is written waits for
	// the lane itself.
	maxQueued = 6 << 20
	// maxOutput is how many bytes are made before they are written.
	maxOutput = 1 << 20
)

// A lane is one rendition on the way through: what of it is read and neither
// written nor dropped. Times are nanoseconds of the output's timeline.
type lane struct {
	name    string
	reader  *Reader
	offset  int64 // what to add to the rendition's own times
	video   deque
	audio   deque
	past    deque // video that was shown in another rendition, or in this one, from the newest keyframe on
	keep    bool  // whether past is
	ended   bool
	stalled bool  // nothing came for too long
	gone    bool  // not to be switched to any more
	newest  int64 // the greatest DTS of video read
	sound   int64 // the greatest DTS of audio read
	slack   int64 // how much later than PTS a DTS may be
	gop     int64 // the longest distance of IDR pictures seen
	idr     int64 // PTS of the newest IDR read
	frame   int64 // the shortest distance of pictures seen
	wide    int64 // the longest
	shown   int64 // PTS of the newest video read
	last    int64 // DTS of the newest video read
	codec   uint32
	met     bool // it is known where its timeline meets the first one's
	tries   int
	astray  error // why not
	late    bool  // it was said that a switch waits for that
	again   bool  // it can be read a second time
	scan    *Scan // what was
}

func newLane(name string, c media.Container, keep bool) *lane {
	l := &lane{name: name, reader: newTimes(name, c), keep: keep}
	l.newest, l.sound, l.idr, l.shown, l.last = never, never, never, never, never
	l.reader.keep = 4096
	return l
}

// newTimes returns a Reader whose times are those of a lane.
func newTimes(name string, c media.Container) *Reader {
	r := NewReader(name, c)
	r.steady = true
	return r
}

// A deque holds samples, oldest first.
type deque struct {
	samples []sample
	bytes   int
}

func (d *deque) push(s sample) {
	d.samples = append(d.samples, s)
	d.bytes += len(s.data)
}

func (d *deque) pop() (s sample) {
	s = d.samples[0]
	d.samples[0] = sample{}
	d.samples = d.samples[1:]
	d.bytes -= len(s.data)
	return s
}

func (d *deque) clear() { *d = deque{} }

func (d *deque) head() *sample {
	if len(d.samples) == 0 {
		return nil
	}
	return &d.samples[0]
}

// take moves what the reader has read into the queues.
func (l *lane) take(note func(format string, args ...any)) {
	for _, s := range l.reader.samples {
		s.dts += l.offset
		s.pts += l.offset
		switch s.track {
		case media.Video:
			l.takeVideo(s, note)
		case media.Audio:
			l.sound = max(l.sound, s.dts)
			l.audio.push(s)
		default:
			l.video.push(s)
		}
	}
	clear(l.reader.samples)
	l.reader.samples = l.reader.samples[:0]
	for _, n := range l.reader.Notes() {
		note("%s: %s", l.name, n)
	}
}

func (l *lane) takeVideo(s sample, note func(string, ...any)) {
	if l.codec == 0 {
		l.codec = s.config.codec
	} else if s.config.codec != l.codec && !l.gone {
		note("%s: its codec changes from %s to %s: it is left", l.name, l.codecName(), s.config.word())
		l.gone = true
	}
	if l.gone && s.config.codec != l.codec {
		return
	}
	if d := s.dts - l.last; l.last != never && d < second {
		l.wide = max(l.wide, d)
	}
	l.last = s.dts
	l.newest = max(l.newest, s.dts)
	l.slack = max(l.slack, s.dts-s.pts)
	if s.frame.IDR && s.frame.Key {
		if l.idr != never {
			l.gop = max(l.gop, s.pts-l.idr)
		}
		l.idr = s.pts
	}
	if d := s.pts - l.shown; l.shown != never && d > 1_000_000 && (l.frame == 0 || d < l.frame) {
		l.frame = d
	}
	l.shown = max(l.shown, s.pts)
	l.video.push(s)
}

// tolerance is by how much times of the same picture may differ.
func (l *lane) tolerance() int64 {
	if l.frame == 0 {
		return samePicture
	}
	return min(samePicture, l.frame/2)
}

// within is how many pictures there are at most in a span of time.
func (l *lane) within(span int64) int {
	const mostRate = 120 // pictures per second, where nothing tells how many there are
	apart := l.frame
	if apart == 0 {
		apart = second / mostRate
	}
	return int(span/apart) + 2
}

// safe is a time before which no picture is shown that has not been read.
func (l *lane) safe() int64 {
	if l.ended || l.stalled || l.gone {
		return math.MaxInt64 / 4
	}
	if l.newest == never {
		return never
	}
	return l.newest - l.slack
}

// start finds the first place in the queue, shown at from or later, where a
// decoder can start: its index, or -1. sure is false while the frame behind it,
// which could be a leading one, has not been read.
func (l *lane) start(from int64) (i int, sure bool) {
	v := l.video.samples
	for i := range v {
		s := &v[i]
		if s.track != media.Video || !s.frame.IDR || !s.frame.Key || s.pts < from {
			continue
		}
		if s.config.codec == avc1 || s.frame.Type == UnknownType {
			return i, true
		}
		next := -1
		for j := i + 1; j < len(v); j++ {
			if v[j].track == media.Video {
				next = j
				break
			}
		}
		switch {
		case next < 0 && l.safe() < s.pts:
			return i, false
		case next < 0 || !v[next].frame.Leading:
			return i, true
		}
	}
	return -1, false
}

// clean reports whether the lane can end before the picture at p without a
// trace: no frame that is shown before p is decoded behind one that is not. sure
// is false while that cannot be known. The queue's head is the first frame shown
// at p or later.
func (l *lane) clean(p int64) (ok, sure bool) {
	p -= l.tolerance()
	v := l.video.samples
	dropped := false
	for i := range v {
		if v[i].track != media.Video {
			continue
		}
		if v[i].pts >= p {
			dropped = true
		} else if dropped {
			return false, true
		}
	}
	return true, l.safe() >= p
}

// lastClean finds the newest place before p where the lane can end without a
// trace, after what has been shown; ok is false if there is none in the queue.
func (l *lane) lastClean(shown, p int64) (cut int64, ok bool) {
	v := l.video.samples
	top := shown // of the frames that would be kept
	for i := range v {
		if v[i].track != media.Video {
			continue
		}
		low := int64(math.MaxInt64)
		for j := i; j < len(v); j++ {
			if v[j].track == media.Video {
				low = min(low, v[j].pts)
			}
		}
		if low > top && low < p-l.tolerance() {
			cut, ok = low, true
		}
		if top = max(top, v[i].pts); top >= p {
			break
		}
	}
	return cut, ok
}

// drop forgets the video that is shown elsewhere, up to shown, and audio up to
// heard. Of the video the newest keyframe and what follows stays in past.
func (l *lane) drop(shown, heard int64) {
	for h := l.video.head(); h != nil && (h.track != media.Video || h.pts <= shown); h = l.video.head() {
		if s := l.video.pop(); s.track == media.Video {
			l.remember(s)
		}
	}
	for h := l.audio.head(); h != nil && h.pts <= heard; h = l.audio.head() {
		l.audio.pop()
	}
}

// remember keeps the newest keyframe and what follows it, for a bridge that
// begins there.
func (l *lane) remember(s sample) {
	if !l.keep {
		return
	}
	if s.frame.Key {
		l.past.clear()
	}
	if s.frame.Key || len(l.past.samples) > 0 {
		l.past.push(s)
	}
}

func (l *lane) queued() int { return l.video.bytes + l.audio.bytes }

func milliseconds(ns int64) int64 {
	if ns < 0 {
		return -((-ns + 500_000) / 1_000_000)
	}
	return (ns + 500_000) / 1_000_000
}

func clock(ns int64) string { return fmt.Sprintf("%.3f s", float64(ns)/second) }
