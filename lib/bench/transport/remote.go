package transport

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/xp2p/xp2p/lib/bench/rival"
)

// Between two machines one end serves, the other asks: lines of JSON on a TCP
// connection, one order at a time.
//
//	→ {"version":1,"transport":"quic","workload":"bulk"}
//	← {"port":5202,"key":"…"}            or {"error":"…"}
//	   … the asking end dials, and measures …
//	→ {"done":true}
//	← {"bytes":…,"tenths":[…],…}         what the serving end saw
//
// Transports over UDP are served at the port of that connection; TCP is at the
// next one, so that a firewall needs to know two.

const (
	orderVersion = 1
	maxLine      = 1 << 20
	// maxTest bounds a measurement: who asked may be gone without a word.
	maxTest = time.Hour + 5*time.Minute
	// maxOrderTime bounds a stranger who says nothing, maxGuests how many of them.
	maxOrderTime = 10 * time.Second
	maxGuests    = 16
	// busyWait is how long one waits for another to end.
	busyWait = 3 * time.Second
)

type order struct {
	Version   int    `json:"version,omitempty"`
	Transport string `json:"transport,omitempty"`
	Done      bool   `json:"done,omitempty"`
}

type answer struct {
	Port  uint16 `json:"port,omitempty"`
	Key   string `json:"key,omitempty"`
	Error string `json:"error,omitempty"`

	Bytes    int64   `json:"bytes,omitempty"`
	Tenths   []int64 `json:"tenths,omitempty"`
	Corrupt  bool    `json:"corrupt,omitempty"`
	Repeated int64   `json:"repeated_bytes,omitempty"`
	Sent     int64   `json:"sent_bytes,omitempty"`
}

// A Server answers those who measure against this machine, one after another.
type Server struct {
	l      net.Listener
	turn   chan struct{} // full while somebody measures
	guests chan struct{} // who is connected
	wg     sync.WaitGroup
}

// NewServer listens. Only IPv4 is measured.
func NewServer(addr string) (*Server, error) {
	l, err := net.Listen("tcp4", addr)
	if err != nil {
		return nil, err
	}
	return &Server{l: l, turn: make(chan struct{}, 1), guests: make(chan struct{}, maxGuests)}, nil
}

// Addr is where it listens.
func (s *Server) Addr() netip.AddrPort { return s.l.Addr().(*net.TCPAddr).AddrPort() }

// Run serves until ctx ends. log hears of every measurement.
func (s *Server) Run(ctx context.Context, log func(from netip.AddrPort, what string, err error)) error {
	stop := context.AfterFunc(ctx, func() { s.l.Close() })
	defer stop()
	defer s.wg.Wait()
	for {
		c, err := s.l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case s.guests <- struct{}{}:
		default:
			c.Close()
			continue
		}
		s.wg.Go(func() {
			defer func() { <-s.guests }()
			defer c.Close()
			defer context.AfterFunc(ctx, func() { c.Close() })()
			c.SetDeadline(time.Now().Add(maxOrderTime))
			if err := s.answer(c, log); err != nil && ctx.Err() == nil {
				log(c.RemoteAddr().(*net.TCPAddr).AddrPort(), "", err)
			}
		})
	}
}

// A talk is a connection with lines of JSON.
type talk struct {
	conn net.Conn
	in   *bufio.Scanner
}

func newTalk(c net.Conn) *talk {
	t := &talk{c, bufio.NewScanner(c)}
	t.in.Buffer(nil, maxLine)
	return t
}

func (t *talk) say(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = t.conn.Write(append(b, '\n'))
	return err
}

func (t *talk) hear(v any) error {
	if !t.in.Scan() {
		if err := t.in.Err(); err != nil {
			return err
		}
		return errors.New("the other end has gone")
	}
	return json.Unmarshal(t.in.Bytes(), v)
}

// answer carries out one order.
func (s *Server) answer(c net.Conn, log func(netip.AddrPort, string, error)) error {
	t := newTalk(c)
	var o order
	if err := t.hear(&o); err != nil {
		return err
	}
	fail := func(err error) error {
		t.say(answer{Error: err.Error()})
		return err
	}
	if o.Version != orderVersion {
		return fail(fmt.Errorf("version %d: want %d", o.Version, orderVersion))
	}
	spec, err := rival.Find(o.Transport)
	if err == nil {
		err = spec.Missing()
	}
	if err == nil && spec.LiveOnly {
		err = errors.New("it has live messages only")
	}
	if err != nil {
		return fail(err)
	}
	select {
	case s.turn <- struct{}{}:
	case <-time.After(busyWait):
		return fail(errors.New("somebody else is measuring: try again later"))
	}
	c.SetDeadline(time.Now().Add(maxTest))
	a, err := s.measure(t, spec, log)
	<-s.turn
	if err != nil {
		return fail(err)
	}
	return t.say(a)
}

// measure serves until the asking end is done. Everything is closed when it
// returns, so that the next may have the ports.
func (s *Server) measure(t *talk, spec rival.Spec, log func(netip.AddrPort, string, error)) (a answer, err error) {
	tr, err := spec.New(rival.Options{})
	if err != nil {
		return a, err
	}
	local := t.conn.LocalAddr().(*net.TCPAddr).AddrPort()
	at := netip.AddrPortFrom(local.Addr().Unmap(), local.Port())
	if !spec.UDP {
		at = netip.AddrPortFrom(at.Addr(), at.Port()+1)
	}
	served := newSessions(time.Now())
	l, err := tr.Listen(rival.Place{Addr: at}, served.serve)
	if err != nil {
		return a, err
	}
	defer l.Close()
	defer served.close()
	log(t.conn.RemoteAddr().(*net.TCPAddr).AddrPort(), spec.Name, nil)
	p := l.Peer()
	if err := t.say(answer{Port: p.Addr.Port(), Key: p.Key}); err != nil {
		return a, err
	}
	var o order
	if err := t.hear(&o); err != nil {
		return a, err
	}
	served.close()
	n := served.sunk.count()
	return answer{Bytes: n.bytes, Tenths: n.tenths, Corrupt: n.wrong, Repeated: served.part, Sent: served.of}, nil
}

// DoRemote carries out a plan against a server: a cold object comes from it, and
// in bulk this end sends, as with iperf3, or the server, if reverse. Its Link has
// the kind Remote.
func (p *Plan) DoRemote(ctx context.Context, server string, reverse bool, progress func(Progress)) ([]Result, error) {
	return p.do(ctx, func(ctx context.Context, s rival.Spec, _ uint64) (Sample, error) {
		return p.runRemote(ctx, server, s, reverse)
	}, progress)
}

// ErrServer says that a server could not be reached, or would not serve.
var ErrServer = errors.New("no measurement with this server")

func (p *Plan) runRemote(ctx context.Context, server string, spec rival.Spec, reverse bool) (s Sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.patience())
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp4", server)
	if err != nil {
		return s, fmt.Errorf("%w: %w", ErrServer, err)
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	t := newTalk(c)
	if err := t.say(order{Version: orderVersion, Transport: spec.Name}); err != nil {
		return s, fmt.Errorf("%w: %w", ErrServer, err)
	}
	var a answer
	if err := t.hear(&a); err != nil {
		return s, fmt.Errorf("%w: %w", ErrServer, err)
	}
	if a.Error != "" {
		return s, fmt.Errorf("%w: %s", ErrServer, a.Error)
	}
	tr, err := spec.New(rival.Options{})
	if err != nil {
		return s, err
	}
	ip := c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	st := &stage{bed: remoteBed{c.LocalAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()}, start: time.Now(), serve: newSessions(time.Now())}
	defer st.close()
	own := &party{st, 0, tr, rival.Peer{Addr: netip.AddrPortFrom(ip, a.Port), Key: a.Key}}
	switch {
	case p.Workload == Cold:
		s.Failed = p.cold(ctx, own, &s)
	case reverse:
		s.Failed = p.bulk(ctx, own, &s)
	default:
		s.Failed = p.upload(ctx, own, &s)
	}
	st.close()
	if err := errors.Join(t.say(order{Done: true}), t.hear(&a)); err != nil {
		return s, fmt.Errorf("%w: %w", ErrServer, err)
	}
	if p.Workload == Bulk && !reverse {
		s.Bytes, s.Tenths = a.Bytes, a.Tenths
		s.Goodput = float64(a.Bytes) * 8 / s.Over.Seconds()
		if a.Corrupt {
			s.Failed = errCorrupt
		}
	} else if a.Sent > 0 {
		s.Repeated, s.KnowsRepeated = float64(a.Repeated)/float64(a.Sent), true
	}
	return s, nil
}

// upload sends as much as gets through; what came is the server's to say.
func (p *Plan) upload(ctx context.Context, own *party, s *Sample) error {
	start := time.Now()
	var flows []*flow
	for range max(1, p.Parallel) {
		f, err := own.dial(ctx, request{kind: askSink}, start)
		if err != nil {
			return err
		}
		flows = append(flows, f)
	}
	errs := make(chan error, len(flows))
	for _, f := range flows {
		go func() { errs <- writeBulk(f.conn) }()
	}
	c := crowd{ctx: ctx, start: start, errs: errs}
	err := c.until(p.Duration)
	s.Over = time.Since(start)
	return err
}

// remoteBed has only one of the two ends.
type remoteBed struct{ local netip.Addr }

func (b remoteBed) place() rival.Place                          { return rival.Place{Addr: netip.AddrPortFrom(b.local, 0)} }
func (b remoteBed) server() rival.Place                         { return b.place() }
func (b remoteBed) client(int) rival.Place                      { return b.place() }
func (remoteBed) route(p rival.Peer, _ int) (rival.Peer, error) { return p, nil }
func (remoteBed) report() emulated                              { return emulated{} }
func (remoteBed) close()                                        {}
