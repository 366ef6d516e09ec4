package xntp

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/flynn/noise"
	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

// suite is Noise_IK_25519_ChaChaPoly_BLAKE2s. The cipher here seals two
// payloads; data packets have their own.
var suite = noise.NewCipherSuite(noise.DH25519, noise.CipherChaChaPoly, noise.HashBLAKE2s)

// ephemeralLen is the length of the key that a Noise IK message begins with.
const ephemeralLen = 32

// messageOverhead is what message 1 has beside its parameters: that key, our own,
// sealed, and a tag.
const messageOverhead = ephemeralLen + 48 + 16

var errParams = errors.New("handshake parameters")

// prologue binds the handshake to the protocol, its version and the initiator's
// connection ID. Cookie and token are left out, because they change while
// message 1 stays.
func prologue(src wire.CID) []byte {
	b := binary.BigEndian.AppendUint32([]byte("xntp"), wire.Version)
	return append(b, src[:]...)
}

func (e *Endpoint) noise(initiator bool, src wire.CID, peer []byte) (*noise.HandshakeState, error) {
	return noise.NewHandshakeState(noise.Config{
		CipherSuite: suite, Random: e.cfg.Entropy, Pattern: noise.HandshakeIK, Initiator: initiator,
		Prologue: prologue(src), PeerStatic: peer,
		StaticKeypair: noise.DHKey{Private: e.cfg.Key[:], Public: e.public[:]},
	})
}

// dialState is the initiator's side of a handshake.
type dialState struct {
	noise   *noise.HandshakeState
	message []byte // Noise message 1, the same in every Initial
	token   []byte
	cookie  []byte
	retried bool
	tries   int
	again   time.Time // when the next Initial is due
	due     bool
	// other is a second address that the peer was seen at while it dialed us
	// in its turn; Initials go to both, by turns.
	other path
	turn  bool
	held  *heldAnswer
	earn  int // Initials to send at once beside the first
	early []machine.Packet
}

// answerState is the responder's side.
type answerState struct {
	sent      time.Time          // the Response, last
	data      int                // packets that followed it
	ephemeral [ephemeralLen]byte // names the handshake
	message   []byte             // Noise message 2, the same in every Response
	due       bool
	cid       wire.CID // of the initiator
	// Until hold nothing leaves behind the Response before there is room for want
	// bytes: a train that trickles out as it is earned measures nothing.
	hold time.Time
	want int64
}

// Times of a dial. Our choice, because peers behind NATs lose the first
// Initials as a rule while both open their way, and one Initial is cheap: a
// quarter of RFC 9002's initial probe timeout, doubling up to a second.
const (
	dialFirst = 250 * time.Millisecond
	dialMost  = time.Second
)

// startDial makes message 1.
func (c *conn) startDial(now time.Time, o *DialOptions) error {
	hs, err := c.e.noise(true, c.local, o.Remote[:])
	if err != nil {
		return err
	}
	p := c.params()
	p.Ciphers = wire.CipherAES128GCM | wire.CipherChaCha20Poly1305
	p.Early = o.Early
	// A token that does not fit beside a long request is left out; without one the
	// answer is only held to three times what we send.
	full := wire.Long{Type: wire.PacketInitial, Cookie: make([]byte, cookieLen), Token: o.Token, Noise: make([]byte, messageOverhead+len(p.Append(nil)))}
	var token []byte
	earn := 0
	if len(full.Append(nil)) <= wire.HandshakeLen {
		token = append(token, o.Token...)
	}
	if len(token) == 0 {
		earn = min(max(o.Earn, 0)/(3*wire.HandshakeLen), maxEarn)
	}
	if earn > 0 {
		p.Flight = uint64(1 + earn)
	}
	message, _, _, err := hs.WriteMessage(nil, p.Append(nil))
	if err != nil {
		return err
	}
	c.dial = dialState{noise: hs, message: message, token: token, earn: earn}
	c.noteStarted(now, true)
	c.redial(now)
	return nil
}

// maxEarn is how often an Initial is repeated at once: enough for an answer of half of
// 100 Mbit/s over a round trip of 37 ms.
const maxEarn = 63

// redial makes the Initial due again when its time has come.
func (c *conn) redial(now time.Time) {
	d := &c.dial
	if now.Before(d.again) {
		return
	}
	d.due = true
	d.again = now.Add(min(dialFirst<<min(d.tries, 4), dialMost))
	d.tries++
}

func (c *conn) appendInitial(now time.Time, dst []byte) (machine.Packet, bool) {
	d := &c.dial
	if !d.due {
		return machine.Packet{}, false
	}
	if d.due = d.earn > 0; d.due {
		d.earn--
	}
	start := len(dst)
	to := c.path.path
	if d.other.addr.IsValid() {
		if d.turn = !d.turn; d.turn {
			to = d.other
		}
	}
	long := wire.Long{Type: wire.PacketInitial, Version: wire.Version, Src: c.local, Cookie: d.cookie, Token: d.token, Noise: d.message}
	b := padded(long.Append(dst), start)
	c.notePacket(now, TraceSent, wire.PacketInitial, to.addr, 0, len(b)-start, nil)
	return plain(c.packet(now, b, start, to)), true
}

// plain takes from a handshake packet what a strange path may not like: it may
// be fragmented, and is not marked for ECN.
func plain(p machine.Packet) machine.Packet {
	p.DontFragment, p.ECN = false, machine.NotECT
	return p
}

// padded fills a handshake packet up to its length.
func padded(b []byte, start int) []byte {
	for len(b)-start < wire.HandshakeLen {
		b = append(b, 0)
	}
	return b
}

// retry handles a Retry: prove the address with its cookie. One is believed,
// or two nodes could be sent back and forth for ever.
func (c *conn) retry(now time.Time, cookie []byte) {
	d := &c.dial
	if c.state != stateDialing || d.retried || len(cookie) == 0 {
		return
	}
	c.notePacket(now, TraceReceived, wire.PacketRetry, c.path.addr, 0, 0, nil)
	d.retried = true
	d.cookie = append([]byte(nil), cookie...)
	d.due = true
	d.again = now.Add(dialFirst)
}

// answered handles a Response.
func (c *conn) answered(now time.Time, from path, message []byte) {
	if c.state != stateDialing && c.state != stateHalf || c.dial.noise == nil {
		return
	}
	// A message that does not fit leaves the state as it was, so that a forged
	// one costs us nothing but time.
	payload, send, recv, err := c.dial.noise.ReadMessage(nil, message)
	if err != nil {
		c.e.counts.Forged++
		return
	}
	c.notePacket(now, TraceReceived, wire.PacketResponse, from.addr, 0, wire.HandshakeLen, nil)
	p, err := wire.ParseParams(payload)
	cipher, ok := cipherOf(p.Ciphers)
	if err != nil || !ok {
		c.gone(now, ClosedProtocol, codeFrame)
		return
	}
	c.dial.noise = nil
	c.dial.held = &heldAnswer{from, p, send.UnsafeKey(), recv.UnsafeKey(), cipher}
	if c.state == stateHalf {
		// Both of us dialed, and this dial yielded. The other's will be confirmed
		// in a moment, unless its Initial was a replay.
		c.dial.again = now.Add(yieldWait)
		return
	}
	if c.dial.tries == 1 && !c.dial.retried {
		c.rtt.sample(now.Sub(c.began), 0)
	}
	c.take(now)
}

// A heldAnswer is a Response, read.
type heldAnswer struct {
	from       path
	params     wire.Params
	send, recv [32]byte
	cipher     Cipher
}

// yieldWait is how long a dial that yielded to the peer's own waits for that to
// be confirmed before it takes the Response it got all the same.
const yieldWait = time.Second

// take makes the connection the initiator's side with the Response it holds.
func (c *conn) take(now time.Time) {
	h := c.dial.held
	if c.state == stateHalf {
		c.e.half--
		c.answer = answerState{}
	}
	early := c.dial.early
	c.dial = dialState{}
	c.initiator = true
	c.remote = h.params.CID
	c.path = pathState{path: h.from, proved: true}
	c.protect.init(h.send, h.recv, h.cipher)
	c.adopt(&h.params)
	c.hint(now, h.params.Downlink)
	c.heard = now
	c.ping = true // the responder waits for a proof that we hold our key
	c.open(now)
	c.e.settle(now, c)
	for _, p := range early {
		if c.state == stateOpen {
			c.receive(now, &p, p.Data)
		}
		c.e.freeShard(p.Data)
	}
}

// maxEarlyPackets is how many data packets a dial keeps that came before the Response,
// which was overtaken or lost: as many as the longest flight of Initials earns.
const maxEarlyPackets = 192

// keepEarly keeps a data packet until there are keys for it.
func (c *conn) keepEarly(p *machine.Packet, data []byte) {
	if c.state != stateDialing || len(c.dial.early) >= maxEarlyPackets || len(data) > shardRoom || c.path.path != (path{p.Socket, p.Remote}) {
		return
	}
	if b := c.e.shardBuffer(); b != nil {
		q := *p
		q.Data = append(b, data...)
		c.dial.early = append(c.dial.early, q)
	}
}

// cipherOf picks the one cipher that a responder took.
func cipherOf(bits uint64) (Cipher, bool) {
	switch bits {
	case wire.CipherAES128GCM:
		return AES128GCM, true
	case wire.CipherChaCha20Poly1305:
		return ChaCha20Poly1305, true
	}
	return 0, false
}

// An initial is message 1, read.
type initial struct {
	noise     *noise.HandshakeState
	key       PublicKey
	params    wire.Params
	ephemeral [ephemeralLen]byte
	cid       wire.CID
}

// readInitial authenticates message 1.
func (e *Endpoint) readInitial(p *wire.Long) (*initial, error) {
	hs, err := e.noise(false, p.Src, nil)
	if err != nil {
		return nil, err
	}
	payload, _, _, err := hs.ReadMessage(nil, p.Noise)
	if err != nil {
		return nil, err
	}
	in := &initial{noise: hs, cid: p.Src, key: PublicKey(hs.PeerStatic())}
	copy(in.ephemeral[:], p.Noise)
	if in.params, err = wire.ParseParams(payload); err != nil {
		return nil, err
	}
	if in.params.Ciphers&(wire.CipherAES128GCM|wire.CipherChaCha20Poly1305) == 0 || len(in.params.Early) > MaxEarly {
		return nil, errParams
	}
	return in, nil
}

// respond makes the connection the responder's side of the handshake in: its
// keys are ready, and data may follow the Response as far as three times what
// was received.
func (c *conn) respond(now time.Time, in *initial, from path, size int, proved bool) error {
	cipher := c.e.cfg.Cipher
	c.path = pathState{path: from, proved: proved, received: int64(size)}
	p := c.params()
	p.CID = c.local
	p.Ciphers = wire.CipherAES128GCM
	if in.params.Ciphers&wire.CipherAES128GCM == 0 || cipher == ChaCha20Poly1305 && in.params.Ciphers&wire.CipherChaCha20Poly1305 != 0 {
		p.Ciphers, cipher = wire.CipherChaCha20Poly1305, ChaCha20Poly1305
	}
	message, recv, send, err := in.noise.WriteMessage(nil, p.Append(nil))
	if err != nil {
		return err
	}
	c.state = stateHalf
	// The dial that yields may still be answered: an Initial can be a replay,
	// which must not end what we began.
	c.dial = dialState{noise: c.dial.noise}
	c.key = in.key
	c.remote = in.cid
	c.began, c.heard = now, now
	c.answer = answerState{ephemeral: in.ephemeral, message: message, due: true, cid: in.cid}
	if n := int64(min(in.params.Flight, 1+maxEarn)); n > 1 {
		c.answer.hold = now.Add(holdMost)
		c.answer.want = min(int64(turnDatagrams*c.mtu), 3*wire.HandshakeLen*n-wire.HandshakeLen)
	}
	c.protect.init(send.UnsafeKey(), recv.UnsafeKey(), cipher)
	c.noteStarted(now, false)
	c.notePacket(now, TraceReceived, wire.PacketInitial, from.addr, 0, size, nil)
	c.adopt(&in.params)
	c.hint(now, in.params.Downlink)
	return nil
}

// holdMost is how long a train waits to be earned: six Initials of a link of 6 Mbit/s.
const holdMost = 10 * time.Millisecond

// holds tells whether the rest of a flight of Initials is waited for.
func (c *conn) holds(now time.Time) bool {
	a := &c.answer
	if !a.hold.IsZero() && (c.path.room() >= a.want || !now.Before(a.hold)) {
		a.hold = time.Time{}
	}
	return !a.hold.IsZero()
}

func (c *conn) appendResponse(now time.Time, dst []byte) (machine.Packet, bool) {
	a := &c.answer
	if !a.due || c.path.room() < wire.HandshakeLen {
		return machine.Packet{}, false
	}
	a.due, a.sent = false, now
	start := len(dst)
	long := wire.Long{Type: wire.PacketResponse, Version: wire.Version, Dst: a.cid, Noise: a.message}
	b := padded(long.Append(dst), start)
	c.notePacket(now, TraceSent, wire.PacketResponse, c.path.addr, 0, len(b)-start, nil)
	return plain(c.packet(now, b, start, c.path.path)), true
}

// responseAgain is how many packets of an answer make the Response be repeated when no
// more can leave, and responseMost, when more can: without it they are worth nothing.
const responseAgain, responseMost = 8, 64

// repeatResponse makes the Response due again when the first flight has left, or much
// of it.
func (c *conn) repeatResponse() bool {
	a := &c.answer
	if c.state != stateHalf || a.data < responseAgain || a.data < responseMost && c.sendable() != nil && c.windowOpen() {
		return false
	}
	a.data, a.due = math.MinInt, true
	return true
}

// again handles an Initial of a handshake that is under way: the Response was
// lost, or is.
func (c *conn) again(now time.Time, from path, stamp time.Time, size int) {
	if c.state != stateHalf {
		return
	}
	if from != c.path.path {
		if c.path.proved {
			return
		}
		c.path = pathState{path: from} // its NAT chose anew, or it has two ways
	}
	c.path.received += int64(size)
	c.asked(stamp, size)
	// Those that come with the first only earn room for data.
	if now.Sub(c.answer.sent) >= dialFirst/2 {
		c.answer.due = true
	}
}

// confirmed handles the initiator's first data packet: it holds its key and
// receives where its Initial came from; if the packet comes from elsewhere, that
// is a new address to prove (RFC 9000 §8.1: "Receipt of a packet protected with
// Handshake keys confirms that the peer successfully processed an Initial
// packet").
func (c *conn) confirmed(now time.Time) {
	if !c.rtt.have {
		c.rtt.sample(now.Sub(c.began), 0)
	}
	c.answer.message, c.answer.due = nil, false
	c.dial = dialState{}
	c.open(now)
	c.e.settle(now, c)
}
