package xntp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"encoding/binary"
	"hash"
	"math"

	"github.com/xp2p/xp2p/lib/wire"
	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"
)

// expand is HKDF-Expand (RFC 5869 §2.3) with BLAKE2s, the hash of the
// handshake.
func expand(secret []byte, label string, n int) []byte {
	out, err := hkdf.Expand(newBLAKE2s, secret, label, n)
	if err != nil {
		panic("xntp: hkdf: " + err.Error()) // n is far below 255 hashes
	}
	return out
}

func newBLAKE2s() hash.Hash {
	h, err := blake2s.New256(nil)
	if err != nil {
		panic("xntp: blake2s: " + err.Error()) // only a key can be wrong
	}
	return h
}

// A packetKey seals or opens the packets of one direction in one key phase.
type packetKey struct {
	secret []byte
	aead   cipher.AEAD
	iv     [12]byte
}

func newPacketKey(secret []byte, c Cipher) packetKey {
	k := packetKey{secret: secret}
	copy(k.iv[:], expand(secret, "xntp iv", len(k.iv)))
	var err error
	if c == ChaCha20Poly1305 {
		k.aead, err = chacha20poly1305.New(expand(secret, "xntp key", chacha20poly1305.KeySize))
	} else {
		var block cipher.Block
		if block, err = aes.NewCipher(expand(secret, "xntp key", 16)); err == nil {
			k.aead, err = cipher.NewGCM(block)
		}
	}
	if err != nil {
		panic("xntp: aead: " + err.Error()) // key lengths are constants
	}
	return k
}

// next is the key of the following phase (RFC 9001 §6.1 does it alike).
func (k *packetKey) next(c Cipher) packetKey {
	return newPacketKey(expand(k.secret, "xntp ku", 32), c)
}

// protectState is the packet protection of a connection: one header key for
// each direction for life, and packet keys that roll.
type protectState struct {
	ready          bool
	cipher         Cipher
	sendHP, recvHP cipher.Block
	send, recv     packetKey
	old, ahead     packetKey // the receive keys of the previous phase and of the next
	phase          byte      // wire.KeyPhase or 0
	sealed         uint64    // packets sealed with the current key
	phaseFirst     uint64    // the first number sealed with the current key
	phaseAcked     bool      // one of these was acknowledged
	recvFirst      uint64    // the lowest number opened with the current receive key
	haveOld        bool
	rolls          uint64 // key updates so far
	forged         uint64 // packets that did not open
	nonce          [12]byte
	mask           [16]byte
}

// init derives all keys from the two that the Noise handshake ends with.
func (p *protectState) init(send, recv [32]byte, c Cipher) {
	header := func(secret []byte) cipher.Block {
		b, err := aes.NewCipher(expand(secret, "xntp hp", 16))
		if err != nil {
			panic("xntp: aes: " + err.Error())
		}
		return b
	}
	*p = protectState{ready: true, cipher: c, phaseAcked: true}
	p.sendHP, p.recvHP = header(send[:]), header(recv[:])
	p.send, p.recv = newPacketKey(send[:], c), newPacketKey(recv[:], c)
	p.ahead = p.recv.next(c)
}

func (p *protectState) setNonce(k *packetKey, number uint64) {
	copy(p.nonce[:4], k.iv[:4])
	binary.BigEndian.PutUint64(p.nonce[4:], binary.BigEndian.Uint64(k.iv[4:])^number)
}

// seal protects the packet that fills b from start on: an unprotected header
// and the frames. It returns b with the packet in its final form.
func (p *protectState) seal(b []byte, start int, number uint64) []byte {
	for len(b)-start < wire.MinShortLen-wire.TagLen {
		b = append(b, byte(wire.FramePadding))
	}
	body := start + wire.ShortHeaderLen(b[start])
	p.setNonce(&p.send, number)
	b = p.send.aead.Seal(b[:body], p.nonce[:], b[body:], b[start:body])
	p.sendHP.Encrypt(p.mask[:], wire.ShortSample(b[start:]))
	wire.Mask(b[start:], &p.mask)
	if p.sealed == 0 {
		p.phaseFirst = number
	}
	p.sealed++
	return b
}

// open decrypts the data packet b into scratch. next is the number after the
// highest received. b is not changed.
func (p *protectState) open(scratch, b []byte, next uint64) (frames []byte, number uint64, ok bool) {
	scratch = append(scratch[:0], b[:wire.MaxShortHeaderLen]...)
	p.recvHP.Encrypt(p.mask[:], wire.ShortSample(b))
	body, low := wire.Unmask(scratch, &p.mask)
	number = wire.ExpandNumber(next, low, body-1-wire.CIDLen)
	key := &p.recv
	other := scratch[0]&wire.KeyPhase != p.phase
	if other {
		// A late packet of the old phase, or the first of a new one.
		if p.haveOld && number < p.recvFirst {
			key = &p.old
		} else {
			key = &p.ahead
		}
	}
	p.setNonce(key, number)
	frames, err := key.aead.Open(scratch[body:body], p.nonce[:], b[body:], scratch[:body])
	if err != nil {
		p.forged++
		return nil, 0, false
	}
	if key == &p.ahead {
		p.roll(number)
	} else if !other {
		p.recvFirst = min(p.recvFirst, number)
	}
	return frames, number, true
}

// roll makes the next receive key the current one and follows with the send
// key, if it was the peer who began (RFC 9001 §6.2).
func (p *protectState) roll(first uint64) {
	p.old, p.recv, p.haveOld = p.recv, p.ahead, true
	p.ahead = p.recv.next(p.cipher)
	p.recvFirst = first
	p.send = p.send.next(p.cipher)
	p.phase ^= wire.KeyPhase
	p.sealed = 0
	p.phaseAcked = false
	p.rolls++
}

// followed tells that a packet of the current phase has come.
func (p *protectState) followed() bool { return p.recvFirst != math.MaxUint64 }

// forgetOld drops the receive key of the previous phase.
func (p *protectState) forgetOld() { p.old, p.haveOld = packetKey{}, false }

// update begins a new phase, unless the last one is not confirmed yet (RFC 9001
// §6.1). The peer's packets of the old phase are still opened, until one of the
// new phase says where that began.
func (p *protectState) update() bool {
	if !p.ready || !p.phaseAcked {
		return false
	}
	p.roll(math.MaxUint64)
	return true
}

// acked notes that the peer acknowledged a packet.
func (p *protectState) acked(number uint64) {
	if p.sealed > 0 && number >= p.phaseFirst {
		p.phaseAcked = true
	}
}
