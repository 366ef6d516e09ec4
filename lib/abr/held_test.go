package abr

import (
	"testing"

	"github.com/xp2p/xp2p/lib/fmp4"
	"github.com/xp2p/xp2p/lib/media"
)

// held is how many bytes of renditions a Switcher keeps.
func (s *Switcher) held() (n int) {
	lanes := s.lanes
	if s.bridge != nil {
		lanes = append(lanes[:len(lanes):len(lanes)], s.bridge)
	}
	for _, l := range lanes {
		n += l.video.bytes + l.audio.bytes + l.past.bytes + len(l.reader.buf) - l.reader.from
	}
	if s.job != nil {
		n += s.job.in.bytes
	}
	return n + s.out.bytes
}

// Three renditions of 20 Mbit/s with keyframes every 4 s, and an encoder that gives
// nothing for all it gets.
func TestWhatIsHeldIsBounded(t *testing.T) {
	const history = 16 << 20
	var inputs [][]byte
	for i := range 3 { // 50 MB each
		inputs = append(inputs, reel{name: 'a' + byte(i), frames: 500, gop: 100, idr: 100, shift: 30 * i, b: 2 * (i % 2), weight: 100_000}.bytes())
	}
	s := NewSwitcher(Config{
		Container: media.FLV, Names: []string{"a", "b", "c"}, Mode: Bridge, Bridges: true, History: history,
		Plan: []Step{{5e9, 1}, {9e9, 2}, {15e9, 0}},
	})
	most, jobs := 0, 0
	for !s.Done() {
		s.Advance()
		s.Output()
		if j := s.Job(); j != nil {
			jobs = max(jobs, j.ID)
			s.Input()
		}
		fed := false
		for i := range inputs {
			if !s.Accepts(i) {
				continue
			}
			fed = true
			n := min(256<<10, len(inputs[i]))
			s.Feed(i, inputs[i][:n])
			if inputs[i] = inputs[i][n:]; len(inputs[i]) == 0 {
				s.End(i, "")
			}
		}
		most = max(most, s.held())
		if s.WaitsForBridge() && !fed {
			s.GiveUpBridge("it is late")
		}
	}
	if limit := history + 16<<20; most > limit || jobs < 3 || len(s.Events()) < 2 {
		t.Errorf("%d bytes were held, %d are allowed; %d bridges, notes %v", most, limit, jobs, s.Notes())
	}
	t.Logf("%d bytes were held of 150 MB; %v", most, s.Notes())
}

// A fragment of 10 MB passes through a Reader that holds a few reads of it.
func TestFragmentsAreNotHeldWhole(t *testing.T) {
	r := NewReader("fragments", media.FMP4)
	r.movie = &fmp4.Movie{Tracks: []fmp4.MovieTrack{{TrackInfo: fmp4.TrackInfo{ID: 1, Track: media.Video, Timescale: 25}}}}
	r.video = &config{codec: avc1, length: 4}
	run := fmp4.Run{Track: 1}
	for i := range 100 {
		run.Samples = append(run.Samples, fmp4.Sample{DTS: int64(i), Duration: 1, Size: 100_000, Sync: i == 0})
	}
	unit := append(fmp4.AppendFragment(nil, 1, []fmp4.Run{run}), make([]byte, 100*100_000)...)
	frames := 0
	for len(unit) > 0 {
		n := min(64<<10, len(unit))
		r.Feed(unit[:n])
		unit = unit[n:]
		if held := len(r.buf) - r.from; held > 200_000 {
			t.Fatalf("%d bytes are held", held)
		}
		for _, s := range r.samples {
			if len(s.data) != 100_000 || s.dts != int64(frames)*second/25 || s.last != (frames == 99) {
				t.Fatalf("frame %d: %d bytes at %d", frames, len(s.data), s.dts)
			}
			frames++
		}
		r.Discard()
		for _, s := range r.scratch {
			if s.Data != nil {
				t.Fatal("the layout keeps the bytes of a frame")
			}
		}
	}
	if r.End(); frames != 100 || len(r.Notes()) > 0 {
		t.Errorf("%d frames, %v", frames, r.Notes())
	}
}
