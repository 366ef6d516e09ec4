package punch

import (
	"net/netip"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/wire"
)

// FuzzPuncher has a Puncher of each kind take an offer or an answer as the tracker passed
// it on, and datagrams from wherever it sent to. Whatever they say, it sends to the
// addresses of the offer and to servers, within its bounds, and comes to an end.
func FuzzPuncher(f *testing.F) {
	for _, k := range []nat.Kind{nat.KindPublic, nat.KindPortRestricted, nat.KindSequential, nat.KindRandom, nat.KindBlocked} {
		b, err := wire.AppendSignal(nil, &wire.SignalPunch{Peer: 9, Session: 5, Round: 1, NAT: say(k), RTTms: 40, Addrs: []netip.AddrPort{there}, MAC: key})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(k), b, (&wire.Punch{Session: 5, Number: 3}).Append(nil, &key))
	}
	server := netip.MustParseAddrPort("192.0.2.1:3478")
	f.Fuzz(func(t *testing.T, kind byte, signal, datagram []byte) {
		s, err := wire.ParseSignal(signal)
		if err != nil {
			return
		}
		m, ok := s.(*wire.SignalPunch)
		if !ok {
			return
		}
		p := puncher(nat.Kind(kind) % (nat.KindBlocked + 1))
		p.SetRelay(kind&0x80 != 0)
		now := t0
		if kind&0x40 != 0 { // we want to meet it too
			p.Meet(now, m.Peer, &m.NAT, m.Relay)
		}
		may := map[netip.Addr]bool{server.Addr(): true}
		for _, a := range m.Addrs {
			may[a.Addr().Unmap()] = true
		}
		p.Signal(now, m)
		sent, opened := 0, machine.Socket(0)
		for range 20_000 {
			for _, e := range p.take() {
				switch e.Kind {
				case EventOpen:
					opened++
					p.Opened(now, e.Ref, opened, there, nil)
				case EventObserve:
					p.Observed(now, e.Ref, there, nil, nil)
				}
			}
			p.Advance(now)
			for {
				d, ok := p.AppendDatagram(now, nil)
				if !ok {
					break
				}
				if !may[d.Remote.Addr().Unmap()] {
					t.Fatalf("sent to %v, whom nobody named", d.Remote)
				}
				if sent++; sent%7 == 0 {
					p.Receive(now, machine.Packet{Socket: d.Socket, Remote: d.Remote, Data: datagram})
				}
			}
			next := p.NextTimeout()
			if next.IsZero() || next.Sub(t0) > time.Minute {
				break
			}
			if next.After(now) {
				now = next
			}
		}
		if p.Looks(m.Peer) && now.Sub(t0) < time.Minute {
			t.Fatalf("it still looks after %v", now.Sub(t0))
		}
		if p.Sockets() > BirthdaySockets+burst || sent > 4*BirthdayProbes {
			t.Fatalf("%d sockets, %d datagrams", p.Sockets(), sent)
		}
	})
}
