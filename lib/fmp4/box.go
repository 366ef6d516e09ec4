package fmp4

import "encoding/binary"

// maxPending bounds the boxes that are held back until a movie fragment is
// understood, and any box that is read whole. A box is believed to be larger
// only if it can be passed on in a stream.
const maxPending = 16 << 20

// maxUnknown bounds boxes of types that we do not know.
const maxUnknown = 1 << 20

// maxBoxes bounds how many boxes may stand before a movie fragment.
const maxBoxes = 64

const (
	ftyp = 'f'<<24 | 't'<<16 | 'y'<<8 | 'p'
	styp = 's'<<24 | 't'<<16 | 'y'<<8 | 'p'
	moov = 'm'<<24 | 'o'<<16 | 'o'<<8 | 'v'
	mvhd = 'm'<<24 | 'v'<<16 | 'h'<<8 | 'd'
	moof = 'm'<<24 | 'o'<<16 | 'o'<<8 | 'f'
	mfhd = 'm'<<24 | 'f'<<16 | 'h'<<8 | 'd'
	traf = 't'<<24 | 'r'<<16 | 'a'<<8 | 'f'
	tfhd = 't'<<24 | 'f'<<16 | 'h'<<8 | 'd'
	tfdt = 't'<<24 | 'f'<<16 | 'd'<<8 | 't'
	trun = 't'<<24 | 'r'<<16 | 'u'<<8 | 'n'
	mdat = 'm'<<24 | 'd'<<16 | 'a'<<8 | 't'
	mfra = 'm'<<24 | 'f'<<16 | 'r'<<8 | 'a'
	tfra = 't'<<24 | 'f'<<16 | 'r'<<8 | 'a'
	sidx = 's'<<24 | 'i'<<16 | 'd'<<8 | 'x'
	ssix = 's'<<24 | 's'<<16 | 'i'<<8 | 'x'
	prft = 'p'<<24 | 'r'<<16 | 'f'<<8 | 't'
	emsg = 'e'<<24 | 'm'<<16 | 's'<<8 | 'g'
	free = 'f'<<24 | 'r'<<16 | 'e'<<8 | 'e'
	skip = 's'<<24 | 'k'<<16 | 'i'<<8 | 'p'
	wide = 'w'<<24 | 'i'<<16 | 'd'<<8 | 'e'
	uuid = 'u'<<24 | 'u'<<16 | 'i'<<8 | 'd'
	meta = 'm'<<24 | 'e'<<16 | 't'<<8 | 'a'
	sdtp = 's'<<24 | 'd'<<16 | 't'<<8 | 'p'
	pdin = 'p'<<24 | 'd'<<16 | 'i'<<8 | 'n'
)

// A box is a header (ISO/IEC 14496-12 §4.2). Size counts the header too.
type box struct {
	kind  uint32
	head  int
	size  int64
	toEOF bool
}

// readBox reads the header that p begins with; ok is false if p is too short.
func readBox(p []byte) (b box, ok bool) {
	if len(p) < 8 {
		return b, false
	}
	b = box{kind: binary.BigEndian.Uint32(p[4:]), head: 8, size: int64(binary.BigEndian.Uint32(p))}
	switch b.size {
	case 0:
		b.toEOF = true
	case 1:
		if len(p) < 16 {
			return b, false
		}
		b.head, b.size = 16, int64(binary.BigEndian.Uint64(p[8:])) // negative is not plausible
	}
	return b, true
}

// plausible reports whether b can be a box of the top level. What it claims
// is believed only as far as its type allows.
func (b box) plausible() bool {
	if !b.toEOF && b.size < int64(b.head) {
		return false
	}
	switch b.kind {
	case mdat, free, skip, wide, uuid, meta, mfra, moov:
		return true
	case ftyp, styp, moof, sidx, ssix, prft, emsg, pdin:
		return !b.toEOF && b.size <= maxPending
	}
	return !b.toEOF && b.size <= maxUnknown && b.printable()
}

func (b box) known() bool {
	switch b.kind {
	case mdat, free, skip, wide, uuid, meta, mfra, moov, ftyp, styp, moof, sidx, ssix, prft, emsg, pdin:
		return true
	}
	return false
}

// printable reports whether the type could be a registered one.
func (b box) printable() bool {
	for k := b.kind; k != 0; k >>= 8 {
		if c := byte(k); (c < ' ' || c > '~') && c != 0xa9 {
			return false
		}
	}
	return b.kind>>24 != 0
}

// child splits the box that p begins with from what follows.
func child(p []byte) (kind uint32, payload, rest []byte, ok bool) {
	b, ok := readBox(p)
	if !ok || b.toEOF || b.size < int64(b.head) || b.size > int64(len(p)) {
		return 0, nil, nil, false
	}
	return b.kind, p[b.head:b.size], p[b.size:], true
}
