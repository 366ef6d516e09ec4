package origin

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/store"
)

// forever is the Cache-Control of what is named by its content (RFC 8246).
const forever = "public, max-age=31536000, immutable"

const octets = "application/octet-stream"

// content answers with bytes that never change: ranges, conditions and HEAD
// after RFC 9110 §13 and §14.
func content(w http.ResponseWriter, r *http.Request, kind, etag string, body io.ReadSeeker) {
	head := w.Header()
	head.Set("Content-Type", kind)
	head.Set("Cache-Control", forever)
	head.Set("ETag", `"`+etag+`"`)
	http.ServeContent(w, r, "", time.Time{}, body)
}

func (h *Handler) piece(w http.ResponseWriter, r *http.Request, room *store.Room, t target) {
	rec, ok := room.PieceByHash(t.hash)
	if !ok {
		var err error
		rec.Body, err = upstream(h, room, func(c *Client) ([]byte, error) { return c.Piece(r.Context(), t.hash) })
		if err != nil {
			missing(w, err, "no such piece here")
			return
		}
	}
	content(w, r, octets, t.hash.String(), bytes.NewReader(rec.Body))
}

func (h *Handler) init(w http.ResponseWriter, r *http.Request, room *store.Room, t target) {
	rec, ok := room.Init(t.hash)
	if !ok {
		var err error
		rec.Body, err = upstream(h, room, func(c *Client) ([]byte, error) { return c.Init(r.Context(), t.hash) })
		if err != nil {
			missing(w, err, "no such init here")
			return
		}
	}
	content(w, r, room.Container().ContentType(), t.hash.String(), bytes.NewReader(rec.Body))
}

func (h *Handler) segment(w http.ResponseWriter, r *http.Request, room *store.Room, t target) {
	_, pieces, ok := room.Segment(t.name)
	if !ok {
		var err error
		pieces, err = upstream(h, room, func(c *Client) ([]segment.Record, error) { return c.Segment(r.Context(), t.name) })
		if err != nil {
			missing(w, err, "no such segment here")
			return
		}
	}
	if t.kind == segmentPiecesTarget {
		var list []byte
		for i := range pieces {
			list = append(list, pieces[i].Piece.SHA256[:]...)
		}
		content(w, r, octets, t.name+"-pieces", bytes.NewReader(list))
		return
	}
	content(w, r, octets, t.name, newBodies(pieces))
}

// at answers with pieces as records. A run that the segment does not reach yet
// is answered as far as it goes, and then not kept by caches.
func (h *Handler) at(w http.ResponseWriter, r *http.Request, room *store.Room, t target) {
	var recs []segment.Record
	for id := t.id; len(recs) < t.n; id.Index++ {
		rec, ok := room.Piece(id)
		if !ok {
			break
		}
		recs = append(recs, rec)
	}
	if len(recs) == 0 {
		var err error
		recs, err = upstream(h, room, func(c *Client) ([]segment.Record, error) { return c.At(r.Context(), t.id, t.n) })
		if err != nil {
			missing(w, err, "no such piece here")
			return
		}
	}
	var buf bytes.Buffer
	out := segment.NewWriter(&buf, room.Header())
	for _, rec := range recs {
		if err := out.Write(rec); err != nil {
			refuse(w, http.StatusInternalServerError, "cannot be written")
			return
		}
	}
	if err := out.Flush(); err != nil {
		refuse(w, http.StatusInternalServerError, "cannot be written")
		return
	}
	sum := segment.Hash(sha256.Sum256(buf.Bytes()))
	if len(recs) < t.n {
		w.Header().Set("Content-Type", octets)
		w.Header().Set("Cache-Control", "public, max-age=1")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(buf.Bytes()))
		return
	}
	content(w, r, octets, sum.String(), bytes.NewReader(buf.Bytes()))
}

// bodies reads the bodies of records one behind the other.
type bodies struct {
	recs []segment.Record
	ends []int64 // where each body ends
	pos  int64
}

func newBodies(recs []segment.Record) *bodies {
	b := &bodies{recs: recs, ends: make([]int64, len(recs))}
	sum := int64(0)
	for i := range recs {
		sum += int64(len(recs[i].Body))
		b.ends[i] = sum
	}
	return b
}

func (b *bodies) size() int64 {
	if len(b.ends) == 0 {
		return 0
	}
	return b.ends[len(b.ends)-1]
}

func (b *bodies) Read(p []byte) (int, error) {
	for i := range b.recs { // a segment has few pieces
		if b.pos < b.ends[i] {
			body := b.recs[i].Body
			n := copy(p, body[int64(len(body))-(b.ends[i]-b.pos):])
			b.pos += int64(n)
			return n, nil
		}
	}
	return 0, io.EOF
}

func (b *bodies) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += b.pos
	case io.SeekEnd:
		offset += b.size()
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning")
	}
	b.pos = offset
	return offset, nil
}
