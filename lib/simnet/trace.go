package simnet

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// A trace is a running hash of everything that happened: two runs with equal
// traces were equal. It is for comparing, not for security, so that a byte
// costs far less than in a real hash.
type trace struct{ h uint64 }

const (
	mixA = 0x9e3779b97f4a7c15 // 2^64 / golden ratio
	mixB = 0xd6e8feb86659fd93
)

func newTrace(seed uint64) trace { return trace{seed ^ mixA} }

func (t *trace) word(x uint64) {
	hi, lo := bits.Mul64(t.h^x^mixA, mixB)
	t.h = hi ^ lo + mixA
}

func (t *trace) bytes(p []byte) {
	t.word(uint64(len(p)))
	if len(p) >= 64 { // four lanes: multiplications that need not wait for each other
		l := [4]trace{{t.h}, {t.h + 1}, {t.h + 2}, {t.h + 3}}
		for ; len(p) >= 32; p = p[32:] {
			l[0].word(binary.LittleEndian.Uint64(p))
			l[1].word(binary.LittleEndian.Uint64(p[8:]))
			l[2].word(binary.LittleEndian.Uint64(p[16:]))
			l[3].word(binary.LittleEndian.Uint64(p[24:]))
		}
		for _, lane := range l {
			t.word(lane.h)
		}
	}
	for ; len(p) >= 8; p = p[8:] {
		t.word(binary.LittleEndian.Uint64(p))
	}
	var tail uint64
	for i, b := range p {
		tail |= uint64(b) << (8 * i)
	}
	t.word(tail)
}

func (t *trace) addr(a netip.AddrPort) {
	b := a.Addr().As16()
	t.word(binary.LittleEndian.Uint64(b[:8]))
	t.word(binary.LittleEndian.Uint64(b[8:]))
	t.word(uint64(a.Port()))
}

func (t *trace) datagram(now int64, from, to netip.AddrPort, data []byte) {
	t.word(uint64(now))
	t.addr(from)
	t.addr(to)
	t.bytes(data)
}

func (t *trace) loss(now int64, from, to netip.AddrPort, n int) {
	t.word(^uint64(now))
	t.addr(from)
	t.addr(to)
	t.word(uint64(n))
}

// Trace returns a hash of every datagram that was delivered or lost so far,
// with its time, and of every Note.
func (w *World) Trace() uint64 { return w.trace.h }

// Note adds something to the trace, say an event of a machine.
func (w *World) Note(s string) {
	w.trace.word(uint64(w.now))
	w.trace.bytes([]byte(s))
}

// Mark adds a number to the trace, with the time.
func (w *World) Mark(x uint64) {
	w.trace.word(uint64(w.now))
	w.trace.word(x)
}

func mixString(seed uint64, s string) uint64 {
	t := newTrace(seed)
	t.bytes([]byte(s))
	return t.h
}
