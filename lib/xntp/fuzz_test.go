package xntp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

// FuzzReceive lets strangers send datagrams to an endpoint with a connection.
// Nothing they send changes it.
func FuzzReceive(f *testing.F) {
	w, a, b, ac, bc := pair(f, near)
	short := wire.AppendShort(nil, 0, a.conns[ac].remote, 9, 2)
	f.Add(append(short, make([]byte, 40)...))
	long := wire.Long{Type: wire.PacketInitial, Version: wire.Version, Src: wire.CID{1}, Noise: make([]byte, 130)}
	f.Add(padded(long.Append(nil), 0))
	long.Version = 2
	f.Add(padded(long.Append(nil), 0))
	long = wire.Long{Type: wire.PacketResponse, Version: wire.Version, Dst: b.conns[bc].local, Noise: make([]byte, 60)}
	f.Add(long.Append(nil))
	long = wire.Long{Type: wire.PacketRetry, Version: wire.Version, Dst: b.conns[bc].local, Cookie: make([]byte, 17)}
	f.Add(long.Append(nil))
	long = wire.Long{Type: wire.PacketVersions, Dst: b.conns[bc].local, Versions: []byte{0, 0, 0, 2}}
	f.Add(long.Append(nil))
	stranger := netip.MustParseAddrPort("203.0.113.1:1")
	var buf [maxMTU]byte
	f.Fuzz(func(t *testing.T, data []byte) {
		before, _ := b.Stats(bc)
		b.Receive(w.now, machine.Packet{Remote: stranger, Data: data})
		sent := 0
		for {
			p, ok := b.AppendDatagram(w.now, buf[:0])
			if !ok {
				break
			}
			sent += len(p.Data)
		}
		if after, _ := b.Stats(bc); after != before || len(b.conns) != 1 {
			t.Errorf("a stranger changed %+v to %+v", before, after)
		}
		if sent > 3*len(data) {
			t.Errorf("%d bytes answered with %d", len(data), sent)
		}
	})
}

// FuzzPeer lets a peer that holds its keys send any frames. It may break its own
// connection; it may not make us panic, nor hold more than the window.
func FuzzPeer(f *testing.F) {
	w, a, _, _, _ := pair(f, near, func(c *Config) { c.Window, c.MaxObject = 1<<16, 1<<14 })
	add := func(frames ...wire.Frame) {
		var b []byte
		for _, fr := range frames {
			b = fr.Append(b)
		}
		f.Add(b)
	}
	open := wire.Frame{Type: wire.FrameOpen, ID: 0, Open: wire.Open{Size: 10}}
	add(open, wire.Frame{Type: wire.FrameObj, Data: []byte("0123456789"), Fin: true})
	add(open, wire.Frame{Type: wire.FrameObj, Offset: 5, Data: []byte("56789")}, wire.Frame{Type: wire.FrameCancel, Value: 74})
	add(wire.Frame{Type: wire.FrameOpen, ID: 3, Open: wire.Open{Endless: true}}, wire.Frame{Type: wire.FrameObj, ID: 3, Offset: 4, Data: []byte("x")},
		wire.Frame{Type: wire.FrameObj, ID: 3, Data: []byte("abcd")}, wire.Frame{Type: wire.FrameExpired, ID: 3, Value: 100})
	ack := wire.Frame{Type: wire.FrameAck}
	ack.Ack.AddRange(wire.Range{First: 0, Last: 2})
	ack.Ack.AddStamp(time.Second)
	add(ack, wire.Frame{Type: wire.FrameWindow, Value: 1 << 20}, wire.Frame{Type: wire.FrameChallenge}, wire.Frame{Type: wire.FrameResponse})
	add(wire.Frame{Type: wire.FramePing}, wire.Frame{Type: wire.FrameClose, Value: 7, Data: []byte("bye")})
	recovered := wire.Frame{Type: wire.FrameRecovered}
	recovered.SetNumbers([]uint64{1, 0})
	add(recovered, ack)
	add(wire.Frame{Type: wire.FrameShard, ID: 2, Index: 1}, open, wire.Frame{Type: wire.FrameObj, Data: []byte("0123456789"), Fin: true})
	add(wire.Frame{Type: wire.FrameParity, ID: 2, Shards: 1, Data: append([]byte{0, 0, 0, 9, 0, 1}, byte(wire.FramePing))})
	add(wire.Frame{Type: wire.FrameParity, ID: 3, Shards: 2, Index: 1, Data: make([]byte, 50)})
	at := path{0, netip.MustParseAddrPort("192.0.2.77:1")}
	var buf [maxMTU]byte
	f.Fuzz(func(t *testing.T, data []byte) {
		e := New(a.cfg)
		c, err := e.newConn(w.now)
		if err != nil {
			t.Fatal(err)
		}
		c.path = pathState{path: at, proved: true}
		c.protect.init([32]byte{1}, [32]byte{2}, AES128GCM)
		c.adopt(&wire.Params{Window: 1 << 16, MaxObject: 1 << 14})
		c.open(w.now)
		now := w.now
		drain := func() {
			for i := 0; ; i++ {
				if _, ok := e.AppendDatagram(now, buf[:0]); !ok {
					break
				} else if i > 1000 {
					t.Fatal("output without end")
				}
			}
		}
		for range 3 {
			e.Send(now, c.id, Object{Data: [][]byte{make([]byte, 3000)}})
			e.touch(c)
			drain()
			now = now.Add(10 * time.Millisecond)
			e.shard = shardPacket{}
			_, _, _, code := c.handleFrames(now, data, at, 100)
			if code == codeNone && c.state == stateOpen {
				code = c.keepShard(now, 77, at)
			}
			if code != codeNone {
				c.close(now, ClosedProtocol, code)
			}
			held := 0
			for _, in := range c.in.open {
				held += cap(in.buf)
			}
			for i := range e.events.n {
				held += len(e.events.ring[(e.events.first+i)%len(e.events.ring)].Data)
			}
			if held > 3<<16 {
				t.Fatalf("%d bytes held", held)
			}
			e.touch(c)
			drain()
		}
		for range 50 {
			next := e.NextTimeout()
			if next.IsZero() {
				break
			}
			if next.After(now) {
				now = next
			}
			e.Advance(now)
			drain()
		}
		for {
			if _, ok := e.NextEvent(); !ok {
				break
			}
		}
	})
}
