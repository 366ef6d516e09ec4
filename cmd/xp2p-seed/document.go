package main

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/xp2p/xp2p/lib/origin"
	"github.com/xp2p/xp2p/lib/wire"
)

// document says all that a viewer needs to join a room. The tracker adds the
// topology, the time and where to signal.
func (s *seed) document(r *http.Request, name string) (*wire.RoomDocument, bool) {
	room, err := s.rooms.Room(name)
	if err != nil {
		return nil, false
	}
	newest, err := json.Marshal(origin.NewestOf(room))
	if err != nil {
		return nil, false
	}
	d := &wire.RoomDocument{
		Mode: "live", Container: room.Container().String(), RoomKey: wire.Key(room.Key()), Newest: newest, Topology: s.o.topology,
		Renditions: s.manifests.get(name),
	}
	if room.VOD() {
		d.Mode = "vod"
	}
	base := "/"
	if s.o.public != "" {
		base = s.o.public
	}
	if s.o.serves(partOrigin) {
		d.Origins = append(d.Origins, base)
	}
	for _, up := range s.o.pulls {
		if up.Room == name {
			d.Origins = append(d.Origins, up.Base)
		}
	}
	s.describe(r, name, d)
	if at, ok := s.reached(r); ok && s.o.serves(partSeed) && !room.VOD() {
		d.Seeds = []wire.RoomSeed{{Key: wire.Key(s.id.xntp.Public()), Addrs: []netip.AddrPort{at}, TCP: strings.TrimSuffix(base, "/") + tcpPath}}
	}
	return d, true
}

// reached is the address at which whoever made the request reaches the node.
func (s *seed) reached(r *http.Request) (netip.AddrPort, bool) {
	if s.ep == nil {
		return netip.AddrPort{}, false
	}
	return s.seenAt(r, 0)
}

// describe adds what does not depend on whose the room is: where to report to, whom
// to ask for one's address.
func (s *seed) describe(r *http.Request, name string, d *wire.RoomDocument) {
	switch {
	case s.o.log != "":
		d.Log = s.o.log + "/v1/rooms/" + name + "/log"
	case s.o.serves(partLog):
		d.Log = "/v1/rooms/" + name + "/log"
	}
	d.STUN = slices.Clone(s.o.stun)
	if len(s.o.tokenKeys) > 0 {
		d.TokenKey = &s.o.tokenKeys[0]
	}
	s.describeRelay(d, name)
	s.describeSTUN(r, d)
}
