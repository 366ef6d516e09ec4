package xntp

import (
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/wire"
)

// receiveInitial handles an Initial. The cheap questions come first.
func (e *Endpoint) receiveInitial(now time.Time, from path, stamp time.Time, p *wire.Long, data []byte) {
	if stamp.IsZero() || stamp.After(now) {
		stamp = now
	}
	if len(data) < wire.HandshakeLen {
		e.counts.Foreign++ // it would not earn its answer
		return
	}
	if p.Version != wire.Version {
		e.reply(from, &wire.Long{Type: wire.PacketVersions, Dst: p.Src, Versions: []byte{0, 0, 0, wire.Version}})
		return
	}
	if len(p.Noise) < ephemeralLen {
		e.counts.Foreign++
		return
	}
	ephemeral := [ephemeralLen]byte(p.Noise)
	if c, known := e.handshakes[ephemeral]; known {
		if c == nil {
			e.counts.Replayed++
		} else {
			c.again(now, from, stamp, len(data))
			e.touch(c)
		}
		return
	}
	if e.half >= e.cfg.MaxHalf || len(e.conns) >= e.cfg.MaxConns {
		e.counts.Refused++
		return
	}
	proved := len(p.Cookie) > 0 && e.gate.believes(p.Cookie, now, from, p.Src)
	retry := !proved && !e.gate.free(now)
	if !proved && !retry {
		// A token's signature costs about as much as a handshake, so it is looked
		// at within the same bound.
		if len(p.Token) > 0 && e.cfg.VerifyToken != nil {
			proved = e.cfg.VerifyToken(e.cfg.TokenKeys, p.Token, from.addr, now)
		}
		retry = !proved && e.half >= e.cfg.MaxHalf/2
	}
	if retry {
		e.counts.Retried++
		e.reply(from, &wire.Long{
			Type: wire.PacketRetry, Version: wire.Version, Dst: p.Src,
			Cookie: e.gate.bake(epoch(now), from, p.Src),
		})
		return
	}
	in, err := e.readInitial(p)
	if err != nil || in.key == e.public {
		e.counts.Forged++
		return
	}
	e.accept(now, in, from, stamp, len(data), proved)
}

// accept begins the responder's side, unless the peer and we dial each other at
// once. Then the dial of the lower key is the one that counts: the lower keeps
// its own and does not answer, the higher turns its dial into the answer. So
// one connection results, under the id that Dial returned on either side.
func (e *Endpoint) accept(now time.Time, in *initial, from path, stamp time.Time, size int, proved bool) {
	var own *conn
	for _, c := range e.order {
		if c.state == stateDialing && c.key == in.key {
			own = c
			break
		}
	}
	early := append([]byte(nil), in.params.Early...)
	accepted := Event{Kind: EventAccepted, Key: in.key, Socket: from.socket, Addr: from.addr, Early: early}
	if own != nil && e.public.Compare(in.key) < 0 {
		e.remember(in.ephemeral, nil)
		if from != own.path.path {
			own.dial.other, own.dial.turn = from, false
		}
		own.dial.due = true // the way is open now
		own.event(accepted)
		e.touch(own)
		return
	}
	c := own
	if c == nil {
		var err error
		if c, err = e.newConn(now); err != nil {
			e.counts.Refused++
			return
		}
	} else {
		for _, other := range slices.Clone(e.order) {
			if other != c && other.state == stateDialing && other.key == c.key {
				other.gone(now, ClosedReplaced, 0)
			}
		}
	}
	if err := c.respond(now, in, from, size, proved); err != nil {
		c.gone(now, ClosedHandshake, 0)
		return
	}
	c.asked(stamp, size)
	e.half++
	e.remember(in.ephemeral, c)
	c.event(accepted)
	e.touch(c)
}

// remember names a handshake, and forgets the oldest that is over.
func (e *Endpoint) remember(ephemeral [ephemeralLen]byte, c *conn) {
	e.handshakes[ephemeral] = c
	if len(e.recent) < maxRecent {
		e.recent = append(e.recent, ephemeral)
		return
	}
	old := e.recent[e.recentAt]
	delete(e.handshakes, old)
	e.recent[e.recentAt] = ephemeral
	e.recentAt = (e.recentAt + 1) % maxRecent
}

// simultaneous is how close in time two connections with one peer must open to
// be taken for two dials that crossed, and not for a peer that started anew.
const simultaneous = 3 * time.Second

// settle leaves one connection with a peer after c has become open.
//
// Whoever dialed has the last word on its own dial: it confirms one and forgets
// the others. Of two that crossed, the dial of the lower key stays. Otherwise
// the newer one does, because the peer may have lost the older.
func (e *Endpoint) settle(now time.Time, c *conn) {
	if !c.initiator {
		e.half--
	}
	lower := func(c *conn) bool { return c.initiator == (e.public.Compare(c.key) < 0) }
	for _, other := range slices.Clone(e.order) {
		if other == c || other.key != c.key {
			continue
		}
		switch other.state {
		case stateDialing:
			other.gone(now, ClosedReplaced, 0)
		case stateHalf:
			if !c.initiator || lower(c) {
				other.gone(now, ClosedReplaced, 0)
			}
		case stateOpen:
			loser := other
			if other.initiator != c.initiator && now.Sub(other.opened) < simultaneous && lower(other) {
				loser = c
			}
			loser.close(now, ClosedReplaced, codeReplaced)
			e.touch(loser)
			if loser == c {
				return
			}
		}
	}
}

// reply queues a stateless answer.
func (e *Endpoint) reply(to path, p *wire.Long) {
	if e.replies.n >= maxReplies {
		return
	}
	r := reply{to: to}
	r.n = copy(r.data[:], p.Append(r.data[:0]))
	e.replies.push(r)
}
