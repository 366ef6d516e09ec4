package segment

import (
	"encoding/hex"
	"strconv"
	"strings"
)

// A Name is what a segment's URL and file are called: place and content, so
// that a name never means two things.
type Name struct {
	Epoch, Seq int64
	Prefix     [8]byte // of the segment's hash
}

// Name returns the segment's name, e.g. 1763782373000-812-9f86d081884c7d65.
func (s *Segment) Name() string { return NameOf(s.Epoch, s.Seq, s.SHA256).String() }

// NameOf returns the name of the segment with the hash h.
func NameOf(epoch, seq int64, h Hash) Name {
	return Name{epoch, seq, [8]byte(h[:8])}
}

func (n Name) String() string {
	b := make([]byte, 0, 56)
	b = strconv.AppendInt(b, n.Epoch, 10)
	b = append(b, '-')
	b = strconv.AppendInt(b, n.Seq, 10)
	b = append(b, '-')
	return string(hex.AppendEncode(b, n.Prefix[:]))
}

// ParseName is the inverse of String. It accepts one spelling only.
func ParseName(s string) (n Name, ok bool) {
	// Epoch and sequence may be negative, so count hyphens from the end.
	i := strings.LastIndexByte(s, '-')
	if i < 0 || len(s)-i-1 != 16 {
		return Name{}, false
	}
	p, err := hex.DecodeString(s[i+1:])
	if err != nil {
		return Name{}, false
	}
	copy(n.Prefix[:], p)
	j := strings.LastIndexByte(s[:i], '-')
	if j > 0 && s[j-1] == '-' {
		j--
	}
	if j <= 0 {
		return Name{}, false
	}
	if n.Epoch, err = strconv.ParseInt(s[:j], 10, 64); err != nil {
		return Name{}, false
	}
	if n.Seq, err = strconv.ParseInt(s[j+1:i], 10, 64); err != nil {
		return Name{}, false
	}
	return n, n.String() == s
}
