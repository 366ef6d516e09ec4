package wire

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
)

// A Receipt is what a receiver signs for a sender: so many bytes of pieces I have
// had of you in this room, each verified and each counted once. It counts from
// SinceMS on and only grows, so that a newer one contains the older ones, a lost
// one costs nothing, and an old one that is shown again says nothing new. When
// the receiver begins to count anew, because it had forgotten the sender, SinceMS
// is another and later one.
//
// The receiver hands it to the sender (RECEIPT), who shows it to the tracker
// (SignalReport), who knows the receiver's receipt key from its hello. The
// encoding is fixed, for a signature is over bytes. In a message:
//
//	RECEIPT = sender (8) receiver (8) since_ms (8) bytes (8) signature (64)
//
// and what is signed:
//
//	"xp2p receipt" 0 (13) SHA-256 of the room's name (32) sender (8) receiver (8) since_ms (8) bytes (8)
//
// The name is enough to tell rooms apart: a receipt key is one peer's, and a peer
// is in one room of a name. In JSON a receipt is the base64url of its 96 bytes.
type Receipt struct {
	Sender, Receiver PeerID
	SinceMS          int64 // Unix ms on the receiver's clock
	Bytes            int64
	Signature        [ed25519.SignatureSize]byte
}

// ReceiptLen is the size of a receipt, and MaxReceiptBytes the most that one may
// say: the sum of a thousand of them fits 63 bits.
const (
	ReceiptLen      = 32 + ed25519.SignatureSize
	MaxReceiptBytes = 1 << 52
)

const receiptDomain = "xp2p receipt\x00"

var errReceipt = errors.New("receipt: of nobody, to nobody, to itself, or of an amount that cannot be")

// body appends the part of a receipt that is not the signature.
func (r *Receipt) body(b []byte) []byte {
	for _, v := range [...]uint64{uint64(r.Sender), uint64(r.Receiver), uint64(r.SinceMS), uint64(r.Bytes)} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}

// signed is what the signature is over.
func (r *Receipt) signed(room string) []byte {
	b := make([]byte, 0, len(receiptDomain)+sha256.Size+32)
	b = append(b, receiptDomain...)
	name := sha256.Sum256([]byte(room))
	return r.body(append(b, name[:]...))
}

// Sign signs the receipt for a room with the receiver's receipt key.
func (r *Receipt) Sign(key ed25519.PrivateKey, room string) {
	copy(r.Signature[:], ed25519.Sign(key, r.signed(room)))
}

// Verify says whether the owner of the receipt key signed this for the room.
func (r *Receipt) Verify(key Key, room string) bool {
	return ed25519.Verify(key[:], r.signed(room), r.Signature[:])
}

// Newer says whether r says more than an earlier receipt of the same receiver
// for the same sender: it counts from later on, or further.
func (r *Receipt) Newer(old *Receipt) bool {
	return r.SinceMS > old.SinceMS || r.SinceMS == old.SinceMS && r.Bytes > old.Bytes
}

func (r *Receipt) check() error {
	if r.Sender == 0 || r.Receiver == 0 || r.Sender == r.Receiver || r.SinceMS < 0 || r.Bytes <= 0 || r.Bytes > MaxReceiptBytes {
		return errReceipt
	}
	return nil
}

// parseReceipt reads the 96 bytes; the signature is not verified.
func parseReceipt(b []byte) (*Receipt, error) {
	if len(b) != ReceiptLen {
		return nil, fmt.Errorf("receipt: %d bytes are not %d", len(b), ReceiptLen)
	}
	u := func(i int) uint64 { return binary.BigEndian.Uint64(b[8*i:]) }
	r := &Receipt{Sender: PeerID(u(0)), Receiver: PeerID(u(1)), SinceMS: int64(u(2)), Bytes: int64(u(3)), Signature: [64]byte(b[32:])}
	return r, r.check()
}

// AppendReceipt appends a RECEIPT. It goes only to who said HelloReceipts: who
// did not may take it for no message at all.
func AppendReceipt(b []byte, room RoomTag, r *Receipt) []byte {
	return append(r.body(appendSwarm(b, SwarmReceipt, room)), r.Signature[:]...)
}

// MarshalText implements encoding.TextMarshaler.
func (r Receipt) MarshalText() ([]byte, error) {
	b := append(r.body(make([]byte, 0, ReceiptLen)), r.Signature[:]...)
	return base64.RawURLEncoding.AppendEncode(nil, b), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Receipt) UnmarshalText(text []byte) error {
	if len(text) != base64.RawURLEncoding.EncodedLen(ReceiptLen) {
		return fmt.Errorf("receipt: not %d bytes of base64url", ReceiptLen)
	}
	var b [ReceiptLen]byte
	if _, err := base64.RawURLEncoding.Strict().Decode(b[:], text); err != nil {
		return fmt.Errorf("receipt: %w", err)
	}
	p, err := parseReceipt(b[:])
	if err != nil {
		return err
	}
	*r = *p
	return nil
}
