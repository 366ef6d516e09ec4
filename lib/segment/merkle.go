package segment

import (
	"crypto/sha256"
	"math/bits"
)

// The tree of RFC 9162 §2.1: leaves and nodes are hashed under different
// prefixes, and a tree of n leaves splits at the largest power of two below n.

func nodeHash(l, r Hash) Hash {
	var p [1 + 2*len(l)]byte
	p[0] = 1
	copy(p[1:], l[:])
	copy(p[1+len(l):], r[:])
	return sha256.Sum256(p[:])
}

// split returns the largest power of two smaller than n, for n > 1.
func split(n int) int { return 1 << (bits.Len(uint(n-1)) - 1) }

// merkle appends, for every leaf, the hashes on its path to paths and
// returns the root. paths[i] has room for them.
func merkle(leaves []Hash, paths [][]Hash) Hash {
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := split(len(leaves))
	l, r := merkle(leaves[:k], paths[:k]), merkle(leaves[k:], paths[k:])
	for i := range paths[:k] {
		paths[i] = append(paths[i], r)
	}
	for i := range paths[k:] {
		paths[k+i] = append(paths[k+i], l)
	}
	return nodeHash(l, r)
}

// pathLen returns how many hashes lead from leaf index to the root of a tree
// of count leaves.
func pathLen(index, count int) (n int) {
	for count > 1 {
		k := split(count)
		if index < k {
			count = k
		} else {
			index, count = index-k, count-k
		}
		n++
	}
	return n
}

// rootOf returns the root that the path leads to. The path has pathLen hashes.
func rootOf(leaf Hash, index, count int, path []Hash) Hash {
	// Which side the sibling is on is decided from the root down, the hashes
	// are combined from the leaf up; a path has at most 63 steps.
	var left [64]bool
	n := 0
	for count > 1 {
		k := split(count)
		if left[n] = index < k; left[n] {
			count = k
		} else {
			index, count = index-k, count-k
		}
		n++
	}
	h := leaf
	for i, s := range path {
		if left[n-1-i] {
			h = nodeHash(h, s)
		} else {
			h = nodeHash(s, h)
		}
	}
	return h
}
