package rival

import (
	"io"
	"net"
	"sync"
)

// readBytes is what a stream is read by: as much as io.Copy would, or more.
const readBytes = 128 << 10

// A stream is a Conn over anything that is a stream of bytes.
type stream struct {
	rw      io.ReadWriter
	request []byte
	buf     []byte
	once    sync.Once
	end     func() // ends it, and what was opened for it alone
	// repeated counts what was sent again; nil if nobody does.
	repeated func() (part, of int64, ok bool)
}

func newStream(rw io.ReadWriter, request []byte, end func()) *stream {
	return &stream{rw: rw, request: request, buf: make([]byte, readBytes), end: end}
}

// ask sends the request of the end that dialed.
func ask(rw io.ReadWriter, request []byte, end func()) (Conn, error) {
	if _, err := rw.Write(request); err != nil {
		end()
		return nil, err
	}
	return newStream(rw, request, end), nil
}

// answer reads the request at the end that was dialed, and serves.
func answer(rw io.ReadWriter, repeated func() (part, of int64, ok bool), end func(), serve func(Conn)) {
	request := make([]byte, RequestBytes)
	if _, err := io.ReadFull(rw, request); err != nil {
		end()
		return
	}
	c := newStream(rw, request, end)
	c.repeated = repeated
	serve(c)
}

func (s *stream) Request() []byte { return s.request }

func (s *stream) Next() ([]byte, error) {
	n, err := s.rw.Read(s.buf)
	if n > 0 {
		return s.buf[:n], nil
	}
	if err == nil {
		return nil, io.ErrNoProgress
	}
	return nil, err
}

func (s *stream) Write(p []byte) (int, error) { return s.rw.Write(p) }

// Repeated is Repeater's.
func (s *stream) Repeated() (part, of int64, ok bool) {
	if s.repeated == nil {
		return 0, 0, false
	}
	return s.repeated()
}

func (s *stream) Close() error {
	s.once.Do(s.end)
	return nil
}

// A listener is a Listener over a net.Listener, or what resembles one.
type listener struct {
	peer Peer
	once sync.Once
	end  func()
}

func (l *listener) Peer() Peer { return l.peer }

func (l *listener) Close() error {
	l.once.Do(l.end)
	return nil
}

// accept serves every connection of a net.Listener until it is closed.
func accept(l net.Listener, open func(net.Conn) (io.ReadWriter, error), serve func(Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			rw, err := open(c)
			if err != nil {
				c.Close()
				return
			}
			answer(rw, repeatedBy(c), func() { c.Close() }, serve)
		}()
	}
}

// udpSocket opens a socket at a place.
func udpSocket(at Place) (c *net.UDPConn, err error) {
	err = at.do(func() (err error) {
		c, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at.Addr))
		return err
	})
	if err != nil {
		return nil, err
	}
	// More room in the kernel is what every one of them advises; it may give less.
	c.SetReadBuffer(udpBufferBytes)
	c.SetWriteBuffer(udpBufferBytes)
	return c, nil
}

// udpBufferBytes is more than quic-go asks for, which asks for the most (7 MB).
const udpBufferBytes = 8 << 20
