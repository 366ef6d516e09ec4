package segment

import "crypto/sha256"

// A batch is a run of records under one signature.
type batch struct {
	records []Record
	wait    func() // until its pieces are hashed
}

// HashPiece hashes a piece's body. Those who hash a batch do it for every
// record of it, in any order, also at the same time.
func (r *Record) HashPiece() {
	if r.Kind == KindPiece {
		r.Piece.SHA256 = sha256.Sum256(r.Body)
	}
}

func hashBatch(records []Record) func() {
	for i := range records {
		records[i].HashPiece()
	}
	return func() {}
}

func (c *Cutter) enqueue(r Record, size int) {
	c.queue = append(c.queue, r)
	c.queued += size
	if c.queued >= batchSize || len(c.queue) >= batchLen {
		c.closeBatch()
	}
}

// closeBatch has the open batch hashed. While somebody else does it, a few
// batches may be under way.
func (c *Cutter) closeBatch() {
	if len(c.queue) == 0 {
		return
	}
	hash, most := hashBatch, 0
	if c.cfg.Hash != nil {
		hash, most = c.cfg.Hash, ahead
	}
	c.closed = append(c.closed, batch{c.queue, hash(c.queue)})
	c.queue, c.spare, c.queued = c.spare, nil, 0
	c.seal(most)
}

// Sign lets go of every record that has closed: call it when input would have
// to be waited for.
func (c *Cutter) Sign() {
	for c.SignOldest() {
	}
}

// SignOldest is a part of Sign: it lets go of the oldest batch and reports
// whether there was one. By the time that is hashed there may be more input,
// so that the open batch need not close early.
func (c *Cutter) SignOldest() bool {
	if len(c.closed) == 0 {
		if len(c.queue) == 0 {
			return false
		}
		c.closeBatch()
	}
	if n := len(c.closed); n > 0 {
		c.seal(n - 1)
	}
	return true
}

// seal signs the oldest batches until at most so many are left.
func (c *Cutter) seal(most int) {
	for len(c.closed) > most {
		b := c.closed[0]
		c.closed = append(c.closed[:0], c.closed[1:]...)
		b.wait()
		for i := range b.records {
			switch r := &b.records[i]; r.Kind {
			case KindPiece:
				c.sum.Write(r.Piece.SHA256[:])
			case KindSegment:
				c.sum.Sum(r.Segment.SHA256[:0])
				c.sum.Reset()
				if c.cfg.VOD {
					c.marks.segments = append(c.marks.segments, r.Segment.SHA256)
				}
			}
		}
		c.buf = sign(c.cfg.Key, b.records, c.buf)
		for i := range b.records { // an index carries its proof in its body
			if r := &b.records[i]; r.Kind == KindIndex {
				r.Body = AppendIndex(nil, r.Index)
			}
		}
		c.ready = append(c.ready, b.records...)
		clear(b.records)
		c.spare = b.records[:0]
	}
}
