package squeeze

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"github.com/xp2p/xp2p/lib/fmp4"
	"github.com/xp2p/xp2p/lib/media"
)

// fragments rewrites fragmented MP4: the times of fragments and samples. A
// fragment of which nothing is moved stays as it is.
type fragments struct {
	walk   fmp4.Walker
	info   media.Unit
	done   int // bytes of the unit under way that the walker has seen
	movie  *fmp4.Movie
	heads  map[uint32][]byte // ftyp and moov
	tracks []*line
	moved  bool
	// The movie has a picture.
	pictured bool
}

// A line is what is remembered of a track.
type line struct {
	id   uint32
	kind media.Track
	tone sound
}

func (w *fragments) next(b []byte, eof bool) int {
	for n := w.done; ; {
		s := w.walk.Next(b[n:], eof)
		n += s.N
		switch {
		case s.N == 0:
			w.done = n
			return 0
		case s.End:
			w.done, w.info = 0, s.Unit
			return n
		}
	}
}

func (w *fragments) sound() *sound {
	for _, t := range w.tracks {
		if t.tone.begun {
			return &t.tone
		}
	}
	return nil
}

const (
	moov = 'm'<<24 | 'o'<<16 | 'o'<<8 | 'v'
	mfra = 'm'<<24 | 'f'<<16 | 'r'<<8 | 'a'
)

func (w *fragments) unit(q *Squeezer, dst, b []byte) []byte {
	kind := uint32(0)
	if len(b) >= 8 {
		kind = binary.BigEndian.Uint32(b[4:])
	}
	switch {
	case w.info.Kind == media.Header:
		if bytes.Equal(w.heads[kind], b) {
			return dst // behind a jump it comes again
		}
		w.head(q, kind, b)
	case w.info.Kind == media.Sample && !w.info.Truncated && w.movie != nil:
		frame := fmp4.ReadEnvelope(b)
		runs, ok := w.runs(b)
		if q.passes = !ok || !frame.Plain; q.passes {
			break
		}
		if w.fragment(q, runs) {
			w.moved = true
			return w.write(q, dst, frame, runs)
		}
	case kind == mfra && w.moved:
		return dst // it says where fragments were
	}
	return append(dst, b...)
}

func (w *fragments) head(q *Squeezer, kind uint32, b []byte) {
	if w.heads == nil {
		w.heads = map[uint32][]byte{}
	}
	w.heads[kind] = bytes.Clone(b)
	if kind != moov {
		return
	}
	movie, err := fmp4.ParseMovie(b)
	if err != nil {
		q.passes = true
		return
	}
	w.movie, w.tracks = movie, nil
	w.pictured = false
	for _, t := range movie.Tracks {
		w.tracks = append(w.tracks, &line{id: t.ID, kind: t.Track, tone: sound{scale: t.Timescale}})
		w.pictured = w.pictured || t.Track == media.Video
	}
}

func (w *fragments) line(id uint32) *line {
	for _, t := range w.tracks {
		if t.id == id {
			return t
		}
	}
	return nil
}

// runs takes the samples out of a fragment, track by track; false if they
// cannot be told apart.
func (w *fragments) runs(b []byte) (runs []fmp4.Run, ok bool) {
	samples, err := w.movie.Samples(nil, b, 0)
	if err != nil {
		return nil, false
	}
	for _, s := range samples {
		i := slices.IndexFunc(runs, func(r fmp4.Run) bool { return r.Track == s.Track })
		if i < 0 {
			if l := w.line(s.Track); l == nil || l.tone.scale == 0 {
				return nil, false
			}
			i = len(runs)
			runs = append(runs, fmp4.Run{Track: s.Track})
		}
		runs[i].Samples = append(runs[i].Samples, s)
	}
	return runs, true
}

// fragment gives all samples their places in the output, and reports whether
// anything has changed.
func (w *fragments) fragment(q *Squeezer, runs []fmp4.Run) (moved bool) {
	if len(runs) == 0 {
		return false
	}
	clock := &runs[0]
	lead := math.Inf(1)
	for i := range runs {
		if l := w.line(runs[i].Track); l.kind != media.Audio {
			clock, lead = &runs[i], l.tone.ms(int64(runs[i].Samples[0].CTS))
			break
		}
	}
	q.time(w.line(clock.Track).tone.ms(clock.Samples[0].DTS), lead)
	horizon, tail := math.Inf(-1), math.Inf(-1)
	for i := range runs {
		l := w.line(runs[i].Track)
		if l.kind == media.Audio {
			if !w.pictured { // else the picture's times are the ones to keep
				last := runs[i].Samples[len(runs[i].Samples)-1]
				tail = max(tail, l.tone.ms(last.DTS+int64(last.Duration)))
			}
			moved = l.hear(q, &runs[i]) || moved
			continue
		}
		shown, decoded, changed := l.show(q, runs[i].Samples)
		horizon, tail, moved = max(horizon, shown), max(tail, decoded), moved || changed
	}
	q.keep(horizon, tail)
	return moved
}

// write appends a fragment with the samples that are left of it.
func (w *fragments) write(q *Squeezer, dst []byte, f fmp4.Envelope, runs []fmp4.Run) []byte {
	runs = slices.DeleteFunc(runs, func(r fmp4.Run) bool { return len(r.Samples) == 0 })
	if len(runs) == 0 {
		return dst
	}
	dst = w.movie.RetimeBoxes(dst, f.Before, q.line.Ticks)
	dst = fmp4.AppendFragment(dst, f.Sequence, runs)
	for _, r := range runs {
		for _, s := range r.Samples {
			dst = append(dst, s.Data...)
		}
	}
	return dst
}

// show moves the samples of a picture. All of them were to be shown until shown,
// and decoded until decoded, in ms.
func (l *line) show(q *Squeezer, samples []fmp4.Sample) (shown, decoded float64, moved bool) {
	scale := l.tone.scale
	out := q.line.Ticks(samples[0].DTS, scale)
	shown = math.Inf(-1)
	for i := range samples {
		s := &samples[i]
		end, pts := s.DTS+int64(s.Duration), s.DTS+int64(s.CTS)
		shown, decoded = max(shown, l.tone.ms(pts+int64(s.Duration))), l.tone.ms(end)
		next := q.line.Ticks(end, scale)
		if s.Duration > 0 {
			next = max(next, out+1)
		}
		is := fmp4.Sample{Track: s.Track, DTS: out, CTS: int32(q.line.Ticks(pts, scale) - out), Duration: uint32(next - out), Sync: s.Sync, Size: s.Size, Data: s.Data}
		if s.CTS >= 0 {
			is.CTS = max(is.CTS, 0)
		}
		moved = moved || is.DTS != s.DTS || is.CTS != s.CTS || is.Duration != s.Duration
		*s, out = is, next
	}
	return shown, decoded, moved
}

// hear leaves samples of sound out, and moves the others.
func (l *line) hear(q *Squeezer, r *fmp4.Run) (moved bool) {
	kept := r.Samples[:0]
	for _, s := range r.Samples {
		out, ok := l.tone.next(q, s.DTS, int64(s.Duration))
		moved = moved || !ok || out != s.DTS
		if s.DTS = out; ok {
			kept = append(kept, s)
		}
	}
	r.Samples = kept
	return moved
}
