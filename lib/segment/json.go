package segment

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// A record's JSON line. It is written by hand, because there is one for every
// 16 KiB of media, and read with encoding/json, because a reader must bear
// what a later writer adds.

// AppendRecord appends the line that stands before the record's body in a
// slice stream. Header records have no such line; see AppendHeader.
func AppendRecord(b []byte, r *Record) []byte {
	b, n := appendFields(b, r, "size")
	if r.Kind == KindIndex {
		b = appendInt(b, "size", int64(len(r.Body)))
	} else if p := r.proof(); p != nil && n {
		b = appendProofFields(b, p)
	}
	return append(b, "}\n"...)
}

// AppendDescription appends the record as JSON for people and scripts,
// without proof, braces closed, without end of line. Sizes are "size_bytes".
func AppendDescription(b []byte, r *Record) []byte {
	b, _ = appendFields(b, r, "size_bytes")
	if x := r.Index; r.Kind == KindIndex && x != nil {
		b = append(b, `,"container":"`...)
		b = append(b, x.Container.String()...)
		b = append(b, '"')
		b = appendInt(b, "size_bytes", x.Size)
		b = appendInt(b, "epoch", x.Epoch)
		b = appendInt(b, "segment_bytes", x.SegmentSize)
		b = appendInt(b, "piece_bytes", int64(x.PieceSize))
		b = appendInt(b, "init_bytes", x.Init)
		b = appendInt(b, "segments", int64(len(x.Segments)))
		b = append(b, `,"keyframes":[`...)
		for i, k := range x.Keyframes {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, `{"offset":`...)
			b = strconv.AppendInt(b, k.Offset, 10)
			b = appendInt(b, "dts_ms", k.DTS)
			b = append(b, '}')
		}
		b = append(b, ']')
	}
	if h := r.Header; r.Kind == KindHeader && h != nil {
		b = append(b, `{"type":"header","key":"`...)
		b = base64.RawURLEncoding.AppendEncode(b, h.Key)
		b = append(b, `","container":"`...)
		b = append(b, h.Container.String()...)
		b = append(b, `","mode":"`...)
		if h.VOD {
			b = append(b, `vod"`...)
		} else {
			b = append(b, `live"`...)
		}
	}
	return append(b, '}')
}

// AppendStored appends the line under which a directory's index keeps a
// record: its description, its proof and the file that holds its bytes.
func AppendStored(b []byte, r *Record, file string) []byte {
	b = AppendDescription(b, r)
	b = b[:len(b)-1]
	if r.Kind != KindIndex && r.Kind != KindHeader {
		b = appendProofFields(b, r.proof())
	}
	if file != "" {
		b = append(b, `,"file":`...)
		b = strconv.AppendQuote(b, file)
	}
	return append(b, "}\n"...)
}

// appendFields appends a record's own fields, the brace left open, and
// reports whether there were any.
func appendFields(b []byte, r *Record, size string) ([]byte, bool) {
	switch r.Kind {
	case KindInit:
		i := r.Init
		b = append(b, `{"type":"init"`...)
		if i.Copy {
			b = append(b[:len(b)-len(`init"`)], `copy"`...)
		}
		b = appendInt(b, size, int64(i.Size))
		b = appendHash(b, "sha256", i.Hash)
	case KindPiece:
		p := r.Piece
		b = append(b, `{"type":"piece"`...)
		b = appendInt(b, "epoch", p.Epoch)
		b = appendInt(b, "seq", p.Seq)
		b = appendInt(b, "index", int64(p.Index))
		b = appendInt(b, "dts_ms", p.DTS)
		b = appendInt(b, size, int64(p.Size))
		b = appendHash(b, "sha256", p.SHA256)
		b = appendInt(b, "border", int64(p.Border))
		if len(p.Keyframes) > 0 {
			b = append(b, `,"keyframes":[`...)
			for i, k := range p.Keyframes {
				b = appendKeyframe(b, i, int64(k.Offset), k.DTS, k.PTS, k.Init)
			}
			b = append(b, ']')
		}
		if p.Prev != nil {
			b = append(b, `,"prev":`...)
			b = appendLinkJSON(b, *p.Prev)
		}
		b = appendTrue(b, "disc", p.Disc)
		b = appendTrue(b, "partial", p.Partial)
	case KindSegment:
		s := r.Segment
		b = append(b, `{"type":"segment"`...)
		b = appendInt(b, "epoch", s.Epoch)
		b = appendInt(b, "seq", s.Seq)
		b = appendInt(b, "pieces", int64(s.Pieces))
		b = appendInt(b, "dts_ms", s.DTS)
		b = appendInt(b, "end_dts_ms", s.EndDTS)
		b = appendInt(b, "size_bytes", s.Size)
		b = appendHash(b, "sha256", s.SHA256)
		b = append(b, `,"keyframes":[`...)
		for i, k := range s.Keyframes {
			b = appendKeyframe(b, i, k.Offset, k.DTS, k.PTS, k.Init)
		}
		b = append(b, ']')
		b = appendTrue(b, "disc", s.Disc)
		b = appendTrue(b, "partial", s.Partial)
	case KindIndex:
		b = append(b, `{"type":"index"`...)
	case KindEnd:
		e := r.End
		b = append(b, `{"type":"end"`...)
		b = appendInt(b, "pieces", e.Pieces)
		b = appendInt(b, "segments", e.Segments)
		b = append(b, `,"last":`...)
		b = appendLinkJSON(b, e.Last)
		b = appendTrue(b, "truncated", e.Truncated)
	default:
		return b, false
	}
	return b, true
}

func appendInt(b []byte, name string, v int64) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return strconv.AppendInt(b, v, 10)
}

func appendHash(b []byte, name string, h Hash) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, `":"`...)
	b = hex.AppendEncode(b, h[:])
	return append(b, '"')
}

func appendTrue(b []byte, name string, v bool) []byte {
	if !v {
		return b
	}
	b = append(b, ',', '"')
	b = append(b, name...)
	return append(b, `":true`...)
}

func appendLinkJSON(b []byte, l Link) []byte {
	b = append(b, `{"epoch":`...)
	b = strconv.AppendInt(b, l.Epoch, 10)
	b = appendInt(b, "seq", l.Seq)
	b = appendInt(b, "pieces", int64(l.Pieces))
	return append(b, '}')
}

func appendKeyframe(b []byte, i int, offset, dts, pts int64, init Hash) []byte {
	if i > 0 {
		b = append(b, ',')
	}
	b = append(b, `{"offset":`...)
	b = strconv.AppendInt(b, offset, 10)
	b = appendInt(b, "dts_ms", dts)
	b = appendInt(b, "pts_ms", pts)
	if !init.IsZero() {
		b = appendHash(b, "init", init)
	}
	return append(b, '}')
}

func appendProofFields(b []byte, p *Proof) []byte {
	b = append(b, `,"sig":"`...)
	b = base64.RawURLEncoding.AppendEncode(b, p.Sig[:])
	b = append(b, '"')
	b = appendInt(b, "leaf", int64(p.Index))
	b = appendInt(b, "leaves", int64(p.Count))
	if len(p.Path) > 0 {
		b = append(b, `,"path":[`...)
		for i := range p.Path {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, '"')
			b = base64.RawURLEncoding.AppendEncode(b, p.Path[i][:])
			b = append(b, '"')
		}
		b = append(b, ']')
	}
	return b
}

// b64 is a hash or signature in base64url.
type b64 []byte

func (b *b64) UnmarshalText(p []byte) (err error) {
	*b, err = base64.RawURLEncoding.Strict().AppendDecode(nil, p)
	return err
}

// line is every field of every record; a type uses its own.
type line struct {
	Type      string         `json:"type"`
	Size      int64          `json:"size"`
	SizeBytes int64          `json:"size_bytes"`
	Epoch     int64          `json:"epoch"`
	Seq       int64          `json:"seq"`
	Index     int            `json:"index"`
	DTS       int64          `json:"dts_ms"`
	EndDTS    int64          `json:"end_dts_ms"`
	SHA256    Hash           `json:"sha256"`
	Border    int            `json:"border"`
	Keyframes []lineKeyframe `json:"keyframes"`
	Prev      *lineLink      `json:"prev"`
	Disc      bool           `json:"disc"`
	Partial   bool           `json:"partial"`
	Pieces    int64          `json:"pieces"`
	Segments  int64          `json:"segments"`
	Last      lineLink       `json:"last"`
	Truncated bool           `json:"truncated"`
	Sig       b64            `json:"sig"`
	Leaf      int            `json:"leaf"`
	Leaves    int            `json:"leaves"`
	Path      []b64          `json:"path"`
	File      string         `json:"file"`
}

type lineKeyframe struct {
	Offset int64 `json:"offset"`
	DTS    int64 `json:"dts_ms"`
	PTS    int64 `json:"pts_ms"`
	Init   Hash  `json:"init"`
}

type lineLink struct {
	Epoch  int64 `json:"epoch"`
	Seq    int64 `json:"seq"`
	Pieces int   `json:"pieces"`
}

var errField = errors.New("bad field")

// ParseStored parses what AppendStored wrote. Bodies, and of an index
// everything, are in the file. A header's fields are in the directory's
// description of the room.
func ParseStored(p []byte) (r Record, file string, err error) {
	var l line
	if err := json.Unmarshal(p, &l); err != nil {
		return Record{}, "", err
	}
	if l.Type == "header" {
		return Record{Kind: KindHeader}, "", nil
	}
	l.Size = max(l.SizeBytes, 0)
	if l.Type == "index" {
		l.Size = 1 // of the file, which nobody knows here
	}
	if l.Type == "end" {
		l.Size = 0
	}
	r, _, err = l.record()
	return r, l.File, err
}

// parseRecord parses a record's line. Kind is 0 for an unknown type; size
// bytes follow the line.
func parseRecord(p []byte) (r Record, size int64, err error) {
	var l line
	if err := json.Unmarshal(p, &l); err != nil {
		return Record{}, 0, fmt.Errorf("bad header: %w", err)
	}
	return l.record()
}

func (l *line) record() (r Record, size int64, err error) {
	bad := func(name string) (Record, int64, error) {
		return Record{}, 0, fmt.Errorf("%s: %w: %s", l.Type, errField, name)
	}
	switch {
	case l.Type == "":
		return bad("type")
	case l.Size < 0:
		return bad("size")
	case l.Index < 0 || l.Index > math.MaxInt32:
		return bad("index")
	case l.Pieces < 0:
		return bad("pieces")
	case l.Segments < 0:
		return bad("segments")
	case l.Prev != nil && (l.Prev.Pieces < 0 || l.Prev.Pieces > math.MaxInt32), l.Last.Pieces < 0 || l.Last.Pieces > math.MaxInt32:
		return bad("prev or last")
	}
	switch l.Type {
	case "init", "copy":
		if l.Size < 1 || l.Size > MaxInit {
			return bad("size")
		}
		r = Record{Kind: KindInit, Init: &Init{Hash: l.SHA256, Size: int(l.Size), Copy: l.Type == "copy"}}
	case "piece":
		p := &Piece{ID: ID{l.Epoch, l.Seq, l.Index}, Size: int(l.Size), DTS: l.DTS, SHA256: l.SHA256,
			Border: l.Border, Disc: l.Disc, Partial: l.Partial}
		if l.Size < 1 || l.Size > MaxPiece {
			return bad("size")
		}
		if l.Border < 0 || l.Border > p.Size {
			return bad("border")
		}
		if len(l.Keyframes) > MaxKeyframes {
			return bad("keyframes")
		}
		last := int64(-1)
		for _, k := range l.Keyframes {
			if k.Offset <= last || k.Offset >= l.Size {
				return bad("keyframes")
			}
			last = k.Offset
			p.Keyframes = append(p.Keyframes, Keyframe{int(k.Offset), k.DTS, k.PTS, k.Init})
		}
		if l.Prev != nil {
			p.Prev = &Link{l.Prev.Epoch, l.Prev.Seq, l.Prev.Pieces}
		}
		if p.Index > 0 && (p.Prev != nil || p.Disc) {
			return bad("prev or disc")
		}
		r = Record{Kind: KindPiece, Piece: p}
	case "segment":
		s := &Segment{Epoch: l.Epoch, Seq: l.Seq, Pieces: int(l.Pieces), Size: l.SizeBytes, SHA256: l.SHA256,
			DTS: l.DTS, EndDTS: l.EndDTS, Disc: l.Disc, Partial: l.Partial}
		if l.Pieces < 1 || l.Pieces > math.MaxInt32 {
			return bad("pieces")
		}
		if l.SizeBytes < l.Pieces || l.SizeBytes > l.Pieces*MaxPiece {
			return bad("size_bytes")
		}
		if len(l.Keyframes) > MaxSegmentKeyframes {
			return bad("keyframes")
		}
		last := int64(-1)
		for _, k := range l.Keyframes {
			if k.Offset <= last || k.Offset >= s.Size {
				return bad("keyframes")
			}
			last = k.Offset
			s.Keyframes = append(s.Keyframes, SegmentKeyframe(k))
		}
		r, l.Size = Record{Kind: KindSegment, Segment: s}, 0
	case "index":
		if l.Size < 1 || l.Size > MaxInit {
			return bad("size")
		}
		return Record{Kind: KindIndex}, l.Size, nil
	case "end":
		if l.Size != 0 {
			return bad("size")
		}
		r = Record{Kind: KindEnd, End: &End{Pieces: l.Pieces, Segments: l.Segments, Last: Link(l.Last), Truncated: l.Truncated}}
	default:
		return Record{}, l.Size, nil
	}
	p := r.proof()
	if len(l.Sig) != ed25519.SignatureSize {
		return bad("sig")
	}
	copy(p.Sig[:], l.Sig)
	if l.Leaf < 0 || l.Leaf >= l.Leaves || l.Leaves > MaxBatch || len(l.Path) != pathLen(l.Leaf, l.Leaves) {
		return bad("leaf")
	}
	p.Index, p.Count = l.Leaf, l.Leaves
	for _, h := range l.Path {
		if len(h) != len(Hash{}) {
			return bad("path")
		}
		p.Path = append(p.Path, Hash(h))
	}
	return r, l.Size, nil
}
