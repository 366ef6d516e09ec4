package wire

import (
	"bytes"
	"testing"
)

func TestVarintExamplesOfRFC9000(t *testing.T) {
	// RFC 9000 appendix A.1.
	for _, tc := range []struct {
		b []byte
		v uint64
	}{
		{[]byte{0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c}, 151288809941952652},
		{[]byte{0x9d, 0x7f, 0x3e, 0x7d}, 494878333},
		{[]byte{0x7b, 0xbd}, 15293},
		{[]byte{0x25}, 37},
	} {
		if v, n := ConsumeVarint(tc.b); v != tc.v || n != len(tc.b) {
			t.Errorf("ConsumeVarint(%x) = %d, %d; want %d, %d", tc.b, v, n, tc.v, len(tc.b))
		}
		if got := AppendVarint(nil, tc.v); !bytes.Equal(got, tc.b) {
			t.Errorf("AppendVarint(%d) = %x, want %x", tc.v, got, tc.b)
		}
	}
	// "… as does the two-byte sequence 4025" to 37.
	if v, n := ConsumeVarint([]byte{0x40, 0x25}); v != 37 || n != 2 {
		t.Errorf("ConsumeVarint(4025) = %d, %d; want 37, 2", v, n)
	}
}

func TestVarintBorders(t *testing.T) {
	for _, v := range []uint64{0, 63, 64, 1<<14 - 1, 1 << 14, 1<<30 - 1, 1 << 30, MaxVarint} {
		b := AppendVarint(nil, v)
		if len(b) != SizeVarint(v) {
			t.Errorf("SizeVarint(%d) = %d, encoded in %d", v, SizeVarint(v), len(b))
		}
		if got, n := ConsumeVarint(b); got != v || n != len(b) {
			t.Errorf("%d came back as %d (%d of %d bytes)", v, got, n, len(b))
		}
		for cut := range b {
			if _, n := ConsumeVarint(b[:cut]); n != 0 {
				t.Errorf("%d bytes of %x were taken for a varint", cut, b)
			}
		}
	}
}
