package signal

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/tracker"
	"github.com/xp2p/xp2p/lib/wire"
)

// An announcer is somebody with a key, a seed and an address.
type announcer struct {
	key  ed25519.PrivateKey
	seed byte
	at   string
}

func newAnnouncer(n byte, at string) announcer {
	return announcer{ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, 32)), n, at}
}

func (a announcer) announce(room string, at int64) *wire.SignalAnnounce {
	m := &wire.SignalAnnounce{Mode: "vod", Container: "raw", RoomKey: keyOf(a.seed + 100), Seed: keyOf(a.seed), TimeMS: at}
	m.Sign(a.key, room)
	return m
}

func (a announcer) hello() *wire.SignalHello {
	h := hello(a.seed)
	h.Role = wire.RoleSeed
	return h
}

// say says messages in a session of its own, until one is refused.
func (a announcer) say(s *Server, room string, messages ...wire.Signal) (tracker.Session, error) {
	session, _ := s.enter()
	for _, m := range messages {
		if _, err := s.take(session, arrival{room: room, remote: netip.MustParseAddr(a.at)}, m); err != nil {
			s.leave(session)
			return session, err
		}
	}
	return session, nil
}

func TestTheFirstWhoAnnouncesANameHasIt(t *testing.T) {
	s := testServer(t, func(c *ServerConfig) {
		c.MaxGuests, c.GuestTopology = 2, "balanced"
		c.Own = func(room string) bool { return room == "archive" }
	})
	home, thief := newAnnouncer(1, "203.0.113.1"), newAnnouncer(2, "203.0.113.2")
	first, err := home.say(s, "film", home.announce("film", 10), home.hello())
	if err != nil {
		t.Fatal(err)
	}
	r, _ := http.NewRequest(http.MethodGet, "/v1/rooms/film", nil)
	d, ok := s.guestDocument(r, "film")
	if !ok || !d.AtHome || d.Mode != "vod" || d.RoomKey != keyOf(101) {
		t.Errorf("the document: %+v", d)
	}

	forged := home.announce("film", 11)
	forged.RoomKey = keyOf(50)
	for _, c := range []struct {
		what string
		who  announcer
		room string
		say  []wire.Signal
		want error
	}{
		{"another key", thief, "film", []wire.Signal{thief.announce("film", 20)}, errGuestTaken},
		{"what was heard, said again", thief, "film", []wire.Signal{home.announce("film", 10)}, errGuestOld},
		{"another room's announcement", thief, "film2", []wire.Signal{home.announce("film", 20)}, errGuestForged},
		{"a forged one", thief, "film", []wire.Signal{forged}, errGuestForged},
		{"a recording of the operator's", thief, "archive", []wire.Signal{thief.announce("archive", 1)}, errGuestTaken},
		{"a seed without an announcement", thief, "film", []wire.Signal{thief.hello()}, tracker.ErrForbidden},
		{"a seed in the operator's live room", thief, "match", []wire.Signal{thief.announce("match", 1), thief.hello()}, tracker.ErrForbidden},
		{"another seed than was announced", thief, "other", []wire.Signal{thief.announce("other", 1), home.hello()}, tracker.ErrForbidden},
		{"a hello before any announcement", thief, "nobodys", []wire.Signal{thief.hello()}, tracker.ErrNoRoom},
	} {
		if _, err := c.who.say(s, c.room, c.say...); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}
	// The third name is one too many ("other" is still held).
	if _, err := thief.say(s, "third", thief.announce("third", 1)); !errors.Is(err, tracker.ErrFull) {
		t.Errorf("beyond the bound: %v", err)
	}

	// The line fails, and the announcer comes back from another address.
	away := home
	away.at = "198.51.100.7"
	again, err := away.say(s, "film", home.announce("film", 30), home.hello())
	if err != nil {
		t.Fatal(err)
	}
	s.leave(first)
	s.mu.Lock()
	s.tendGuests(time.Now().Add(2 * guestHold))
	s.mu.Unlock()
	if got := s.Guests(); !slices.Equal(got, []string{"film"}) {
		t.Errorf("rooms after the thief's has run out: %v", got)
	}
	// With a goodbye the name is free at once.
	if _, err := s.take(again, arrival{room: "film"}, &wire.SignalBye{}); err != nil {
		t.Fatal(err)
	}
	if _, err := thief.say(s, "film", thief.announce("film", 1), thief.hello()); err != nil {
		t.Errorf("after the goodbye: %v", err)
	}
}

func TestOneAddressDoesNotTakeAllPlaces(t *testing.T) {
	s := testServer(t, func(c *ServerConfig) { c.MaxGuests, c.GuestTopology = 100, "balanced" })
	one := newAnnouncer(1, "203.0.113.1")
	names := "abcdefghijkl"
	n := 0
	for i := range names {
		if _, err := one.say(s, names[i:i+1], one.announce(names[i:i+1], 1)); err == nil {
			n++
		} else if !errors.Is(err, tracker.ErrFull) {
			t.Fatal(err)
		}
	}
	if n != maxGuestsPerAddr {
		t.Errorf("%d rooms from one address", n)
	}
}

// A home seed's client announces anew each time that it connects.
func TestAnAnnouncementComesBeforeTheHello(t *testing.T) {
	s := testServer(t, func(c *ServerConfig) { c.MaxGuests, c.GuestTopology = 2, "balanced" })
	web := httptest.NewServer(s)
	defer web.Close()
	url := web.URL
	home := newAnnouncer(1, "127.0.0.1")
	said := int64(0)
	c := Dial(t.Context(), ClientConfig{URL: url + "/v1/rooms/film/signal", Hello: home.hello(), Announce: func() *wire.SignalAnnounce {
		said++
		return home.announce("film", said)
	}})
	defer c.Close()
	for ev := range c.Events() {
		if _, ok := ev.Signal.(*wire.SignalWelcome); ok {
			break
		}
		if ev.Kind == Down {
			t.Fatal(ev.Err)
		}
	}
	d, err := FetchRoom(t.Context(), nil, url+"/v1/rooms/film")
	if err != nil || len(d.Seeds) != 1 || d.Seeds[0].Key != keyOf(1) || len(d.Seeds[0].Addrs) != 1 || d.Topology != "balanced" {
		t.Errorf("%v: %+v", err, d)
	}
	if _, err := FetchRoom(t.Context(), nil, url+"/v1/rooms/nobodys"); !errors.Is(err, ErrNoRoom) {
		t.Errorf("a room that nobody has announced: %v", err)
	}
}
