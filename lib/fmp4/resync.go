package fmp4

import (
	"bytes"

	"github.com/xp2p/xp2p/lib/media"
)

// maxChain bounds the boxes whose truth is judged by the header behind them
// when framing is looked for.
const maxChain = 64 << 10

func (w *Walker) lose(p []byte, eof bool) media.Span {
	w.state, w.begun, w.done, w.joined = lost, false, 0, true
	return w.search(p, eof)
}

// search looks for the next box that a unit can begin with. The byte at p[0] is
// none: it was judged before.
func (w *Walker) search(p []byte, eof bool) media.Span {
	n := len(p)
	found := false
	for i := 1; i < len(p); i++ {
		if len(p)-i >= 8 && !start(be32(p[i+4:])) {
			continue
		}
		verdict := candidate(p[i:])
		if verdict < 0 || verdict == 0 && eof {
			continue
		}
		n, found = i, verdict > 0
		break
	}
	over := found || eof
	if !over {
		n-- // one byte stays, to say End with
	}
	if n == 0 {
		return media.Span{}
	}
	if !w.begun {
		w.unit = media.Unit{Kind: media.Opaque, Resync: true, Defect: "no box here"}
	}
	w.again = w.again || found
	return w.span(n, over)
}

func start(kind uint32) bool {
	switch kind {
	case styp, moof, moov, ftyp, sidx, ssix, prft, emsg, mfra:
		return true
	}
	return false
}

// candidate judges a box header that was found among bytes without framing: 1
// if it is one, 0 if that needs more input, -1 if it is none. A moof, moov or mfra
// shows it by its first child, the others by the header behind them.
func candidate(p []byte) int {
	b, ok := readBox(p)
	switch {
	case !ok:
		return 0
	case !start(b.kind) || !b.plausible() || b.toEOF:
		return -1
	}
	if b.kind == moof || b.kind == moov || b.kind == mfra {
		first, ok := readBox(p[b.head:])
		switch {
		case !ok:
			return 0
		case b.kind == moof && first.kind == mfhd && first.size == 16, b.kind == moov && first.kind == mvhd, b.kind == mfra && first.kind == tfra:
			return 1
		}
		return -1
	}
	if b.size > maxChain {
		return -1
	}
	if int64(len(p)) < b.size {
		return 0
	}
	next, ok := readBox(p[b.size:])
	switch {
	case !ok:
		return 0
	case next.known() && next.plausible():
		return 1
	}
	return -1
}

// movieIn returns where in p, from data on, an ftyp box stands with another
// box behind it, or -1; sure is false if more input is needed to tell. It is
// looked for inside of fragments because a broadcaster that dies there and
// comes back on the same pipe would lose the new movie box to a size that was
// never fulfilled.
func movieIn(p []byte, data int, left int64, toEOF, eof bool) (at int, sure bool) {
	inside := p
	if !toEOF && int64(len(p)) > left {
		inside = p[:left]
	}
	for at := data; at+8 <= len(inside); at++ {
		i := bytes.Index(inside[at+4:], []byte("ftyp"))
		if i < 0 {
			break
		}
		at += i
		if size := be32(p[at:]); size < 16 || size > 1024 {
			continue
		}
		if verdict := candidate(p[at:]); verdict > 0 || verdict == 0 && !eof {
			return at, verdict > 0
		}
	}
	return -1, false
}
