package abr

// An output is what waits to be written: runs of bytes of the renditions as
// they are, and between them what was made here.
type output struct {
	chunks [][]byte
	made   []byte // the newest bytes of ours; they may move on to new memory
	bytes  int
}

// copied appends bytes of a rendition, which nobody will change.
func (o *output) copied(b []byte) {
	if len(b) == 0 {
		return
	}
	o.bytes += len(b)
	if n := len(o.chunks); n > 0 {
		// Frames that follow each other in the input leave together.
		if c := o.chunks[n-1]; cap(c) > len(c) && &c[:len(c)+1][len(c)] == &b[0] && cap(c) >= len(c)+len(b) {
			o.chunks[n-1] = c[: len(c)+len(b) : cap(c)]
			return
		}
	}
	o.chunks = append(o.chunks, b)
}

// build appends what f appends to the bytes it gets.
func (o *output) build(f func([]byte) []byte) {
	if cap(o.made)-len(o.made) < 4096 {
		o.made = make([]byte, 0, 64<<10)
	}
	start := len(o.made)
	o.made = f(o.made)
	b := o.made[start:len(o.made):len(o.made)]
	o.bytes += len(b)
	o.chunks = append(o.chunks, b)
}

// take returns what waits and forgets it.
func (o *output) take() [][]byte {
	c := o.chunks
	o.chunks, o.bytes = nil, 0
	return c
}
