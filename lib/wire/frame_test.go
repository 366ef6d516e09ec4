package wire

import (
	"bytes"
	"reflect"
	"testing"
	"time"
)

func ackSample() Frame {
	f := Frame{Type: FrameAckECN}
	f.Ack.Delay = 1500 * time.Microsecond
	f.Ack.CE = 77
	f.Ack.AddRange(Range{90, 100})
	f.Ack.AddRange(Range{70, 80})
	f.Ack.AddRange(Range{0, 68})
	f.Ack.AddStamp(time.Second)
	f.Ack.AddStamp(time.Second - 560*time.Microsecond)
	f.Ack.AddStamp(time.Second + 8*time.Microsecond) // it came late
	return f
}

func frameSamples() []Frame {
	ack := ackSample()
	plain := Frame{Type: FrameAck}
	plain.Ack.AddRange(Range{0, 0})
	recovered := Frame{Type: FrameRecovered}
	recovered.SetNumbers([]uint64{1000, 999, 4, 0})
	return []Frame{
		{Type: FramePing},
		ack, plain,
		{Type: FrameOpen, ID: 5, Open: Open{Class: 1, Priority: 3, Size: 16400, Timed: true, Left: 250 * time.Millisecond}},
		{Type: FrameOpen, ID: 6, Open: Open{Endless: true}},
		{Type: FrameCancel, ID: 7, Value: 16464},
		{Type: FrameExpired, ID: 1 << 20, Value: 0},
		{Type: FrameWindow, Value: 4 << 20},
		{Type: FrameChallenge, Token: [8]byte{1, 2, 3}},
		{Type: FrameResponse, Token: [8]byte{1, 2, 3}},
		{Type: FrameClose, Value: 3, Data: []byte("bye")},
		{Type: FrameObj, ID: 9, Data: []byte("all of it"), Fin: true},
		{Type: FrameObj, ID: 9, Offset: 4096, Data: []byte("a part")},
		{Type: FrameShard, ID: 300, Index: 127},
		recovered,
	}
}

func TestFramesComeBack(t *testing.T) {
	for _, want := range frameSamples() {
		b := want.Append(nil)
		var got Frame
		rest, err := got.Parse(append(b, 1))
		if err != nil || !bytes.Equal(rest, []byte{1}) || !reflect.DeepEqual(got, want) {
			t.Errorf("%v: got %+v, rest %x, %v\nwant %+v", want.Type, got, rest, err, want)
		}
		for cut := 1; cut < len(b); cut++ {
			if _, err := got.Parse(b[:cut]); err == nil {
				t.Errorf("%v: %d of %d bytes were taken for the frame", want.Type, cut, len(b))
			}
		}
	}
}

func TestTheLastObjNeedsNoLength(t *testing.T) {
	want := Frame{Type: FrameObj, ID: 1, Offset: 10, Fill: true, Data: []byte("to the end")}
	var got Frame
	if rest, err := got.Parse(want.Append(nil)); err != nil || len(rest) != 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, rest %x, %v", got, rest, err)
	}
}

func TestParityReachesToTheEnd(t *testing.T) {
	want := Frame{Type: FrameParity, ID: 7, Shards: 128, Index: 31, Data: []byte("what was lost")}
	var got Frame
	if rest, err := got.Parse(want.Append(nil)); err != nil || len(rest) != 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, rest %x, %v", got, rest, err)
	}
}

func TestPaddingIsOneFrame(t *testing.T) {
	var f Frame
	if rest, err := f.Parse(append(make([]byte, 1000), 1)); err != nil || len(rest) != 1 || f.Type != FramePadding {
		t.Errorf("got %v, %d bytes left, %v", f.Type, len(rest), err)
	}
}

func TestBadFramesAreRefused(t *testing.T) {
	for name, b := range map[string][]byte{
		"empty":                   {},
		"unknown type":            {0x3f},
		"ack range below zero":    {2, 5, 0, 0, 6},
		"ack gap below zero":      {2, 5, 0, 1, 0, 4, 0},
		"too many ack ranges":     {2, 5, 0, 32, 0},
		"stamp below zero":        {2, 5, 0, 0, 1, 2, 0, 2},
		"class that is not":       {4, 0, 3, 0, 0},
		"reserved flags":          {4, 0, 16, 0, 0},
		"object past its packet":  {0x14, 0, 9, 1},
		"more words than allowed": append([]byte{10, 0, 0x40, 65}, make([]byte, 65)...),
		"shard beyond a block":    {12, 0, 128},
		"parity of no shards":     {13, 0, 0, 0, 1, 2, 3, 4, 5, 6},
		"parity beyond a block":   {13, 0, 4, 32, 1, 2, 3, 4, 5, 6},
		"parity without a header": {13, 0, 4, 0, 1, 2, 3, 4, 5},
		"nothing recovered":       {14, 0},
		"recovered below zero":    {14, 2, 3, 3},
		"offset past 62 bits":     {0x12, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
	} {
		var f Frame
		if _, err := f.Parse(b); err == nil {
			t.Errorf("%s: %x was taken for %+v", name, b, f)
		}
	}
}

func TestParsingFramesAllocatesNothing(t *testing.T) {
	var b []byte
	for _, f := range frameSamples() {
		b = f.Append(b)
	}
	var f Frame
	if n := testing.AllocsPerRun(100, func() {
		for rest := b; len(rest) > 0; {
			rest, _ = f.Parse(rest)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzFrame(f *testing.F) {
	for _, s := range frameSamples() {
		f.Add(s.Append(nil))
	}
	f.Add([]byte{0, 0, 0, 0x10, 1, 'x'})
	parity := Frame{Type: FrameParity, ID: 7, Shards: 3, Index: 2, Data: []byte("shards")}
	f.Add(parity.Append([]byte{12, 7, 1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			var got, again Frame
			rest, err := got.Parse(b)
			if err != nil {
				return
			}
			enc := got.Append(nil)
			left, err := again.Parse(enc)
			if err != nil || len(left) != 0 || !reflect.DeepEqual(got, again) {
				t.Fatalf("%+v → %x → %+v, %v", got, enc, again, err)
			}
			b = rest
		}
	})
}
