package xntp

// buffers is memory of objects that their owner gave back.
type buffers struct {
	free  [][]byte
	bytes int
}

const (
	// maxBuffers and maxBufferBytes bound what is kept for objects to come.
	maxBuffers     = 64
	maxBufferBytes = 4 << 20
)

// get returns n bytes, which may have any content.
func (p *buffers) get(n int) []byte {
	for i := len(p.free) - 1; i >= max(0, len(p.free)-4); i-- {
		if b := p.free[i]; cap(b) >= n && cap(b) <= 2*n {
			last := len(p.free) - 1
			p.free[i], p.free[last] = p.free[last], nil
			p.free = p.free[:last]
			p.bytes -= cap(b)
			return b[:n]
		}
	}
	return make([]byte, n)
}

func (p *buffers) put(b []byte) {
	if len(p.free) < maxBuffers && p.bytes+cap(b) <= maxBufferBytes {
		p.free = append(p.free, b)
		p.bytes += cap(b)
	}
}

// Reuse takes back the memory of the Data of an EventObject, for objects to come.
// Nobody may hold a part of it any more. Who keeps what he gets need not call it.
func (e *Endpoint) Reuse(data []byte) { e.buffers.put(data) }
