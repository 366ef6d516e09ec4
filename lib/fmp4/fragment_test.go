package fmp4

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/internal/testmedia"
)

// rewrite writes samples as a fragment of their own.
func rewrite(samples []Sample) []byte {
	var runs []Run
	for _, s := range samples {
		i := slices.IndexFunc(runs, func(r Run) bool { return r.Track == s.Track })
		if i < 0 {
			i, runs = len(runs), append(runs, Run{Track: s.Track})
		}
		runs[i].Samples = append(runs[i].Samples, s)
	}
	b := AppendFragment(nil, 7, runs)
	for _, r := range runs {
		for _, s := range r.Samples {
			b = append(b, s.Data...)
		}
	}
	return b
}

// wantSame puts samples together and takes them apart again.
func wantSame(t *testing.T, m *Movie, samples []Sample) {
	t.Helper()
	unit := rewrite(samples)
	if f := ReadEnvelope(unit); !f.Plain || f.Sequence != 7 {
		t.Fatalf("what AppendFragment wrote is %+v", f)
	}
	again, err := m.Samples(nil, unit, 0)
	if err != nil {
		t.Fatalf("what AppendFragment wrote cannot be read: %v", err)
	}
	slices.SortStableFunc(samples, func(a, b Sample) int { return int(a.Track) - int(b.Track) })
	slices.SortStableFunc(again, func(a, b Sample) int { return int(a.Track) - int(b.Track) })
	if !slices.EqualFunc(samples, again, func(a, b Sample) bool {
		return a.Track == b.Track && a.CTS == b.CTS && a.Duration == b.Duration && a.Sync == b.Sync && bytes.Equal(a.Data, b.Data)
	}) {
		t.Fatalf("%+v became %+v", samples, again)
	}
}

// Every fragment of a real file says the same to ffmpeg when it was taken apart
// and put together again.
func TestAFragmentPutTogetherIsTheSame(t *testing.T) {
	for name, muxer := range map[string]func(testing.TB, testmedia.Recipe) string{"by GOP": testmedia.FMP4GOP, "by frame": testmedia.FMP4Frame} {
		t.Run(name, func(t *testing.T) {
			path := muxer(t, testmedia.Recipe{Duration: 2 * time.Second, BFrames: 2})
			in := testmedia.Bytes(t, path)
			var w Walker
			var movie *Movie
			var out []byte
			n := 0
			for from, at := 0, 0; at < len(in); {
				s := w.Next(in[at:], true)
				if at += s.N; !s.End {
					continue
				}
				unit := in[from:at]
				from = at
				if binary.BigEndian.Uint32(unit[4:]) == moov {
					var err error
					if movie, err = ParseMovie(unit); err != nil {
						t.Fatal(err)
					}
				}
				if !s.Unit.Timed {
					out = append(out, unit...)
					continue
				}
				samples, err := movie.Samples(nil, unit, 0)
				if err != nil || !ReadEnvelope(unit).Plain {
					t.Fatal(err, ReadEnvelope(unit))
				}
				out = append(out, rewrite(samples)...)
				n++
			}
			again := filepath.Join(t.TempDir(), "again.mp4")
			if err := os.WriteFile(again, out, 0o644); err != nil {
				t.Fatal(err)
			}
			if a, b := framesums(t, path), framesums(t, again); !bytes.Equal(a, b) {
				t.Errorf("%d fragments: ffmpeg read\n%.500s\nand reads\n%.500s", n, a, b)
			}
		})
	}
}

func framesums(t *testing.T, path string) []byte {
	t.Helper()
	out, err := testmedia.Command(t, "-i", path, "-c", "copy", "-f", "framemd5", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// What goes with the samples and is not understood makes a fragment one that
// only its author can write.
func TestAFragmentThatIsNotUnderstoodIsNotPlain(t *testing.T) {
	traf := mktraf(1, 0, 1, true, 200)
	good := join(mkmoof(traf), mkmdat(300))
	if !ReadEnvelope(good).Plain {
		t.Error("a plain fragment is not plain")
	}
	for _, inside := range []string{"senc", "saio", "sgpd"} {
		more := mk("traf", traf[8:], mk(inside, u32(0), u32(0)))
		if ReadEnvelope(join(mkmoof(more), mkmdat(300))).Plain {
			t.Errorf("a fragment with %s is plain", inside)
		}
	}
	for _, bad := range [][]byte{nil, mkmdat(9), mkmoof(traf), join(mkmdat(9), mkmoof(traf)), good[:len(good)-1], join(good, mkmdat(9))} {
		if ReadEnvelope(bad).Plain {
			t.Errorf("%x is a plain fragment", bad)
		}
	}
}

// The boxes before a fragment move with it, and an index of bytes goes.
func TestBoxesBeforeAFragmentMoveWithIt(t *testing.T) {
	movie, err := ParseMovie(mkinit())
	if err != nil {
		t.Fatal(err)
	}
	track := &movie.Tracks[0]
	at := func(ticks int64, scale uint32) int64 { return ticks - int64(scale) }
	reference := func(ticks uint64) []byte {
		return mk("prft", u32(1<<24), u32(int(track.ID)), u32(1), u32(2), binary.BigEndian.AppendUint64(nil, ticks))
	}
	event := func(ticks uint64) []byte {
		return mk("emsg", u32(1<<24), u32(1000), binary.BigEndian.AppendUint64(nil, ticks), u32(5), u32(1), []byte("a\x00b\x00"))
	}
	styp := mk("styp", []byte("msdh"))
	got := movie.RetimeBoxes(nil, join(styp, mk("sidx", u32(0), u32(0), u32(0)), reference(1e6), event(5000)), at)
	want := join(styp, reference(1e6-uint64(track.Timescale)), event(4000))
	if !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}
