package machine

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"
	"unsafe"
)

const (
	conformSteps = 400
	// conformFlood is more than any machine may have to say at one instant:
	// 64 Mbit in one burst is a machine without pacing.
	conformFlood = 8192
	// conformTurns is how often a machine may want to be woken at one and the
	// same time before it is called a busy loop.
	conformTurns = 64
)

// Conform drives a machine the way strangers and sloppy drivers would, and
// returns the first way in which it breaks the contract. It feeds samples
// (true datagrams of the protocol, if there are any), mutations of them and
// noise; calls Advance early, late and twice; overwrites every buffer after
// use; and holds the machine against a twin that got the same input in
// buffers that nobody touched again. newMachine must return equal machines
// each time; start is their first now.
func Conform(newMachine func() Machine, start time.Time, samples ...[]byte) error {
	c := conformer{now: start, rng: rand.New(rand.NewPCG(1, 2)), samples: samples}
	c.m, c.twin = newMachine(), newMachine()
	c.buf, c.twinBuf = make([]byte, 0, 1<<16), make([]byte, 0, 1<<16)
	if err := c.settle(); err != nil {
		return fmt.Errorf("at birth: %w", err)
	}
	for i := range conformSteps {
		if err := c.step(); err != nil {
			return fmt.Errorf("step %d, %v in: %w", i, c.now.Sub(start), err)
		}
	}
	return nil
}

type conformer struct {
	m, twin      Machine
	now          time.Time
	rng          *rand.Rand
	samples      [][]byte
	buf, twinBuf []byte
}

func (c *conformer) step() error {
	switch c.rng.IntN(4) {
	case 0: // on time, if there is one within reach; a minute late otherwise
		if t := c.m.NextTimeout(); !t.IsZero() && t.After(c.now) {
			c.now = t
		} else {
			c.now = c.now.Add(time.Minute)
		}
	case 1: // early
		c.now = c.now.Add(time.Duration(c.rng.IntN(1000)) * time.Microsecond)
	case 2: // the same instant again
	case 3:
		for range 1 + c.rng.IntN(8) {
			c.receive()
		}
	}
	return c.settle()
}

func (c *conformer) receive() {
	p := Packet{
		Socket: Socket(c.rng.IntN(2)),
		Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(c.rng.IntN(4))}), uint16(1+c.rng.IntN(4))),
		Stamp:  c.now.Add(-time.Duration(c.rng.IntN(1000)) * time.Microsecond),
		ECN:    ECN(c.rng.IntN(4)),
	}
	data := c.datagram()
	p.Data = bytes.Clone(data)
	c.twin.Receive(c.now, p)
	p.Data = data
	c.m.Receive(c.now, p)
	for i := range data {
		data[i] = 0xa5
	}
}

// datagram makes up input: a sample, a damaged sample, or noise with any
// first byte (RFC 7983 tells protocols apart by it).
func (c *conformer) datagram() []byte {
	if len(c.samples) > 0 && c.rng.IntN(3) > 0 {
		d := bytes.Clone(c.samples[c.rng.IntN(len(c.samples))])
		switch c.rng.IntN(3) {
		case 0:
			if len(d) > 0 {
				d[c.rng.IntN(len(d))] ^= 1 << c.rng.IntN(8)
			}
		case 1:
			d = d[:c.rng.IntN(len(d)+1)]
		}
		return d
	}
	d := make([]byte, c.rng.IntN(1500))
	for i := range d {
		d[i] = byte(c.rng.Uint32())
	}
	return d
}

// settle keeps the rhythm at one instant until the machine has no more to say,
// and checks that it then waits for a later one.
func (c *conformer) settle() error {
	total := 0
	for range conformTurns {
		c.m.Advance(c.now)
		c.twin.Advance(c.now)
		c.m.Advance(c.now) // idempotent: the twin is told only once
		n, err := c.drain()
		if err != nil {
			return err
		}
		if total += n; total > conformFlood {
			return fmt.Errorf("%d datagrams at one instant", total)
		}
		a, b := c.m.NextTimeout(), c.twin.NextTimeout()
		if !a.Equal(b) {
			return fmt.Errorf("wants to wake at %v, its twin at %v", a, b)
		}
		if a.IsZero() || a.After(c.now) {
			return nil
		}
		if n == 0 {
			return fmt.Errorf("a busy loop: after Advance(%v) nothing to send, and NextTimeout is %v", c.now, a)
		}
	}
	return errors.New("a busy loop: it never lets time pass")
}

func (c *conformer) drain() (n int, err error) {
	for ; n <= conformFlood; n++ {
		a, ok := c.m.AppendDatagram(c.now, c.buf)
		b, twinOK := c.twin.AppendDatagram(c.now, c.twinBuf)
		if ok != twinOK {
			return n, errors.New("one of two equal machines has a datagram to send, the other has not")
		}
		if !ok {
			return n, nil
		}
		switch {
		case !bytes.Equal(a.Data, b.Data) || a.Remote != b.Remote || a.Socket != b.Socket || a.Segment != b.Segment:
			return n, errors.New("two equal machines send different datagrams: map order, a clock, or bytes of the caller that were kept")
		case len(a.Data) == 0:
			return n, errors.New("an empty datagram")
		case unsafe.SliceData(a.Data) != unsafe.SliceData(c.buf):
			return n, errors.New("the datagram is not in the buffer that the driver gave")
		case !a.Remote.IsValid():
			return n, errors.New("a datagram to nowhere")
		}
		for i := range a.Data {
			a.Data[i] = 0x5a
		}
		c.twinBuf = make([]byte, 0, 1<<16)
	}
	return n, nil
}
