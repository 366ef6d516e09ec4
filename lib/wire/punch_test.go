package wire

import (
	"bytes"
	"slices"
	"testing"
)

func TestPunchesRoundTripAndAreAuthentic(t *testing.T) {
	key, other := testKey(1), testKey(2)
	for _, want := range []Punch{{Session: 7, Number: 9}, {Answer: true, Session: 1 << 63}, {Answerer: true, Number: 1<<32 - 1}, {Answer: true, Answerer: true}} {
		b := want.Append([]byte("x"), &key)[1:]
		got, ok := ParsePunch(b)
		if len(b) != PunchLen || !ok || got != want || !VerifyPunch(b, &key) || VerifyPunch(b, &other) || Classify(b) != PacketNone || IsSTUN(b) {
			t.Errorf("%+v became %+v, %v", want, got, ok)
		}
		for i := range b {
			bad := slices.Clone(b)
			bad[i] ^= 1
			if VerifyPunch(bad, &key) {
				t.Errorf("%+v: byte %d may change", want, i)
			}
		}
		if _, ok := ParsePunch(append(b, 0)); ok {
			t.Error("too long, and parsed")
		}
	}
}

func FuzzPunch(f *testing.F) {
	key := testKey(1)
	p := Punch{Answer: true, Session: 5, Number: 6}
	f.Add(p.Append(nil, &key))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, ok := ParsePunch(b)
		if again := p.Append(nil, &key); ok && !bytes.Equal(again[:PunchLen-punchMAC], b[:PunchLen-punchMAC]) {
			t.Fatalf("%x became %x", b, again)
		}
		if VerifyPunch(b, &key) && !ok {
			t.Fatalf("%x is authentic and does not parse", b)
		}
	})
}
