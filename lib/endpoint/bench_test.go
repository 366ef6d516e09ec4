package endpoint

import (
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
)

// BenchmarkDatagrams sends full datagrams over loopback as fast as the
// receiver takes them: it grants a window.
func BenchmarkDatagrams(b *testing.B) {
	for name, plain := range map[string]bool{"batched": false, "plain": true} {
		b.Run(name, func(b *testing.B) {
			runtime.GC()
			b.SetBytes(1200)
			b.ReportAllocs()
			src := &source{size: 1200, left: b.N, window: 64}
			dst := &granter{every: 16}
			eb := start(b, dst, Config{Listen: loopback, Plain: plain})
			src.to = eb.LocalAddr(0)
			done := make(chan struct{})
			ea := start(b, src, Config{Listen: loopback, Plain: plain, Step: func(time.Time) { closeOnce(done, src.granted >= b.N) }})
			b.ResetTimer()
			ea.Do(func(time.Time) { src.open = true })
			wait(b, done)
			b.StopTimer()
			eb.stop()
			s := eb.Stats()
			b.ReportMetric(float64(s.PacketsIn)/float64(max(1, s.BatchesIn)), "packets/read")
			b.ReportMetric(float64(s.Wakeups)/float64(b.N), "wakeups/packet")
		})
	}
}

// BenchmarkPacing sends a datagram every millisecond (10 Mbit/s) and reports
// how late each was, and how often the sender's loop woke for it.
func BenchmarkPacing(b *testing.B) {
	for name, plain := range map[string]bool{"timerfd": false, "timer": true} {
		b.Run(name, func(b *testing.B) {
			eb := start(b, &granter{every: 1 << 30}, Config{Listen: loopback})
			p := &pacer{to: eb.LocalAddr(0), left: b.N}
			done := make(chan struct{})
			ea := start(b, p, Config{Listen: loopback, Plain: plain, Step: func(time.Time) { closeOnce(done, p.next.IsZero() && p.left == 0) }})
			ea.Do(func(now time.Time) { p.next = now })
			wait(b, done)
			ea.stop()
			slices.Sort(p.late)
			b.ReportMetric(float64(p.late[len(p.late)/2].Microseconds()), "p50-late-µs")
			b.ReportMetric(float64(p.late[len(p.late)*99/100].Microseconds()), "p99-late-µs")
			b.ReportMetric(float64(ea.Stats().Wakeups)/float64(b.N), "wakeups/packet")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// pacer sends every millisecond, by the clock and not by the last datagram.
type pacer struct {
	to   netip.AddrPort
	left int
	next time.Time
	due  bool
	late []time.Duration
}

func (p *pacer) Receive(time.Time, machine.Packet) {}
func (p *pacer) NextTimeout() time.Time            { return p.next }
func (p *pacer) Advance(now time.Time) {
	if p.next.IsZero() || now.Before(p.next) {
		return
	}
	p.late = append(p.late, now.Sub(p.next))
	p.next, p.due = p.next.Add(time.Millisecond), true
	if p.left--; p.left <= 0 {
		p.next = time.Time{}
	}
}

func (p *pacer) AppendDatagram(_ time.Time, dst []byte) (machine.Packet, bool) {
	if !p.due {
		return machine.Packet{}, false
	}
	p.due = false
	return machine.Packet{Remote: p.to, Data: dst[:1200]}, true
}

type source struct {
	to                    netip.AddrPort
	size, left, window    int
	sent, granted, losses int
	open                  bool
	retry                 time.Time
}

func (s *source) Receive(now time.Time, p machine.Packet) {
	s.granted += int(p.Data[0])
	s.retry = now.Add(100 * time.Millisecond)
}

// Advance gives up on what was lost.
func (s *source) Advance(now time.Time) {
	if !s.retry.IsZero() && !now.Before(s.retry) {
		s.losses += s.sent - s.granted
		s.granted = s.sent
		s.retry = now.Add(100 * time.Millisecond)
	}
}

func (s *source) NextTimeout() time.Time { return s.retry }

func (s *source) AppendDatagram(now time.Time, dst []byte) (machine.Packet, bool) {
	if !s.open || s.left == 0 || s.sent-s.granted >= s.window {
		return machine.Packet{}, false
	}
	if s.retry.IsZero() {
		s.retry = now.Add(100 * time.Millisecond)
	}
	s.left--
	s.sent++
	return machine.Packet{Remote: s.to, Data: dst[:s.size]}, true
}

type granter struct {
	every, owed int
	to          netip.AddrPort
}

func (g *granter) Receive(_ time.Time, p machine.Packet) { g.owed++; g.to = p.Remote }
func (g *granter) Advance(time.Time)                     {}
func (g *granter) NextTimeout() time.Time                { return time.Time{} }
func (g *granter) AppendDatagram(_ time.Time, dst []byte) (machine.Packet, bool) {
	if g.owed < g.every {
		return machine.Packet{}, false
	}
	n := min(g.owed, 255)
	g.owed -= n
	return machine.Packet{Remote: g.to, Data: append(dst, byte(n))}, true
}
