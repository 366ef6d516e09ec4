package xntp

import (
	"crypto/subtle"
	"encoding/binary"
	"hash"
	"io"
	"time"

	"github.com/xp2p/xp2p/lib/wire"
	"golang.org/x/crypto/blake2s"
)

const (
	// cookieLife is how long a cookie is good for, and no longer than twice that.
	cookieLife = 15 * time.Second
	cookieLen  = 1 + 16

	// freeHandshakes and freeBurst say how many handshakes a second, and at once,
	// an endpoint begins without a proof of address: each costs four X25519
	// operations, some 0.2 ms of a core, so that strangers who forge addresses
	// cannot take more than a twentieth of one.
	freeHandshakes = 256
	freeBurst      = 128
)

// gateState decides whether strangers must show a cookie, and bakes cookies.
type gateState struct {
	mac    hash.Hash // keyed with a secret of this endpoint
	buf    [8 + 4 + 16 + 2 + wire.CIDLen]byte
	own    [cookieLen]byte
	bucket bucket
}

func (g *gateState) init(entropy io.Reader) error {
	var secret [32]byte
	if _, err := io.ReadFull(entropy, secret[:]); err != nil {
		return err
	}
	g.bucket = newBucket(freeBurst, freeHandshakes)
	var err error
	g.mac, err = blake2s.New128(secret[:])
	return err
}

// free takes one of the handshakes that need no proof.
func (g *gateState) free(now time.Time) bool {
	return g.bucket.take(now)
}

func epoch(now time.Time) uint64 { return uint64(now.UnixNano()) / uint64(cookieLife) }

// bake makes the cookie for an initiator: a byte of the epoch and a keyed hash
// of the epoch, its address and its connection ID. Nothing is stored; the
// result is valid until the next call.
func (g *gateState) bake(epoch uint64, from path, src wire.CID) []byte {
	m := g.buf[:]
	binary.BigEndian.PutUint64(m, epoch)
	binary.BigEndian.PutUint32(m[8:], uint32(from.socket))
	addr := from.addr.Addr().As16()
	copy(m[12:], addr[:])
	binary.BigEndian.PutUint16(m[28:], from.addr.Port())
	copy(m[30:], src[:])
	g.mac.Reset()
	g.mac.Write(m)
	g.own[0] = byte(epoch)
	return g.mac.Sum(g.own[:1])
}

// believes checks a cookie.
func (g *gateState) believes(cookie []byte, now time.Time, from path, src wire.CID) bool {
	if len(cookie) != cookieLen {
		return false
	}
	at := epoch(now)
	if cookie[0] != byte(at) {
		at--
	}
	if cookie[0] != byte(at) {
		return false
	}
	return subtle.ConstantTimeCompare(cookie, g.bake(at, from, src)) == 1
}
