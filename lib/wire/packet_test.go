package wire

import (
	"bytes"
	"reflect"
	"testing"
	"time"
)

func longSamples() []Long {
	return []Long{
		{Type: PacketInitial, Version: Version, Src: CID{1, 2, 3, 4}, Cookie: []byte{}, Token: []byte("token"), Noise: bytes.Repeat([]byte{7}, 96)},
		{Type: PacketInitial, Version: Version, Src: CID{1}, Cookie: []byte("cookie"), Token: []byte{}, Noise: bytes.Repeat([]byte{7}, MaxNoise)},
		{Type: PacketResponse, Version: Version, Dst: CID{1}, Noise: []byte{9}},
		{Type: PacketRetry, Version: Version, Dst: CID{1}, Cookie: []byte("cookie")},
		{Type: PacketVersions, Dst: CID{1}, Versions: []byte{0, 0, 0, 1}},
	}
}

func TestLongPacketsComeBack(t *testing.T) {
	for _, want := range longSamples() {
		b := want.Append(nil)
		got, err := ParseLong(append(b, make([]byte, 20)...))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v\nwant %+v", got, err, want)
		}
		for cut := range b {
			if _, err := ParseLong(b[:cut]); err == nil {
				t.Errorf("type %d: %d of %d bytes were taken for the packet", want.Type, cut, len(b))
			}
		}
	}
}

func TestOfOtherVersionsOnlyTheInvariantsAreRead(t *testing.T) {
	p, err := ParseLong([]byte{0xcf, 0, 0, 0, 9, 1, 2, 3, 4, 0xff})
	if err != nil || p.Version != 9 || p.Src != (CID{1, 2, 3, 4}) {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestPacketNumbersExpandToTheNearest(t *testing.T) {
	for _, tc := range []struct {
		next, want uint64
		n          int
	}{
		{0, 0, 4}, {1, 0, 1}, {0, 100, 1}, {1 << 32, 1<<32 - 1, 4}, {1<<32 - 1, 1 << 32, 1}, {5<<32 + 7, 5 << 32, 1}, {1<<31 + 5, 1<<32 + 4, 4},
		{MaxVarint, MaxVarint, 2}, {MaxVarint - 3, MaxVarint, 1}, {0xa82f30eb, 0xa82f9b32, 2}, // the last is RFC 9000's
	} {
		low := uint32(tc.want & (1<<(8*tc.n) - 1))
		if got := ExpandNumber(tc.next, low, tc.n); got != tc.want {
			t.Errorf("ExpandNumber(%d, %#x, %d) = %d, want %d", tc.next, low, tc.n, got, tc.want)
		}
	}
}

func TestANumberIsSentInAsManyBytesAsTheReceiverNeeds(t *testing.T) {
	// RFC 9000 appendix A.2 has these two.
	for _, tc := range []struct {
		number, largest uint64
		n               int
	}{{0xac5c02, 0xabe8b3, 2}, {0xace8fe, 0xabe8b3, 3}} {
		if got := NumberLen(tc.number, tc.largest+1); got != tc.n {
			t.Errorf("%#x after %#x: %d bytes, want %d", tc.number, tc.largest, got, tc.n)
		}
	}
	// Whatever of what was not acknowledged has arrived, the number is recovered.
	for _, acked := range []uint64{0, 1, 77, 1 << 20, 1<<40 + 5} {
		for _, ahead := range []uint64{0, 1, 5, 62, 63, 125, 126, 127, 128, 300, 1<<14 + 3, 1<<15 - 1, 1 << 15, 1 << 20, 1 << 24} {
			number := acked + ahead
			n := NumberLen(number, acked)
			h := AppendShort(nil, 0, CID{}, number, n)
			_, low := Unmask(append(h, 0, 0, 0, 0), new([16]byte))
			for _, next := range []uint64{acked, acked + ahead/2, number, number + 1} {
				if got := ExpandNumber(next, low, n); got != number {
					t.Fatalf("%d of which %d are acknowledged, in %d bytes, %d expected: %d", number, acked, n, next, got)
				}
			}
		}
	}
}

func TestShortHeaderProtectionIsItsOwnInverse(t *testing.T) {
	for n := 1; n <= MaxNumberLen; n++ {
		h := AppendShort(nil, KeyPhase, CID{1, 2, 3, 4}, 0x1122334455, n)
		if Classify(h) != PacketShort || h[0] != 0x60|byte(n-1) || ShortHeaderLen(h[0]) != len(h) {
			t.Fatalf("header %x", h)
		}
		h = append(h, 0xaa, 0xaa, 0xaa, 0xaa) // frames
		mask := [16]byte{0xff, 1, 2, 3, 4}
		p := bytes.Clone(h)
		Mask(p, &mask)
		if Classify(p) != PacketShort || bytes.Equal(p, h) || !bytes.Equal(p[1:1+CIDLen], h[1:1+CIDLen]) {
			t.Errorf("protected %x of %x", p, h)
		}
		got, low := Unmask(p, &mask)
		if !bytes.Equal(p, h) || got != 1+CIDLen+n || low != 0x22334455&(1<<(8*n)-1) {
			t.Errorf("got %x back, want %x; %d bytes of header, number %x", p, h, got, low)
		}
	}
}

func TestParamsComeBackAndUnknownOnesAreSkipped(t *testing.T) {
	want := Params{Window: 1 << 22, MaxObject: 1 << 20, Idle: 30 * time.Second, Ciphers: 3, MTU: 1400, CID: CID{9, 8}, Downlink: 100e6, Flight: 64, Reset: ResetToken{1, 2, 3}, Early: []byte("GET")}
	b := want.Append([]byte{40, 2, 'h', 'i'})
	if got, err := ParseParams(b); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if _, err := ParseParams(b[:len(b)-1]); err == nil {
		t.Error("a cut list was taken")
	}
}

func FuzzLongPacket(f *testing.F) {
	for _, p := range longSamples() {
		f.Add(p.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseLong(b)
		if err != nil || p.Version != Version && p.Type != PacketVersions {
			return
		}
		// The low bits of the first byte are reserved, of Versions ignored.
		enc := p.Append(nil)
		again, err := ParseLong(enc)
		if err != nil || !reflect.DeepEqual(again, p) {
			t.Errorf("%x → %+v → %x → %+v, %v", b, p, enc, again, err)
		}
	})
}

func FuzzParams(f *testing.F) {
	p := Params{Window: 1 << 22, MaxObject: 1 << 20, Idle: time.Second, Ciphers: 1, MTU: 1400, Reset: ResetToken{15: 1}, Early: []byte("x")}
	f.Add(p.Append(nil))
	f.Add([]byte{6, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseParams(b)
		if err != nil {
			return
		}
		if len(p.Early) == 0 {
			p.Early = nil
		}
		again, err := ParseParams(p.Append(nil))
		if err != nil || !reflect.DeepEqual(again, p) {
			t.Errorf("%+v came back as %+v, %v", p, again, err)
		}
	})
}
