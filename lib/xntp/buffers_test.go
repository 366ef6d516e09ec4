package xntp

import (
	"bytes"
	"testing"
	"time"
)

func TestMemoryThatIsGivenBackServesTheNextObject(t *testing.T) {
	w, a, b, ac, _ := pair(t, near)
	var at *byte
	for i := range 5 {
		want := bytes.Repeat([]byte{byte(i)}, 20000-i)
		if _, err := a.Send(w.now, ac, Object{Data: [][]byte{want}}); err != nil {
			t.Fatal(err)
		}
		w.run(time.Second)
		got := b.last(EventObject).Data
		if !bytes.Equal(got, want) {
			t.Fatalf("object %d is not what was sent", i)
		}
		if i == 0 {
			at = &got[0]
		} else if &got[0] != at {
			t.Errorf("object %d is somewhere else", i)
		}
		b.Reuse(got)
	}
}

func TestWhatIsKeptForReuseIsBounded(t *testing.T) {
	var p buffers
	for range 1000 {
		p.put(make([]byte, 1000))
	}
	if len(p.free) != maxBuffers || p.bytes != maxBuffers*1000 {
		t.Errorf("%d of %d bytes", len(p.free), p.bytes)
	}
	for range maxBuffers {
		p.get(900)
	}
	if len(p.free) != 0 || p.bytes != 0 {
		t.Errorf("%d of %d bytes are left", len(p.free), p.bytes)
	}
	p.put(make([]byte, maxBufferBytes+1))
	p.put(make([]byte, maxBufferBytes))
	if len(p.free) != 1 {
		t.Errorf("%d", len(p.free))
	}
	if b := p.get(100); cap(b) > 200 {
		t.Errorf("%d bytes for 100", cap(b))
	}
}
