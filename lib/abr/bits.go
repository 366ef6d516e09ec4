package abr

// bitReader reads a raw byte sequence payload. Behind its end it reads zeros and
// remembers that it did.
type bitReader struct {
	p    []byte
	at   int
	over bool
}

func (b *bitReader) bit() uint {
	if b.at>>3 >= len(b.p) {
		b.over = true
		return 0
	}
	v := uint(b.p[b.at>>3]) >> (7 - b.at&7) & 1
	b.at++
	return v
}

func (b *bitReader) bits(n int) (v uint) {
	for range n {
		v = v<<1 | b.bit()
	}
	return v
}

// ue reads an Exp-Golomb code (§9.1); of more than 31 zeros it makes none.
func (b *bitReader) ue() int {
	zeros := 0
	for b.bit() == 0 {
		if zeros++; zeros > 31 || b.over {
			b.over = true
			return 0
		}
	}
	return int(1<<zeros-1) + int(b.bits(zeros))
}

func (b *bitReader) se() int {
	v := b.ue()
	if v&1 == 1 {
		return (v + 1) / 2
	}
	return -v / 2
}

// unescape takes the emulation prevention bytes out (§7.4.1).
func unescape(p []byte) []byte {
	out := make([]byte, 0, len(p))
	zeros := 0
	for _, c := range p {
		if zeros >= 2 && c == 3 {
			zeros = 0
			continue
		}
		if c == 0 {
			zeros++
		} else {
			zeros = 0
		}
		out = append(out, c)
	}
	return out
}

// A bitWriter makes a raw byte sequence payload.
type bitWriter struct {
	p []byte
	n int
}

func (w *bitWriter) bit(v uint) {
	if w.n&7 == 0 {
		w.p = append(w.p, 0)
	}
	w.p[w.n>>3] |= byte(v&1) << (7 - w.n&7)
	w.n++
}

func (w *bitWriter) ue(v int) {
	size := 0
	for (v+1)>>(size+1) > 0 {
		size++
	}
	for range size {
		w.bit(0)
	}
	for i := size; i >= 0; i-- {
		w.bit(uint(v+1) >> i)
	}
}

// escape puts emulation prevention bytes in (§7.4.2).
func escape(p []byte) []byte {
	out := make([]byte, 0, len(p)+8)
	zeros := 0
	for _, c := range p {
		if zeros >= 2 && c <= 3 {
			out, zeros = append(out, 3), 0
		}
		if c == 0 {
			zeros++
		} else {
			zeros = 0
		}
		out = append(out, c)
	}
	return out
}
