package fmp4

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/xp2p/xp2p/lib/media"
)

// A unit as the walker saw it, and where.
type unit struct {
	at, size int
	media.Unit
}

func (u unit) String() string {
	s := fmt.Sprintf("%d+%d kind=%d track=%d", u.at, u.size, u.Kind, u.Track)
	if u.Timed {
		s += fmt.Sprintf(" dts=%d pts=%d /%d", u.DTS.Ticks, u.PTS.Ticks, u.DTS.Scale)
	}
	for _, f := range []struct {
		on   bool
		word string
	}{{u.Key, "key"}, {u.Inexact, "inexact"}, {u.Truncated, "truncated"}, {u.Resync, "resync"}, {u.Defect != "", u.Defect}} {
		if f.on {
			s += " " + f.word
		}
	}
	return s
}

// walk feeds in to w in chunks whose sizes chunk gives, and holds the walker
// to its contract.
func walk(t testing.TB, w *Walker, in []byte, chunk func() int) (units []unit) {
	t.Helper()
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
		}
		cur.size += s.N
		at += s.N
		open = !s.End
		if open && at == have {
			t.Fatalf("at %d: no byte left to say End with", at)
		}
		if s.End {
			begun := cur.Unit
			cur.Unit = s.Unit
			if begun.DTS != cur.DTS || begun.Kind != cur.Kind || begun.Size != 0 && begun.Size != cur.Size && cur.Defect == "" {
				t.Fatalf("begins as %v, ends as %v", begun, cur.Unit)
			}
			if int64(cur.size) != cur.Size {
				t.Fatalf("%v: says %d bytes", cur, cur.Size)
			}
			units = append(units, cur)
		}
	}
}

func whole(t testing.TB, in []byte) []unit {
	return walk(t, new(Walker), in, func() int { return len(in) })
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
		if size > 0 && len(in)/size > 300_000 {
			continue
		}
		chunk := func() int { return size }
		if size == 0 {
			chunk = func() int { return 1 + r.IntN(1+r.IntN(3000)) }
		}
		if diff := same(want, walk(t, new(Walker), in, chunk)); diff != "" {
			t.Fatalf("chunks of %d (0 is random): whole / chopped: %s", size, diff)
		}
	}
}

// Streams that ffmpeg writes.
var layouts = []struct {
	name  string
	args  string
	every bool // every frame is a fragment: each of them can be compared
}{
	{"GOP fragments", "-c:v libx264 -c:a aac -movflags frag_keyframe+empty_moov+default_base_moof", false},
	{"frame fragments", "-c:v libx264 -c:a aac -movflags frag_every_frame+empty_moov+default_base_moof", true},
	{"base offsets", "-c:v libx264 -c:a aac -movflags frag_every_frame+empty_moov", true},
	{"HEVC", "-c:v libx265 -x265-params log-level=none:pools=1:frame-threads=1 -c:a aac -tag:v hvc1 -movflags frag_every_frame+empty_moov+default_base_moof", true},
	{"CMAF video", "-an -c:v libx264 -movflags cmaf+frag_every_frame+empty_moov+default_base_moof", true},
	{"CMAF audio", "-vn -c:a aac -movflags cmaf+frag_every_frame+empty_moov+default_base_moof", true},
	{"styp and sidx", "-c:v libx264 -c:a aac -movflags dash+frag_keyframe+empty_moov+default_base_moof", false},
	{"negative offsets", "-c:v libx264 -c:a aac -movflags frag_every_frame+empty_moov+default_base_moof+negative_cts_offsets", true},
}

var made = map[string][]byte{}

func ffmpeg(t testing.TB, args string) []byte {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("no ffmpeg here")
	}
	if b, ok := made[args]; ok {
		return b
	}
	cmd := append(strings.Fields("-v error -f lavfi -i testsrc=size=320x180:rate=25 -f lavfi -i sine=frequency=440:sample_rate=44100 -t 4 -g 25 -bf 2 -pix_fmt yuv420p -preset veryfast -threads 1"), strings.Fields(args)...)
	var stderr bytes.Buffer
	c := exec.Command("ffmpeg", append(cmd, "-f", "mp4", "-")...)
	c.Stderr = &stderr
	b, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.Bytes())
	}
	made[args] = b
	return b
}

type packet struct {
	Stream   int `json:"stream_index"`
	PTS, DTS int64
	Flags    string
	Pos      string
}

// packets lists what ffprobe reads, without the edit lists that shift a
// presentation: the slicer's line is that of the fragments.
func packets(t *testing.T, in []byte, stream string) (ps []packet) {
	t.Helper()
	if _, err := exec.LookPath("ffprobe"); err != nil {
		t.Skip("no ffprobe here")
	}
	name := filepath.Join(t.TempDir(), "a.mp4")
	if err := os.WriteFile(name, in, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ffprobe", "-v", "error", "-ignore_editlist", "1", "-show_packets", "-select_streams", stream, "-of", "json", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	var all struct{ Packets []packet }
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatal(err)
	}
	return all.Packets
}

func TestTimesAndKeysAreThoseOfFfprobe(t *testing.T) {
	for _, l := range layouts {
		t.Run(l.name, func(t *testing.T) {
			in := ffmpeg(t, l.args)
			got := whole(t, in)
			stream, track := "v", media.Video
			if strings.Contains(l.args, "-vn") {
				stream, track = "a", media.Audio
			}
			var samples []unit
			for _, u := range got {
				if u.Defect != "" || u.Resync {
					t.Errorf("%v", u)
				}
				if u.Kind == media.Sample && u.Track == track {
					samples = append(samples, u)
				}
			}
			ps := packets(t, in, stream)
			if len(ps) < 50 || len(samples) == 0 || l.every && len(ps) != len(samples) {
				t.Fatalf("%d packets, %d units", len(ps), len(samples))
			}
			// ffprobe shifts a stream with negative offsets until none is left.
			shift := ps[0].PTS - samples[0].PTS.Ticks
			if shift != 0 && !strings.Contains(l.args, "negative") && !strings.Contains(l.args, "cmaf") {
				t.Errorf("shifted by %d", shift)
			}
			for _, p := range ps {
				pos, _ := strconv.Atoi(p.Pos)
				for len(samples) > 1 && samples[1].at <= pos {
					samples = samples[1:]
				}
				u := samples[0]
				if !l.every && p.Flags[0] != 'K' {
					continue // only the first sample of a unit is told
				}
				if u.DTS.Ticks != p.DTS || u.PTS.Ticks+shift != p.PTS || u.Key != (p.Flags[0] == 'K') {
					t.Fatalf("%v, ffprobe %+v", u, p)
				}
			}
		})
	}
}

func TestUnitsDoNotDependOnChunks(t *testing.T) {
	for _, l := range layouts {
		t.Run(l.name, func(t *testing.T) { anyChunks(t, ffmpeg(t, l.args), 1) })
	}
}

func TestJoinedAnywhereTheWalkIsTheSameAfterTheLoss(t *testing.T) {
	for _, l := range layouts {
		t.Run(l.name, func(t *testing.T) {
			in := ffmpeg(t, l.args)
			full := whole(t, in)
			r := rand.New(rand.NewPCG(2, 2))
			var cuts []int
			for range 200 {
				cuts = append(cuts, 1+r.IntN(len(in)*3/4))
			}
			for _, u := range full[2:min(12, len(full)-4)] {
				for d := -20; d <= 20; d++ {
					cuts = append(cuts, u.at+d)
				}
			}
			for _, cut := range cuts {
				if cut < full[2].at { // the movie box is cut
					continue
				}
				var w Walker
				if err := w.Prime(in); err != nil {
					t.Fatal(err)
				}
				units := walk(t, &w, in[cut:], func() int { return len(in) })
				j := 0
				for j < len(full) && full[j].at < cut {
					j++
				}
				for i := range units {
					units[i].at += cut
					units[i].Resync = false
				}
				if n := len(units) - (len(full) - j); n < 0 || n > 2 {
					t.Fatalf("cut at %d: %d units, want %d", cut, len(units), len(full)-j)
				} else if diff := same(units[n:], full[j:]); diff != "" {
					t.Fatalf("cut at %d: %s", cut, diff)
				}
			}
		})
	}
}

func TestABroadcasterThatDiesAndComesBackBeginsANewFile(t *testing.T) {
	for _, l := range layouts {
		t.Run(l.name, func(t *testing.T) {
			in := ffmpeg(t, l.args)
			full := whole(t, in)
			r := rand.New(rand.NewPCG(3, 3))
			for range 200 {
				cut := full[2].at + r.IntN(len(in)-full[2].at)
				units := whole(t, join(in[:cut], in))
				for i := range units {
					units[i].at -= cut
					units[i].Resync = false
				}
				n := len(units) - len(full)
				if n < 0 {
					t.Fatalf("dead at %d: %d units", cut, len(units))
				}
				// If less than a box header was missing, that much of the new ftyp
				// went where it was due; the movie box is still whole.
				if last := units[n]; last.at > 0 && last.at < 8 && last.Kind == media.Opaque {
					n++
					full = full[1:]
				}
				if diff := same(units[n:], full); diff != "" {
					t.Fatalf("dead at %d: %s", cut, diff)
				}
				full = whole(t, in)
			}
		})
	}
}

func TestTracks(t *testing.T) {
	for args, want := range map[string]string{
		layouts[0].args: "[{1 1 12800 avc1.64000C} {2 2 44100 mp4a.40.2}]",
		layouts[3].args: "[{1 1 12800 hvc1.1.6.L60.90} {2 2 44100 mp4a.40.2}]",
	} {
		infos, err := Tracks(ffmpeg(t, args))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(infos); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if _, err := Tracks([]byte("\x00\x00\x00\x10ftypisom\x00\x00\x00\x00")); err != ErrNoMovie {
		t.Errorf("no moov: %v", err)
	}
	if _, err := Tracks([]byte("\x00\x00\x00\x10moov\xff\xff\xff\xfftrak")); err == nil {
		t.Error("a broken moov is read")
	}
}

// A small writer for what ffmpeg does not write.

func mk(kind string, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	return append(append(b, kind...), body...)
}

func u32(vs ...int) (b []byte) {
	for _, v := range vs {
		b = binary.BigEndian.AppendUint32(b, uint32(v))
	}
	return b
}

const nonSync = 0x01010000

// mktraf makes a track fragment of n samples of 40 ticks; dts < 0 leaves tfdt out.
func mktraf(id, dts, n int, key bool, data int) []byte {
	flags := nonSync
	if key {
		flags = 0x02000000
	}
	parts := [][]byte{mk("tfhd", u32(0x020000, id))}
	if dts >= 0 {
		parts = append(parts, mk("tfdt", u32(0x01000000, 0, dts)))
	}
	run := u32(0x205|0x100, n, data, flags)
	for range n {
		run = append(run, u32(40, 10)...)
	}
	return mk("traf", append(parts, mk("trun", run))...)
}

func mkmoof(trafs ...[]byte) []byte {
	return mk("moof", append([][]byte{mk("mfhd", u32(0, 1))}, trafs...)...)
}

func mkmdat(n int) []byte { return mk("mdat", bytes.Repeat([]byte{0xee}, n)) }

func mkfrag(dts int, key bool) []byte { return join(mkmoof(mktraf(1, dts, 2, key, 100)), mkmdat(20)) }

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// mkmoov makes a movie box with a video track 1 (1000 ticks a second) and an
// audio track 2 (2000).
func mkmoov() []byte { return mkmovie("vide", "soun") }

func mkmovie(first, second string) []byte {
	trak := func(id, scale int, handler string) []byte {
		return mk("trak",
			mk("tkhd", u32(0, 0, 0, id, 0, 0, 0, 0, 0, 0), make([]byte, 44)),
			mk("mdia", mk("mdhd", u32(0, 0, 0, scale, 0, 0)),
				mk("hdlr", u32(0, 0), []byte(handler), make([]byte, 13))))
	}
	trex := func(id int) []byte { return mk("trex", u32(0, id, 1, 40, 0, nonSync)) }
	return mk("moov", mk("mvhd", u32(0, 0, 0, 1000, 0), make([]byte, 80)), trak(1, 1000, first), trak(2, 2000, second), mk("mvex", trex(1), trex(2)))
}

func mkinit() []byte { return join(mk("ftyp", []byte("iso5"), u32(0)), mkmoov()) }

func TestAFragmentIsNotHeldUpByTheNext(t *testing.T) {
	var w Walker
	for _, p := range [][]byte{mk("ftyp", []byte("iso5"), u32(0)), mkmoov(), mkfrag(0, true), join(mk("styp", []byte("msdh")), mkfrag(80, false))} {
		if s := w.Next(p, false); s.N != len(p) || !s.Begin || !s.End {
			t.Errorf("a whole unit of %d bytes: %+v", len(p), s)
		}
	}
	p := join(mkmoof(mktraf(1, 160, 1, true, 100)), u32(1<<30), []byte("mdat\xee\xee"))
	if s := w.Next(p, false); s.N != len(p)-8 || !s.Begin || s.End || !s.Unit.Key {
		t.Errorf("the beginning of media data: %+v", s)
	}
}

func TestAllocationsPerFragment(t *testing.T) {
	in := []byte{}
	for i := range 100 {
		in = append(in, mkfrag(i*80, i%10 == 0)...)
	}
	var w Walker
	if err := w.Prime(mkinit()); err != nil {
		t.Fatal(err)
	}
	n := testing.AllocsPerRun(10, func() {
		for p := in; len(p) > 0; {
			p = p[w.Next(p, true).N:]
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for 100 fragments", n)
	}
}

func BenchmarkWalk(b *testing.B) {
	for _, bb := range []struct {
		name    string
		samples int
	}{{"frames", 1}, {"GOPs", 50}} {
		b.Run(bb.name, func(b *testing.B) {
			in := mkinit()
			for i := range 5000 / bb.samples {
				in = append(in, join(mkmoof(mktraf(1, i*40*bb.samples, bb.samples, true, 100)), mkmdat(9000*bb.samples))...)
				in = append(in, join(mkmoof(mktraf(2, i*40*bb.samples, bb.samples, true, 100)), mkmdat(300*bb.samples))...)
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
		})
	}
}
