package xntp

import (
	"math"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/congestion"
	"github.com/xp2p/xp2p/lib/machine"
)

// wideOpen is a controller that never says no: for measuring everything else.
type wideOpen struct{}

func (wideOpen) OnSent(time.Time, int, int) {}
func (wideOpen) OnAck(congestion.Ack)       {}
func (wideOpen) OnLoss(congestion.Loss)     {}
func (wideOpen) OnSpurious(time.Time)       {}
func (wideOpen) Window() int                { return math.MaxInt32 }
func (wideOpen) Rate(time.Duration) float64 { return 1e12 }
func (wideOpen) Burst() int                 { return 1 << 20 }
func (wideOpen) SetMTU(int)                 {}

// A wirePair is two nodes with nothing between them.
type wirePair struct {
	w       *world
	a, b    *node
	ac      ConnID
	buf     [maxMTU]byte
	piece   [][]byte
	packets int
	bytes   int
}

func newWirePair(t testing.TB, change ...func(*Config)) *wirePair {
	change = append(change, func(c *Config) {
		c.NewController = func(time.Time) congestion.Controller { return wideOpen{} }
	})
	p := &wirePair{piece: [][]byte{make([]byte, 40), make([]byte, 16384)}}
	p.w, p.a, p.b, p.ac, _ = pair(t, link{delay: time.Millisecond}, change...)
	return p
}

func (p *wirePair) pump(from, to *node) {
	for {
		d, ok := from.AppendDatagram(p.w.now, p.buf[:0])
		if !ok {
			return
		}
		p.packets++
		p.bytes += len(d.Data)
		to.Receive(p.w.now, machine.Packet{Remote: from.addr, Data: d.Data, ECN: d.ECN})
	}
}

// turn sends a piece from one to the other, with all that belongs to it.
func (p *wirePair) turn(t testing.TB) {
	if _, err := p.a.Send(p.w.now, p.ac, Object{Data: p.piece}); err != nil {
		t.Fatal(err)
	}
	p.pump(p.a, p.b)
	p.w.now = p.w.now.Add(5 * time.Millisecond)
	p.b.Advance(p.w.now)
	p.pump(p.b, p.a)
	p.a.Advance(p.w.now)
	p.pump(p.a, p.b)
	for _, n := range []*node{p.a, p.b} {
		for {
			if _, ok := n.NextEvent(); !ok {
				break
			}
		}
	}
}

func TestThePacketPathAllocatesNothing(t *testing.T) {
	p := newWirePair(t)
	for range 2000 {
		p.turn(t) // let every arena grow to its size
	}
	before := p.packets
	n := testing.AllocsPerRun(2000, func() { p.turn(t) })
	perPiece := float64(p.packets-before) / 2001
	t.Logf("%v allocations for a piece in %.1f packets: the buffer that its receiver owns", n, perPiece)
	if n > 1 {
		t.Errorf("%v allocations for a piece, want 1", n)
	}
}

func benchmarkPieces(b *testing.B, change ...func(*Config)) {
	p := newWirePair(b, change...)
	for range 200 {
		p.turn(b)
	}
	p.packets, p.bytes = 0, 0
	b.SetBytes(16424)
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		p.turn(b)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(p.packets), "ns/packet")
	b.ReportMetric(float64(p.packets)/float64(b.N), "packets/op")
}

// Both ends together: queue, seal, open, reassemble, acknowledge.
func BenchmarkPieceAES(b *testing.B) { benchmarkPieces(b) }

func BenchmarkPieceChaCha(b *testing.B) {
	benchmarkPieces(b, func(c *Config) { c.Cipher = ChaCha20Poly1305 })
}

func BenchmarkSeal(b *testing.B) {
	p := newWirePair(b)
	s := &p.a.conns[p.ac].protect
	buf := make([]byte, 1384, 1500)
	b.SetBytes(1400)
	b.ReportAllocs()
	for n := uint64(0); b.Loop(); n++ {
		s.seal(buf, 0, n)
	}
}

func BenchmarkOpen(b *testing.B) {
	p := newWirePair(b)
	if _, err := p.a.Send(p.w.now, p.ac, Object{Data: p.piece}); err != nil {
		b.Fatal(err)
	}
	d, _ := p.a.AppendDatagram(p.w.now, nil)
	var c *conn
	for _, x := range p.b.conns {
		c = x
	}
	b.SetBytes(int64(len(d.Data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok := c.protect.open(p.b.scratch, d.Data, 0); !ok {
			b.Fatal("does not open")
		}
	}
}

// A second of a 20 Mbit/s link with 40 ms, filled.
func BenchmarkVirtualLink(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		l := link{delay: 20 * time.Millisecond, rate: 20e6, queue: 100000}
		w, n, _, id, _ := pair(b, l)
		bulk(w, n, id)
		w.run(time.Second)
	}
}

func BenchmarkHandshake(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		pair(b, link{})
	}
}
