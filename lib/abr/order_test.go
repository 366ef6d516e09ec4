package abr

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// hevcSets are VPS and SPS of x265, without B-frames and with three.
var hevcSets = map[string]struct {
	nal  string
	want order
}{
	"VPS":               {"40010c01ffff01600000030090000003000003003c928090", order{3, 0}},
	"SPS":               {"42010101600000030090000003000003003ca00a080b9f7964a924caf0168080000003008000000c84", order{3, 0}},
	"VPS with B-frames": {"40010c01ffff01600000030090000003000003003c959409", order{4, 2}},
	"SPS with B-frames": {"42010101600000030090000003000003003ca00a080b9f796565924caf016808000003000800000300c840", order{4, 2}},
}

func nalOf(t testing.TB, s string) []byte {
	t.Helper()
	nal, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return nal
}

// besides returns the bits before and behind what a set says of the order.
func besides(t *testing.T, nal []byte) (before, behind string) {
	t.Helper()
	p := unescape(nal[2:])
	b := &bitReader{p: p}
	layers := seekOrder(b, nal[0]>>1&63)
	at, n := b.at, 1
	if b.bit() == 1 {
		n = layers
	}
	for range 3 * n {
		b.ue()
	}
	var bits []byte
	for i := range 8 * len(p) {
		bits = append(bits, '0'+p[i>>3]>>(7-i&7)&1)
	}
	return string(bits[:at]), string(bytes.TrimRight(bits[b.at:], "0"))
}

func TestParameterSetsOfHEVCAreRaisedAndElseStayAsTheyAre(t *testing.T) {
	for name, c := range hevcSets {
		nal := nalOf(t, c.nal)
		if is, ok := orderOf(nal); !ok || is != c.want {
			t.Errorf("%s: %+v, %t, want %+v", name, is, ok, c.want)
		}
		before, behind := besides(t, nal)
		for _, o := range []order{{}, c.want, {4, 2}, {5, 4}, {16, 16}, {1, 0}} {
			got := o.raise(nal)
			if is, ok := orderOf(got); !ok || is != c.want.max(o) {
				t.Errorf("%s, raised to %+v: %+v, %t", name, o, is, ok)
			}
			if c.want.max(o) == c.want && !bytes.Equal(got, nal) {
				t.Errorf("%s says %+v, and is another for %+v", name, c.want, o)
			}
			if a, b := besides(t, got); a != before || b != behind {
				t.Errorf("%s, raised to %+v, is another:\n%x\n%x", name, o, nal, got)
			}
			if !bytes.Equal(escape(unescape(got)), got) {
				t.Errorf("%s, raised to %+v, looks like the beginning of another: %x", name, o, got)
			}
		}
	}
}

// A player of ffmpeg's that was told of no B-frames in the beginning warns of those that
// come with another rendition. The configuration of the first tells of them.
func TestTheFirstConfigurationTellsOfTheBFramesOfAll(t *testing.T) {
	set := func(name string) *config {
		c := &config{codec: hvc1, record: append(make([]byte, 21), 3, 2)}
		for _, kind := range []string{"VPS", "SPS"} {
			nal := nalOf(t, hevcSets[kind+name].nal)
			c.record = append(c.record, 0x80|nal[0]>>1&63, 0, 1, 0, byte(len(nal)))
			c.record = append(c.record, nal...)
		}
		box := func(kind string, parts ...[]byte) []byte {
			p := bytes.Join(parts, nil)
			return append(append([]byte{0, 0, byte((len(p) + 8) >> 8), byte(len(p) + 8)}, kind...), p...)
		}
		c.descriptions = box("stsd", []byte{0, 0, 0, 0, 0, 0, 0, 1}, box("hvc1", make([]byte, 78), box("hvcC", c.record), box("pasp", make([]byte, 8))))
		c.readParams()
		return c
	}
	plain, deep := set(""), set(" with B-frames")
	if plain.order() != (order{3, 0}) || deep.order() != (order{4, 2}) {
		t.Fatalf("%+v, %+v", plain.order(), deep.order())
	}
	if deep.raised(plain.order()) != deep {
		t.Error("what tells of all is another")
	}
	got := plain.raised(deep.order())
	if got.order() != deep.order() || got.same(plain) {
		t.Errorf("%+v", got.order())
	}
	more := len(got.record) - len(plain.record)
	for _, at := range []int{0, 16, 16 + 8 + 78} {
		was, is := plain.descriptions[at:], got.descriptions[at:]
		if int(is[2])<<8+int(is[3]) != int(was[2])<<8+int(was[3])+more || string(is[4:8]) != string(was[4:8]) {
			t.Errorf("the box at %d: % x, was % x", at, is[:8], was[:8])
		}
	}
	if !bytes.HasSuffix(got.descriptions, plain.descriptions[len(plain.descriptions)-16:]) || !bytes.Contains(got.descriptions, got.record) {
		t.Error("the boxes around it are others")
	}
}
