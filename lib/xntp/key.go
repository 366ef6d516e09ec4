package xntp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/curve25519"
)

// A PublicKey is a node's identity: its X25519 static key.
type PublicKey [32]byte

// A PrivateKey is the secret half of a PublicKey.
type PrivateKey [32]byte

// ErrKey is returned for text that is not a key.
var ErrKey = errors.New("not an XNTP public key")

// GenerateKey makes a key from 32 bytes of entropy.
func GenerateKey(entropy io.Reader) (PrivateKey, error) {
	var k PrivateKey
	if _, err := io.ReadFull(entropy, k[:]); err != nil {
		return PrivateKey{}, fmt.Errorf("entropy: %w", err)
	}
	return k, nil
}

// Public returns the public half. Scalars are clamped by X25519 itself (RFC
// 7748 §5), so every 32 bytes are a private key.
func (k PrivateKey) Public() PublicKey {
	p, err := curve25519.X25519(k[:], curve25519.Basepoint)
	if err != nil {
		panic("xntp: the base point has small order: " + err.Error())
	}
	return PublicKey(p)
}

// String returns the key in unpadded base64url, as signalling carries it.
func (k PublicKey) String() string { return base64.RawURLEncoding.EncodeToString(k[:]) }

// ParsePublicKey is the inverse of String.
func ParsePublicKey(s string) (PublicKey, error) {
	var k PublicKey
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != len(k) {
		return PublicKey{}, ErrKey
	}
	return PublicKey(b), nil
}

// MarshalText implements encoding.TextMarshaler.
func (k PublicKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *PublicKey) UnmarshalText(text []byte) (err error) {
	*k, err = ParsePublicKey(string(text))
	return err
}

// Compare orders keys by their bytes. The order decides who yields when two
// nodes dial each other at once.
func (k PublicKey) Compare(other PublicKey) int { return bytes.Compare(k[:], other[:]) }
