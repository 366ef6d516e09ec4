package origin

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/store"
)

// recording answers with a recording from a time on: its init and what follows
// from the keyframe that the signed index names.
func (h *Handler) recording(w *counted, r *http.Request, room *store.Room, at time.Duration) {
	rec, ok := room.Index()
	if !ok {
		var err error
		if rec.Index, err = upstream(h, room, func(c *Client) (*segment.Index, error) { return c.Index(r.Context()) }); err != nil {
			missing(w, err, "the recording has no end yet, and so no times")
			return
		}
	}
	x := rec.Index
	offset, head, ok := x.Seek(at)
	if !ok {
		refuse(w, http.StatusNotFound, "this recording has no times to start by")
		return
	}
	p, ok := h.open(w, r, room.Container().ContentType())
	if !ok {
		return
	}
	defer h.served.Streams.Add(-1)
	err := h.copyRange(r, p.w, room, x, 0, head)
	if err == nil {
		err = h.copyRange(r, p.w, room, x, offset, x.Size)
	}
	h.finish(r, room, p, err)
}

// errDamaged says that neither the disk nor an upstream has a segment.
var errDamaged = errors.New("a segment cannot be had")

// copyRange writes the bytes from one offset of a recording to another.
func (h *Handler) copyRange(r *http.Request, w io.Writer, room *store.Room, x *segment.Index, from, to int64) error {
	for from < to {
		seq := from / x.SegmentSize
		name := x.Name(int(seq)).String()
		_, pieces, ok := room.Segment(name)
		if !ok {
			var err error
			pieces, err = upstream(h, room, func(c *Client) ([]segment.Record, error) { return c.Segment(r.Context(), name) })
			if err != nil {
				return errors.Join(errDamaged, err)
			}
		}
		body := newBodies(pieces)
		begin := seq * x.SegmentSize
		if body.size() <= from-begin {
			return errDamaged
		}
		if _, err := body.Seek(from-begin, io.SeekStart); err != nil {
			return err
		}
		n, err := io.Copy(w, io.LimitReader(body, to-from))
		if err != nil {
			return err
		}
		if h.ctx.Err() != nil {
			return h.ctx.Err()
		}
		from += n
	}
	return nil
}
