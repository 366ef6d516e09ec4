// Package stream carries datagrams in a byte stream, a TCP or TLS connection:
// where UDP is blocked, or a TURN client comes by TCP.
//
// A stream keeps every byte in order and waits for those who read slowly; what
// runs on datagrams wants neither. So nobody who writes ever waits: what a slow
// reader has not taken is bounded, and beyond it datagrams are lost, as in the
// queue of a router.
package stream

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A Framing says where in the stream a datagram ends.
type Framing uint8

const (
	// Length: two bytes of length, big endian, stand before each datagram, as in
	// RFC 4571. One of no bytes is dropped: it only shows that somebody is there.
	Length Framing = iota
	// TURN: STUN messages and ChannelData say themselves how long they are; the
	// latter are padded to a multiple of four bytes (RFC 8656 §12.5).
	TURN
)

// Our choices.
const (
	maxDatagram = 2048
	// maxWaiting is what may wait for a slow reader beside what the kernel holds:
	// 120 ms of 8 Mbit/s each, and room for a burst of some 80 datagrams.
	maxWaiting = 128 << 10
	sendBuffer = 128 << 10
	// stall is how long a reader may take nothing at all before it is given up.
	stall = 20 * time.Second
)

// Errors of Conn.
var (
	// ErrFull says that the reader is too slow: the datagram is lost.
	ErrFull = errors.New("stream: the other end reads too slowly")
	// ErrFrame says that what came is not what the framing says, or too long.
	ErrFrame = errors.New("stream: not a frame")
)

// A Conn carries datagrams in a connection. Read must be called by one goroutine
// at a time; all else may be called by any.
type Conn struct {
	conn    net.Conn
	framing Framing
	r       *bufio.Reader

	mu      sync.Mutex
	waiting []byte // whole frames
	spare   []byte
	wake    chan struct{} // one slot: something waits
	closed  chan struct{}
	once    sync.Once
	dropped atomic.Uint64
}

// New takes a connection over. Close ends it.
func New(conn net.Conn, f Framing) *Conn {
	under := conn
	for {
		inner, ok := under.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		under = inner.NetConn()
	}
	if c, ok := under.(interface{ SetWriteBuffer(int) error }); ok {
		c.SetWriteBuffer(sendBuffer) // a wish: more would only be a longer queue
	}
	c := &Conn{conn: conn, framing: f, r: bufio.NewReaderSize(conn, 2*maxDatagram), wake: make(chan struct{}, 1), closed: make(chan struct{})}
	go c.write()
	return c
}

// Read reads the next datagram. One that is longer than b, or no frame at all,
// ends the connection's use: where the next begins cannot be told.
func (c *Conn) Read(b []byte) (n int, err error) {
	for {
		n, pad, err := c.header()
		if err != nil {
			return 0, err
		}
		if n > len(b) {
			return 0, fmt.Errorf("%w: %d bytes", ErrFrame, n)
		}
		if _, err := io.ReadFull(c.r, b[:n]); err != nil {
			return 0, err
		}
		if _, err := c.r.Discard(pad); err != nil {
			return 0, err
		}
		if n > 0 {
			return n, nil
		}
	}
}

// header returns how long the next datagram is, and what is to be skipped behind
// it.
func (c *Conn) header() (n, pad int, err error) {
	if c.framing == Length {
		var h [2]byte
		_, err := io.ReadFull(c.r, h[:])
		return int(binary.BigEndian.Uint16(h[:])), 0, err
	}
	h, err := c.r.Peek(4)
	if err != nil {
		return 0, 0, err
	}
	if n, pad = turnSize(h); n == 0 {
		return 0, 0, fmt.Errorf("%w: it begins with %#x", ErrFrame, h[0])
	}
	return n, pad, nil
}

// turnSize is the size of the message that begins with h, and of the padding behind
// it; 0 if that is none.
func turnSize(h []byte) (n, pad int) {
	n = int(binary.BigEndian.Uint16(h[2:]))
	switch {
	case h[0] < 4: // RFC 7983
		return 20 + n, 0
	case h[0] >= 0x40 && h[0] < 0x80: // RFC 8656 §12 has less, and RFC 5766 §11 all of these
		return 4 + n, -n & 3
	}
	return 0, 0
}

// wholeTURN reports whether b is one message, padded or not.
func wholeTURN(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	n, pad := turnSize(b)
	return n > 0 && (len(b) == n || len(b) == n+pad)
}

// Write sends a datagram, or loses it: ErrFull. It never waits.
func (c *Conn) Write(b []byte) error {
	select {
	case <-c.closed:
		return net.ErrClosed
	default:
	}
	if size := len(b); size > maxDatagram || c.framing == TURN && !wholeTURN(b) {
		return fmt.Errorf("%w: %d bytes", ErrFrame, size)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting)+len(b)+4 > maxWaiting {
		c.dropped.Add(1)
		return ErrFull
	}
	if c.framing == Length {
		c.waiting = binary.BigEndian.AppendUint16(c.waiting, uint16(len(b)))
	}
	c.waiting = append(c.waiting, b...)
	if c.framing == TURN {
		c.waiting = append(c.waiting, make([]byte, -len(b)&3)...)
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return nil
}

// write hands what waits to the connection.
func (c *Conn) write() {
	defer c.Close()
	for {
		select {
		case <-c.wake:
		case <-c.closed:
			return
		}
		c.mu.Lock()
		out := c.waiting
		c.waiting, c.spare = c.spare[:0], nil
		c.mu.Unlock()
		c.conn.SetWriteDeadline(time.Now().Add(stall))
		for rest := out; len(rest) > 0; {
			n := len(rest)
			if c.framing == TURN { // clients, coturn's for one, take a TLS record for a message
				size, pad := turnSize(rest)
				n = min(n, size+pad)
			}
			if _, err := c.conn.Write(rest[:n]); err != nil {
				return
			}
			rest = rest[n:]
		}
		c.mu.Lock()
		c.spare = out
		c.mu.Unlock()
	}
}

// Dropped counts the datagrams that were lost because the reader was slow.
func (c *Conn) Dropped() uint64 { return c.dropped.Load() }

// Done is closed when the connection is.
func (c *Conn) Done() <-chan struct{} { return c.closed }

// Close ends the connection; what waits is lost.
func (c *Conn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		close(c.closed)
		err = c.conn.Close()
	})
	return err
}

// LocalAddr and RemoteAddr are the connection's.
func (c *Conn) LocalAddr() net.Addr  { return c.conn.LocalAddr() }
func (c *Conn) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }

// SetReadDeadline bounds the time that Read waits.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.conn.SetReadDeadline(t) }
