package machine

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// echo answers every datagram once, and hums once a second.
type echo struct {
	out   []Packet
	next  time.Time
	keep  bool // the fault: keeps the caller's bytes
	spin  bool // the fault: asks to be woken in the past
	owned bool // the fault: sends from its own memory
}

func (e *echo) Receive(_ time.Time, p Packet) {
	if len(p.Data) == 0 || len(e.out) == 64 {
		return
	}
	if !e.keep {
		p.Data = append([]byte(nil), p.Data...)
	}
	e.out = append(e.out, Packet{Socket: p.Socket, Remote: p.Remote, Data: p.Data})
}

func (e *echo) Advance(now time.Time) {
	if now.Before(e.next) {
		return
	}
	e.next = now.Add(time.Second)
	if e.spin {
		e.next = now
	}
}

func (e *echo) NextTimeout() time.Time { return e.next }

func (e *echo) AppendDatagram(_ time.Time, dst []byte) (p Packet, ok bool) {
	if len(e.out) == 0 {
		return Packet{}, false
	}
	p, e.out = e.out[0], e.out[1:]
	if !e.owned {
		p.Data = append(dst, p.Data...)
	}
	return p, true
}

func TestConformPassesAGoodMachineAndNamesTheFaultOfABadOne(t *testing.T) {
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	sample := []byte("hello, neighbour")
	if err := Conform(func() Machine { return &echo{} }, start, sample); err != nil {
		t.Errorf("a good machine: %v", err)
	}
	born := 0
	for want, bad := range map[string]func() Machine{
		"bytes of the caller":  func() Machine { return &echo{keep: true} },
		"busy loop":            func() Machine { return &echo{spin: true} },
		"not in the buffer":    func() Machine { return &echo{owned: true} },
		"its twin":             func() Machine { born++; return &echo{next: start.Add(time.Duration(born) * time.Minute)} },
		"datagram to nowhere":  func() Machine { return &echo{out: []Packet{{Data: sample}}} },
		"an empty datagram":    func() Machine { return &echo{out: []Packet{{Remote: netip.MustParseAddrPort("192.0.2.1:1")}}} },
		"datagrams at one ins": func() Machine { return &flood{} },
	} {
		err := Conform(bad, start, sample)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want a complaint about %q", err, want)
		}
	}
}

type flood struct{ echo }

func (f *flood) AppendDatagram(_ time.Time, dst []byte) (Packet, bool) {
	return Packet{Remote: netip.MustParseAddrPort("192.0.2.1:1"), Data: append(dst, 1)}, true
}
