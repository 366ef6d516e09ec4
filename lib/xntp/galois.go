package xntp

import (
	"crypto/subtle"

	"github.com/xp2p/xp2p/lib/wire"
)

// gf is the products of GF(256) modulo x^8+x^4+x^3+x^2+1, and gfInverse what gives
// one. The field and the matrix are part of the protocol (package wire).
var (
	gf        [256][256]byte
	gfInverse [256]byte
)

func init() {
	var exp [510]byte
	var log [256]int
	for i, x := 0, 1; i < 255; i++ {
		exp[i], exp[i+255] = byte(x), byte(x)
		log[x] = i
		if x <<= 1; x > 255 {
			x ^= 0x11d
		}
	}
	for a := 1; a < 256; a++ {
		for b := 1; b < 256; b++ {
			gf[a][b] = exp[log[a]+log[b]]
		}
		gfInverse[a] = exp[255-log[a]]
	}
}

// cauchy is the factor of a shard in a PARITY frame.
func cauchy(parity, shard int) byte {
	const above = wire.MaxShards
	return gf[above^shard][gfInverse[above^parity^shard]]
}

// addTimes adds a multiple of src to dst, which is not shorter.
func addTimes(dst, src []byte, times byte) {
	dst = dst[:len(src)]
	switch times {
	case 0:
	case 1:
		subtle.XORBytes(dst, dst, src)
	default:
		t := &gf[times]
		for i, v := range src {
			dst[i] ^= t[v]
		}
	}
}

// scale multiplies b.
func scale(b []byte, times byte) {
	t := &gf[times]
	for i, v := range b {
		b[i] = t[v]
	}
}

// encode adds up PARITY frame number parity of shards into dst, which is zero and as
// long as the longest.
func encode(dst []byte, shards [][]byte, parity int) {
	for i, s := range shards {
		addTimes(dst, s, cauchy(parity, i))
	}
}

// decode finds the shards that are nil out of as many parities, whose frame numbers
// are index. It writes over the parities and puts them in the place of the shards.
func decode(shards, parities [][]byte, index []int) {
	var lost []int
	for i, s := range shards {
		if s == nil {
			lost = append(lost, i)
			continue
		}
		for p := range parities {
			addTimes(parities[p], s, cauchy(index[p], i))
		}
	}
	// Gauss and Jordan. Every square part of the matrix can be inverted, so that a
	// row with something in the column is always found.
	n := len(lost)
	m := make([][]byte, n)
	for r := range m {
		m[r] = make([]byte, n)
		for c := range m[r] {
			m[r][c] = cauchy(index[r], lost[c])
		}
	}
	for c := range n {
		r := c
		for m[r][c] == 0 {
			r++
		}
		m[c], m[r], parities[c], parities[r] = m[r], m[c], parities[r], parities[c]
		by := gfInverse[m[c][c]]
		scale(m[c], by)
		scale(parities[c], by)
		for r := range n {
			if by := m[r][c]; r != c && by != 0 {
				addTimes(m[r], m[c], by)
				addTimes(parities[r], parities[c], by)
			}
		}
	}
	for c, i := range lost {
		shards[i] = parities[c]
	}
}
