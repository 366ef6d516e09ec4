package origin

import (
	"bytes"

	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/segment"
)

// flvHeader is the size of an FLV header with the first PreviousTagSize behind
// it (FLV specification §E.2, §E.3).
const flvHeader = 9 + 4

// maxHeld bounds the bytes that wait for a border. A unit that is longer is
// passed on as it comes: a fragment of that size is no longer live anyway.
const maxHeld = 64 << 20

// A Playable turns records, in order, into the bytes of a player: see the
// package comment for the promise. The zero Playable is not usable; it copies
// nothing, what it returns are runs of the records' own bodies.
type Playable struct {
	// Early gives out the first keyframe as it comes, and not when it is whole:
	// whoever sets it does not stop while Opening.
	Early bool

	container media.Container
	init      *segment.Init // the newest init before the start
	initBody  []byte
	whole     bool // init is a stream's first, not a copy
	started   bool
	opening   bool     // the first keyframe was given out in part
	rejoined  bool     // a run was given out before this one
	held      [][]byte // bytes behind the last border
	heldSize  int
	out       [][]byte
}

// NewPlayable returns a Playable for a stream framed in c.
func NewPlayable(c media.Container) *Playable { return &Playable{container: c} }

// Started reports whether the first keyframe has been given out.
func (p *Playable) Started() bool { return p.started }

// Opening reports whether what was given out ends inside the first keyframe:
// only with Early.
func (p *Playable) Opening() bool { return p.opening }

// Add takes the next record and returns the bytes that a player may have now,
// to be used before the next call.
func (p *Playable) Add(rec segment.Record) [][]byte {
	p.out = p.out[:0]
	switch rec.Kind {
	case segment.KindInit:
		p.addInit(rec.Init, rec.Body)
	case segment.KindPiece:
		p.addPiece(rec.Piece, rec.Body)
	case segment.KindEnd:
		if !rec.End.Truncated {
			p.release()
		}
	}
	return p.out
}

// Finish returns what is still held when the room has ended: the bytes behind
// the last border, so that a stream which ended inside a unit is given out
// exactly as it was. Whoever is interrupted before the end does not call it.
func (p *Playable) Finish() [][]byte {
	p.out = p.out[:0]
	p.release()
	return p.out
}

func (p *Playable) addInit(in *segment.Init, body []byte) {
	if !p.started {
		p.init, p.initBody, p.whole = in, body, !in.Copy
		return
	}
	if in.Copy {
		return // its content stands in the stream itself
	}
	p.drop()
	p.give(p.withoutHeader(body))
}

func (p *Playable) addPiece(piece *segment.Piece, body []byte) {
	if !p.started {
		from, ok := p.entry(piece)
		if !ok {
			return
		}
		p.started = true
		if p.rejoined {
			p.initBody = p.withoutHeader(p.initBody)
		}
		p.give(p.initBody)
		p.init, p.initBody = nil, nil
		border := max(p.border(piece), from)
		if p.opening = p.Early && border == from; p.opening {
			border = len(body)
		}
		p.give(body[from:border])
		p.hold(body[border:])
		return
	}
	if piece.Index == 0 && piece.Disc {
		// The header of an encoder that was started again within one slicer's
		// input stands in the stream: it is held there, and left out here.
		if b := p.withoutHeader(body); len(b) < len(body) {
			border := max(piece.Border-flvHeader, 0)
			p.drop()
			p.give(b[:border])
			p.hold(b[border:])
			return
		}
	}
	border := p.border(piece)
	switch {
	case border > 0:
		p.opening = false
		p.release()
		p.give(body[:border])
	case p.opening:
		border = len(body)
		p.give(body)
	}
	p.hold(body[border:])
}

// border returns how much of the piece may be given out. Raw bytes have no
// units, so every byte is one.
func (p *Playable) border(piece *segment.Piece) int {
	if p.container == media.Raw {
		return piece.Size
	}
	return piece.Border
}

// entry says where in the piece a player can begin.
func (p *Playable) entry(piece *segment.Piece) (from int, ok bool) {
	if piece.Index == 0 && piece.Prev == nil && !piece.Partial && (p.whole || p.init == nil) {
		return 0, true // the stream's own beginning
	}
	for i := range piece.Keyframes {
		if k := &piece.Keyframes[i]; p.init != nil && k.Init == p.init.Hash {
			return k.Offset, true
		}
	}
	return 0, false
}

// withoutHeader returns body without the FLV header at its beginning.
func (p *Playable) withoutHeader(body []byte) []byte {
	if p.container == media.FLV && len(body) >= flvHeader && bytes.HasPrefix(body, []byte("FLV")) {
		return body[flvHeader:]
	}
	return body
}

func (p *Playable) give(b []byte) {
	if len(b) > 0 {
		p.out = append(p.out, b)
	}
}

func (p *Playable) hold(b []byte) {
	if len(b) == 0 {
		return
	}
	p.held = append(p.held, b)
	if p.heldSize += len(b); p.heldSize > maxHeld {
		p.release()
	}
}

// release gives out what was held: a border has come.
func (p *Playable) release() {
	p.out = append(p.out, p.held...)
	p.drop()
}

// drop forgets what was held: the unit will not be completed.
func (p *Playable) drop() {
	clear(p.held)
	p.held, p.heldSize = p.held[:0], 0
}

// Rejoin says that what comes next does not follow on what was given out: the
// bytes between are lost. Playing goes on at the next keyframe, with its init;
// an FLV header is not given a second time.
func (p *Playable) Rejoin() {
	p.drop()
	p.rejoined = p.rejoined || p.started
	p.started, p.opening, p.init, p.initBody = false, false, nil, nil
}
