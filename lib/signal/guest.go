package signal

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/xp2p/xp2p/lib/tracker"
	"github.com/xp2p/xp2p/lib/wire"
)

// Bounds of guests, our choices.
const (
	// guestHold is how long a room waits for an announcer that went without a
	// goodbye: a line that fails, or a program that is started again.
	guestHold = time.Minute
	// maxGuestsPerAddr is how many rooms may be announced from one IPv4 address or
	// IPv6 /64, so that nobody takes all places.
	maxGuestsPerAddr = 8
)

// Reasons why an announcement is refused.
var (
	errGuestTaken  = errors.New("the name is another's room")
	errGuestForged = errors.New("the announcement is not signed by who announces it")
	errGuestOld    = errors.New("there has been a later announcement")
)

// A guest is a room that its announcer brought to the tracker.
type guest struct {
	said    *wire.SignalAnnounce
	session tracker.Session // 0: gone, since left
	left    time.Time
	from    netip.Prefix
}

// announced takes an announcement. The first who announces a name has it for as
// long as he says so, and no longer than guestHold without a connection. The
// caller holds mu.
func (s *Server) announced(session tracker.Session, a arrival, m *wire.SignalAnnounce) error {
	g := s.guests[a.room]
	from := guestNetwork(a.remote)
	switch {
	case g == nil && s.tracker.Topology(a.room) != "":
		return nil // the operator's own: whether it may be a seed there, its hello says
	case s.cfg.MaxGuests == 0:
		return fmt.Errorf("%w: %.70q", tracker.ErrNoRoom, a.room)
	case !m.Verify(a.room):
		return fmt.Errorf("%w: %w", tracker.ErrForbidden, errGuestForged)
	case g == nil && s.cfg.Own != nil && s.cfg.Own(a.room), g != nil && g.said.Announcer != m.Announcer:
		return fmt.Errorf("%w: %w", tracker.ErrForbidden, errGuestTaken)
	case g != nil && m.TimeMS <= g.said.TimeMS:
		return fmt.Errorf("%w: %w", tracker.ErrForbidden, errGuestOld)
	case g != nil && (g.said.RoomKey != m.RoomKey || g.said.Mode != m.Mode || g.said.Container != m.Container):
		s.tracker.CloseRoom(a.room) // other viewers than those of the new stream
		delete(s.guests, a.room)
		g = nil
	}
	if g == nil {
		if err := s.admitGuest(a.room, from); err != nil {
			return err
		}
		g = &guest{}
		s.guests[a.room] = g
	}
	g.said, g.session, g.left, g.from = m, session, time.Time{}, from
	return nil
}

// admitGuest opens a room for a guest, if there is a place.
func (s *Server) admitGuest(room string, from netip.Prefix) error {
	if len(s.guests) >= s.cfg.MaxGuests {
		return fmt.Errorf("%w: %d rooms of guests", tracker.ErrFull, s.cfg.MaxGuests)
	}
	same := 0
	for _, g := range s.guests {
		if g.from == from {
			same++
		}
	}
	if same >= maxGuestsPerAddr && !from.Addr().IsLoopback() {
		return fmt.Errorf("%w: %d rooms of guests at one address", tracker.ErrFull, maxGuestsPerAddr)
	}
	return s.tracker.Open(time.Now(), room, s.cfg.GuestTopology)
}

// guestNetwork is what guests are counted by.
func guestNetwork(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

// isAnnouncer reports whether a session is that of a room's announcer, and the
// hello the announced seed's. The caller holds mu.
func (s *Server) isAnnouncer(session tracker.Session, room string, m *wire.SignalHello) bool {
	g := s.guests[room]
	return g != nil && g.session == session && m.Key == g.said.Seed && m.Role == wire.RoleSeed
}

// guestLeft notes that a session has ended; over says that it said goodbye. The
// caller holds mu.
func (s *Server) guestLeft(session tracker.Session, now time.Time, over bool) {
	for room, g := range s.guests {
		if g.session != session {
			continue
		}
		g.session, g.left = 0, now
		if over {
			s.endGuest(room)
		}
	}
}

func (s *Server) endGuest(room string) {
	delete(s.guests, room)
	s.tracker.CloseRoom(room)
}

// tendGuests ends the rooms whose announcers have not come back. The caller holds
// mu.
func (s *Server) tendGuests(now time.Time) {
	for room, g := range s.guests {
		if g.session == 0 && now.Sub(g.left) >= guestHold {
			s.endGuest(room)
		}
	}
}

// guestDocument describes a guest's room.
func (s *Server) guestDocument(r *http.Request, room string) (*wire.RoomDocument, bool) {
	s.mu.Lock()
	g := s.guests[room]
	var said wire.SignalAnnounce
	var seeds []wire.RoomSeed
	if g != nil {
		said, seeds = *g.said, s.tracker.Seeds(room)
	}
	s.mu.Unlock()
	if g == nil {
		return nil, false
	}
	d := &wire.RoomDocument{Origins: []string{}}
	if s.cfg.Guest != nil {
		d = s.cfg.Guest(r, room)
	}
	d.Mode, d.Container, d.RoomKey, d.AtHome = said.Mode, said.Container, said.RoomKey, true
	if len(seeds) == 0 { // nobody has seen its address yet
		d.Seeds = append(d.Seeds, wire.RoomSeed{Key: said.Seed, Addrs: []netip.AddrPort{}})
	}
	return d, true
}

// Guests returns the names of the rooms that are announced, in no order.
func (s *Server) Guests() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for room := range s.guests {
		names = append(names, room)
	}
	return names
}
