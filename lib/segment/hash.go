package segment

import (
	"encoding/hex"
	"errors"
)

// A Hash is a SHA-256. The zero Hash stands for "unknown".
type Hash [32]byte

var errHash = errors.New("a hash is 64 hexadecimal digits")

// String returns the hash in lower-case hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether h is unknown.
func (h Hash) IsZero() bool { return h == Hash{} }

// AppendText appends what String returns.
func (h Hash) AppendText(b []byte) ([]byte, error) { return hex.AppendEncode(b, h[:]), nil }

// MarshalText returns what String returns.
func (h Hash) MarshalText() ([]byte, error) { return h.AppendText(nil) }

// UnmarshalText parses what MarshalText wrote, and nothing else: a hash has
// one spelling, because it is a name.
func (h *Hash) UnmarshalText(p []byte) error {
	if len(p) != 2*len(h) {
		return errHash
	}
	for _, c := range p {
		if 'A' <= c && c <= 'F' {
			return errHash
		}
	}
	var g Hash
	if _, err := hex.Decode(g[:], p); err != nil {
		return errHash
	}
	*h = g
	return nil
}

// ParseHash parses what String returned.
func ParseHash(s string) (h Hash, err error) {
	err = h.UnmarshalText([]byte(s))
	return h, err
}
