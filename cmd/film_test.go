package cmd_test

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"testing"

	"github.com/xp2p/xp2p/lib/flv"
	"github.com/xp2p/xp2p/lib/fmp4"
	"github.com/xp2p/xp2p/lib/media"
)

// A film is a stream's bytes and where they may be cut.
type film struct {
	bytes   []byte
	init    int   // bytes before the first sample
	keys    []int // where decoding can start
	borders []int // ends of units
	tags    []tag // samples only
}

// A tag is a timed sample: of an FLV tag or a movie fragment.
type tag struct {
	start, end int
	key        bool
	track      media.Track
	dts        int64
}

func (t tag) name() tagName { return tagName{t.track, t.dts} }

// A tagName tells samples apart within one run of an encoder.
type tagName struct {
	track media.Track
	dts   int64
}

// walk frames b. What is not whole at the end has no border.
func walk(b []byte) *film {
	f := &film{bytes: b, init: -1}
	var next func(p []byte, eof bool) media.Span
	switch {
	case flv.Detect(b):
		next = new(flv.Walker).Next
	case fmp4.Detect(b):
		next = new(fmp4.Walker).Next
	default:
		return f
	}
	begin := 0
	for at := 0; at < len(b); {
		s := next(b[at:], true)
		if s.N == 0 {
			break
		}
		if s.Begin {
			begin = at
		}
		at += s.N
		if !s.End || s.Unit.Truncated {
			continue
		}
		f.borders = append(f.borders, at)
		u := s.Unit
		if u.Kind != media.Sample {
			continue
		}
		if f.init < 0 {
			f.init = begin
		}
		f.tags = append(f.tags, tag{begin, at, u.Key && u.Track == media.Video, u.Track, u.DTS.Milliseconds()})
		if u.Key && u.Track == media.Video {
			f.keys = append(f.keys, begin)
		}
	}
	return f
}

// firstKey is the offset of the first video keyframe's first byte.
func (f *film) firstKey() (int, bool) {
	if len(f.keys) == 0 {
		return 0, false
	}
	return f.keys[0], true
}

// run says where in the film an output begins: it must be the film's init and
// then an exact, contiguous run from a keyframe on.
func (f *film) run(t testing.TB, who string, out []byte) (from int, ok bool) {
	t.Helper()
	if f.init < 0 {
		t.Fatalf("the input has no sample")
	}
	if len(out) <= f.init || !bytes.Equal(out[:f.init], f.bytes[:f.init]) {
		t.Errorf("%s: %d bytes do not begin with the stream's init of %d bytes", who, len(out), f.init)
		return 0, false
	}
	run := out[f.init:]
	for _, from := range append([]int{f.init}, f.keys...) {
		if bytes.HasPrefix(f.bytes[from:], run) {
			return from, true
		}
	}
	// Say where it goes wrong, from the keyframe that fits best.
	best, at := 0, 0
	for _, from := range f.keys {
		n := common(f.bytes[from:], run)
		if n >= best {
			best, at = n, from
		}
	}
	t.Errorf("%s: the %d bytes behind the init are no run of the input: equal to it from byte %d to %d of %d, and then not", who, len(run), at, at+best, len(f.bytes))
	return 0, false
}

func common(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// wantEnd demands an exact run up to the input's end.
func (f *film) wantEnd(t testing.TB, who string, out []byte) {
	t.Helper()
	from, ok := f.run(t, who, out)
	if !ok {
		return
	}
	if end := from + len(out) - f.init; end != len(f.bytes) {
		t.Errorf("%s: the output ends at byte %d of %d", who, end, len(f.bytes))
		return
	}
	want := sha256.New()
	want.Write(f.bytes[:f.init])
	want.Write(f.bytes[from:])
	if got := sha256.Sum256(out); !bytes.Equal(got[:], want.Sum(nil)) {
		t.Errorf("%s: sha256 differs", who)
	}
}

// wantBorder demands an exact run that ends where a unit ends.
func (f *film) wantBorder(t testing.TB, who string, out []byte) {
	t.Helper()
	from, ok := f.run(t, who, out)
	if !ok {
		return
	}
	if end := from + len(out) - f.init; !slices.Contains(f.borders, end) {
		t.Errorf("%s: the output ends at byte %d, inside a unit", who, end)
	}
}
