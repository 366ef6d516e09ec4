package natprobe

import (
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

// Times of a Binding. The first answer decides how soon a peer can meet
// others, so tries follow each other faster than RFC 8489 §6.2.1 has them, with
// the same doubling: at 0, 50, 150, 350, 750, 1550 ms.
const (
	firstRetry = 50 * time.Millisecond
	maxTries   = 6
	// giveUp is the wait for an answer to the last try.
	giveUp = 1500 * time.Millisecond
	// again is the wait after a failure; it doubles up to againMax.
	again    = 5 * time.Second
	againMax = time.Minute
	// refresh is the wait after an answer, unless its token ends sooner.
	refresh = 2 * time.Minute
	// maxServers and maxBindingEvents bound what one Binding holds; at the
	// latter the oldest event is dropped.
	maxServers       = 16
	maxBindingEvents = 64
)

// BindingConfig configures a Binding.
type BindingConfig struct {
	Entropy io.Reader // transaction IDs
	Servers []netip.AddrPort
	// WantToken asks for address tokens.
	WantToken bool
	Socket    machine.Socket // the socket to ask from
}

// A BindingKind says what a BindingEvent tells.
type BindingKind uint8

const (
	Observed BindingKind = iota // a server answered
	Silent                      // a server did not answer; it will be asked again later
	Refused                     // a server answered with an error
)

// A BindingEvent is news from one server.
type BindingEvent struct {
	Kind   BindingKind
	Server netip.AddrPort
	Mapped netip.AddrPort // as the server sees us
	Moved  bool           // Mapped is not what this server said before
	RTT    time.Duration
	Token  wire.Token // nil: the server gives none
	Expiry time.Time  // of the token, by the server's clock
	Code   int        // of Refused
	Tries  int
}

// A Binding asks servers for our address, all at once, and keeps asking now
// and then. Every try is a transaction of its own, so that the time of an
// answer is never in doubt.
type Binding struct {
	cfg     BindingConfig
	servers []server
	alive   time.Duration // between two questions; 0: only when a token wants it
	events  []BindingEvent
	msg     wire.STUN
}

type server struct {
	addr   netip.AddrPort
	bare   bool      // the running question only keeps the mapping alive
	full   time.Time // when the next question is due that is more
	tries  []try     // of the running question, newest last
	due    time.Time // of the next try, or of the verdict; zero: now
	asking bool
	fails  int
	mapped netip.AddrPort
}

type try struct {
	id   wire.STUNTransaction
	sent time.Time
}

// NewBinding returns a machine that starts asking at once.
func NewBinding(cfg BindingConfig) *Binding {
	b := &Binding{cfg: cfg}
	b.SetServers(cfg.Servers)
	return b
}

// SetServers replaces the servers; those that stay keep their state.
func (b *Binding) SetServers(addrs []netip.AddrPort) {
	old := b.servers
	b.servers = nil
	for _, a := range addrs[:min(len(addrs), maxServers)] {
		a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
		same := func(s server) bool { return s.addr == a }
		if slices.ContainsFunc(b.servers, same) {
			continue
		}
		if i := slices.IndexFunc(old, same); i >= 0 {
			b.servers = append(b.servers, old[i])
		} else {
			b.servers = append(b.servers, server{addr: a, asking: true})
		}
	}
}

// SetKeepalive has every server asked so often, if d is not 0: so that NATs keep the
// mapping, and a change of it is noticed. Such a question asks for no token and makes
// no event, unless the mapping is another.
func (b *Binding) SetKeepalive(now time.Time, d time.Duration) {
	b.alive = d
	for i := range b.servers {
		s := &b.servers[i]
		if s.asking || s.fails > 0 || s.full.IsZero() {
			continue
		}
		if s.due = s.full; d > 0 && s.due.After(now.Add(d)) {
			s.due = now.Add(d)
		}
	}
}

// Probe asks all servers now: something about the network has changed.
func (b *Binding) Probe(now time.Time) {
	for i := range b.servers {
		b.servers[i].ask(now)
	}
}

func (s *server) ask(now time.Time) {
	s.asking, s.due, s.tries, s.bare = true, now, s.tries[:0], false
}

// Receive implements machine.Machine.
func (b *Binding) Receive(now time.Time, p machine.Packet) {
	if p.Socket != b.cfg.Socket || b.msg.Parse(p.Data) != nil || b.msg.Method != wire.STUNBinding ||
		b.msg.Class != wire.STUNSuccess && b.msg.Class != wire.STUNError {
		return
	}
	m := &b.msg
	from := netip.AddrPortFrom(p.Remote.Addr().Unmap(), p.Remote.Port())
	for k := range b.servers {
		s := &b.servers[k]
		i := slices.IndexFunc(s.tries, func(t try) bool { return t.id == m.Transaction })
		if s.addr != from || i < 0 || !s.asking {
			continue
		}
		at := now
		if !p.Stamp.IsZero() && p.Stamp.Before(now) && p.Stamp.After(s.tries[i].sent) {
			at = p.Stamp // when the kernel had it, not when we came round to it
		}
		e := BindingEvent{Server: s.addr, RTT: at.Sub(s.tries[i].sent), Tries: len(s.tries)}
		if m.Class == wire.STUNError {
			e.Kind, e.Code = Refused, m.ErrorCode
			s.fail(now)
		} else if wire.CheckAddr(m.Mapped) != nil || len(m.Unknown) > 0 {
			return // no answer to our question; another may come
		} else if s.bare {
			if s.mapped == m.Mapped {
				s.rest(now, b.alive)
			} else {
				s.ask(now) // with all that goes with it
			}
			return
		} else {
			b.observed(now, s, &e)
		}
		b.event(e)
		return
	}
}

// observed takes the answer in b.msg.
func (b *Binding) observed(now time.Time, s *server, e *BindingEvent) {
	e.Mapped = b.msg.Mapped
	e.Moved = s.mapped.IsValid() && s.mapped != e.Mapped
	s.mapped = e.Mapped
	s.asking, s.fails, s.tries = false, 0, s.tries[:0]
	s.due = now.Add(refresh)
	if addr, expiry, err := b.msg.Token.Parse(); err == nil && addr == e.Mapped {
		e.Token, e.Expiry = slices.Clone(b.msg.Token), expiry
		// The server's clock may be off; half of what is left is right if it is
		// not, and soon enough if it is.
		if half := expiry.Sub(now) / 2; half < refresh {
			s.due = now.Add(max(half, again))
		}
	}
	s.full = s.due
	s.rest(now, b.alive)
}

// rest waits for the next question: one that is due anyhow, or one that keeps the
// mapping alive.
func (s *server) rest(now time.Time, alive time.Duration) {
	s.asking, s.fails, s.tries, s.bare = false, 0, s.tries[:0], false
	if s.due = s.full; alive > 0 && s.due.After(now.Add(alive)) {
		s.due = now.Add(alive)
	}
}

// fail puts the next question off.
func (s *server) fail(now time.Time) {
	s.asking, s.tries = false, s.tries[:0]
	s.due = now.Add(min(again<<min(s.fails, 8), againMax))
	s.fails++
}

func (b *Binding) event(e BindingEvent) {
	if len(b.events) >= maxBindingEvents {
		b.events = slices.Delete(b.events, 0, 1)
	}
	b.events = append(b.events, e)
}

// NextEvent returns the next event.
func (b *Binding) NextEvent() (BindingEvent, bool) {
	if len(b.events) == 0 {
		return BindingEvent{}, false
	}
	e := b.events[0]
	if b.events = b.events[1:]; len(b.events) == 0 {
		b.events = nil
	}
	return e, true
}

// Advance implements machine.Machine.
func (b *Binding) Advance(now time.Time) {
	for i := range b.servers {
		s := &b.servers[i]
		if now.Before(s.due) {
			continue
		}
		switch {
		case !s.asking:
			bare := now.Before(s.full) && s.fails == 0
			s.ask(now)
			s.bare = bare
		case len(s.tries) >= maxTries:
			b.event(BindingEvent{Kind: Silent, Server: s.addr, Tries: len(s.tries)})
			s.fail(now)
		}
	}
}

// NextTimeout implements machine.Machine.
func (b *Binding) NextTimeout() (t time.Time) {
	for i := range b.servers {
		s := &b.servers[i]
		due := s.due
		if due.IsZero() {
			due = time.Unix(0, 0) // never asked: long since
		}
		if t.IsZero() || due.Before(t) {
			t = due
		}
	}
	return t
}

// AppendDatagram implements machine.Machine.
func (b *Binding) AppendDatagram(now time.Time, dst []byte) (p machine.Packet, ok bool) {
	for i := range b.servers {
		s := &b.servers[i]
		if !s.asking || now.Before(s.due) || len(s.tries) >= maxTries {
			continue
		}
		var id wire.STUNTransaction
		if _, err := io.ReadFull(b.cfg.Entropy, id[:]); err != nil {
			s.fail(now) // without entropy anybody could answer: ask nothing
			continue
		}
		s.tries = append(s.tries, try{id, now})
		if n := len(s.tries); n < maxTries {
			s.due = now.Add(firstRetry << (n - 1))
		} else {
			s.due = now.Add(giveUp)
		}
		return machine.Packet{
			Socket: b.cfg.Socket, Remote: s.addr, Data: wire.AppendSTUNRequest(dst, id, b.cfg.WantToken && !s.bare),
		}, true
	}
	return p, false
}
