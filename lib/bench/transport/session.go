package transport

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/xp2p/xp2p/lib/bench/rival"
)

// sessions are the connections of an end that was dialed: it does what their
// requests ask for.
type sessions struct {
	start time.Time // the line of time that live messages are stamped on

	mu     sync.Mutex
	open   []rival.Conn
	closed bool
	sent   int64         // live messages
	sunk   *tally        // bytes that came
	part   int64         // bytes sent again, by the transports' own word
	of     int64         // bytes sent
	knows  float64       // bit/s, what XNTP first took for the capacity
	after  time.Duration // how long after it was dialed
	wg     sync.WaitGroup
}

func newSessions(start time.Time) *sessions {
	return &sessions{start: start, sunk: newTally(start)}
}

// serve carries out the request of a connection.
func (s *sessions) serve(c rival.Conn) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		c.Close()
		return
	}
	s.open = append(s.open, c)
	s.wg.Add(1)
	s.mu.Unlock()
	defer s.wg.Done()
	r, err := parseRequest(c.Request())
	if err != nil {
		return
	}
	switch r.kind {
	case askObject:
		err = writeObject(c, r.size)
	case askBulk:
		err = writeBulk(c)
	case askPaced:
		err = writePaced(c, r.rate, r.last)
	case askLive:
		err = s.writeLive(c, r)
	case askSink:
		s.sink(c)
		return
	}
	if err == nil {
		c.Next() // the other end ends it when it has what it wanted
	}
}

// note asks a transport what it sent again, and what it takes the link for.
func (s *sessions) note(c rival.Conn) {
	if r, ok := c.(rival.Repeater); ok {
		if part, of, ok := r.Repeated(); ok {
			s.mu.Lock()
			s.part, s.of = s.part+part, s.of+of
			s.mu.Unlock()
		}
	}
	if k, ok := c.(interface {
		Capacity() (bps float64, after time.Duration, ok bool)
	}); ok {
		if v, after, ok := k.Capacity(); ok {
			s.mu.Lock()
			s.knows, s.after = v, after
			s.mu.Unlock()
		}
	}
}

// close ends what is left. A connection knows what it sent again until then, even
// if the other end is gone.
func (s *sessions) close() {
	s.mu.Lock()
	s.closed = true
	all := s.open
	s.open = nil
	s.mu.Unlock()
	for _, c := range all {
		s.note(c)
		c.Close()
	}
	s.wg.Wait()
}

// chunkBytes is how much is written at once where there is no end to it: what
// io.Copy between files and sockets would, twice over.
const chunkBytes = 64 << 10

func writeObject(c rival.Conn, size int64) error {
	for at := int64(0); at < size; {
		n := int(min(size-at, patternRun))
		if _, err := c.Write(content(at, n)); err != nil {
			return err
		}
		at += int64(n)
	}
	return nil
}

func writeBulk(c rival.Conn) error {
	for at := int64(0); ; at += chunkBytes {
		if _, err := c.Write(content(at, chunkBytes)); err != nil {
			return err
		}
	}
}

// pieceBytes is what is written at once when paced: a piece, as peers exchange
// them.
const pieceBytes = 16 << 10

func writePaced(c rival.Conn, rate int64, last time.Duration) error {
	start := time.Now()
	for at := int64(0); ; at += pieceBytes {
		due := time.Duration(float64(at) * 8e9 / float64(rate))
		if due >= last {
			return nil
		}
		time.Sleep(time.Until(start.Add(due)))
		if _, err := c.Write(content(at, pieceBytes)); err != nil {
			return err
		}
	}
}

// writeLive writes numbered messages, each with the time at which it was
// written.
func (s *sessions) writeLive(c rival.Conn, r request) error {
	start := time.Now()
	for i := int64(0); ; i++ {
		due := time.Duration(float64(i) * float64(r.message) * 8e9 / float64(r.rate))
		if due >= r.last {
			return nil
		}
		time.Sleep(time.Until(start.Add(due)))
		m := make([]byte, 0, r.message)
		m = binary.BigEndian.AppendUint64(m, uint64(i))
		m = binary.BigEndian.AppendUint64(m, uint64(time.Since(s.start)))
		m = append(m, content(i, r.message-minMessage)...)
		if _, err := c.Write(m); err != nil {
			return err
		}
		s.mu.Lock()
		s.sent++
		s.mu.Unlock()
	}
}

// sink takes what comes.
func (s *sessions) sink(c rival.Conn) {
	at := int64(0)
	for {
		p, err := c.Next()
		if err != nil {
			return
		}
		if !matches(at, p) {
			s.sunk.corrupt()
			return
		}
		at += int64(len(p))
		s.sunk.add(len(p))
	}
}
