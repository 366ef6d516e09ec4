package wire

import "math/bits"

// MaxVarint is the largest value that a variable-length integer can hold
// (RFC 9000 §16: 62 bits).
const MaxVarint = 1<<62 - 1

// AppendVarint appends v in the variable-length encoding of RFC 9000 §16: the
// two most significant bits of the first byte give the length, 1, 2, 4 or 8.
// A value above MaxVarint is a mistake of the caller and panics.
func AppendVarint(b []byte, v uint64) []byte {
	switch {
	case v < 1<<6:
		return append(b, byte(v))
	case v < 1<<14:
		return append(b, byte(v>>8)|0x40, byte(v))
	case v < 1<<30:
		return append(b, byte(v>>24)|0x80, byte(v>>16), byte(v>>8), byte(v))
	case v <= MaxVarint:
		return append(b, byte(v>>56)|0xc0, byte(v>>48), byte(v>>40), byte(v>>32),
			byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	}
	panic("wire: varint above 62 bits")
}

// ConsumeVarint reads a variable-length integer from the front of b and
// returns it with its length; n is 0 if b is too short. As in QUIC, a value
// may be encoded longer than it needs to be.
func ConsumeVarint(b []byte) (v uint64, n int) {
	if len(b) == 0 {
		return 0, 0
	}
	n = 1 << (b[0] >> 6)
	if len(b) < n {
		return 0, 0
	}
	v = uint64(b[0] & 0x3f)
	for _, c := range b[1:n] {
		v = v<<8 | uint64(c)
	}
	return v, n
}

// SizeVarint returns how many bytes AppendVarint will use for v.
func SizeVarint(v uint64) int {
	switch n := bits.Len64(v); {
	case n <= 6:
		return 1
	case n <= 14:
		return 2
	case n <= 30:
		return 4
	default:
		return 8
	}
}
