package flv

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/xp2p/xp2p/lib/media"
)

// A small writer, since ffmpeg cannot write enhanced tags.

func fileHeader() []byte { return []byte("FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00") }

func appendTag(b []byte, kind byte, ts uint32, body ...byte) []byte {
	n := len(body)
	b = append(b, kind, byte(n>>16), byte(n>>8), byte(n), byte(ts>>16), byte(ts>>8), byte(ts), byte(ts>>24), 0, 0, 0)
	b = append(b, body...)
	return binary.BigEndian.AppendUint32(b, uint32(11+n))
}

func tag(kind byte, ts uint32, body ...byte) []byte { return appendTag(nil, kind, ts, body...) }

// payload is n bytes that look like no tag.
func payload(n int) []byte { return bytes.Repeat([]byte{0xee}, n) }

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func video(ts uint32, key bool, n int) []byte {
	b := byte(0x27)
	if key {
		b = 0x17
	}
	return tag(typeVideo, ts, append([]byte{b, 1, 0, 0, 0}, payload(n)...)...)
}

func audio(ts uint32, n int) []byte {
	return tag(typeAudio, ts, append([]byte{0xaf, 1}, payload(n)...)...)
}

func videoConfig() []byte {
	return tag(typeVideo, 0, 0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1f, 0xff, 0xe0, 0)
}
func audioConfig() []byte { return tag(typeAudio, 0, 0xaf, 0, 0x12, 0x10) }
func meta() []byte {
	return tag(typeScript, 0, []byte("\x02\x00\x0aonMetaData\x08\x00\x00\x00\x01\x00\x05width\x00\x40\x84\x00\x00\x00\x00\x00\x00\x00\x00\x09")...)
}

// A unit as the walker saw it, and where.
type unit struct {
	at, size int
	media.Unit
}

func (u unit) String() string {
	s := fmt.Sprintf("%d+%d kind=%d track=%d", u.at, u.size, u.Kind, u.Track)
	if u.Timed {
		s += fmt.Sprintf(" dts=%d pts=%d", u.DTS.Ticks, u.PTS.Ticks)
	}
	for _, f := range []struct {
		on   bool
		word string
	}{{u.Key, "key"}, {u.Truncated, "truncated"}, {u.Resync, "resync"}, {u.Defect != "", u.Defect}} {
		if f.on {
			s += " " + f.word
		}
	}
	return s
}

// walk feeds in to a new walker in chunks whose sizes chunk gives, and holds
// the walker to its contract.
func walk(t testing.TB, in []byte, chunk func() int) (units []unit) {
	t.Helper()
	var w Walker
	var at, have int
	var open bool
	var cur unit
	for {
		eof := have == len(in)
		s := w.Next(in[at:have], eof)
		if s.N == 0 {
			switch {
			case have-at >= MaxLookahead:
				t.Fatalf("asks for more with %d bytes unread", have-at)
			case eof && at < len(in):
				t.Fatalf("no progress at %d of %d at the end", at, len(in))
			case eof:
				if open {
					t.Fatal("the last unit does not end")
				}
				return units
			}
			have = min(len(in), have+max(1, chunk()))
			continue
		}
		if s.N < 0 || s.N > have-at {
			t.Fatalf("span of %d bytes, %d unread", s.N, have-at)
		}
		if s.Begin == open {
			t.Fatalf("at %d: begin %v inside unit %v", at, s.Begin, open)
		}
		if s.Begin {
			cur = unit{at: at, Unit: s.Unit}
			begun := s.Unit
			if begun.Size != 0 && s.End && begun.Size != int64(s.N) {
				t.Fatalf("at %d: unit of %d bytes says %d", at, s.N, begun.Size)
			}
		}
		cur.size += s.N
		at += s.N
		open = !s.End
		if open && at == have {
			t.Fatalf("at %d: no byte left to say End with", at)
		}
		if s.End {
			cur.Unit = s.Unit
			if int64(cur.size) != cur.Size {
				t.Fatalf("%v: says %d bytes", cur, cur.Size)
			}
			units = append(units, cur)
		}
	}
}

func whole(t testing.TB, in []byte) []unit {
	return walk(t, in, func() int { return len(in) })
}

func same(a, b []unit) string {
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a):
			return fmt.Sprintf("unit %d: nothing / %v", i, b[i])
		case i >= len(b):
			return fmt.Sprintf("unit %d: %v / nothing", i, a[i])
		case a[i] != b[i]:
			return fmt.Sprintf("unit %d: %v / %v", i, a[i], b[i])
		}
	}
	return ""
}

// anyChunks holds the walker to the same units however in is chopped.
func anyChunks(t testing.TB, in []byte, seed uint64) {
	t.Helper()
	want := whole(t, in)
	r := rand.New(rand.NewPCG(seed, 1))
	for _, size := range []int{1, 7, 4096, 0} {
		if size == 1 && len(in) > 300_000 {
			continue
		}
		chunk := func() int { return size }
		if size == 0 {
			chunk = func() int { return 1 + r.IntN(1+r.IntN(3000)) }
		}
		if diff := same(want, walk(t, in, chunk)); diff != "" {
			t.Fatalf("chunks of %d (0 is random): whole / chopped: %s", size, diff)
		}
	}
}

var ffmpegOnce = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "flv")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "a.flv")
	b, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x180:rate=25", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100",
		"-t", "6", "-c:v", "libx264", "-preset", "veryfast", "-threads", "1", "-g", "50", "-bf", "2", "-c:a", "aac", "-f", "flv", out).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, b)
	}
	return os.ReadFile(out)
})

// ffmpegFile returns six seconds of H.264 and AAC that ffmpeg wrote.
func ffmpegFile(t testing.TB) []byte {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("no ffmpeg here")
	}
	b, err := ffmpegOnce()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTimesAndKeysAreThoseOfFfprobe(t *testing.T) {
	in := ffmpegFile(t)
	if _, err := exec.LookPath("ffprobe"); err != nil {
		t.Skip("no ffprobe here")
	}
	name := filepath.Join(t.TempDir(), "a.flv")
	if err := os.WriteFile(name, in, 0o600); err != nil {
		t.Fatal(err)
	}
	for track, sel := range map[media.Track]string{media.Video: "v", media.Audio: "a"} {
		out, err := exec.Command("ffprobe", "-v", "error", "-select_streams", sel, "-show_entries", "packet=dts,pts,flags", "-of", "csv=p=0", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for _, u := range whole(t, in) {
			if u.Kind == media.Sample && u.Track == track {
				flag := "__"
				if u.Key {
					flag = "K_"
				}
				fmt.Fprintf(&got, "%d,%d,%s\n", u.PTS.Ticks, u.DTS.Ticks, flag)
			}
		}
		want := strings.ReplaceAll(string(out), "K__", "K_")
		want = strings.ReplaceAll(want, "___", "__")
		if got.String() != want {
			t.Errorf("track %s:\n%s\nffprobe:\n%s", sel, got.String(), want)
		}
	}
}

func TestUnitsDoNotDependOnChunks(t *testing.T) {
	anyChunks(t, ffmpegFile(t), 1)
}

func TestJoinedAnywhereTheWalkIsTheSameAfterTheLoss(t *testing.T) {
	in := ffmpegFile(t)
	full := whole(t, in)
	r := rand.New(rand.NewPCG(2, 2))
	cuts := []int{1, 8, 9, 12, 13, 14}
	for range 500 {
		cuts = append(cuts, 1+r.IntN(len(in)*3/4))
	}
	for _, u := range full[4:40] { // around borders headers have the most doubles
		for d := -12; d <= 12; d++ {
			cuts = append(cuts, u.at+d)
		}
	}
	for _, cut := range cuts {
		units := whole(t, in[cut:])
		// every whole tag behind the cut must be there
		j := 0
		for j < len(full) && full[j].at < cut {
			j++
		}
		if units[0].Kind == media.Opaque && units[0].at == 0 {
			if !units[0].Resync || !units[1].Resync {
				t.Fatalf("cut at %d: the loss is not marked: %v, %v", cut, units[0], units[1])
			}
			units = units[1:]
		}
		if len(units) != len(full)-j {
			t.Fatalf("cut at %d: %d units, want %d", cut, len(units), len(full)-j)
		}
		for i, u := range units {
			u.at += cut
			u.Resync = false
			if u != full[j+i] {
				t.Fatalf("cut at %d: %v, want %v", cut, u, full[j+i])
			}
		}
	}
}

func TestABroadcasterThatDiesAndComesBackBeginsANewFile(t *testing.T) {
	in := ffmpegFile(t)
	full := whole(t, in)
	r := rand.New(rand.NewPCG(3, 3))
	for range 300 {
		cut := 13 + r.IntN(len(in)-13)
		units := whole(t, join(in[:cut], in))
		for i := range units {
			units[i].at -= cut
			units[i].Resync = false
		}
		if n := len(units) - len(full); n < 0 {
			t.Fatalf("dead at %d: %d units", cut, len(units))
		} else if diff := same(units[n:], full); diff != "" {
			t.Fatalf("dead at %d: %s", cut, diff)
		}
	}
}

func TestATagIsNotHeldUpByTheNext(t *testing.T) {
	var w Walker
	for _, p := range [][]byte{fileHeader(), meta(), videoConfig(), audioConfig(), video(0, true, 5000), audio(3, 200), tag(typeVideo, 40)} {
		if s := w.Next(p, false); s.N != len(p) || !s.Begin || !s.End {
			t.Errorf("a whole unit of %d bytes: %+v", len(p), s)
		}
	}
}

func TestABodyIsPassedOnAsItComes(t *testing.T) {
	var w Walker
	w.Next(fileHeader(), false)
	p := video(0, true, 1<<20)
	s := w.Next(p[:2000], false)
	if s.N != 2000-13 || !s.Begin || s.End || !s.Unit.Key || s.Unit.Size != int64(len(p)) {
		t.Errorf("the beginning of a body: %+v", s)
	}
}

func TestNoAllocationPerTag(t *testing.T) {
	in := join(fileHeader(), meta(), videoConfig(), audioConfig())
	for i := range uint32(100) {
		in = join(in, video(i*40, i%50 == 0, 900), audio(i*40+3, 100))
	}
	n := testing.AllocsPerRun(10, func() {
		var w Walker
		for p := in; len(p) > 0; {
			s := w.Next(p, true)
			p = p[s.N:]
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for 200 tags", n)
	}
}

func BenchmarkWalk(b *testing.B) {
	in := fileHeader()
	for i := range uint32(5000) { // about 2 Mbit/s
		in = append(in, video(i*40, i%50 == 0, 9000)...)
		in = append(in, audio(i*40+3, 300)...)
	}
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		var w Walker
		for at := 0; at < len(in); { // as through a buffer of 64 KiB
			end := min(len(in), at+64<<10)
			for {
				s := w.Next(in[at:end], end == len(in))
				if s.N == 0 {
					break
				}
				at += s.N
			}
		}
	}
}

// ctsOf is the composition time of a tag, if it has one.
func ctsOf(p []byte) int32 {
	if body, ok := bodyOf(p); ok && p[0] == typeVideo {
		return parseVideo(body).cts
	}
	return 0
}

// A tag that is moved says so in its header, and in its composition time if its
// codec has one: every other byte stays.
func TestRetimeChangesTimesAndNothingElse(t *testing.T) {
	hevc := func(ts uint32, cts ...byte) []byte {
		return tag(typeVideo, ts, append(append([]byte{0x91}, "hvc1"...), append(cts, 1, 2, 3)...)...)
	}
	for name, c := range map[string]struct {
		was, want []byte
		composed  bool
	}{
		"H.264":                     {tag(typeVideo, 40, 0x27, 1, 0, 0, 80, 9, 9), tag(typeVideo, 0x1234567, 0x27, 1, 0xff, 0xff, 0xfe, 9, 9), true},
		"H.265":                     {hevc(40, 0, 0, 80), hevc(0x1234567, 0xff, 0xff, 0xfe), true},
		"H.264's configuration":     {tag(typeVideo, 40, 0x17, 0, 0, 0, 0, 9), tag(typeVideo, 0x1234567, 0x17, 0, 0, 0, 0, 9), false},
		"sound":                     {tag(typeAudio, 40, 0xaf, 1, 7, 7), tag(typeAudio, 0x1234567, 0xaf, 1, 7, 7), false},
		"VP6":                       {tag(typeVideo, 40, 0x14, 7, 7, 7, 7), tag(typeVideo, 0x1234567, 0x14, 7, 7, 7, 7), false},
		"a frame without its times": {tag(typeVideo, 40, 0x27, 1, 0), tag(typeVideo, 0x1234567, 0x27, 1, 0), false},
	} {
		if composed := Retime(c.was, 0x1234567, -2); composed != c.composed || !bytes.Equal(c.was, c.want) {
			t.Errorf("%s: %v, %x, want %v, %x", name, composed, c.was, c.composed, c.want)
		}
	}
}
