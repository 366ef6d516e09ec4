package origin

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/xp2p/xp2p/lib/segment"
)

// RecordingSegment returns the bytes of segment seq of a recording, verified
// against its index. It is one request for what any cache may hold, without the
// proofs that [Client.Segment] brings for a segment that no index vouches for.
func (c *Client) RecordingSegment(ctx context.Context, x *segment.Index, seq int) ([]byte, error) {
	path := "segments/" + x.Name(seq).String()
	b, err := c.fetch(ctx, path, x.SegmentSize)
	if err != nil {
		return nil, err
	}
	if !SameSegment(x, seq, b) {
		return nil, fmt.Errorf("%w: %s: the hash differs", ErrBadData, c.url(path))
	}
	return b, nil
}

// SameSegment says whether b is segment seq of the recording that x describes.
func SameSegment(x *segment.Index, seq int, b []byte) bool {
	if x.PieceSize <= 0 || seq < 0 || seq >= len(x.Segments) {
		return false
	}
	var pieces []segment.Hash
	for len(b) > 0 {
		n := min(len(b), x.PieceSize)
		pieces = append(pieces, sha256.Sum256(b[:n]))
		b = b[n:]
	}
	return segment.HashPieces(pieces) == x.Segments[seq]
}
