package fmp4

import "testing"

// FuzzWalk holds the walker to its contract on any bytes: every byte is
// covered once, and what is found does not depend on how the input is chopped.
func FuzzWalk(f *testing.F) {
	in := join(mkinit(), mkfrag(0, true), mkfrag(80, false))
	f.Add(in, uint64(1))
	f.Add(in[len(mkinit())+40:], uint64(2))
	f.Add(join(mkmdat(9), mkmoof(mktraf(1, -1, 2, true, -17)), mk("free"), mk("abcd"), mkfrag(0, true), []byte("garbage"), mk("styp", u32(1)), mkfrag(9, false)), uint64(3))
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		if len(in) > 1<<13 {
			return
		}
		anyChunks(t, in, seed)
	})
}

// FuzzMoof reads movie fragments with tracks known and unknown. What can be
// taken apart is the same after it was put together again.
func FuzzMoof(f *testing.F) {
	f.Add(mkmoof(mktraf(1, 0, 2, true, 100)))
	f.Add(mkmoof(mktraf(2, -1, 2, true, 100), mktraf(1, 8, 1, false, -9)))
	f.Fuzz(func(t *testing.T, moof []byte) {
		anyChunks(t, join(mkinit(), moof, mkmdat(9)), 1)
		anyChunks(t, join(moof, mkmdat(9)), 1)
		m, err := ParseMovie(mkinit())
		if err != nil {
			t.Fatal(err)
		}
		unit := join(moof, mkmdat(9))
		samples, _ := m.Samples(nil, unit, 0)
		for _, s := range samples {
			if s.Size != len(s.Data) {
				t.Fatalf("%d bytes of %d", len(s.Data), s.Size)
			}
		}
		unit = join(moof, mkmdat(90))
		if samples, err := m.Samples(nil, unit, 0); err == nil && ReadEnvelope(unit).Plain {
			wantSame(t, m, samples)
		}
	})
}

func FuzzTracks(f *testing.F) {
	f.Add(mkinit())
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) < 1<<14 {
			_, _ = Tracks(p)
			if m, err := ParseMovie(p); err == nil {
				d := map[uint32]Redescription{}
				for _, t := range m.Tracks {
					d[t.ID] = Redescription{Timescale: 1000, Descriptions: t.Descriptions, Width: 2, Height: 2}
				}
				m.Redescribe(nil, p, d)
			}
		}
	})
}
