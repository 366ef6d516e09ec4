package xntp

import (
	"hash"
	"io"
	"net/netip"
	"time"

	"github.com/xp2p/xp2p/lib/wire"
	"golang.org/x/crypto/blake2s"
)

const (
	// maxReset is the length of a stateless reset, unless what it answers is
	// shorter: random bytes, so that it looks like any data packet, and a token.
	maxReset = 43
	// resetRate and resetBurst bound how many are sent, a second and at once.
	resetRate, resetBurst = 64, 32
)

// resetState makes stateless resets (RFC 9000 §10.3): the answer to a data packet
// for a connection of which nothing is known any more, so that its sender need
// not wait for its idle timeout. Only who holds the private key can make the
// token, and it needs nothing but that: a node that was restarted with its key
// can. The token is bound to the address of who is told it, so that nobody can
// learn beforehand what will end another's connection.
type resetState struct {
	mac    hash.Hash
	buf    [wire.CIDLen + 16]byte
	own    [wire.ResetLen]byte
	bucket bucket
}

func (r *resetState) init(key PrivateKey) {
	mac, err := blake2s.New128(expand(key[:], "xntp reset", 32))
	if err != nil {
		panic("xntp: blake2s: " + err.Error()) // only the length of a key can be wrong
	}
	r.mac, r.bucket = mac, newBucket(resetBurst, resetRate)
}

// token is what ends the connection that receives at cid, sent to an address.
func (r *resetState) token(cid wire.CID, to netip.Addr) (t wire.ResetToken) {
	a := to.As16()
	copy(r.buf[:], cid[:])
	copy(r.buf[wire.CIDLen:], a[:])
	r.mac.Reset()
	r.mac.Write(r.buf[:])
	copy(t[:], r.mac.Sum(r.own[:0]))
	return t
}

// free takes one of the resets that may be sent.
func (r *resetState) free(now time.Time) bool {
	return r.bucket.take(now)
}

// stray handles what looks like a data packet and is for no connection: a reset,
// or the reason for one. A reset is shorter than what it answers, so that two
// that forgot each other soon fall silent (RFC 9000 §10.3.3).
func (e *Endpoint) stray(now time.Time, from path, data []byte) {
	if len(data) < wire.MinShortLen {
		return
	}
	token := wire.ResetToken(data[len(data)-wire.ResetLen:])
	if c := e.byReset[token]; c != nil && c.path.path == from && (c.state == stateOpen || c.state == stateHalf) {
		e.counts.Reset++
		c.gone(now, ClosedReset, 0)
		return
	}
	n := min(maxReset, len(data)-1)
	if n < wire.MinShortLen || e.replies.n >= maxReplies || !e.reset.free(now) {
		return
	}
	r := reply{to: from, n: n}
	if _, err := io.ReadFull(e.cfg.Entropy, e.random[:n-wire.ResetLen]); err != nil {
		return
	}
	copy(r.data[:], e.random[:n-wire.ResetLen])
	r.data[0] = 0x40 | r.data[0]&0x3f
	token = e.reset.token(wire.CID(data[1:]), from.addr.Addr())
	copy(r.data[n-wire.ResetLen:], token[:])
	e.replies.push(r)
}

// know notes the token that ends a connection.
func (e *Endpoint) know(c *conn, t wire.ResetToken) {
	e.unknow(c)
	if t != (wire.ResetToken{}) {
		c.resetToken = t
		e.byReset[t] = c
	}
}

// unknow forgets it.
func (e *Endpoint) unknow(c *conn) {
	if e.byReset[c.resetToken] == c {
		delete(e.byReset, c.resetToken)
	}
}
