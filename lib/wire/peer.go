package wire

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
)

// A Key is a public key of 32 bytes: a peer's X25519 static key, or a room's
// Ed25519 key. As text it is base64url without padding.
type Key [32]byte

// String returns the text form.
func (k Key) String() string { return base64.RawURLEncoding.EncodeToString(k[:]) }

// MarshalText implements encoding.TextMarshaler.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *Key) UnmarshalText(text []byte) error {
	if len(text) != base64.RawURLEncoding.EncodedLen(len(k)) {
		return errors.New("key: not 32 bytes of base64url")
	}
	if _, err := base64.RawURLEncoding.Strict().Decode(k[:], text); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	return nil
}

// A PeerID names a peer within a room. It is derived from the peer's key, so
// it survives a reconnection and a restart of the tracker. Zero is nobody.
type PeerID uint64

// PeerIDOf returns the name of the peer with this static key.
func PeerIDOf(k Key) PeerID {
	h := sha256.New()
	h.Write([]byte("xp2p peer id\x00"))
	h.Write(k[:])
	return PeerID(binary.BigEndian.Uint64(h.Sum(nil)))
}

// String returns 16 lower-case hexadecimal digits.
func (id PeerID) String() string { return fmt.Sprintf("%016x", uint64(id)) }

// MarshalText implements encoding.TextMarshaler.
func (id PeerID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *PeerID) UnmarshalText(text []byte) error {
	v, err := strconv.ParseUint(string(text), 16, 64)
	if err != nil || len(text) != 16 {
		return errors.New("peer id: not 16 hexadecimal digits")
	}
	*id = PeerID(v)
	return nil
}
