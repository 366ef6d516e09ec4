// Package natprobe asks STUN servers how a peer looks from outside, and
// answers such questions (RFC 8489; the behaviour discovery of RFC 5780 builds
// on it). Tencent's talk calls the answering side the penetration server.
//
// Both sides are machines on Socket 0 that may stand beside others on the same
// port: each takes what it understands and drops the rest.
package natprobe

import (
	"crypto/ed25519"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

// Limits of a Responder. Our choice: a household or a carrier's NAT full of
// viewers starts without being cut, and a flood costs neither the uplink nor,
// at 25 µs for a signature, more than a small part of one core.
const (
	sourceRate   = 32 // answers a second to one IPv4 address or IPv6 /64
	sourceBurst  = 64
	totalRate    = 10_000 // answers a second to all
	totalBurst   = 2_000
	tokenRate    = 1_000 // signatures a second
	tokenBurst   = 1_000
	sourceSlots  = 4096 // sources that share a slot share its limit
	maxResponses = 256  // waiting to be sent; more are dropped
	// TokenLife is how long the word of a Responder on an address counts.
	TokenLife = 10 * time.Minute
)

// What an answer may weigh against its request on the wire, in percent:
// otherwise a forged source makes a STUN server a weapon. A bare IPv6 Binding
// cannot be answered in less than 1.35 times its size.
const (
	maxAmplification4 = 125
	maxAmplification6 = 136
	overhead4         = 20 + 8 // IP and UDP headers
	overhead6         = 40 + 8
)

// ResponderConfig configures a Responder.
type ResponderConfig struct {
	TokenKey ed25519.PrivateKey // nil: no address tokens
	Rand     *rand.Rand         // spreads sources over slots, so that nobody can aim at one
}

// ResponderStats counts what a Responder did.
type ResponderStats struct {
	Requests  uint64 // well-formed Binding requests
	Answered  uint64
	Tokens    uint64 // answers that carried a token
	Refused   uint64 // answered with an error: attributes that we do not know
	Malformed uint64 // and other messages that are no requests
	Limited   uint64 // over a limit: dropped
	Oversize  uint64 // the answer would have amplified: dropped
	Overflow  uint64 // too many answers were waiting: dropped
}

// A Responder answers Binding requests.
type Responder struct {
	cfg     ResponderConfig
	salt    uint64
	slots   []bucket
	total   bucket
	signing bucket
	queue   []response
	msg     wire.STUN
	stats   ResponderStats
}

type response struct {
	socket machine.Socket
	remote netip.AddrPort
	data   []byte
}

// NewResponder returns a responder.
func NewResponder(cfg ResponderConfig) *Responder {
	r := &Responder{cfg: cfg, slots: make([]bucket, sourceSlots)}
	if cfg.Rand != nil {
		r.salt = cfg.Rand.Uint64()
	}
	return r
}

// Receive implements machine.Machine.
func (r *Responder) Receive(now time.Time, p machine.Packet) {
	if r.msg.Parse(p.Data) != nil || r.msg.Class != wire.STUNRequest || r.msg.Method != wire.STUNBinding {
		r.stats.Malformed++
		return
	}
	r.stats.Requests++
	source := p.Remote.Addr().Unmap()
	if wire.CheckAddr(netip.AddrPortFrom(source.WithZone(""), p.Remote.Port())) != nil ||
		!source.IsLoopback() && !r.slots[r.slot(source)].take(now, sourceRate, sourceBurst) ||
		!r.total.take(now, totalRate, totalBurst) {
		r.stats.Limited++
		return
	}
	if len(r.queue) >= maxResponses {
		r.stats.Overflow++
		return
	}
	b := r.answer(now, netip.AddrPortFrom(source.WithZone(""), p.Remote.Port()), len(p.Data))
	if b != nil {
		r.queue = append(r.queue, response{p.Socket, p.Remote, b})
	}
}

// answer builds the answer to r.msg, a request of size bytes from source; nil
// if none may be given.
func (r *Responder) answer(now time.Time, source netip.AddrPort, size int) []byte {
	m := &r.msg
	if len(m.Unknown) > 0 {
		// CHANGE-REQUEST is among them: a server with one address must not
		// pretend to have changed it (RFC 5780 §7.2).
		b := wire.AppendSTUNError(nil, m.Transaction, 420, m.Unknown, m.Fingerprint)
		if !fits(source, size, len(b)) {
			r.stats.Oversize++
			return nil
		}
		r.stats.Refused++
		return b
	}
	if m.WantsToken && r.cfg.TokenKey != nil && fits(source, size, wire.SizeSTUNSuccess(source, true, m.Fingerprint)) &&
		r.signing.take(now, tokenRate, tokenBurst) {
		token := wire.AppendToken(nil, r.cfg.TokenKey, source, now.Add(TokenLife))
		r.stats.Answered++
		r.stats.Tokens++
		return wire.AppendSTUNSuccess(nil, m.Transaction, source, token, m.Fingerprint)
	}
	b := wire.AppendSTUNSuccess(nil, m.Transaction, source, nil, m.Fingerprint)
	if !fits(source, size, len(b)) {
		r.stats.Oversize++
		return nil
	}
	r.stats.Answered++
	return b
}

// fits says whether an answer is small enough for its request, both as they
// are on the wire.
func fits(source netip.AddrPort, request, answer int) bool {
	if source.Addr().Is4() {
		return (answer+overhead4)*100 <= (request+overhead4)*maxAmplification4
	}
	return (answer+overhead6)*100 <= (request+overhead6)*maxAmplification6
}

// slot returns which limit a source counts under.
func (r *Responder) slot(a netip.Addr) int {
	b := a.As16()
	h := r.salt ^ binary.BigEndian.Uint64(b[:8])
	if a.Is4() {
		h ^= binary.BigEndian.Uint64(b[8:])
	}
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return int((h ^ h>>31) % sourceSlots)
}

// Advance implements machine.Machine. A responder never waits for anything.
func (r *Responder) Advance(time.Time) {}

// NextTimeout implements machine.Machine.
func (r *Responder) NextTimeout() time.Time { return time.Time{} }

// AppendDatagram implements machine.Machine.
func (r *Responder) AppendDatagram(_ time.Time, dst []byte) (p machine.Packet, ok bool) {
	if len(r.queue) == 0 {
		return p, false
	}
	a := r.queue[0]
	r.queue[0] = response{}
	if r.queue = r.queue[1:]; len(r.queue) == 0 {
		r.queue = nil
	}
	return machine.Packet{Socket: a.socket, Remote: a.remote, Data: append(dst, a.data...)}, true
}

// Stats returns what the responder did so far.
func (r *Responder) Stats() ResponderStats { return r.stats }

// A bucket fills at a rate up to a burst; each answer takes one.
type bucket struct {
	level float64
	at    time.Time
}

func (b *bucket) take(now time.Time, rate, burst float64) bool {
	if b.at.IsZero() {
		b.level = burst
	} else if d := now.Sub(b.at); d > 0 {
		b.level = min(burst, b.level+d.Seconds()*rate)
	}
	b.at = now
	if b.level < 1 {
		return false
	}
	b.level--
	return true
}
