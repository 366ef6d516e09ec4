package xntp

import (
	"bytes"
	"crypto/rand"
	"net/netip"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

// Strangers send fifty thousand Initials in a second: most open to nothing, some are
// the same valid one from other addresses, some are packets of the transfer that runs,
// as they were or changed. The transfer does not notice, keys roll under it, and what
// strangers are given is bounded. (That the machine bears it is measured by xp2p-bench
// many.)
func TestAFloodChangesNothing(t *testing.T) {
	n := 50_000
	if brief() {
		n = 2_000
	}
	run := func(n int) (arrived int, rolls uint64, spent time.Duration) {
		w := newWorld(t, 7)
		l := link{delay: 20 * time.Millisecond, rate: 20e6, queue: 100_000}
		life := func(c *Config) { c.KeyLife = 500 }
		a, b, x := w.add("a", l, life), w.add("b", l, life), w.add("x", l)
		ac, bc := w.dial(a, b)
		bulk(w, a, ac)
		w.run(time.Second)
		b.took()
		other := New(x.cfg)
		if _, err := other.Dial(w.now, DialOptions{Remote: b.Public(), Addr: b.addr}); err != nil {
			t.Fatal(err)
		}
		valid, _ := other.AppendDatagram(w.now, nil)
		var seen [][]byte
		w.meddle = func(from, to *node, p *machine.Packet) {
			if len(seen) < 100 && from == a && to == b {
				data := bytes.Clone(p.Data)
				w.after(100*time.Millisecond, func() { seen = append(seen, data) }) // it has arrived then
			}
		}
		sent, noise := 0, make([]byte, 150)
		var flood func()
		flood = func() {
			began := time.Now()
			for range n / 1000 {
				from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(sent >> 16), byte(sent >> 8), byte(sent)}), 1)
				var data []byte
				switch k := sent % 50; {
				case k == 0:
					data = valid.Data
				case k < 3 && len(seen) > 0:
					data = bytes.Clone(seen[sent/50%len(seen)])
					if k == 2 {
						data[len(data)-1-sent%len(data)] ^= 1
					}
				default:
					rand.Read(noise)
					long := wire.Long{Type: wire.PacketInitial, Version: wire.Version, Src: wire.CID(noise[:wire.CIDLen]), Noise: noise}
					data = padded(long.Append(nil), 0)
				}
				b.Receive(w.now, machine.Packet{Remote: from, Data: data})
				sent++
			}
			spent += time.Since(began)
			if sent < n {
				w.after(time.Millisecond, flood)
			}
		}
		if n > 0 {
			w.after(0, flood)
		}
		answered := b.sent
		w.run(time.Second)
		if b.half > 1 || len(b.conns) > 2 || b.count(EventMigrated) > 0 || b.count(EventClosed) > 0 {
			t.Errorf("%d half-open of %d connections; %v", b.half, len(b.conns), b.kinds())
		}
		if got := b.sent - answered; n > 0 && got > int64(3*wire.HandshakeLen*n) {
			t.Errorf("%d bytes are the answer to %d Initials", got, n)
		}
		if at := b.conns[bc].path.addr; at != a.addr {
			t.Errorf("the transfer goes to %v", at)
		}
		return b.took(), b.conns[bc].protect.rolls, spent
	}
	quiet, _, _ := run(0)
	busy, rolls, spent := run(n)
	t.Logf("%d bytes in a second, %d under the flood; %v for each Initial; keys rolled %d times", quiet, busy, spent/time.Duration(n), rolls)
	if 10*busy < 9*quiet || rolls < 3 {
		t.Errorf("%d bytes, %d without the flood; keys rolled %d times", busy, quiet, rolls)
	}
}
