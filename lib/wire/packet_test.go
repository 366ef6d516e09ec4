package wire

import (
	"bytes"
	"reflect"
	"testing"
	"time"
)

func longSamples() []Long {
	return []Long{
		{Type: PacketInitial, Version: Version, Src: CID{1, 2, 3, 4, 5, 6}, Cookie: []byte{}, Token: []byte("token"), Noise: bytes.Repeat([]byte{7}, 96)},
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
	p, err := ParseLong([]byte{0xcf, 0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 0xff})
	if err != nil || p.Version != 9 || p.Src != (CID{1, 2, 3, 4, 5, 6}) {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestPacketNumbersExpandToTheNearest(t *testing.T) {
	for _, tc := range []struct{ next, want uint64 }{
		{0, 0}, {1, 0}, {0, 100}, {1 << 32, 1<<32 - 1}, {1<<32 - 1, 1 << 32}, {5<<32 + 7, 5 << 32}, {1<<31 + 5, 1<<32 + 4}, {MaxVarint, MaxVarint},
	} {
		if got := ExpandNumber(tc.next, uint32(tc.want)); got != tc.want {
			t.Errorf("ExpandNumber(%d, %d) = %d, want %d", tc.next, uint32(tc.want), got, tc.want)
		}
	}
}

func TestShortHeaderProtectionIsItsOwnInverse(t *testing.T) {
	h := AppendShort(nil, KeyPhase, CID{1, 2, 3, 4, 5, 6}, 0x1122334455)
	if Classify(h) != PacketShort || ShortNumber(h) != 0x22334455 || h[0] != 0x60 {
		t.Fatalf("header %x", h)
	}
	mask := [16]byte{0xff, 1, 2, 3, 4}
	p := bytes.Clone(h)
	MaskShort(p, &mask)
	if Classify(p) != PacketShort || bytes.Equal(p, h) || !bytes.Equal(p[1:7], h[1:7]) {
		t.Errorf("protected %x of %x", p, h)
	}
	MaskShort(p, &mask)
	if !bytes.Equal(p, h) {
		t.Errorf("got %x back, want %x", p, h)
	}
}

func TestParamsComeBackAndUnknownOnesAreSkipped(t *testing.T) {
	want := Params{Window: 1 << 22, MaxObject: 1 << 20, Idle: 30 * time.Second, Ciphers: 3, MTU: 1400, CID: CID{9, 8}, Early: []byte("GET")}
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
	p := Params{Window: 1 << 22, MaxObject: 1 << 20, Idle: time.Second, Ciphers: 1, MTU: 1400, Early: []byte("x")}
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
