package abr

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"github.com/xp2p/xp2p/lib/flv"
	"github.com/xp2p/xp2p/lib/fmp4"
	"github.com/xp2p/xp2p/lib/media"
)

const (
	readerChunk = 512 << 10
	// maxUnit bounds a tag or fragment, since it is held whole: Our choice, 4 s
	// of 40 Mbit/s. A larger one is left out.
	maxUnit = 20 << 20
	second  = 1_000_000_000
	// jump is how far a timeline may step before it counts as another one.
	jump = 5 * second
)

// A sample is a frame of a rendition with its bytes. Times are nanoseconds on
// the rendition's own timeline.
type sample struct {
	track         media.Track // Other: not understood, passed on where nothing is switched
	dts, pts, dur int64
	frame         Frame
	config        *config
	seq           int64 // place in the rendition
	data          []byte
	tag           flv.Frame // FLV: what data, a whole tag, is
	end           bool      // FLV: an end of sequence
	last          bool      // fMP4: the last of its fragment's track
}

// payload is the frame itself.
func (s *sample) payload() []byte {
	if s.tag.Coded {
		return s.data[s.tag.Data:s.tag.Stop]
	}
	return s.data
}

// A Reader turns the bytes of one rendition into frames on its Timeline.
type Reader struct {
	timeline Timeline
	keep     int // frames that a line keeps, at least; 0 is all
	samples  []sample
	head     []byte // FLV: what stands before the first sample, but for sequence headers
	notes    []string

	buf       []byte // unread bytes and the unit they belong to
	from, at  int    // where the current unit begins, where the unread begins
	size      int    // what the current unit says it has, where it is not whole yet
	large     bool   // the current unit is left out
	begun     bool   // samples were seen
	seq       int64
	flv       flv.Walker
	mp4       fmp4.Walker
	pos       int64 // fMP4: of the current unit in the file
	movie     *fmp4.Movie
	ftyp      []byte
	init      []byte
	scratch   []fmp4.Sample
	rest      []fmp4.Sample // of scratch: what of the current fragment is still to come
	flowing   bool          // the current unit is a fragment
	ordered   bool          // its samples stand in the order of their runs
	gone      int64         // bytes of the current unit that are not held any more
	video     *config
	audio     *config
	raw       int64 // FLV: the newest time as it stood there
	unwrapped int64
	stamped   bool
	steady    bool // jumps of the timeline are taken back
	shift     int64
	last      [2]int64 // DTS of the newest frames, once they are taken back
	step      [2]int64
	counted   [2]bool
	key       [2]int64
}

// NewReader returns a Reader of a rendition in container c.
func NewReader(name string, c media.Container) *Reader {
	return &Reader{timeline: Timeline{Name: name, Container: c}}
}

// Timeline returns what has been read so far.
func (r *Reader) Timeline() *Timeline { return &r.timeline }

// Discard forgets the frames' bytes: for who wants the Timeline alone.
func (r *Reader) Discard() {
	clear(r.samples)
	r.samples = r.samples[:0]
}

// Notes returns what was wrong with the input since the last call.
func (r *Reader) Notes() []string {
	n := r.notes
	r.notes = nil
	return n
}

// Feed takes the next bytes and keeps nothing of p.
func (r *Reader) Feed(p []byte) {
	if len(r.buf)+len(p) > cap(r.buf) {
		rest := r.buf[r.from:]
		size := max(readerChunk, len(rest)+len(p)+readerChunk/2, min(r.size, maxUnit)+len(p))
		r.buf = append(make([]byte, 0, size), rest...)
		r.at -= r.from
		r.from = 0
	}
	r.buf = append(r.buf, p...)
	r.walk(false)
}

// End says that nothing follows.
func (r *Reader) End() { r.walk(true) }

func (r *Reader) walk(eof bool) {
	for {
		var s media.Span
		if r.timeline.Container == media.FLV {
			s = r.flv.Next(r.buf[r.at:], eof)
		} else {
			s = r.mp4.Next(r.buf[r.at:], eof)
		}
		if s.N == 0 {
			return
		}
		r.at += s.N
		if s.Begin {
			r.flowing = r.timeline.Container == media.FMP4 && s.Unit.Kind == media.Sample && r.movie != nil
			if r.flowing {
				r.layout(s.Unit, r.buf[r.from:r.at])
			}
		}
		if r.flowing && !r.large {
			r.flow(s.End)
		}
		if r.at-r.from > maxUnit && !s.End {
			r.large = true
		}
		if r.large {
			r.skip(r.at - r.from)
		}
		if !s.End {
			r.size = int(min(s.Unit.Size, maxUnit))
			if r.flowing {
				r.size = 0
				if len(r.rest) > 0 {
					r.size = int(min(r.rest[0].At+int64(r.rest[0].Size)-r.gone, maxUnit))
				}
			}
			continue
		}
		r.size = 0
		switch {
		case r.large:
			r.note("a tag or fragment of %d bytes is left out: too large", s.Unit.Size)
		case r.flowing:
			if s.Unit.Defect != "" {
				r.note("%s", s.Unit.Defect)
			}
		default:
			r.unit(s.Unit, r.buf[r.from:r.at])
		}
		r.skip(r.at - r.from)
		r.pos += r.gone
		r.gone, r.large = 0, false
	}
}

// skip forgets the next n bytes of the current unit.
func (r *Reader) skip(n int) {
	r.from += n
	r.gone += int64(n)
}

func (r *Reader) note(format string, args ...any) {
	if len(r.notes) < 16 {
		r.notes = append(r.notes, fmt.Sprintf(format, args...))
	}
}

// unit takes a whole tag or fragment.
func (r *Reader) unit(u media.Unit, p []byte) {
	if u.Defect != "" {
		r.note("%s", u.Defect)
	}
	if u.Truncated {
		return
	}
	if r.timeline.Container == media.FLV {
		r.tag(u, p)
	} else {
		r.boxes(u, p)
	}
}

// tag takes an FLV tag.
func (r *Reader) tag(u media.Unit, p []byte) {
	f, ok := flv.ParseFrame(p)
	switch {
	case u.Kind == media.Header:
		if !r.begun {
			r.head = append(r.head, p...)
		}
		return
	case ok && f.Config:
		c := &config{codec: f.Codec, record: p[f.Data:f.Stop], tag: p}
		c.describe()
		if f.Track == media.Video {
			r.configure(&r.video, media.Video, c, 1000)
		} else {
			r.configure(&r.audio, media.Audio, c, 1000)
		}
		return
	case u.Kind == media.Config && flv.ConfigClass(p) == flv.Metadata:
		if !r.begun && len(r.head)+len(p) < 1<<20 {
			r.head = append(r.head, p...)
		}
		return
	case !ok || !f.Coded:
		if u.Resync && u.Kind == media.Opaque && !u.Timed {
			return // bytes without framing
		}
		r.put(sample{track: media.Other, dts: r.unwrapped * 1e6, pts: r.unwrapped * 1e6, data: p, end: ok && f.End})
		return
	}
	dts := r.unwrap(int64(f.Time))
	dts += r.back(f.Track, dts*1e6) / 1e6
	frame := Frame{DTS: dts, PTS: dts + int64(f.CTS), Size: f.Stop - f.Data, Key: f.Key, IDR: f.Key}
	c := r.audio
	if f.Track == media.Video {
		if c = r.video; c == nil || c.codec != f.Codec { // codecs without a sequence header
			r.configure(&r.video, media.Video, &config{codec: f.Codec}, 1000)
			c = r.video
		}
		frame.Type, frame.IDR = c.kind(p[f.Data:f.Stop], f.Key)
		frame.Key = frame.Key || frame.IDR && c.codec == avc1
	} else if c == nil {
		r.configure(&r.audio, media.Audio, &config{codec: f.Codec}, 1000)
		c = r.audio
	}
	if f.Track == media.Audio {
		frame.Sum = sum(p[f.Data:f.Stop])
	}
	frame = r.frame(f.Track, frame)
	r.put(sample{track: f.Track, dts: dts * 1e6, pts: frame.PTS * 1e6, frame: frame, config: c, data: p, tag: f})
}

// unwrap counts on where 31 or 32 bits of milliseconds begin again.
func (r *Reader) unwrap(raw int64) int64 {
	const quarter = 1 << 30
	if !r.stamped {
		r.stamped, r.raw, r.unwrapped = true, raw, raw
		return raw
	}
	d := raw - r.raw
	switch {
	case d < -3*quarter:
		d += 4 * quarter
	case d < -quarter:
		d += 2 * quarter
	case d > 3*quarter:
		d -= 4 * quarter
	case d > quarter:
		d -= 2 * quarter
	}
	r.raw = raw
	r.unwrapped += d
	return r.unwrapped
}

// back is what to add to times because the timeline jumped: such that it goes
// on by one frame.
func (r *Reader) back(k media.Track, dts int64) int64 {
	if !r.steady {
		return 0
	}
	i := 0
	if k == media.Audio {
		i = 1
	}
	t := dts + r.shift
	if d := t - r.last[i]; r.counted[i] && (d > jump || d < -jump) {
		r.note("the timeline jumps by %v; its times are moved to go on", time.Duration(d).Round(time.Millisecond))
		by := max(r.step[i], 1) - d
		r.shift += by
		t += by
	} else if r.counted[i] && d > 0 {
		r.step[i] = d
	}
	r.last[i], r.counted[i] = t, true
	return r.shift
}

// boxes takes what stands before fragments of MP4.
func (r *Reader) boxes(u media.Unit, p []byte) {
	if u.Kind != media.Header {
		return
	}
	if len(p) >= 8 && string(p[4:8]) == "ftyp" {
		r.ftyp = append([]byte(nil), p...)
		return
	}
	movie, err := fmp4.ParseMovie(p)
	if err != nil {
		r.note("%v", err)
		return
	}
	r.init = append(r.ftyp[:len(r.ftyp):len(r.ftyp)], p...)
	r.movie = movie
	for _, t := range movie.Tracks {
		c := &config{
			codec: fourCC(t.Codec), name: t.Codec, record: t.Config, init: r.init,
			descriptions: t.Descriptions, width: t.Width, height: t.Height,
		}
		switch {
		case t.Track == media.Video && t.ID == r.first(media.Video).ID:
			r.configure(&r.video, media.Video, c, t.Timescale)
		case t.Track == media.Audio && t.ID == r.first(media.Audio).ID:
			r.configure(&r.audio, media.Audio, c, t.Timescale)
		}
	}
}

// layout reads where the samples of a fragment will be. They leave as their bytes
// come: a fragment may be a GOP, which nobody has to hold whole.
func (r *Reader) layout(u media.Unit, head []byte) {
	size := u.Size
	if size == 0 {
		size = math.MaxInt64 // up to the end of the input
	}
	var err error
	r.scratch, err = r.movie.Layout(r.scratch[:0], head, size, r.pos)
	if err != nil {
		r.note("%v", err)
	}
	r.rest, r.ordered = r.scratch, true
	for i := range r.rest {
		if i > 0 && r.rest[i].At < r.rest[i-1].At+int64(r.rest[i-1].Size) {
			r.ordered = false
		}
	}
}

// flow takes the samples of a fragment whose bytes are there. Those that do not stand
// in the order of their runs wait for all of it.
func (r *Reader) flow(whole bool) {
	if !r.ordered && !whole {
		return
	}
	have := r.gone + int64(r.at-r.from)
	for len(r.rest) > 0 {
		s := r.rest[0] // a copy: what is left of a fragment must not keep its bytes
		if s.At < r.gone || s.At+int64(s.Size) > have {
			break
		}
		i := r.from + int(s.At-r.gone)
		s.Data = r.buf[i : i+s.Size]
		r.rest = r.rest[1:]
		r.sample(&s, len(r.rest) == 0 || r.rest[0].Track != s.Track)
	}
	if len(r.rest) > 0 && r.ordered {
		have = max(r.gone, min(have, r.rest[0].At))
	}
	if r.ordered {
		r.skip(int(have - r.gone))
	}
}

// sample takes a sample of a fragment; last says that it is the last one of its run.
func (r *Reader) sample(s *fmp4.Sample, last bool) {
	var t *fmp4.MovieTrack
	var c *config
	for _, k := range []media.Track{media.Video, media.Audio} {
		if f := r.first(k); f != nil && f.ID == s.Track {
			t, c = f, r.audio
			if k == media.Video {
				c = r.video
			}
		}
	}
	if t == nil || c == nil || t.Timescale == 0 {
		return
	}
	dts := s.DTS - t.Shift
	dts += ticks(r.back(t.Track, nanos(dts, t.Timescale)), t.Timescale)
	frame := Frame{DTS: dts, PTS: dts + int64(s.CTS), Duration: int64(s.Duration), Size: len(s.Data), Key: s.Sync, IDR: s.Sync}
	if t.Track == media.Video {
		frame.Type, frame.IDR = c.kind(s.Data, s.Sync)
	}
	if t.Track == media.Audio {
		frame.Sum = sum(s.Data)
	}
	frame = r.frame(t.Track, frame)
	r.put(sample{
		track: t.Track, dts: nanos(dts, t.Timescale), pts: nanos(frame.PTS, t.Timescale), dur: nanos(frame.Duration, t.Timescale),
		frame: frame, config: c, data: s.Data, last: last,
	})
}

// first returns the first track of a kind, or nil: one of each is read.
func (r *Reader) first(k media.Track) *fmp4.MovieTrack {
	for i := range r.movie.Tracks {
		if r.movie.Tracks[i].Track == k {
			return &r.movie.Tracks[i]
		}
	}
	return nil
}

// configure takes a configuration, which may be the one that is there.
func (r *Reader) configure(to **config, k media.Track, c *config, scale uint32) {
	c.record = append([]byte(nil), c.record...)
	c.tag = append([]byte(nil), c.tag...)
	if (*to).same(c) {
		return
	}
	if k == media.Video {
		c.readParams()
	}
	*to = c
	l := r.timeline.Track(k)
	if l == nil {
		r.timeline.Tracks = append(r.timeline.Tracks, Line{Track: k})
		l = r.timeline.Track(k)
	}
	l.Timescale, l.Codec, l.Config, l.Width, l.Height = scale, c.name, c.record, c.width, c.height
}

// frame puts a frame on its line and returns it, marked if it is shown before
// the key frame that it is decoded behind.
func (r *Reader) frame(k media.Track, f Frame) Frame {
	l := r.timeline.Track(k)
	if l == nil {
		return f
	}
	i := 0
	if k == media.Audio {
		i = 1
	}
	if f.Key {
		r.key[i] = f.PTS
	} else {
		f.Leading = f.PTS < r.key[i]
	}
	if r.keep > 0 && len(l.Frames) >= 2*r.keep {
		l.Frames = append(l.Frames[:0], l.Frames[r.keep:]...)
	}
	l.Frames = append(l.Frames, f)
	return f
}

func (r *Reader) put(s sample) {
	r.begun = true
	s.seq = r.seq
	r.seq++
	r.samples = append(r.samples, s)
}

func nanos(ticks int64, scale uint32) int64 {
	q, m := ticks/int64(scale), ticks%int64(scale)
	return q*second + (m*second+int64(scale)/2*sign(m))/int64(scale)
}

// ticks is the inverse of nanos.
func ticks(ns int64, scale uint32) int64 {
	q, m := ns/second, ns%second
	return q*int64(scale) + (m*int64(scale)+second/2*sign(m))/second
}

func sign(v int64) int64 {
	if v < 0 {
		return -1
	}
	return 1
}

// fourCC maps a codec's name to the one that frames are read by.
func fourCC(name string) uint32 {
	switch {
	case len(name) < 4:
		return 0
	case name[:4] == "avc1", name[:4] == "avc3":
		return avc1
	case name[:4] == "hvc1", name[:4] == "hev1":
		return hvc1
	}
	return binary.BigEndian.Uint32([]byte(name))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sum(p []byte) uint32 { return crc32.Checksum(p, castagnoli) }
