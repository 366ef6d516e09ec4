package wire

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// A Token proves for a short while that its bearer received a datagram at an
// address: a STUN responder signs the address that it saw. Whoever trusts the
// responder's key may then send a full first flight there, without becoming a
// weapon against a third party.
//
//	family   1 byte: 4 or 6
//	address  4 or 16 bytes
//	port     2 bytes
//	expiry   6 bytes, Unix milliseconds
//	sig      64 bytes, Ed25519 over a domain string and all of the above
//
// As text (in JSON) it is base64url without padding.
type Token []byte

const (
	tokenSize4 = 1 + 4 + 2 + 6 + ed25519.SignatureSize
	tokenSize6 = 1 + 16 + 2 + 6 + ed25519.SignatureSize

	// MaxTokenSize is the size of the largest token.
	MaxTokenSize = tokenSize6
	// MaxTokenLife bounds what a verifier accepts, whatever the signer said.
	MaxTokenLife = time.Hour
)

// tokenDomain keeps a signature on an address from being one on anything else.
const tokenDomain = "xp2p address token 1\x00"

// Reasons why a token is refused.
var (
	ErrTokenMalformed = errors.New("address token: malformed")
	ErrTokenExpired   = errors.New("address token: expired")
	ErrTokenAddress   = errors.New("address token: for another address")
	ErrTokenSignature = errors.New("address token: bad signature")
)

// AppendToken appends a token that addr was seen, valid until expiry. addr must
// be valid; IPv4 in IPv6 is written as IPv4.
func AppendToken(b []byte, key ed25519.PrivateKey, addr netip.AddrPort, expiry time.Time) []byte {
	start := len(b)
	ip := addr.Addr().Unmap()
	if ip.Is4() {
		b = append(b, 4)
	} else {
		b = append(b, 6)
	}
	b = append(b, ip.AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, addr.Port())
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(max(0, expiry.UnixMilli())))
	b = append(b, ms[2:]...)
	return append(b, ed25519.Sign(key, signedToken(b[start:]))...)
}

func signedToken(body []byte) []byte {
	return append([]byte(tokenDomain), body...)
}

// Parse returns what the token says, unverified.
func (t Token) Parse() (addr netip.AddrPort, expiry time.Time, err error) {
	n := 0
	switch {
	case len(t) == tokenSize4 && t[0] == 4:
		n = 4
	case len(t) == tokenSize6 && t[0] == 6:
		n = 16
	default:
		return addr, expiry, ErrTokenMalformed
	}
	ip, _ := netip.AddrFromSlice(t[1 : 1+n])
	rest := t[1+n:]
	addr = netip.AddrPortFrom(ip, binary.BigEndian.Uint16(rest))
	if err := CheckAddr(addr); err != nil {
		return netip.AddrPort{}, expiry, fmt.Errorf("%w: %w", ErrTokenMalformed, err)
	}
	var ms [8]byte
	copy(ms[2:], rest[2:8])
	return addr, time.UnixMilli(int64(binary.BigEndian.Uint64(ms[:]))), nil
}

// VerifyToken says whether t proves, at now, that key's owner saw addr.
func VerifyToken(key ed25519.PublicKey, t Token, addr netip.AddrPort, now time.Time) error {
	got, expiry, err := t.Parse()
	if err != nil {
		return err
	}
	if got != netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()) {
		return ErrTokenAddress
	}
	if !now.Before(expiry) || expiry.Sub(now) > MaxTokenLife {
		return ErrTokenExpired
	}
	body := t[:len(t)-ed25519.SignatureSize]
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, signedToken(body), t[len(body):]) {
		return ErrTokenSignature
	}
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (t Token) MarshalText() ([]byte, error) {
	return base64.RawURLEncoding.AppendEncode(nil, t), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Token) UnmarshalText(text []byte) error {
	if base64.RawURLEncoding.DecodedLen(len(text)) > MaxTokenSize {
		return ErrTokenMalformed
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(string(text))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrTokenMalformed, err)
	}
	*t = b
	return nil
}

// check accepts no token and one of the right form.
func (t Token) check() error {
	if len(t) == 0 {
		return nil
	}
	_, _, err := t.Parse()
	return err
}
