package abr

import (
	"bytes"
	"slices"
	"testing"
)

func TestParameterSetsStandBehindTheDelimiterAndOnce(t *testing.T) {
	c := &config{codec: avc1, record: []byte{1, 100, 0, 31, 0xff, 0xe1, 0, 3, 0x67, 1, 2, 1, 0, 2, 0x68, 9}}
	c.readParams()
	want := []byte{0, 0, 0, 3, 0x67, 1, 2, 0, 0, 0, 2, 0x68, 9}
	if !bytes.Equal(c.params, want) {
		t.Fatalf("% x, want % x", c.params, want)
	}
	idr := []byte{0, 0, 0, 2, 0x65, 0x88}
	delimiter := []byte{0, 0, 0, 2, 9, 0xf0}
	for _, x := range []struct {
		frame []byte
		at    int
		ok    bool
	}{
		{idr, 0, true},
		{slices.Concat(delimiter, idr), 6, true},
		{slices.Concat(want, idr), 0, false},
		{slices.Concat(delimiter, want, idr), 6, false},
	} {
		if at, ok := c.insertion(x.frame); at != x.at || ok != x.ok {
			t.Errorf("% x: %d, %t; want %d, %t", x.frame, at, ok, x.at, x.ok)
		}
		if kind, isIDR := c.kind(x.frame, true); kind != TypeI || !isIDR {
			t.Errorf("% x: %c, IDR %t", x.frame, kind, isIDR)
		}
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte{1, 100, 0, 31, 0xff, 0xe1, 0, 3, 0x67, 1, 2, 1, 0, 2, 0x68, 9}, []byte{0, 0, 0, 2, 0x65, 0x88}, true)
	f.Add(append(make([]byte, 22), 1, 32, 0, 1, 0, 2, 0x40, 1), []byte{0, 2, 70, 1}, false)
	f.Fuzz(func(t *testing.T, record, frame []byte, avc bool) {
		c := &config{codec: hvc1, record: record}
		if avc {
			c.codec = avc1
		}
		c.readParams()
		c.describe()
		c.kind(frame, true)
		new(quantisers).read(c, frame)
		c.descriptions = append(append(make([]byte, 102), 0, 0, 0, 0, 'h', 'v', 'c', 'C'), record...)
		if d := c.raised(order{5, 3}); d != c && !bytes.Equal(d.raised(order{5, 3}).record, d.record) {
			t.Fatalf("raised again: %x, %x", d.record, d.raised(order{5, 3}).record)
		}
		orderOf(frame)
		at, ok := c.insertion(frame)
		if at < 0 || at > len(frame) || ok && len(c.params) == 0 {
			t.Fatalf("%d, %t", at, ok)
		}
	})
}
