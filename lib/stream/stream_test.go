package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
)

func TestDatagramsComeAsTheyWereSent(t *testing.T) {
	stun := append([]byte{0, 1, 0, 8}, bytes.Repeat([]byte{7}, 24)...)
	channel := append([]byte{0x40, 1, 0, 5}, []byte("hello")...)
	for name, c := range map[string]struct {
		framing Framing
		sent    [][]byte
	}{
		"length": {Length, [][]byte{[]byte("a"), bytes.Repeat([]byte("xy"), 700), stun}},
		"turn":   {TURN, [][]byte{stun, channel, stun, channel, channel}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				a, b := New(near, c.framing), New(far, c.framing)
				defer a.Close()
				defer b.Close()
				for _, d := range c.sent {
					if err := a.Write(d); err != nil {
						t.Fatal(err)
					}
				}
				buf := make([]byte, maxDatagram)
				for i, want := range c.sent {
					n, err := b.Read(buf)
					if err != nil || !bytes.Equal(buf[:n], want) {
						t.Errorf("datagram %d: %x, %v; want %x", i, buf[:n], err, want)
					}
				}
			})
		})
	}
}

func TestASlowReaderLosesDatagramsAndKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe() // holds nothing: a reader that takes nothing stalls it
		a, b := New(near, Length), New(far, Length)
		defer b.Close()
		lost := 0
		for i := range uint32(1000) {
			d := binary.BigEndian.AppendUint32(nil, i)
			switch err := a.Write(append(d, make([]byte, 1196)...)); {
			case errors.Is(err, ErrFull):
				lost++
			case err != nil:
				t.Fatal(err)
			}
		}
		if lost < 700 || uint64(lost) != a.Dropped() {
			t.Errorf("%d of 1000 lost, Dropped says %d; 128 KiB hold about a hundred", lost, a.Dropped())
		}
		buf := make([]byte, maxDatagram)
		last := -1
		for range 1000 - lost {
			n, err := b.Read(buf)
			if err != nil || n != 1200 {
				t.Fatalf("%d bytes, %v: what was taken comes whole", n, err)
			}
			if i := int(binary.BigEndian.Uint32(buf)); i <= last {
				t.Fatalf("%d after %d", i, last)
			} else {
				last = i
			}
		}
		// Who takes nothing for long is given up, and does not hold a goroutine.
		for range 3 {
			a.Write(make([]byte, 1200))
		}
		<-a.Done()
		if err := a.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after the stall: %v", err)
		}
	})
}

func TestWhatIsNoFrameIsAnError(t *testing.T) {
	for name, c := range map[string]struct {
		framing Framing
		bytes   []byte
		want    error
	}{
		"too long":         {Length, []byte{0xff, 0xff, 1}, ErrFrame},
		"an HTTP request":  {TURN, []byte("GET / HTTP/1.1\r\n"), ErrFrame},
		"a STUN giant":     {TURN, []byte{0, 1, 0xff, 0xfc, 0, 0}, ErrFrame},
		"cut off":          {Length, []byte{0, 9, 1, 2}, io.ErrUnexpectedEOF},
		"nothing but ends": {Length, []byte{0, 0, 0, 0}, io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := net.Pipe()
			c2 := New(far, c.framing)
			defer c2.Close()
			go func() {
				near.Write(c.bytes)
				near.Close()
			}()
			if n, err := c2.Read(make([]byte, 1500)); !errors.Is(err, c.want) {
				t.Errorf("%d, %v; want %v", n, err, c.want)
			}
		})
	}
}
