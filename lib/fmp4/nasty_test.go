package fmp4

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/xp2p/xp2p/lib/media"
)

func kinds(units []unit) string {
	var s strings.Builder
	for _, u := range units {
		c := "HCSO"[u.Kind]
		if u.Defect != "" {
			c += 'a' - 'A'
		}
		s.WriteByte(c)
	}
	return s.String()
}

// clock lists the times of a track.
func clock(units []unit, track media.Track) (times []int64) {
	for _, u := range units {
		if u.Timed && u.Track == track {
			times = append(times, u.DTS.Ticks)
		}
	}
	return times
}

// TestNastyInputs has the inputs that streams in the wild consist of. Kinds are
// H, S, O for Header, Sample, Opaque; lower case has a Defect.
func TestNastyInputs(t *testing.T) {
	start := mkinit() // HH
	f := func(dts int) []byte { return mkfrag(dts, dts%400 == 0) }
	large := func(n int) []byte { // an mdat with a 64-bit size
		return join(u32(1), []byte("mdat"), binary.BigEndian.AppendUint64(nil, uint64(16+n)), make([]byte, n))
	}
	head := func(kind string, size int) []byte { return join(u32(size), []byte(kind)) }
	text := []byte("HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html; charset=utf-8\r\n\r\n")
	styp := mk("styp", []byte("msdh"), u32(0), []byte("msix"))
	emsg := mk("emsg", u32(0x01000000, 1000, 0, 5, 0, 7), []byte("urn:x\x00\x00"))
	prft := mk("prft", u32(0, 1, 0, 0, 0))
	sidx := mk("sidx", u32(0, 1, 1000, 0, 0, 0))
	wrap := func(id, dts, n int, key bool) []byte {
		return join(mkmoof(mktraf(id, dts, n, key, 100)), mkmdat(20))
	}
	early := func(dts int) []byte { return join(mkmdat(20), mkmoof(mktraf(1, dts, 2, true, -20))) }
	absolute := func(at, dts int) []byte { // data before, by its position in the file
		traf := mk("traf", mk("tfhd", u32(1, 1, 0, at)), mk("tfdt", u32(0, dts)), mk("trun", u32(1, 1, 8)))
		return join(mkmdat(20), mkmoof(traf))
	}
	for _, tt := range []struct {
		name  string
		in    []byte
		kinds string
		video []int64
		check func(t *testing.T, u []unit)
	}{
		{"truncated last mdat", join(start, f(0), f(80)[:len(f(80))-5]), "HHSs", []int64{0, 80}, func(t *testing.T, u []unit) {
			if !u[3].Truncated {
				t.Error(u[3])
			}
		}},
		{"truncated last moof", join(start, f(0), f(80)[:30]), "HHSo", []int64{0}, func(t *testing.T, u []unit) {
			if !u[3].Truncated {
				t.Error(u[3])
			}
		}},
		{"truncated box header", join(start, f(0), []byte{0, 0, 1}), "HHSo", []int64{0}, nil},
		{"truncated moov", start[:60], "Hh", nil, nil},
		{"garbage between boxes", join(start, f(0), text, f(80)), "HHSoS", []int64{0, 80}, resyncs(3, 4)},
		{"garbage between boxes: zeros", join(start, f(0), make([]byte, 77), styp, f(80)), "HHSoS", []int64{0, 80}, resyncs(3, 4)},
		{"garbage between boxes: the name of a box is not enough", join(start, f(0), []byte("\xff\xff\x00\x00\x00\x20stypxx\x00\x00\x00\x10moof"), text, f(80)), "HHSoS", []int64{0, 80}, nil},
		{"garbage to the end", join(start, f(0), text), "HHSo", []int64{0}, nil},
		{"non-MP4 start", text, "o", nil, func(t *testing.T, u []unit) {
			if Detect(text) || !Detect(start) || !Detect(join(styp, f(0))) {
				t.Error("Detect")
			}
		}},
		{"DTS backwards, DTS jump", join(start, f(8000), f(4000), f(900_000)), "HHSSS", []int64{8000, 4000, 900_000}, nil},
		{"negative CTS", join(start, mkmoof(mk("traf", mk("tfhd", u32(0x020000, 1)), mk("tfdt", u32(0, 10)), mk("trun", u32(0x01000800, 1, -30)))), mkmdat(9)), "HHS", []int64{10}, func(t *testing.T, u []unit) {
			if u[2].PTS.Ticks != -20 {
				t.Error(u[2])
			}
		}},
		{"no keyframe ever", join(start, f(80), f(160)), "HHSS", []int64{80, 160}, keys()},
		{"keys", join(start, f(0), f(80), f(400)), "HHSSS", []int64{0, 80, 400}, keys(2, 4)},
		{"audio starts, stops", join(start, f(0), wrap(2, 0, 2, false), f(80), f(160)), "HHSSSS", []int64{0, 80, 160}, keys(2, 3)},
		{"moof without tfdt", join(start, wrap(1, -1, 2, true), wrap(1, -1, 3, false), f(400), wrap(1, -1, 1, false)), "HHSSSS", []int64{0, 80, 400, 480}, func(t *testing.T, u []unit) {
			for i, inexact := range []bool{2: true, 3: true, 4: false, 5: true} {
				if u[i].Inexact != inexact {
					t.Error(u[i])
				}
			}
		}},
		{"moof without tfdt, durations from trex", join(start, mkmoof(mk("traf", mk("tfhd", u32(0x020000, 1)), mk("trun", u32(0, 5)))), mkmdat(9), wrap(1, -1, 1, true)), "HHSS", []int64{0, 200}, keys(3)},
		{"largesize mdat", join(start, mkmoof(mktraf(1, 0, 1, true, 8)), large(100), f(80)), "HHSS", []int64{0, 80}, nil},
		{"largesize moof", join(start, join(u32(1), []byte("moof"), binary.BigEndian.AppendUint64(nil, uint64(8+len(f(0))-28)), f(0)[8:]), f(80)), "HHSS", []int64{0, 80}, nil},
		{"size-0 mdat", join(start, f(0), mkmoof(mktraf(1, 80, 1, true, 8)), head("mdat", 0), text, f(0)), "HHSS", []int64{0, 80}, nil},
		{"size-0 free", join(start, f(0), head("free", 0), f(80)), "HHSO", []int64{0}, nil},
		{"styp, sidx, emsg, prft, free attach to the next moof", join(start, f(0), styp, sidx, prft, emsg, mk("free"), f(80), styp, f(160)), "HHSSS", []int64{0, 80, 160}, func(t *testing.T, u []unit) {
			if u[3].at != u[2].at+u[2].size || u[4].size != len(styp)+len(f(0)) {
				t.Error(u)
			}
		}},
		{"free between moof and mdat", join(start, mkmoof(mktraf(1, 0, 1, true, 8)), mk("free", text), mkmdat(5), f(80)), "HHSS", []int64{0, 80}, nil},
		{"unknown box", join(start, f(0), mk("abcd", text), f(80)), "HHSS", []int64{0, 80}, nil},
		{"styp at the end", join(start, f(0), styp), "HHSO", []int64{0}, nil},
		{"free before moov", join(mk("ftyp", []byte("iso5"), u32(0)), mk("free", text), mkmoov(), f(0)), "HOHS", []int64{0}, nil},
		{"mdat before moof", join(start, early(0), early(80)), "HHSS", []int64{0, 80}, func(t *testing.T, u []unit) {
			if u[2].size != len(early(0)) || u[3].size != len(early(80)) {
				t.Error(u)
			}
		}},
		{"mdat before moof, by position", join(start, absolute(len(start)+8, 0), absolute(len(start)+8+len(absolute(0, 0)), 80)), "HHSS", []int64{0, 80}, nil},
		{"mdat without moof", join(start, f(0), mkmdat(50), f(80)), "HHSoS", []int64{0, 80}, nil},
		{"mdat before moof beyond the bound", join(start, mkmdat(maxPending), f(80)), "HHoS", []int64{80}, nil},
		{"mdat of 40 MB", join(start, mkmoof(mktraf(1, 0, 1, true, 8)), mkmdat(40<<20), f(80)), "HHSS", []int64{0, 80}, nil},
		{"moof without mdat", join(start, mkmoof(mktraf(1, 0, 1, true, 8)), f(80)), "HHsS", []int64{0, 80}, nil},
		{"moof without a track", join(start, mkmoof(), mkmdat(3), f(80)), "HHoS", []int64{80}, nil},
		{"trun claims more samples than it has", join(start, mkmoof(mk("traf", mk("tfhd", u32(0x020000, 1)), mk("tfdt", u32(0, 10)), mk("trun", u32(0x100, 1<<30, 4)))), mkmdat(3), f(80)), "HHoS", []int64{80}, nil},
		{"multi-track moof", join(start, mkmoof(mktraf(2, 7, 2, true, 8), mktraf(1, 40, 2, false, 9)), mkmdat(3)), "HHS", []int64{40}, keys()},
		{"multi-track moof: the reference is absent", join(start, mkmoof(mktraf(2, 7, 2, false, 8)), mkmdat(3)), "HHS", nil, keys(2)},
		{"multi-track moof: the reference is empty", join(start, mkmoof(mktraf(1, 40, 0, true, 9), mktraf(2, 7, 2, false, 8)), mkmdat(3)), "HHS", nil, keys(2)},
		{"second moov", join(start, f(400), start, f(0)), "HHSHHS", []int64{400, 0}, nil},
		{"second moov restarts what is accumulated", join(start, f(400), start, wrap(1, -1, 1, true)), "HHSHHS", []int64{400, 0}, nil},
		{"second moov: inside half a fragment", join(start, f(400)[:len(f(400))-15], start, f(0)), "HHsHHS", []int64{400, 0}, func(t *testing.T, u []unit) {
			if u[2].Truncated || u[2].size != len(f(400))-15 {
				t.Error(u[2])
			}
		}},
		{"second moov: inside an mdat without a size", join(start, mkmoof(mktraf(1, 400, 1, true, 8)), head("mdat", 0), text, start, f(0)), "HHsHHS", []int64{400, 0}, nil},
		{"media data with the name of a box in it", join(start, mkmoof(mktraf(1, 0, 1, true, 8)), mk("mdat", text, u32(16), []byte("ftyp"), u32(0, 0, 9, 9, 9)), f(80)), "HHSS", []int64{0, 80}, nil},
		{"box claims 4 GB: moof", join(start, f(0), head("moof", -1), text, f(80)), "HHSoS", []int64{0, 80}, resyncs(3, 4)},
		{"box claims 4 GB: styp", join(start, f(0), head("styp", -1), f(80)), "HHSoS", []int64{0, 80}, nil},
		{"box claims 4 GB: unknown", join(start, f(0), head("abcd", -1), f(80)), "HHSoS", []int64{0, 80}, nil},
		{"box claims 4 GB: mdat", join(start, mkmoof(mktraf(1, 0, 1, true, 8)), head("mdat", -1), text), "HHs", []int64{0}, nil},
		{"box claims 4 GB: moov", join(head("moov", -1), text), "h", nil, nil},
		{"box claims 2^63", join(start, u32(1), []byte("mdat"), u32(-1, -1), f(80)), "HHoS", []int64{80}, nil},
		{"mfra", join(start, f(0), mk("mfra", text)), "HHSO", []int64{0}, nil},
		{"a hundred boxes before a moof", join(start, join(mk("free"), join(make100(mk("free"))...)), f(0)), "HHOS", []int64{0}, nil},
		{"joined in an mdat", join(f(0)[len(f(0))-15:], f(80)), "oS", nil, func(t *testing.T, u []unit) {
			if u[1].Timed || !u[1].Resync {
				t.Error(u[1])
			}
		}},
		{"joined at a moof", join(f(80), f(400)), "SS", nil, keys(1)},
		{"joined at an mdat", join(mkmdat(20), f(80)), "oS", nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			units := whole(t, tt.in)
			if got := kinds(units); got != tt.kinds {
				t.Errorf("kinds %s, want %s", got, tt.kinds)
				for _, u := range units {
					t.Log(u)
				}
				return
			}
			if got := clock(units, media.Video); fmt.Sprint(got) != fmt.Sprint(tt.video) {
				t.Errorf("video clock %v, want %v", got, tt.video)
			}
			if tt.check != nil {
				tt.check(t, units)
			}
			anyChunks(t, tt.in, 3)
		})
	}
}

func make100(p []byte) (many [][]byte) {
	for range 100 {
		many = append(many, p)
	}
	return many
}

// resyncs wants just these units marked.
func resyncs(marked ...int) func(t *testing.T, units []unit) {
	return func(t *testing.T, units []unit) {
		t.Helper()
		check(t, units, marked, func(u unit) bool { return u.Resync })
	}
}

// keys wants just these units to be keys.
func keys(marked ...int) func(t *testing.T, units []unit) {
	return func(t *testing.T, units []unit) {
		t.Helper()
		check(t, units, marked, func(u unit) bool { return u.Key })
	}
}

func check(t *testing.T, units []unit, marked []int, on func(u unit) bool) {
	t.Helper()
	for i, u := range units {
		want := false
		for _, m := range marked {
			want = want || m == i
		}
		if on(u) != want {
			t.Errorf("unit %d: %v", i, u)
		}
	}
}

func TestTheClockMayBeAudio(t *testing.T) {
	w := Walker{Clock: media.Audio}
	in := join(mkinit(), mkmoof(mktraf(1, 40, 2, false, 9), mktraf(2, 7, 2, true, 8)), mkmdat(3))
	u := walk(t, &w, in, func() int { return 3 })[2]
	if u.Track != media.Audio || u.DTS != (media.Time{Ticks: 7, Scale: 2000}) || !u.Key {
		t.Error(u)
	}
}

func TestASecondVideoTrackIsNoClock(t *testing.T) {
	in := join(mkmovie("vide", "vide"), mkfrag(0, true), mkmoof(mktraf(2, 4000, 2, true, 8)), mkmdat(3), mkfrag(80, true))
	if got := clock(whole(t, in), media.Video); fmt.Sprint(got) != "[0 80]" {
		t.Error(got)
	}
}

func TestNothingIsAllocatedByClaim(t *testing.T) {
	in := join(mkinit(), mkfrag(0, true), u32(-1), []byte("moof"), u32(-1), []byte("mdat"), mkfrag(80, true))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var w Walker
	for p := in; len(p) > 0; {
		p = p[w.Next(p, true).N:]
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes allocated", n)
	}
}

// TestAStreamDrippingInIsNotSlow holds the walker to work that does not grow
// with what it holds back: a moof of 1 MB that comes in bytes.
func TestAStreamDrippingInIsNotSlow(t *testing.T) {
	in := join(mkinit(), mk("moof", mk("mfhd", u32(0, 1)), mktraf(1, 0, 100_000, true, 8)), mkmdat(9))
	if got := kinds(walk(t, new(Walker), in, func() int { return 1 })); got != "HHS" {
		t.Error(got)
	}
}
