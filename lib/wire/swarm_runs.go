package wire

import "errors"

// A Run is a set of pieces of one segment: bit i of Bits (least significant
// first) stands for the piece with index First+i.
type Run struct {
	Epoch, Seq int64
	First      int
	Bits       []byte
}

// Runs of a message share the epoch in practice, and follow each other by
// number, so each is told from the one before:
//
//	runs = count, then count times: epoch-step (signed) seq-step (signed) first bits-length bits
//
// where a step is the difference to the run before, and the first run's is
// from zero; after an epoch step that is not zero, the sequence number counts
// from zero again.
func appendRuns(b []byte, runs []Run) []byte {
	b = AppendVarint(b, uint64(len(runs)))
	var epoch, seq int64
	for _, r := range runs {
		step := r.Epoch - epoch
		if step != 0 {
			seq = 0
		}
		b = appendSigned(b, step)
		b = appendSigned(b, r.Seq-seq)
		b = AppendVarint(b, uint64(r.First))
		b = appendBytes(b, r.Bits)
		epoch, seq = r.Epoch, r.Seq
	}
	return b
}

var errRunRange = errors.New("swarm message: a run outside the range of piece names")

func appendSigned(b []byte, v int64) []byte { return AppendVarint(b, zigzag(v)) }

func (c *fields) signed() int64 { return unzigzag(c.varint()) }

func (c *fields) runs() []Run {
	n := c.varint()
	if c.err == nil && n > MaxSwarmRuns {
		c.err = errSwarmLong
	}
	// A run takes four bytes at least: do not reserve for what cannot be there.
	if c.err == nil && n > uint64(len(c.b)/4) {
		c.err = errSwarmShort
	}
	if c.err != nil || n == 0 {
		return nil
	}
	runs := make([]Run, 0, n)
	var epoch, seq int64
	for range n {
		de, ds := c.signed(), c.signed()
		first := c.varint()
		bits := c.bytes(MaxSwarmBits / 8)
		if c.err != nil {
			return nil
		}
		if de != 0 {
			seq = 0
		}
		// Steps have 61 bits and a sign; the sum of two stays in 63.
		epoch, seq = epoch+de, seq+ds
		if epoch < -maxName || epoch > maxName || seq < -maxName || seq > maxName ||
			first > MaxSwarmIndex {
			c.err = errRunRange
			return nil
		}
		runs = append(runs, Run{Epoch: epoch, Seq: seq, First: int(first), Bits: bits})
	}
	return runs
}

// maxName bounds epochs and sequence numbers, so that the step between any two
// fits a varint.
const maxName = 1<<59 - 1

// Has reports whether the run holds the piece with the given index.
func (r Run) Has(index int) bool {
	i := index - r.First
	return i >= 0 && i < 8*len(r.Bits) && r.Bits[i/8]>>(i%8)&1 == 1
}

// Each calls f for every index in the run, in order.
func (r Run) Each(f func(index int)) {
	for i, b := range r.Bits {
		for j := 0; b != 0; j, b = j+1, b>>1 {
			if b&1 == 1 {
				f(r.First + 8*i + j)
			}
		}
	}
}

// AppendToRuns adds a piece to a list of runs that is built in the order of
// epochs, sequence numbers and indices. It extends the last run where that is
// shorter than beginning a new one. It returns false, and the list as it was,
// when the list is full.
func AppendToRuns(runs []Run, epoch, seq int64, index int) ([]Run, bool) {
	if n := len(runs); n > 0 {
		r := &runs[n-1]
		if i := index - r.First; r.Epoch == epoch && r.Seq == seq && i >= 0 && i < 8*len(r.Bits)+32 && i < MaxSwarmBits {
			for len(r.Bits) <= i/8 {
				r.Bits = append(r.Bits, 0)
			}
			r.Bits[i/8] |= 1 << (i % 8)
			return runs, true
		}
	}
	if len(runs) == MaxSwarmRuns || index < 0 || index > MaxSwarmIndex {
		return runs, false
	}
	return append(runs, Run{Epoch: epoch, Seq: seq, First: index, Bits: []byte{1}}), true
}
