// Package natprobe asks STUN servers how a peer looks from outside, and
// answers such questions (RFC 8489, and the behaviour discovery of RFC 5780).
// Tencent's talk calls the answering side the penetration server.
//
// A Binding keeps asking for one socket's address, a Prober finds out once
// what kind of NAT stands between, and a Responder answers both. All are
// machines; Binding and Responder may stand beside others on the same port: each
// takes what it understands and drops the rest.
package natprobe

import (
	"crypto/ed25519"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

// Limits of a Responder. Our choice: a household or a carrier's NAT full of
// viewers starts without being cut, or has its network named, which takes some
// forty answers; and a flood costs neither the uplink nor,
// at 25 µs for a signature, more than a small part of one core.
const (
	sourceRate   = 128 // answers a second to one IPv4 address or IPv6 /64
	sourceBurst  = 512
	totalRate    = 10_000 // answers a second to all
	totalBurst   = 2_000
	tokenRate    = 1_000 // signatures, made or looked at, a second
	tokenBurst   = 1_000
	sourceSlots  = 4096 // sources that share a slot share its limit
	maxResponses = 256  // waiting to be sent, and one more where one request has two; more are dropped
	// TokenLife is how long the word of a Responder on an address counts.
	TokenLife = 10 * time.Minute
	// MaxDelay is the longest wait for an answer that was asked to be late.
	MaxDelay   = 5 * time.Minute
	maxDelayed = 1024 // answers that wait for their time; more are dropped
)

// What an answer may weigh against its request on the wire, in percent:
// otherwise a forged source makes a STUN server a weapon. A bare IPv6 Binding
// cannot be answered in less than 92 bytes for its 68, 1.353 times; so one in some
// 400 of them is not, where they come fast, and all together bring no more than
// 1.35 times.
const (
	maxAmplification4 = 125
	maxAmplification6 = 136
	longRun6          = 135
	overhead4         = 20 + 8 // IP and UDP headers
	overhead6         = 40 + 8
)

// ResponderConfig configures a Responder.
type ResponderConfig struct {
	TokenKey ed25519.PrivateKey // nil: no address tokens
	Rand     *rand.Rand         // spreads sources over slots, so that nobody can aim at one
	// Sites has the address of each socket, by its number, as clients reach it;
	// one that is unspecified has a true port, and an invalid one stands alone. Two ports at one address let
	// a client tell how it is mapped, two addresses with the same two ports
	// all of RFC 5780. Empty is one socket.
	Sites []netip.AddrPort
	// Trusted are the keys of responders whose tokens count here: to whom they
	// gave one a packet is sent that tests a filter.
	Trusted []ed25519.PublicKey
}

// ResponderStats counts what a Responder did.
type ResponderStats struct {
	Requests  uint64 // well-formed Binding requests
	Answered  uint64
	Tokens    uint64 // answers that carried a token
	Refused   uint64 // answered with an error: attributes that we do not know, a bad token
	Malformed uint64 // and other messages that are no requests
	Limited   uint64 // over a limit: dropped
	Oversize  uint64 // the answer would have amplified: dropped
	Overflow  uint64 // too many answers were waiting: dropped
	Assisted  uint64 // packets sent for another responder's clients
}

// A Responder answers Binding requests.
type Responder struct {
	cfg     ResponderConfig
	salt    uint64
	slots   []bucket
	total   bucket
	signing bucket
	budget  budget
	favours favours
	delayed []delayed // by time
	queue   []response
	msg     wire.STUN
	stats   ResponderStats
}

type response struct {
	socket machine.Socket
	remote netip.AddrPort
	data   []byte
}

type delayed struct {
	due time.Time
	response
}

// NewResponder returns a responder.
func NewResponder(cfg ResponderConfig) *Responder {
	r := &Responder{cfg: cfg, slots: make([]bucket, sourceSlots)}
	if cfg.Rand != nil {
		r.salt = cfg.Rand.Uint64()
	}
	return r
}

// SetSites replaces ResponderConfig.Sites, for who knows the addresses only when the
// sockets are open.
func (r *Responder) SetSites(sites []netip.AddrPort) { r.cfg.Sites = slices.Clone(sites) }

// Receive implements machine.Machine.
func (r *Responder) Receive(now time.Time, p machine.Packet) {
	if r.msg.Parse(p.Data) != nil || r.msg.Class != wire.STUNRequest || r.msg.Method != wire.STUNBinding {
		r.stats.Malformed++
		return
	}
	r.stats.Requests++
	from := netip.AddrPortFrom(p.Remote.Addr().Unmap().WithZone(""), p.Remote.Port())
	r.budget.in(from, len(p.Data))
	source := from.Addr()
	if wire.CheckAddr(from) != nil ||
		!source.IsLoopback() && !r.slots[r.slot(source)].take(now, sourceRate, sourceBurst) ||
		!r.total.take(now, totalRate, totalBurst) {
		r.stats.Limited++
		return
	}
	if len(r.queue) >= maxResponses {
		r.stats.Overflow++
		return
	}
	r.answer(now, p.Socket, p.Remote, from, len(p.Data))
}

// answer answers r.msg, a request of size bytes from source.
func (r *Responder) answer(now time.Time, socket machine.Socket, remote, source netip.AddrPort, size int) {
	m := &r.msg
	out, ok := r.exit(socket, m.Change)
	switch {
	case len(m.Unknown) > 0:
		r.refuse(socket, remote, source, size, 420, m.Unknown)
		return
	case !ok:
		// A server with one address must not pretend to have changed it (RFC 5780
		// §7.2): then CHANGE-REQUEST is an attribute that it does not know.
		r.refuse(socket, remote, source, size, 420, []uint16{attrChangeRequest})
		return
	case m.AssistToken != nil:
		r.assist(now, socket, remote, source, size)
		return
	case m.DelayToken != nil:
		r.delay(now, socket, remote, source, size)
		return
	}
	a := wire.STUNAnswer{Mapped: source, Fingerprint: m.Fingerprint}
	if rich := r.describe(a, out); fits(source, size, rich.Size(m.WantsToken)) || !m.WantsToken && r.budget.spare(now, r.prefix(source), source, size, rich.Size(false)) {
		a = rich
	}
	if m.WantsToken && r.cfg.TokenKey != nil && fits(source, size, a.Size(true)) && r.signing.take(now, tokenRate, tokenBurst) {
		a.Token = wire.AppendToken(nil, r.cfg.TokenKey, source, now.Add(TokenLife))
		r.stats.Tokens++
	}
	if !fits(source, size, a.Size(false)) && !a.Origin.IsValid() && !a.Other.IsValid() {
		r.stats.Oversize++
		return
	}
	b := wire.AppendSTUNAnswer(nil, m.Transaction, a)
	if !r.budget.out(now, source, size, len(b)) {
		r.stats.Limited++
		return
	}
	if m.ResponsePort != 0 { // a stranger's port, but not a stranger
		remote = netip.AddrPortFrom(remote.Addr(), m.ResponsePort)
	}
	r.stats.Answered++
	r.queue = append(r.queue, response{out, remote, b})
}

// attrChangeRequest is CHANGE-REQUEST.
const attrChangeRequest = 3

// refuse answers with an error, if that is small enough.
func (r *Responder) refuse(socket machine.Socket, remote, source netip.AddrPort, size, code int, unknown []uint16) {
	b := wire.AppendSTUNError(nil, r.msg.Transaction, code, unknown, r.msg.Fingerprint)
	if !fits(source, size, len(b)) {
		r.stats.Oversize++
		return
	}
	r.budget.account(source, size, len(b))
	r.stats.Refused++
	r.queue = append(r.queue, response{socket, remote, b})
}

// exit returns the socket to answer from. ok is false if there is none as asked
// for.
func (r *Responder) exit(socket machine.Socket, change wire.STUNChange) (out machine.Socket, ok bool) {
	if change == 0 {
		return socket, true
	}
	if int(socket) >= len(r.cfg.Sites) || !r.cfg.Sites[socket].IsValid() {
		return 0, false
	}
	at := r.cfg.Sites[socket]
	for i, other := range r.cfg.Sites {
		if other.IsValid() && other.Addr().Is4() == at.Addr().Is4() && (other.Addr() != at.Addr()) == (change&wire.ChangeAddr != 0) && (other.Port() != at.Port()) == (change&wire.ChangePort != 0) {
			return machine.Socket(i), true
		}
	}
	return 0, false
}

// describe adds to an answer that leaves by out what RFC 5780 and AttrPorts tell of
// us.
func (r *Responder) describe(a wire.STUNAnswer, out machine.Socket) wire.STUNAnswer {
	m := &r.msg
	if int(out) < len(r.cfg.Sites) && r.cfg.Sites[out].IsValid() {
		at := r.cfg.Sites[out]
		if !at.Addr().IsUnspecified() {
			if i, ok := r.exit(out, wire.ChangeAddr|wire.ChangePort); ok {
				a.Origin, a.Other = at, r.cfg.Sites[i]
			}
		}
		if i, ok := r.exit(out, wire.ChangePort); ok {
			a.OtherPort = r.cfg.Sites[i].Port()
		}
	}
	if a.Ports = m.WantsPorts; a.Ports {
		if len(r.cfg.Trusted) > 0 {
			a.Help |= wire.HelpAssist
		}
		if r.cfg.TokenKey != nil {
			a.Help |= wire.HelpDelay
		}
	}
	return a
}

// assist sends the packet that another responder's client asks for, and tells the
// client.
func (r *Responder) assist(now time.Time, socket machine.Socket, remote, source netip.AddrPort, size int) {
	m := &r.msg
	to, expiry, err := m.AssistToken.Parse()
	if err != nil || !r.signing.take(now, tokenRate, tokenBurst) || !r.trusts(m.AssistToken, to, now) {
		r.refuse(socket, remote, source, size, 403, nil)
		return
	}
	packet := wire.AppendSTUNAnswer(nil, m.AssistFor, wire.STUNAnswer{Mapped: to, Fingerprint: true})
	ack := wire.AppendSTUNAnswer(nil, m.Transaction, wire.STUNAnswer{Mapped: source, Fingerprint: m.Fingerprint})
	over := overhead4
	if to.Addr().Is6() {
		over = overhead6
	}
	both := len(packet) + over + len(ack)
	if !fits(source, size, both) {
		r.stats.Oversize++
		return
	}
	if !r.favours.take(now, m.AssistToken, expiry) {
		r.stats.Limited++
		return
	}
	r.budget.account(source, size, both)
	r.stats.Assisted++
	r.stats.Answered++
	r.queue = append(r.queue, response{socket, to, packet}, response{socket, remote, ack})
}

func (r *Responder) trusts(token wire.Token, at netip.AddrPort, now time.Time) bool {
	return slices.ContainsFunc(r.cfg.Trusted, func(k ed25519.PublicKey) bool { return wire.VerifyToken(k, token, at, now) == nil })
}

// delay puts an answer off.
func (r *Responder) delay(now time.Time, socket machine.Socket, remote, source netip.AddrPort, size int) {
	m := &r.msg
	wait := time.Duration(m.Delay) * time.Second
	_, expiry, err := m.DelayToken.Parse()
	if err != nil || r.cfg.TokenKey == nil || wait > MaxDelay || !r.signing.take(now, tokenRate, tokenBurst) ||
		wire.VerifyToken(r.cfg.TokenKey.Public().(ed25519.PublicKey), m.DelayToken, source, now) != nil {
		r.refuse(socket, remote, source, size, 403, nil)
		return
	}
	b := wire.AppendSTUNAnswer(nil, m.Transaction, wire.STUNAnswer{Mapped: source, Fingerprint: m.Fingerprint})
	if !fits(source, size, len(b)) {
		r.stats.Oversize++
		return
	}
	if len(r.delayed) >= maxDelayed || !r.favours.take(now, m.DelayToken, expiry) {
		r.stats.Limited++
		return
	}
	r.budget.account(source, size, len(b))
	d := delayed{now.Add(wait), response{socket, remote, b}}
	i, _ := slices.BinarySearchFunc(r.delayed, d, func(a, b delayed) int {
		if c := a.due.Compare(b.due); c != 0 {
			return c
		}
		return -1 // behind its equals
	})
	r.delayed = slices.Insert(r.delayed, i, d)
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
	h := binary.BigEndian.Uint64(b[:8])
	if a.Is4() {
		h ^= binary.BigEndian.Uint64(b[8:])
	}
	return int(r.mix(h) % sourceSlots)
}

// prefix returns which budget a source draws on: that of its IPv4 /24 or IPv6 /48.
func (r *Responder) prefix(at netip.AddrPort) int {
	b := at.Addr().As16()
	h := binary.BigEndian.Uint64(b[:8]) &^ 0xffff
	if at.Addr().Is4() {
		h = binary.BigEndian.Uint64(b[8:]) &^ 0xff
	}
	return int(r.mix(h) % prefixSlots)
}

func (r *Responder) mix(h uint64) uint64 {
	h ^= r.salt
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// Advance implements machine.Machine.
func (r *Responder) Advance(now time.Time) {
	for len(r.delayed) > 0 && !now.Before(r.delayed[0].due) {
		r.stats.Answered++
		r.queue = append(r.queue, r.delayed[0].response)
		r.delayed = slices.Delete(r.delayed, 0, 1)
	}
}

// NextTimeout implements machine.Machine. A responder waits for nothing but
// answers that are to be late.
func (r *Responder) NextTimeout() time.Time {
	if len(r.delayed) == 0 {
		return time.Time{}
	}
	return r.delayed[0].due
}

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
