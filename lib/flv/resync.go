package flv

import (
	"bytes"
	"encoding/binary"

	"github.com/xp2p/xp2p/lib/media"
)

// maxSearch is the largest body that a tag may have to be found again where
// framing was lost: Our choice, several times the largest keyframe of a 4K
// stream. Larger tags are still walked where framing holds.
const maxSearch = 4 << 20

func (w *Walker) lose(p []byte, eof bool) media.Span {
	w.state, w.begun = lost, false
	return w.search(p, eof)
}

// search looks for two consecutive valid tags: a header of a known type, the
// right size behind the body, and a header again (or an FLV header, or the end
// of the input). Of several candidates the one that is proved first wins, so
// that the outcome does not depend on how the input was chopped and a false
// candidate with a large size holds nobody up.
func (w *Walker) search(p []byte, eof bool) media.Span {
	found, proof := -1, 0
	keep := -1 // the first candidate that needs more input
	for i := 0; i < len(p); i++ {
		if found >= 0 && i >= proof {
			break
		}
		if len(p)-i < tagHeader {
			if keep < 0 && !eof {
				keep = i
			}
			break
		}
		if p[i]&0xc0 != 0 || p[i+8]|p[i+9]|p[i+10] != 0 {
			if p[i] != 'F' || !isHeader(p[i:]) {
				continue
			}
		}
		at, verdict := candidate(p, i, eof)
		switch {
		case verdict > 0 && (found < 0 || at < proof):
			found, proof = i, at
		case verdict == 0 && keep < 0:
			keep = i
		}
	}
	switch {
	case found == 0:
		w.state, w.again, w.header = between, true, true
		return w.boundary(p, eof)
	case found > 0:
		w.state, w.again = between, true
		return w.garbage(found, true)
	case eof:
		w.state = between
		return w.garbage(len(p), true)
	case keep < 0:
		keep = len(p)
	}
	if keep < 2 {
		return media.Span{} // one byte stays, to say End with
	}
	return w.garbage(keep-1, false)
}

func (w *Walker) garbage(n int, over bool) media.Span {
	begin := !w.begun
	if begin {
		w.begun, w.left = true, 0
		w.unit = media.Unit{Kind: media.Opaque, Resync: true, Defect: "no tag here"}
	}
	w.left += n
	if over {
		w.unit.Size = int64(w.left)
	}
	return media.Span{N: n, Begin: begin, End: over, Unit: w.unit}
}

// candidate judges a header at p[i]: verdict is 1 if it is proved by p[:at],
// 0 if that needs more input, -1 if it is none.
func candidate(p []byte, i int, eof bool) (at, verdict int) {
	if isHeader(p[i:]) {
		at = i + headerSize
		switch {
		case at > len(p) && !eof:
			return at, 0
		case at <= len(p) && binary.BigEndian.Uint32(p[at-trailer:]) == 0:
			return at, 1
		}
		return at, -1
	}
	size := bodySize(p[i:])
	if !known(p[i:]) || size > maxSearch {
		return 0, -1
	}
	next := i + tagHeader + size + trailer
	at = next + tagHeader
	if next > len(p) {
		if eof {
			return at, -1
		}
		return at, 0
	}
	if binary.BigEndian.Uint32(p[next-trailer:]) != uint32(tagHeader+size) {
		return at, -1
	}
	switch {
	case at <= len(p) && (known(p[next:]) || isHeader(p[next:])):
		return at, 1
	case at <= len(p):
		return at, -1
	case !eof:
		return at, 0
	case next == len(p):
		return next, 1
	}
	return at, -1
}

// fileHeaderIn returns where behind p[0] an FLV header stands, or -1. It is
// looked for inside of tags because a broadcaster that dies there and comes
// back on the same pipe would lose the new header, and the configuration behind
// it, to a DataSize that was never fulfilled.
func fileHeaderIn(p []byte) int {
	for at := 1; at+headerSize <= len(p); at++ {
		i := bytes.Index(p[at:], []byte("FLV\x01"))
		if i < 0 {
			return -1
		}
		at += i
		if at+headerSize <= len(p) && isHeader(p[at:]) && binary.BigEndian.Uint32(p[at+9:]) == 0 {
			return at
		}
	}
	return -1
}
