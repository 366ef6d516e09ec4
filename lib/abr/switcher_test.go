package abr

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/xp2p/xp2p/lib/media"
)

// A reel is a rendition in FLV whose frames are of H.264 by their headers only:
// enough to be switched, and each tells by its bytes whose it is and which.
type reel struct {
	name    byte
	frames  int
	gop     int // between key frames
	idr     int // between IDRs; others are open
	shift   int // of the first key frame behind the first frame
	b       int // B-frames in a row
	start   int64
	mask    int64
	sound   int  // frames of sound; 0 as long as the pictures
	foreign bool // of another source: sound and sizes are its own
	cut     int  // of the source, before its first frame
	mute    bool // no sound, and sizes that nothing repeats
	weight  int  // bytes that each picture has besides
	end     []byte
}

const frameMS = 40

func (r reel) tag(kind byte, at int64, body []byte) []byte {
	n := len(body)
	if r.mask != 0 {
		at &= r.mask
	}
	b := []byte{kind, byte(n >> 16), byte(n >> 8), byte(n), byte(at >> 16), byte(at >> 8), byte(at), byte(at >> 24), 0, 0, 0}
	b = append(b, body...)
	return binary.BigEndian.AppendUint32(b, uint32(11+n))
}

// params are the parameter sets of a reel.
func (r reel) params() (sps, pps []byte) {
	return []byte{0x67, 100, 0, 31, r.name}, []byte{0x68, r.name}
}

// order lists the pictures as they are decoded: by when they are shown.
func (r reel) order() (shown []int, key, idr map[int]bool) {
	key, idr = map[int]bool{0: true}, map[int]bool{0: true}
	for i := r.shift; i < r.frames; i += r.gop {
		key[i] = true
	}
	for i := r.shift; i < r.frames; i += r.idr {
		key[i], idr[i] = true, true
	}
	for i := 0; i < r.frames; {
		if i == 0 {
			shown, i = append(shown, 0), 1
			continue
		}
		next := min(i+r.b, r.frames-1) // the picture that the B-frames before it wait for
		for j := i; j <= next; j++ {
			if idr[j] { // nothing is reordered over an IDR
				if next = j - 1; next < i {
					next = j
				}
				break
			}
			if key[j] {
				next = j
				break
			}
		}
		shown = append(shown, next)
		for j := i; j < next; j++ {
			shown = append(shown, j)
		}
		i = next + 1
	}
	return shown, key, idr
}

func (r reel) bytes() []byte {
	b := []byte("FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00")
	sps, pps := r.params()
	config := []byte{0x17, 0, 0, 0, 0, 1, 100, 0, 31, 0xff, 0xe1, 0, byte(len(sps))}
	config = append(append(config, sps...), 1, 0, byte(len(pps)))
	b = append(b, r.tag(9, 0, append(config, pps...))...)
	b = append(b, r.tag(8, 0, []byte{0xaf, 0, 0x12, 0x10})...)
	delay := 0
	if r.b > 0 {
		delay = 2
	}
	sounds := r.sound
	if sounds == 0 {
		sounds = r.frames
	}
	order, key, idr := r.order()
	for n, i := range order {
		dts := r.start + int64(n*frameMS)
		cts := int64(i-n+delay) * frameMS
		nal, kind := byte(0x41), byte(0x27)
		first := byte(0xe0) // first_mb 0, slice_type 0: P
		switch {
		case idr[i]:
			nal, kind, first = 0x65, 0x17, 0x88
		case key[i]:
			nal, kind, first = 0x61, 0x17, 0x88
		}
		payload := append([]byte{nal, first}, fmt.Sprintf("%c%05d", r.name, i+r.cut)...)
		// Sizes differ from picture to picture, and alike in all reels.
		size := 20 + (i*i*7+i*13)%97
		if r.foreign {
			size = 20 + (i*i*5+i*31+11)%89
		}
		if r.mute {
			size = 20 + int(sum(fmt.Append(nil, i+r.cut))%4000)
		}
		payload = append(payload, make([]byte, size+r.weight)...)
		body := []byte{kind, 1, byte(cts >> 16), byte(cts >> 8), byte(cts)}
		body = binary.BigEndian.AppendUint32(body, uint32(len(payload)))
		b = append(b, r.tag(9, dts, append(body, payload...))...)
		if n < sounds && !r.mute {
			sound := fmt.Sprintf("\xaf\x01sound %05d", n)
			if r.foreign {
				sound = fmt.Sprintf("\xaf\x01noise %05d", n)
			}
			b = append(b, r.tag(8, dts+int64(delay*frameMS), []byte(sound))...)
		}
	}
	return append(b, r.end...)
}

// play runs a Switcher to its end, reading in pieces of random sizes.
func play(t *testing.T, cfg Config, r *rand.Rand, inputs ...[]byte) (out []byte, s *Switcher) {
	t.Helper()
	cfg.Container = media.FLV
	for i := range inputs {
		cfg.Names = append(cfg.Names, string(rune('a'+i)))
	}
	s = NewSwitcher(cfg)
	for range 1_000_000 {
		s.Advance()
		for _, b := range s.Output() {
			out = append(out, b...)
		}
		if s.Done() {
			return out, s
		}
		if s.Goes() {
			continue
		}
		i := s.Needs()
		if other := r.IntN(len(inputs)); s.Accepts(other) && r.IntN(3) == 0 {
			i = other
		}
		if i < 0 {
			t.Fatal("it waits for nothing")
		}
		if !s.Accepts(i) {
			t.Fatalf("it needs %d and does not accept it", i)
		}
		n := min(1+r.IntN(2000), len(inputs[i]))
		s.Feed(i, inputs[i][:n])
		if inputs[i] = inputs[i][n:]; len(inputs[i]) == 0 {
			s.End(i, "")
		}
	}
	t.Fatal("it does not end")
	return nil, nil
}

// A shot is a picture of the output.
type shot struct {
	reel     byte
	n        int
	dts, pts int64
	inband   bool
	key      bool
}

// shots reads an output back.
func shots(t *testing.T, out []byte) (all []shot, sounds []string) {
	t.Helper()
	r := NewReader("out", media.FLV)
	r.Feed(out)
	r.End()
	if n := r.Notes(); len(n) > 0 {
		t.Fatalf("the output is not sound: %v", n)
	}
	for _, s := range r.samples {
		p := s.payload()
		if s.track == media.Audio {
			sounds = append(sounds, string(p))
			continue
		}
		if s.track != media.Video {
			continue
		}
		f := shot{dts: s.dts / 1e6, pts: s.pts / 1e6, key: s.frame.Key}
		for n := range s.config.units(p) {
			switch n[0] & 31 {
			case 7:
				f.inband = true
			case 1, 5:
				f.reel = n[2]
				fmt.Sscanf(string(n[3:8]), "%d", &f.n)
			}
		}
		all = append(all, f)
	}
	return all, sounds
}

func TestWhereNothingIsSwitchedNoByteChanges(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	a := reel{name: 'a', frames: 200, gop: 25, idr: 25, b: 2, end: reel{}.tag(9, 0, []byte{0x17, 2, 0, 0, 0})}.bytes()
	b := reel{name: 'b', frames: 200, gop: 25, idr: 25}.bytes()
	if out, s := play(t, Config{}, r, a, b); !bytes.Equal(out, a) || s.Broken() {
		t.Errorf("%d bytes came in, %d out; notes %v", len(a), len(out), s.Notes())
	}
}

// The property that counts: whatever the renditions are, what is shown of the
// old one is what was decoded first of it, what is shown of the new one begins
// with an IDR, and no picture is missing or twice.
func TestTheOldRenditionEndsCleanlyAndTheNewOneBeginsWithAnIDR(t *testing.T) {
	made := 0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 7))
		draw := func(name byte) reel {
			f := reel{name: name, frames: 400, gop: 10 + r.IntN(60), b: r.IntN(4)}
			f.idr = f.gop * (1 + r.IntN(2))
			f.shift = r.IntN(f.gop)
			return f
		}
		a, b := draw('a'), draw('b')
		at := int64(r.IntN(8000)) * 1e6
		// Reels with B-frames are shown later: that is what alignment finds.
		out, s := play(t, Config{Plan: []Step{{at, 1}}}, r, a.bytes(), b.bytes())
		all, sounds := shots(t, out)
		fail := func(format string, args ...any) {
			t.Errorf("seed %d (%+v, %+v, at %d ms): %s", seed, a, b, at/1e6, fmt.Sprintf(format, args...))
		}
		if s.Broken() && len(s.Events()) > 0 {
			fail("%v", s.Notes())
		}
		var of [2][]int
		seen := map[int]bool{}
		for i, f := range all {
			if seen[f.n] {
				fail("picture %d is there twice", f.n)
			}
			seen[f.n] = true
			k := int(f.reel - 'a')
			if k == 0 && len(of[1]) > 0 {
				fail("picture %d of the old one stands behind the new one", f.n)
			}
			if k == 1 && f.key && !f.inband {
				fail("key frame %d has no parameter sets in band", f.n)
			}
			if i > 0 && f.dts <= all[i-1].dts {
				fail("DTS %d behind %d", f.dts, all[i-1].dts)
			}
			of[k] = append(of[k], f.n)
		}
		if len(seen) != 400 || len(sounds) != 400 {
			fail("%d pictures and %d sounds of 400", len(seen), len(sounds))
		}
		order, _, _ := a.order()
		if !slices.Equal(of[0], order[:len(of[0])]) {
			fail("the old one was not cut cleanly")
		}
		if len(of[1]) > 0 {
			made++
			order, _, idr := b.order()
			if !idr[of[1][0]] || !slices.Equal(of[1], order[len(order)-len(of[1]):]) {
				fail("the new one begins with picture %d", of[1][0])
			}
		}
	}
	if made < 150 {
		t.Errorf("only %d of 300 switches were made", made)
	}
}

func TestTheSameBytesGiveTheSameStreamHoweverTheyCome(t *testing.T) {
	a := reel{name: 'a', frames: 300, gop: 25, idr: 25, b: 2}
	b := reel{name: 'b', frames: 300, gop: 30, idr: 30, b: 3, shift: 11}
	var first []byte
	for seed := range uint64(20) {
		out, _ := play(t, Config{Plan: []Step{{2e9, 1}, {6e9, 0}, {8e9, 1}}}, rand.New(rand.NewPCG(seed, 3)), a.bytes(), b.bytes())
		if first == nil {
			first = out
		}
		if !bytes.Equal(out, first) {
			t.Fatalf("seed %d gives another stream", seed)
		}
	}
}

func TestTimesWrapAndGoOn(t *testing.T) {
	for _, mask := range []int64{1<<31 - 1, 1<<32 - 1} {
		a := reel{name: 'a', frames: 200, gop: 25, idr: 25, start: mask - 3999, mask: mask}
		b := reel{name: 'b', frames: 200, gop: 25, idr: 25, start: mask - 3999, mask: mask}
		out, s := play(t, Config{Plan: []Step{{2e9, 1}, {5e9, 0}}}, rand.New(rand.NewPCG(1, 1)), a.bytes(), b.bytes())
		all, _ := shots(t, out)
		if len(all) != 200 || s.Broken() || len(s.Events()) != 2 {
			t.Fatalf("%d pictures, notes %v", len(all), s.Notes())
		}
		for i := range all[1:] {
			if all[i+1].dts-all[i].dts != frameMS {
				t.Errorf("mask %#x: from %d to %d", mask, all[i].dts, all[i+1].dts)
			}
		}
	}
}

func TestWhoEndsIsLeftAndTheStreamGoesOn(t *testing.T) {
	a := reel{name: 'a', frames: 110, gop: 25, idr: 25}
	b := reel{name: 'b', frames: 300, gop: 25, idr: 25}
	out, s := play(t, Config{}, rand.New(rand.NewPCG(1, 1)), a.bytes(), b.bytes())
	all, _ := shots(t, out)
	events := s.Events()
	if len(events) != 1 || events[0].Reason != ByEnd || events[0].AtMS != 125*frameMS {
		t.Fatalf("events %+v", events)
	}
	if len(all) != 110+175 || !s.Broken() {
		t.Errorf("%d pictures, broken %t: want those of a, and of b from its next IDR on", len(all), s.Broken())
	}
}

func TestOneThatStallsIsLeftAndMayComeBack(t *testing.T) {
	a := reel{name: 'a', frames: 300, gop: 25, idr: 25}.bytes()
	b := reel{name: 'b', frames: 300, gop: 25, idr: 25}.bytes()
	s := NewSwitcher(Config{Container: media.FLV, Names: []string{"a", "b"}, Plan: []Step{{9e9, 0}}})
	var out []byte
	pos := [2]int{}
	in := [2][]byte{a, b}
	stalled := false
	for !s.Done() {
		s.Advance()
		for _, b := range s.Output() {
			out = append(out, b...)
		}
		if s.Done() || s.Goes() {
			continue
		}
		i := s.Needs()
		if i == 0 && !stalled && pos[0] > len(a)/3 {
			stalled = true
			s.Stalled(0) // its next bytes come when somebody asks again
			continue
		}
		if i < 0 {
			t.Fatal("it waits for nothing")
		}
		n := min(1000, len(in[i])-pos[i])
		s.Feed(i, in[i][pos[i]:][:n])
		if pos[i] += n; pos[i] == len(in[i]) {
			s.End(i, "")
		}
		if stalled && s.Playing() == 1 && pos[0] < len(a) && s.Accepts(0) {
			s.Feed(0, a[pos[0]:])
			pos[0] = len(a)
			s.End(0, "")
		}
	}
	all, _ := shots(t, out)
	e := s.Events()
	if len(e) != 2 || e[0].Reason != ByStall || e[1].To != "a" || e[1].AtMS != 9000 {
		t.Fatalf("events %+v, notes %v", e, s.Notes())
	}
	if len(all) < 275 {
		t.Errorf("%d pictures", len(all))
	}
}

func TestARenditionOfAnotherSourceIsRefused(t *testing.T) {
	a := reel{name: 'a', frames: 400, gop: 25, idr: 25}.bytes()
	b := reel{name: 'b', frames: 400, gop: 25, idr: 25, foreign: true}.bytes()
	out, s := play(t, Config{Plan: []Step{{3e9, 1}}}, rand.New(rand.NewPCG(1, 9)), a, b)
	if all, _ := shots(t, out); len(s.Events()) != 0 || len(all) != 400 || !s.Broken() {
		t.Errorf("%d pictures, notes %v", len(all), s.Notes())
	}
	out, s = play(t, Config{Plan: []Step{{3e9, 1}}, Trust: true}, rand.New(rand.NewPCG(1, 9)), a, b)
	if all, _ := shots(t, out); len(s.Events()) != 1 || len(all) != 400 {
		t.Errorf("trusted: %d pictures, notes %v", len(all), s.Notes())
	}
}

// What says no codec that is known cannot follow one that is: a decoder would be
// given the one for the other.
func TestARenditionOfAnUnknownCodecIsRefused(t *testing.T) {
	a := reel{name: 'a', frames: 100, gop: 25, idr: 25}.bytes()
	b := reel{name: 'b', frames: 100, gop: 25, idr: 25}.bytes()
	for pos := 13; pos < len(b); {
		n := int(b[pos+1])<<16 | int(b[pos+2])<<8 | int(b[pos+3])
		if b[pos] == 9 {
			b[pos+11] = b[pos+11]&0xf0 | 2 // Sorenson's
		}
		pos += 11 + n + 4
	}
	s := NewSwitcher(Config{Container: media.FLV, Names: []string{"a", "b"}, Trust: true})
	s.Absent(1)
	s.Feed(0, a[:len(a)/2])
	s.Advance()
	if s.Broken() || s.Fits(1) {
		t.Fatalf("before it comes: %v", s.Notes())
	}
	s.Feed(1, b)
	s.Ask(1, Keyframe, "throughput")
	if !s.Asked(1) {
		t.Error("it was asked for")
	}
	s.Feed(0, a[len(a)/2:])
	s.End(0, "")
	s.Absent(1)
	s.Advance()
	var out []byte
	for _, b := range s.Output() {
		out = append(out, b...)
	}
	if all, _ := shots(t, out); len(all) != 100 || !s.Done() || s.Asked(1) || s.Fits(1) || !s.Broken() || len(s.Events()) != 0 {
		t.Errorf("%d pictures, done %t, notes %v", len(all), s.Done(), s.Notes())
	}
}

func TestPlansAndCommandsAreRead(t *testing.T) {
	names := []string{"240p", "720p", "a:b,c"}
	steps, err := ParsePlan("at=12s:720p,at=1m30.5s:a:b,c,at=2m:240p", names)
	if want := []Step{{12e9, 1}, {90.5e9, 2}, {120e9, 0}}; err != nil || !slices.Equal(steps, want) {
		t.Errorf("%v, %v", steps, err)
	}
	for _, bad := range []string{"12s:720p", "at=12s", "at=x:720p", "at=-1s:720p", "at=1s:480p", "at=2s:720p,at=1s:240p", "at=1s:720p,", ","} {
		if _, err := ParsePlan(bad, names); err == nil {
			t.Errorf("%q is a plan", bad)
		}
	}
	if c, err := ParseCommand("switch 720p now", names); err != nil || c != (Command{1, Bridge}) {
		t.Errorf("%v, %v", c, err)
	}
	for _, bad := range []string{"", "switch", "switch 1080p", "switch 720p soon", "stop 720p", "switch 720p now now"} {
		if _, err := ParseCommand(bad, names); err == nil {
			t.Errorf("%q is a command", bad)
		}
	}
}

func FuzzPlan(f *testing.F) {
	f.Add("at=12s:720p,at=30s:240p")
	f.Add("switch 720p now")
	names := []string{"240p", "720p"}
	f.Fuzz(func(t *testing.T, text string) {
		last := int64(-1)
		steps, err := ParsePlan(text, names)
		for _, s := range steps {
			if err == nil && (s.At <= last || s.To < 0 || s.To > 1) {
				t.Fatalf("%q gives %v", text, steps)
			}
			last = s.At
		}
		if c, err := ParseCommand(text, names); err == nil && (c.To > 1 || c.Mode != "" && c.Mode != Keyframe && c.Mode != Bridge) {
			t.Fatalf("%q gives %v", text, c)
		}
	})
}
