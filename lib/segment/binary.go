package segment

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/xp2p/xp2p/lib/media"
)

// ErrMalformed is what parsers of binary records return.
var ErrMalformed = errors.New("malformed record")

const (
	flagDisc = 1 << iota
	flagPartial
	flagPrev
	flagCopy
	flagTruncated
)

func flags(disc, partial, prev, copied, truncated bool) (f byte) {
	for i, on := range [...]bool{disc, partial, prev, copied, truncated} {
		if on {
			f |= 1 << i
		}
	}
	return f
}

// AppendPiece appends the canonical binary form of p, its proof included.
func AppendPiece(b []byte, p *Piece) []byte {
	return appendProof(appendPieceBody(b, p), &p.Proof)
}

// appendPieceBody appends what the signature covers.
func appendPieceBody(b []byte, p *Piece) []byte {
	b = append(b, flags(p.Disc, p.Partial, p.Prev != nil, false, false))
	b = binary.AppendVarint(b, p.Epoch)
	b = binary.AppendVarint(b, p.Seq)
	b = binary.AppendUvarint(b, uint64(p.Index))
	b = binary.AppendUvarint(b, uint64(p.Size))
	b = binary.AppendVarint(b, p.DTS)
	b = append(b, p.SHA256[:]...)
	b = binary.AppendUvarint(b, uint64(p.Border))
	b = binary.AppendUvarint(b, uint64(len(p.Keyframes)))
	for _, k := range p.Keyframes {
		b = binary.AppendUvarint(b, uint64(k.Offset))
		b = binary.AppendVarint(b, k.DTS)
		b = binary.AppendVarint(b, k.PTS)
		b = append(b, k.Init[:]...)
	}
	if p.Prev != nil {
		b = appendLink(b, *p.Prev)
	}
	return b
}

// ParsePiece parses what AppendPiece wrote and returns the bytes behind it.
// It allocates no more than len(b) warrants.
func ParsePiece(b []byte) (p *Piece, rest []byte, err error) {
	d := decoder{p: b}
	f := d.byte()
	if f&^(flagDisc|flagPartial|flagPrev) != 0 {
		d.bad = true
	}
	p = &Piece{Disc: f&flagDisc != 0, Partial: f&flagPartial != 0}
	p.Epoch, p.Seq, p.Index = d.varint(), d.varint(), d.int(math.MaxInt32)
	p.Size = d.int(MaxPiece)
	p.DTS = d.varint()
	p.SHA256 = d.hash()
	p.Border = d.int(p.Size)
	if n := d.int(MaxKeyframes); n > 0 && !d.bad {
		p.Keyframes = make([]Keyframe, 0, n)
		for last := -1; n > 0 && !d.bad; n-- {
			k := Keyframe{Offset: d.int(p.Size - 1), DTS: d.varint(), PTS: d.varint(), Init: d.hash()}
			d.bad = d.bad || k.Offset <= last
			last = k.Offset
			p.Keyframes = append(p.Keyframes, k)
		}
	}
	if f&flagPrev != 0 {
		l := d.link()
		p.Prev = &l
	}
	p.Proof = d.proof()
	if d.bad || p.Size == 0 || p.Index > 0 && (p.Prev != nil || p.Disc) {
		return nil, b, ErrMalformed
	}
	return p, d.p, nil
}

func appendInitBody(b []byte, i *Init) []byte {
	b = append(b, flags(false, false, false, i.Copy, false))
	b = binary.AppendUvarint(b, uint64(i.Size))
	return append(b, i.Hash[:]...)
}

func appendSegmentBody(b []byte, s *Segment) []byte {
	b = append(b, flags(s.Disc, s.Partial, false, false, false))
	b = appendLink(b, s.Link())
	b = binary.AppendUvarint(b, uint64(s.Size))
	b = append(b, s.SHA256[:]...)
	b = binary.AppendVarint(b, s.DTS)
	b = binary.AppendVarint(b, s.EndDTS)
	b = binary.AppendUvarint(b, uint64(len(s.Keyframes)))
	for _, k := range s.Keyframes {
		b = binary.AppendUvarint(b, uint64(k.Offset))
		b = binary.AppendVarint(b, k.DTS)
		b = binary.AppendVarint(b, k.PTS)
		b = append(b, k.Init[:]...)
	}
	return b
}

func appendEndBody(b []byte, e *End) []byte {
	b = append(b, flags(false, false, false, false, e.Truncated))
	b = binary.AppendUvarint(b, uint64(e.Pieces))
	b = binary.AppendUvarint(b, uint64(e.Segments))
	return appendLink(b, e.Last)
}

// AppendIndex appends the canonical binary form of x, its proof included.
func AppendIndex(b []byte, x *Index) []byte {
	return appendProof(appendIndexBody(b, x), &x.Proof)
}

func appendIndexBody(b []byte, x *Index) []byte {
	b = append(b, byte(x.Container))
	b = binary.AppendVarint(b, x.Epoch)
	b = binary.AppendUvarint(b, uint64(x.SegmentSize))
	b = binary.AppendUvarint(b, uint64(x.PieceSize))
	b = binary.AppendUvarint(b, uint64(x.Size))
	b = binary.AppendUvarint(b, uint64(x.Init))
	b = binary.AppendUvarint(b, uint64(len(x.Segments)))
	for _, h := range x.Segments {
		b = append(b, h[:]...)
	}
	b = binary.AppendUvarint(b, uint64(len(x.Keyframes)))
	for _, k := range x.Keyframes {
		b = binary.AppendVarint(b, k.DTS)
		b = binary.AppendUvarint(b, uint64(k.Offset))
	}
	return b
}

// ParseIndex parses what AppendIndex wrote, to its last byte.
func ParseIndex(b []byte) (*Index, error) {
	if len(b) > MaxInit {
		return nil, ErrMalformed
	}
	d := decoder{p: b}
	x := &Index{Container: media.Container(d.byte()), Epoch: d.varint()}
	x.SegmentSize = int64(d.int(math.MaxInt64))
	x.PieceSize = d.int(MaxPiece)
	x.Size = int64(d.int(math.MaxInt64))
	x.Init = int64(d.int(int(x.Size)))
	n := d.int(len(d.p) / len(Hash{}))
	if d.bad || x.Container > media.FMP4 || x.SegmentSize < 1 || x.PieceSize < 1 || int64(n) != chunks(x.Size, x.SegmentSize) {
		return nil, ErrMalformed
	}
	x.Segments = make([]Hash, n)
	for i := range x.Segments {
		x.Segments[i] = d.hash()
	}
	if n := d.int(len(d.p) / 2); n > 0 && !d.bad {
		x.Keyframes = make([]IndexKeyframe, n)
		last := int64(-1)
		for i := range x.Keyframes {
			k := IndexKeyframe{DTS: d.varint(), Offset: int64(d.int(int(x.Size)))}
			d.bad = d.bad || k.Offset <= last
			last = k.Offset
			x.Keyframes[i] = k
		}
	}
	x.Proof = d.proof()
	if d.bad || len(d.p) > 0 {
		return nil, ErrMalformed
	}
	return x, nil
}

// chunks returns how many chunks of the given size hold size bytes.
func chunks(size, chunk int64) int64 {
	n := size / chunk
	if size%chunk != 0 {
		n++
	}
	return n
}

func appendLink(b []byte, l Link) []byte {
	b = binary.AppendVarint(b, l.Epoch)
	b = binary.AppendVarint(b, l.Seq)
	return binary.AppendUvarint(b, uint64(l.Pieces))
}

func appendProof(b []byte, p *Proof) []byte {
	b = append(b, p.Sig[:]...)
	b = binary.AppendUvarint(b, uint64(p.Index))
	b = binary.AppendUvarint(b, uint64(p.Count))
	for _, h := range p.Path { // as many as index and count say
		b = append(b, h[:]...)
	}
	return b
}

// A decoder reads fields; after the first that is missing or not canonical
// bad is set and all fields are zero.
type decoder struct {
	p   []byte
	bad bool
}

func (d *decoder) take(n int) []byte {
	if d.bad || len(d.p) < n {
		d.bad = true
		return nil
	}
	p := d.p[:n]
	d.p = d.p[n:]
	return p
}

func (d *decoder) byte() byte {
	if p := d.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (d *decoder) hash() (h Hash) {
	copy(h[:], d.take(len(h)))
	return h
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.p)
	if n <= 0 || n > 1 && d.p[n-1] == 0 { // cut off, too large, or longer than needed
		d.bad = true
	}
	if d.bad {
		return 0
	}
	d.p = d.p[n:]
	return v
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (d *decoder) int(most int) int {
	v := d.uvarint()
	if most < 0 || v > uint64(most) {
		d.bad = true
		return 0
	}
	return int(v)
}

func (d *decoder) link() Link {
	return Link{d.varint(), d.varint(), d.int(math.MaxInt32)}
}

func (d *decoder) proof() (p Proof) {
	copy(p.Sig[:], d.take(len(p.Sig)))
	p.Index, p.Count = d.int(MaxBatch-1), d.int(MaxBatch)
	if d.bad || p.Index >= p.Count {
		d.bad = true
		return Proof{}
	}
	if n := pathLen(p.Index, p.Count); n > 0 && len(d.p) >= n*len(Hash{}) {
		p.Path = make([]Hash, n)
		for i := range p.Path {
			p.Path[i] = d.hash()
		}
	} else if n > 0 {
		d.bad = true
	}
	return p
}
