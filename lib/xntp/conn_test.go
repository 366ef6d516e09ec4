package xntp

import (
	"bytes"
	"testing"
	"time"
)

func TestTwoNodesConnectAndExchangeObjects(t *testing.T) {
	w := newWorld(t, 1)
	l := link{delay: 20 * time.Millisecond}
	a, b := w.add("a", l), w.add("b", l)
	start := w.now
	ac, bc := w.dial(a, b)
	if d := w.now.Sub(start); d != 60*time.Millisecond {
		t.Errorf("connected after %v, want one round trip and a half", d)
	}
	body := pattern(1, 16384)
	head := []byte("header of a piece")
	id, err := a.Send(w.now, ac, Object{Data: [][]byte{head, body}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Send(w.now, bc, Object{Data: [][]byte{[]byte("and back")}}); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	if got := b.last(EventObject); !bytes.Equal(got.Data, append(head, body...)) || got.Object != id {
		t.Errorf("b got object %d of %d bytes", got.Object, len(got.Data))
	}
	if got := a.last(EventObject); string(got.Data) != "and back" {
		t.Errorf("a got %q", got.Data)
	}
	if got := a.last(EventDelivered); got.Object != id || got.Conn != ac {
		t.Errorf("a was told %+v", got)
	}
	s, _ := a.Stats(ac)
	if s.SRTT < 40*time.Millisecond || s.SRTT > 50*time.Millisecond || s.HeldBytes != 0 || s.QueuedBytes != 0 || s.InFlight != 0 || s.LostPackets != 0 {
		t.Errorf("stats %+v", s)
	}
}
