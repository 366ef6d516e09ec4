package segment

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/xp2p/xp2p/lib/media"
)

var testKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))

const testEpoch = 1_763_782_373_000

// A cutting is all that came out of a Cutter.
type cutting struct {
	recs  []Record
	notes []Note
}

// cut runs in through a Cutter, in chunks of the given size.
func cut(t testing.TB, cfg CutterConfig, in []byte, chunk int) cutting {
	t.Helper()
	if cfg.Key == nil {
		cfg.Key = testKey
	}
	if cfg.Epoch == 0 && !cfg.VOD {
		cfg.Epoch = testEpoch
	}
	c := NewCutter(cfg)
	var out cutting
	drain := func() {
		for r, ok := c.Next(); ok; r, ok = c.Next() {
			r.Body = bytes.Clone(r.Body)
			out.recs = append(out.recs, r)
		}
		out.notes = append(out.notes, c.Notes()...)
	}
	for len(in) > 0 {
		n := min(len(in), chunk)
		c.Feed(in[:n])
		drain()
		in = in[n:]
	}
	c.Finish()
	drain()
	return out
}

// bytes returns what cat would.
func (c cutting) bytes() []byte {
	var b []byte
	for _, r := range c.recs {
		if r.Kind == KindPiece || r.Kind == KindInit && !r.Init.Copy {
			b = append(b, r.Body...)
		}
	}
	return b
}

func (c cutting) segments() (s []*Segment) {
	for _, r := range c.recs {
		if r.Kind == KindSegment {
			s = append(s, r.Segment)
		}
	}
	return s
}

func (c cutting) end() *End { return c.recs[len(c.recs)-1].End }

// wellFormed checks what holds for every cutting: bytes, proofs, order.
func (c cutting) wellFormed(t testing.TB, in []byte) {
	t.Helper()
	if got := c.bytes(); !bytes.Equal(got, in) {
		t.Fatalf("bytes out are not bytes in: %d and %d", len(got), len(in))
	}
	v := NewVerifier(testKey.Public().(ed25519.PublicKey))
	var a Audit
	a.See(&Record{Kind: KindHeader, Header: &Header{VOD: c.recs[len(c.recs)-1].Kind == KindEnd && len(c.recs) > 1 && c.recs[len(c.recs)-2].Kind == KindIndex}})
	for i := range c.recs {
		if err := v.Verify(&c.recs[i]); err != nil {
			t.Fatal(err)
		}
		if err := a.See(&c.recs[i]); err != nil {
			t.Fatal(err)
		}
	}
	if c.end() == nil {
		t.Fatal("no end record")
	}
}

// seqs tells the segments as a story: "812 813! 0@1~" where ! is a jump, @n
// the epoch relative to the first, ~ partial.
func (c cutting) seqs() string {
	var b strings.Builder
	for i, s := range c.segments() {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprint(&b, s.Seq)
		if e := s.Epoch - testEpoch; e != 0 {
			fmt.Fprintf(&b, "@%d", e)
		}
		if s.Disc {
			b.WriteByte('!')
		}
		if s.Partial {
			b.WriteByte('~')
		}
	}
	return b.String()
}

// An flvFile is written tag by tag.
type flvFile struct{ bytes.Buffer }

func (f *flvFile) header() *flvFile {
	f.WriteString("FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00")
	return f
}

func (f *flvFile) tag(kind byte, ts uint32, body ...byte) *flvFile {
	n := len(body)
	f.Write([]byte{kind, byte(n >> 16), byte(n >> 8), byte(n), byte(ts >> 16), byte(ts >> 8), byte(ts), byte(ts >> 24), 0, 0, 0})
	f.Write(body)
	f.Write(binary.BigEndian.AppendUint32(nil, uint32(n+11)))
	return f
}

func (f *flvFile) avcConfig(ts uint32, profile byte) *flvFile {
	return f.tag(9, ts, 0x17, 0, 0, 0, 0, 1, profile, 0, 30, 0xff, 0xe0, 0)
}
func (f *flvFile) aacConfig(ts uint32) *flvFile { return f.tag(8, ts, 0xaf, 0, 0x12, 0x10) }

// video writes a frame whose bytes depend on its time, so that no two segments
// are equal.
func (f *flvFile) video(ts uint32, key bool, size int) *flvFile {
	b := bytes.Repeat([]byte{byte(ts), byte(ts >> 8), byte(ts >> 16)}, size/3+1)[:size]
	head := []byte{0x27, 1, 0, 0, 0, 0, 0, 0, 4, 0x41, byte(ts), byte(ts >> 8), byte(ts >> 16)}
	if key {
		head[0], head[9] = 0x17, 0x65
	}
	return f.tag(9, ts, append(head, b...)...)
}

func (f *flvFile) audio(ts uint32) *flvFile {
	return f.tag(8, ts, append([]byte{0xaf, 1}, fmt.Sprintf("sound of %d", ts)...)...)
}

// play writes video at 25 frames a second, a keyframe every 2 s, and audio.
func (f *flvFile) play(from, to uint32) *flvFile {
	for ts := from; ts < to; ts += 40 {
		f.video(ts, ts%2000 == 0, 2000+int(ts*7919%4000))
		f.audio(ts + 7)
		f.audio(ts + 30)
	}
	return f
}

func newFLV() *flvFile {
	f := new(flvFile)
	return f.header().avcConfig(0, 100).aacConfig(0)
}

func TestSegmentsFollowTheGridOfTheVideoClock(t *testing.T) {
	in := newFLV().play(3400, 8000).Bytes()
	for _, chunk := range []int{1, 17, 4096, 65536, 1 << 20} {
		c := cut(t, CutterConfig{Container: media.FLV}, in, chunk)
		c.wellFormed(t, in)
		if got, want := c.seqs(), "3 4 5 6 7"; got != want {
			t.Errorf("chunks of %d: got segments %s, want %s", chunk, got, want)
		}
		for _, s := range c.segments()[1:] {
			if s.DTS != s.Seq*1000 {
				t.Errorf("segment %d starts at %d ms", s.Seq, s.DTS)
			}
		}
	}
}

func TestAlignKeyWaitsForAKeyframe(t *testing.T) {
	in := newFLV().play(3400, 12000).Bytes()
	c := cut(t, CutterConfig{Container: media.FLV, Align: Key}, in, 4096)
	c.wellFormed(t, in)
	if got, want := c.seqs(), "3 4 6 8 10"; got != want {
		t.Errorf("got segments %s, want %s", got, want)
	}
	for _, s := range c.segments()[1:] {
		if len(s.Keyframes) != 1 || s.Keyframes[0].Offset != 0 {
			t.Errorf("segment %d: keyframes %v", s.Seq, s.Keyframes)
		}
	}
}

func TestTimelines(t *testing.T) {
	const k31, k32 = 1 << 31, 1 << 32
	at := func(f *flvFile, times ...uint32) *flvFile {
		for i, ts := range times {
			f.video(ts, i == 0, 100)
		}
		return f
	}
	for _, test := range []struct {
		name  string
		times []uint32
		want  string
	}{
		{"a gap below 5 s is no jump", []uint32{0, 4900, 9000}, "0 4 9"},
		{"a jump forward is cut and flagged", []uint32{0, 5100, 6000}, "0 5! 6"},
		{"a jump back begins an epoch", []uint32{20000, 20040, 3000, 3040, 4000}, "20 3@1! 4@1"},
		{"a step back below 5 s stays", []uint32{20000, 15100, 15200, 21000}, "20 21!"},
		{"31 bits wrap without a jump", []uint32{k31 - 2000, k31 - 1000, k31 - 40, 0, 40, 1000}, "2147481 2147482 2147483 0@1 1@1"},
		{"32 bits wrap without a jump", []uint32{k32 - 1000, k32 - 40, 0, 1000}, "4294966 4294967 0@1 1@1"},
		{"a step back over the wrap stays", []uint32{k31 - 40, 0, k31 - 20, 40, 1000}, "2147483 0@1 1@1"},
		{"2^31 itself is no wrap", []uint32{k31 - 40, k31, k31 + 1000}, "2147483 2147484"},
		{"a wrap with a jump behind", []uint32{k31 - 40, 0, 10000}, "2147483 0@1 10@1!"},
	} {
		in := at(newFLV(), test.times...).Bytes()
		c := cut(t, CutterConfig{Container: media.FLV}, in, 4096)
		c.wellFormed(t, in)
		if got := c.seqs(); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}

func TestConfigurationGoesForwardToTheNextSample(t *testing.T) {
	f := newFLV().video(0, true, 100).video(960, false, 100)
	border := f.Len()
	f.avcConfig(0, 77).tag(18, 960, []byte("\x02\x00\x0aonMetaData\x08\x00\x00\x00\x00\x00\x00\x09")...)
	config := f.Len()
	f.video(1000, true, 100)
	c := cut(t, CutterConfig{Container: media.FLV}, f.Bytes(), 1<<20)
	c.wellFormed(t, f.Bytes())
	s := c.segments()
	init := c.recs[0].Init.Size
	if len(s) != 2 || s[0].Size != int64(border-init) {
		t.Fatalf("the first segment has %d bytes, want %d", s[0].Size, border-init)
	}
	if k := s[1].Keyframes; len(k) != 1 || k[0].Offset != int64(config-border) {
		t.Errorf("keyframe of the second: %v, want it at %d", k, config-border)
	}
	// A copy stands before the piece that needs it, and holds the header and the
	// newest of each configuration.
	var copied *Record
	for i := range c.recs {
		if c.recs[i].Kind == KindInit && c.recs[i].Init.Copy {
			copied = &c.recs[i]
		}
	}
	if copied == nil || copied.Init.Hash != s[1].Keyframes[0].Init {
		t.Fatal("no copy that the keyframe refers to")
	}
	want := new(flvFile).header()
	want.tag(18, 960, []byte("\x02\x00\x0aonMetaData\x08\x00\x00\x00\x00\x00\x00\x09")...).avcConfig(0, 77).aacConfig(0)
	if !bytes.Equal(copied.Body, want.Bytes()) {
		t.Errorf("copy is %x\nwant %x", copied.Body, want.Bytes())
	}
}

func TestRepeatedConfigurationMakesNoCopy(t *testing.T) {
	f := newFLV()
	for ts := uint32(0); ts < 10000; ts += 40 {
		if ts%1000 == 0 {
			f.avcConfig(ts, 100)
		}
		f.video(ts, ts%1000 == 0, 50)
	}
	for _, r := range cut(t, CutterConfig{Container: media.FLV}, f.Bytes(), 4096).recs {
		if r.Kind == KindInit && r.Init.Copy {
			t.Fatal("a copy, though nothing changed")
		}
	}
}

func TestPiecesCloseAtSizeOrTime(t *testing.T) {
	in := newFLV().play(0, 3000).Bytes()
	c := cut(t, CutterConfig{Container: media.FLV}, in, 4096)
	var opened int64
	for _, r := range c.recs {
		p := r.Piece
		if p == nil {
			continue
		}
		if p.Size > DefaultPiece {
			t.Errorf("piece %v has %d bytes", p.ID, p.Size)
		}
		if p.Index > 0 && p.DTS-opened > 160 {
			t.Errorf("piece %v: %d ms after the one before", p.ID, p.DTS-opened)
		}
		opened = p.DTS
	}
}

func TestAViewerStartsAtThePieceThatBeginsWithAKeyframe(t *testing.T) {
	f := newFLV()
	for ts := uint32(0); ts < 6000; ts += 40 {
		key := ts%1400 == 0 // never on the grid but at 0
		size := 3000
		if key {
			size = 30000
		}
		f.video(ts, key, size)
		f.audio(ts + 11)
	}
	in := f.Bytes()
	c := cut(t, CutterConfig{Container: media.FLV}, in, 4096)
	c.wellFormed(t, in)
	keys := 0
	for _, r := range c.recs {
		if r.Piece == nil || len(r.Piece.Keyframes) == 0 {
			continue
		}
		keys++
		if k := r.Piece.Keyframes[0]; k.Offset != 0 || len(r.Piece.Keyframes) > 1 {
			t.Errorf("the keyframe at %d ms stands at byte %d of piece %v", k.DTS, k.Offset, r.Piece.ID)
		}
		if r.Piece.Size != entryPiece {
			t.Errorf("piece %v has %d bytes: it does not fit a first flight", r.Piece.ID, r.Piece.Size)
		}
	}
	if keys != 5 {
		t.Errorf("got %d pieces with a keyframe, want 5", keys)
	}
}

func TestAudioIsTheClockWhereThereIsNoVideo(t *testing.T) {
	f := new(flvFile).header().aacConfig(0)
	for ts := uint32(500); ts < 5000; ts += 23 {
		f.audio(ts)
	}
	c := cut(t, CutterConfig{Container: media.FLV}, f.Bytes(), 100)
	c.wellFormed(t, f.Bytes())
	if got, want := c.seqs(), "0 1 2 3 4"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if len(c.segments()[2].Keyframes) != 1 {
		t.Error("an audio stream can be joined at every segment")
	}
	f.video(5000, true, 100).video(7000, true, 100).audio(5010)
	c = cut(t, CutterConfig{Container: media.FLV}, f.Bytes(), 100)
	c.wellFormed(t, f.Bytes())
	if got, want := c.seqs(), "0 1 2 3 4 5"; got != want || len(c.notes) == 0 {
		t.Errorf("video that comes late: got %s and notes %v, want %s and a note", got, c.notes, want)
	}
}

func TestChosenClock(t *testing.T) {
	f := newFLV()
	for ts := uint32(0); ts < 3000; ts += 100 {
		f.video(ts+700, true, 10).audio(ts)
	}
	c := cut(t, CutterConfig{Container: media.FLV, Clock: media.Audio}, f.Bytes(), 4096)
	c.wellFormed(t, f.Bytes())
	if got, want := c.seqs(), "0 1 2"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	c = cut(t, CutterConfig{Container: media.FLV}, f.Bytes(), 4096)
	if got, want := c.seqs(), "0 1 2 3"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// joins checks Must show 3: a slicer that joins at from agrees with the one
// that saw all, for every segment that both have whole.
func joins(t *testing.T, cfg CutterConfig, whole cutting, in []byte, from int) (common int) {
	t.Helper()
	late := cut(t, cfg, in[from:], 64<<10)
	if !bytes.Equal(late.bytes(), in[from:]) {
		t.Fatalf("joined at %d: bytes out are not bytes in", from)
	}
	a, b := whole.segments(), late.segments()
	bounds := func(c cutting) map[*Segment][]int {
		m, sizes := map[*Segment][]int{}, []int(nil)
		for _, r := range c.recs {
			switch r.Kind {
			case KindPiece:
				sizes = append(sizes, r.Piece.Size)
			case KindSegment:
				m[r.Segment], sizes = sizes, nil
			}
		}
		return m
	}
	pa, pb := bounds(whole), bounds(late)
	// Both end with the same bytes: compare from the end.
	for len(a) > 0 && len(b) > 0 {
		x, y := a[len(a)-1], b[len(b)-1]
		a, b = a[:len(a)-1], b[:len(b)-1]
		if y.Partial {
			if len(b) > 0 {
				t.Fatalf("joined at %d: segment %d is partial in the middle", from, y.Seq)
			}
			break
		}
		if x.Seq != y.Seq || x.SHA256 != y.SHA256 || x.Disc != y.Disc || fmt.Sprint(pa[x]) != fmt.Sprint(pb[y]) {
			t.Fatalf("joined at %d: segment %d %v and %d %v differ", from, x.Seq, x.SHA256, y.Seq, y.SHA256)
		}
		common++
	}
	if len(b) > 0 {
		t.Fatalf("joined at %d: %d segments more than the whole stream has", from, len(b))
	}
	return common
}

func TestTwoSlicersAgreeWhereverOneJoins(t *testing.T) {
	f := newFLV().play(100_000, 106_000)
	f.tag(9, 0, 0x17, 2, 0, 0, 0)               // end of sequence, at 0
	f.play(250_000, 254_000)                    // a jump
	f.avcConfig(0, 77).play(254_000, 257_000)   // new configuration, at 0
	f.play(30_000, 33_000)                      // back
	f.header().avcConfig(0, 100).play(0, 3_000) // the encoder restarts
	in := f.Bytes()
	cfg := CutterConfig{Container: media.FLV}
	whole := cut(t, cfg, in, 64<<10)
	whole.wellFormed(t, in)
	if got, want := whole.seqs(), "100 101 102 103 104 105 250! 251 252 253 254 255 256 30@1! 31@1 32@1 0@2! 1@2 2@2"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	step := len(in) / 499
	if testing.Short() {
		step = len(in) / 50
	}
	for from := 1; from < len(in)-20000; from += step {
		joins(t, cfg, whole, in, from)
	}
}

// ffmpeg runs ffmpeg once for all tests that want the same file.
var ffmpegFiles sync.Map

func ffmpeg(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed")
	}
	if b, ok := ffmpegFiles.Load(name); ok {
		return b.([]byte)
	}
	out := filepath.Join(t.TempDir(), name)
	args = append(append([]string{"-v", "error", "-y"}, args...), out)
	if msg, err := exec.Command("ffmpeg", args...).CombinedOutput(); err != nil {
		if strings.Contains(string(msg), "Unknown encoder") {
			t.Skipf("this ffmpeg lacks an encoder: %s", msg)
		}
		t.Fatalf("ffmpeg: %v\n%s", err, msg)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	ffmpegFiles.Store(name, b)
	return b
}

func picture(seconds int, codec ...string) []string {
	d := fmt.Sprint(seconds)
	return append([]string{
		"-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=" + d,
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100:duration=" + d,
		"-g", "50", "-b:v", "1M", "-c:a", "aac", "-threads", "1",
	}, codec...)
}

func TestTwoSlicersAgreeOnARealStream(t *testing.T) {
	in := ffmpeg(t, "real.flv", append(picture(20, "-c:v", "libx264", "-preset", "ultrafast"), "-f", "flv")...)
	cfg := CutterConfig{Container: media.FLV}
	whole := cut(t, cfg, in, 64<<10)
	whole.wellFormed(t, in)
	if n := len(whole.segments()); n < 20 {
		t.Fatalf("%d segments from 20 s", n)
	}
	again := cut(t, CutterConfig{Container: media.FLV, Epoch: testEpoch + 999}, in, 1000)
	for i, s := range again.segments() {
		if s.SHA256 != whole.segments()[i].SHA256 {
			t.Errorf("a restart gives segment %d another hash", s.Seq)
		}
	}
	n, common := 500, 0
	if testing.Short() {
		n = 50
	}
	for i := range n {
		common += joins(t, cfg, whole, in, (i*7919*104729)%(len(in)-50_000)+1)
	}
	if common < n*7 {
		t.Errorf("only %d segments in common", common)
	}
}

func TestRealFragmentedMP4(t *testing.T) {
	flags := func(f string) []string { return []string{"-movflags", f, "-f", "mp4"} }
	for _, test := range []struct {
		name string
		args []string
	}{
		{"gop.mp4", append(picture(8, "-c:v", "libx264", "-preset", "ultrafast"), flags("frag_keyframe+empty_moov+default_base_moof")...)},
		{"frame.mp4", append(picture(8, "-c:v", "libx264", "-preset", "ultrafast"), flags("frag_every_frame+empty_moov+default_base_moof")...)},
		{"hevc.mp4", append(picture(4, "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=50:pools=1"), flags("frag_keyframe+empty_moov")...)},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := ffmpeg(t, test.name, test.args...)
			for _, chunk := range []int{1000, 64 << 10} {
				c := cut(t, CutterConfig{Container: media.FMP4}, in, chunk)
				c.wellFormed(t, in)
				keys := 0
				for i, s := range c.segments() {
					keys += len(s.Keyframes)
					if i > 0 && s.DTS < s.Seq*1000 || s.DTS >= (s.Seq+1)*1000 {
						t.Errorf("segment %d starts at %d ms", s.Seq, s.DTS)
					}
				}
				if want := 2; keys < want {
					t.Errorf("%d keyframes", keys)
				}
				if len(c.notes) > 0 {
					t.Errorf("notes: %v", c.notes)
				}
			}
		})
	}
}

func TestRecordings(t *testing.T) {
	flv := newFLV().play(0, 10_000).Bytes()
	junk := bytes.Repeat([]byte("anything at all "), 300_000)
	for _, test := range []struct {
		name string
		c    media.Container
		in   []byte
	}{{"flv", media.FLV, flv}, {"junk", media.Raw, junk}, {"junk as flv", media.FLV, junk[:100_000]}, {"empty", media.Raw, nil}} {
		c := cut(t, CutterConfig{Container: test.c, VOD: true, SegmentSize: 1 << 20}, test.in, 10_000)
		c.wellFormed(t, test.in)
		x := c.recs[len(c.recs)-2].Index
		if x == nil || x.Size != int64(len(test.in)) || len(x.Segments) != (len(test.in)+1<<20-1)>>20 {
			t.Fatalf("%s: index %+v", test.name, x)
		}
		for i, s := range c.segments() {
			if s.Seq != int64(i) || s.SHA256 != x.Segments[i] || s.Name() != x.Name(i).String() {
				t.Errorf("%s: segment %d is not what the index says", test.name, i)
			}
		}
		y, err := ParseIndex(c.recs[len(c.recs)-2].Body)
		if err != nil || y.Verify(testKey.Public().(ed25519.PublicKey)) != nil {
			t.Errorf("%s: the index alone does not verify: %v", test.name, err)
		}
		if test.name == "flv" {
			if len(x.Keyframes) != 5 || x.Keyframes[1].DTS != 2000 || flv[x.Keyframes[1].Offset] != 9 || x.Init != x.Keyframes[0].Offset {
				t.Errorf("keyframes %v, init %d", x.Keyframes, x.Init)
			}
		}
	}
}

func TestNoAllocationPerTag(t *testing.T) {
	in := newFLV().play(0, 60_000).Bytes()
	tags, pieces := 60*25*3, 0
	c := NewCutter(CutterConfig{Container: media.FLV, Key: testKey})
	allocs := testing.AllocsPerRun(1, func() {
		for p := in; len(p) > 0; {
			n := min(len(p), 64<<10)
			c.Feed(p[:n])
			for r, ok := c.Next(); ok; r, ok = c.Next() {
				if r.Kind == KindPiece {
					pieces++
				}
			}
			p = p[n:]
		}
	})
	pieces /= 2 // AllocsPerRun runs once to warm up
	// A piece's own record, keyframes and share of its batch may cost some.
	if budget := float64(3*pieces + 30*60); allocs > budget {
		t.Errorf("%v allocations for %d pieces of %d tags, want at most %v", allocs, pieces, tags, budget)
	}
	if allocs > float64(tags) {
		t.Errorf("%v allocations for %d tags", allocs, tags)
	}
}
