package abr

import (
	"slices"
	"testing"

	"github.com/xp2p/xp2p/lib/media"
)

// Two silent cuts of one source, the second one begun 12 s later, both of them with
// times from 0 on: some seconds do not tell where they meet.
func TestSilentCutsMeetBeforeASwitchOrTheSwitchWaits(t *testing.T) {
	const late = 300 // frames
	inputs := [][]byte{
		reel{name: 'a', frames: 1200, gop: 50, idr: 50, b: 2, mute: true}.bytes(),
		reel{name: 'b', frames: 900, gop: 30, idr: 30, cut: late, mute: true}.bytes(),
	}
	for _, c := range []struct {
		name     string
		again    []bool
		slow     bool
		min, max int64 // when it is made
	}{
		{"what comes fast is held until it is known", nil, false, 14_000, 16_000},
		{"of files the times are read ahead", []bool{true, true}, false, 14_000, 16_000},
		{"for what comes slowly the switch waits", nil, true, 16_000, 33_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := NewSwitcher(Config{Container: media.FLV, Names: []string{"a", "b"}, Plan: []Step{{14e9, 1}}, Again: c.again})
			var out []byte
			rest := slices.Clone(inputs)
			scanned := 0
			for !s.Done() {
				s.Advance()
				for _, b := range s.Output() {
					out = append(out, b...)
				}
				if c := s.Scan(); c != nil {
					scanned++
					if !c.Feed(inputs[c.Rendition]) {
						c.End()
					}
					continue
				}
				if s.WaitsToMeet() && c.slow {
					s.MeetLater()
				}
				for i := range rest {
					if !s.Accepts(i) {
						continue
					}
					n := min(4000, len(rest[i]))
					s.Feed(i, rest[i][:n])
					if rest[i] = rest[i][n:]; len(rest[i]) == 0 {
						s.End(i, "")
					}
				}
			}
			events := s.Events()
			if len(events) != 1 || events[0].AtMS < c.min || events[0].AtMS > c.max || s.Broken() || (scanned > 0) != (c.again != nil) {
				t.Fatalf("%d scans, events %+v, notes %v", scanned, events, s.Notes())
			}
			all, _ := shots(t, out)
			slices.SortFunc(all, func(a, b shot) int { return int(a.pts - b.pts) })
			for i := range all[1:] {
				if all[i+1].n != all[i].n+1 || all[i+1].pts != all[i].pts+frameMS {
					t.Fatalf("picture %d of %c at %d ms, and then %d of %c at %d ms", all[i].n, all[i].reel, all[i].pts, all[i+1].n, all[i+1].reel, all[i+1].pts)
				}
			}
		})
	}
}
