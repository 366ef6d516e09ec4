package tracker

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
)

// maxPunches is how many punch messages wait for one peer; what is beyond is
// dropped, and its sender tries again.
const maxPunches = 32

// Punch passes on what a peer says to another whom it knows.
func (t *Tracker) Punch(now time.Time, session Session, m *wire.SignalPunch) error {
	p := t.sessions[session]
	if p == nil {
		return fmt.Errorf("%w: a punch before the hello", ErrProtocol)
	}
	t.clock = now
	o := p.room.peers[m.Peer]
	if o == nil || !t.keyed() || !p.placed || !o.placed || p.isBanned() || o.isBanned() || !p.knows(o) || len(o.punches) >= maxPunches {
		return nil // he has gone, or is not to be disturbed
	}
	var fresh []netip.AddrPort
	for _, token := range m.Tokens {
		if addr, _, err := token.Parse(); err == nil && t.vouched(token, addr, now) && !slices.Contains(fresh, addr) {
			fresh = append(fresh, addr)
		}
	}
	var addrs []netip.AddrPort
	if len(fresh) > 0 {
		addrs = known(o, fresh, privateHosts(m.Hosts))
	} else {
		addrs = known(o, p.observed, p.hello.Hosts)
	}
	for _, a := range m.Relayed {
		if slices.Contains(t.cfg.Relays, a.Addr()) && !slices.Contains(addrs, a) {
			addrs = append(addrs, a)
		}
	}
	if len(addrs) > wire.MaxSignalAddrs {
		addrs = addrs[:wire.MaxSignalAddrs]
	}
	o.punches = append(o.punches, &wire.SignalPunch{
		Peer: p.id, Session: m.Session, Round: m.Round, Answer: m.Answer, Relay: m.Relay, NAT: m.NAT, RTTms: m.RTTms, Addrs: addrs,
		MAC: t.macKey(p, o, m.Session),
	})
	t.queue(o)
	return nil
}

// keyed says whether there is what keys are made from: it is drawn when the first is
// needed.
func (t *Tracker) keyed() bool {
	if t.punchKey != nil || t.cfg.Entropy == nil {
		return t.punchKey != nil
	}
	key := make([]byte, 32)
	if _, err := io.ReadFull(t.cfg.Entropy, key); err != nil {
		return false
	}
	t.punchKey = key
	return true
}

// knows says whether the topology has made neighbours of two peers, either way.
func (p *peer) knows(o *peer) bool {
	for _, x := range [2][2]*peer{{p, o}, {o, p}} {
		if v, ok := p.room.top.View(topology.ID(x[0].id)); ok {
			if _, ok := v.Member(topology.ID(x[1].id)); ok {
				return true
			}
		}
	}
	return p.hello.Role == wire.RoleSeed || o.hello.Role == wire.RoleSeed
}

// macKey is the same for both of a pair in one session of theirs. Nothing need be
// kept for it.
func (t *Tracker) macKey(p, o *peer, session uint64) (k wire.Key) {
	h := hmac.New(sha256.New, t.punchKey)
	h.Write([]byte("xp2p punch\x00" + p.room.name + "\x00"))
	for _, v := range []uint64{uint64(min(p.id, o.id)), uint64(max(p.id, o.id)), session} {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], v)
		h.Write(b[:])
	}
	h.Sum(k[:0])
	return k
}
