package bench

import (
	"bytes"
	"math"
	"testing"
	"time"
)

func shortReel(t testing.TB) *reel {
	t.Helper()
	r, err := newReel(&Scenario{Seconds: 3, RateBPS: 200_000, GOPMS: 1000}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestASyntheticBroadcastHasTheRateAndTheKeyframesOfItsScenario(t *testing.T) {
	r, err := newReel(&Scenario{Seconds: 10, RateBPS: 1_000_000, GOPMS: 2000, KeyFactor: 8}, 1)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "bits a second", float64(len(r.bytes))*8/10, 1_000_000, 20_000)
	if len(r.frames) != 250 || r.frames[50].dts != 2000 || !r.frames[50].key || r.frames[51].key || r.due(25) != time.Second {
		t.Fatalf("%d frames, %+v", len(r.frames), r.frames[49:52])
	}
	near(t, "a keyframe, in other frames", float64(len(r.frame(50)))/float64(len(r.frame(51))), 8, 0.1)
	if last := r.pieces[len(r.pieces)-1]; last.end != len(r.bytes) {
		t.Errorf("the last piece ends at %d of %d", last.end, len(r.bytes))
	}
	// A piece starts afresh with each keyframe.
	for i, f := range r.frames {
		if f.key && i > 0 {
			found := false
			for _, p := range r.pieces {
				found = found || p.end == r.start(i)
			}
			if !found {
				t.Errorf("no piece ends before the keyframe at %d ms", f.dts)
			}
		}
	}
	near(t, "seconds in a piece", 10/float64(len(r.pieces)), 0.1, 0.03)
}

// output feeds a check with what a viewer put out, in chunks that are one
// millisecond apart.
func output(r *reel, chunk int, parts ...[]byte) *check {
	c := newCheck(r)
	at := time.Duration(0)
	for all := bytes.Join(parts, nil); len(all) > 0; all = all[min(chunk, len(all)):] {
		at += time.Millisecond
		c.feed(all[:min(chunk, len(all))], at)
	}
	c.close()
	return c
}

func TestAnOutputThatJoinsAtAKeyframeIsExactAndItsPiecesHaveTimes(t *testing.T) {
	r := shortReel(t)
	init, key := r.bytes[:r.init], r.start(25)
	for _, chunk := range []int{1, 7, 1000, 1 << 20} {
		c := output(r, chunk, init, r.bytes[key:])
		if !c.exact() || c.bad != 0 || c.gaps != 0 || c.from != 25 || c.good != int64(len(init)+len(r.bytes)-key) {
			t.Errorf("in chunks of %d: exact %v, bad %d, gaps %d, from frame %d", chunk, c.exact(), c.bad, c.gaps, c.from)
		}
		last := never
		for i, p := range r.pieces {
			switch at := c.when[i]; {
			case p.end <= key && at != never:
				t.Errorf("piece %d before the start came at %v", i, at)
			case p.end > key && (at < last || at <= 0):
				t.Errorf("piece %d came at %v, the one before at %v", i, at, last)
			default:
				last = at
			}
		}
		if c.whole < c.firstB || c.firstB <= 0 {
			t.Errorf("first byte at %v, first keyframe whole at %v", c.firstB, c.whole)
		}
		if whole := output(r, chunk, r.bytes); !whole.exact() || whole.from != 0 {
			t.Error("the whole broadcast is not exact")
		}
		if cut := output(r, chunk, init, r.bytes[key:len(r.bytes)-1]); cut.exact() || cut.bad != 0 {
			t.Error("an output that lacks its last byte is exact, or bad")
		}
	}
}

func TestAnOutputWithAGapIsNotBadAndNotExact(t *testing.T) {
	r := shortReel(t)
	for _, config := range [][]byte{nil, r.bytes[13:r.init]} {
		c := output(r, 100, r.bytes[:r.start(30)], config, r.bytes[r.start(50):])
		if c.exact() || c.bad != 0 || c.gaps != 1 || c.lost != int64(r.start(50)-r.start(30)) || c.at != len(r.bytes) {
			t.Errorf("exact %v, bad %d, gaps %d, lost %d", c.exact(), c.bad, c.gaps, c.lost)
		}
		if want := int64(r.start(30) + len(config) + len(r.bytes) - r.start(50)); c.good != want {
			t.Errorf("%d good bytes, want %d", c.good, want)
		}
		missing := 0
		for i, p := range r.pieces {
			if c.when[i] == never {
				missing++
				if p.end <= r.start(30) || p.end > r.start(50) {
					t.Errorf("piece %d to %d is missing, the gap is from %d to %d", i, p.end, r.start(30), r.start(50))
				}
			}
		}
		if missing == 0 {
			t.Error("no piece is missing")
		}
	}
}

func TestAByteThatIsNotTheBroadcastersIsBad(t *testing.T) {
	r := shortReel(t)
	for _, at := range []int{0, r.init - 1, r.init + 5, r.start(10) + 3, r.start(25) + 200, len(r.bytes) - 1} {
		out := bytes.Clone(r.bytes)
		out[at] ^= 1
		if c := output(r, 64, out); c.bad == 0 || c.exact() {
			t.Errorf("byte %d: %d bad, exact %v", at, c.bad, c.exact())
		}
	}
	if c := output(r, 64, r.bytes[:r.init], r.bytes[r.start(3):]); c.bad == 0 {
		t.Error("an output that begins with another frame than a keyframe is good")
	}
	if c := output(r, 64, r.bytes, []byte{9}); c.bad == 0 || c.exact() {
		t.Error("a byte behind the end is good")
	}
	if c := output(r, 64, r.bytes[:r.start(50)], r.bytes[r.start(25):]); c.bad == 0 {
		t.Error("an output that goes back is good")
	}
}

func FuzzCheck(f *testing.F) {
	r := shortReel(f)
	f.Add(r.start(25), r.start(30), r.start(50), byte(0), 100)
	f.Add(r.init, r.start(7)+3, r.start(50), byte(1), 1)
	f.Fuzz(func(t *testing.T, from, to, on int, flip byte, chunk int) {
		if from < 0 || to < from || on < to || on > len(r.bytes) || chunk < 1 {
			return
		}
		out := bytes.Join([][]byte{r.bytes[:r.init], r.bytes[from:to], r.bytes[on:]}, nil)
		out[len(out)/2] ^= flip
		c := output(r, min(chunk, math.MaxInt32), out)
		if c.good+c.bad != int64(len(out)) {
			t.Fatalf("%d good and %d bad of %d", c.good, c.bad, len(out))
		}
		if c.exact() && (c.bad > 0 || c.gaps > 0) {
			t.Fatalf("exact with %d bad bytes and %d gaps", c.bad, c.gaps)
		}
	})
}
