package endpoint

import (
	"bytes"
	"context"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xp2p/xp2p/lib/machine"
)

// keeper keeps what it hears.
type keeper struct {
	deaf
	heard [][]byte
}

func (k *keeper) Receive(_ time.Time, p machine.Packet) {
	if p.Segment != 0 {
		panic("a machine was given a run")
	}
	k.heard = append(k.heard, append([]byte(nil), p.Data...))
}

// parcels are datagrams of these lengths, each of a letter of its own.
func parcels(lengths ...int) (all []machine.Packet) {
	for i, n := range lengths {
		all = append(all, machine.Packet{Data: bytes.Repeat([]byte{byte('a' + i%26)}, n)})
	}
	return all
}

// deliver sends packets from one endpoint to another, and waits for as many.
func deliver(t *testing.T, from, to running, m *script, k *keeper, pkts []machine.Packet) Stats {
	t.Helper()
	from.Call(t.Context(), func(time.Time) {
		for _, p := range pkts {
			p.Remote = to.LocalAddr(0)
			m.out = append(m.out, p)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for n := 0; n < len(pkts); {
		if err := to.Call(ctx, func(time.Time) { n = len(k.heard) }); err != nil {
			t.Fatalf("%d of %d came: %v", n, len(pkts), err)
		}
	}
	from.stop()
	to.stop()
	for i, p := range pkts {
		if !bytes.Equal(k.heard[i], p.Data) {
			t.Errorf("datagram %d: %d bytes, want %d", i, len(k.heard[i]), len(p.Data))
		}
	}
	return from.Stats()
}

// cuts skips a test where the kernel knows nothing of runs.
func cuts(t *testing.T) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for _, option := range []int{unix.UDP_SEGMENT, unix.UDP_GRO} {
		if err := unix.SetsockoptInt(fd, unix.SOL_UDP, option, 1); err != nil {
			t.Skip("the kernel has no UDP_SEGMENT and UDP_GRO: ", err)
		}
	}
}

func TestARunLeavesAsOneAndArrivesOneByOne(t *testing.T) {
	cuts(t)
	lengths := func(n, each int) (all []int) {
		for range n {
			all = append(all, each)
		}
		return all
	}
	lone := parcels(lengths(10, 1200)...)
	for i := range lone {
		lone[i].Alone = true
	}
	marked := parcels(lengths(4, 1200)...)
	marked[2].ECN = machine.ECT0
	for name, c := range map[string]struct {
		pkts []machine.Packet
		want uint64 // messages
	}{
		"of one length":                    {parcels(lengths(20, 1200)...), 1},
		"the last is shorter":              {parcels(append(lengths(5, 1200), 7)...), 1},
		"one within is shorter":            {parcels(1200, 1200, 300, 1200, 1200), 2},
		"each is longer":                   {parcels(10, 20, 30), 3},
		"more than a message has":          {parcels(lengths(130, 100)...), 3},
		"longer than an IP packet can say": {parcels(lengths(60, 1400)...), 2},
		"that shall be alone":              {lone, 10},
		"of two marks":                     {marked, 3},
	} {
		for mode, plain := range map[string]bool{"batched": false, "plain": true, "batched IPv6": false} {
			t.Run(name+", to a "+mode+" end", func(t *testing.T) {
				listen := loopback
				if mode == "batched IPv6" {
					listen = []netip.AddrPort{netip.MustParseAddrPort("[::1]:0")}
				}
				m, k := &script{}, &keeper{}
				to := start(t, k, Config{Listen: listen, Plain: plain})
				from := start(t, m, Config{Listen: listen})
				s := deliver(t, from, to, m, k, c.pkts)
				if s.MessagesOut != c.want || s.PacketsOut != uint64(len(c.pkts)) || s.SendDrops != 0 {
					t.Errorf("%d datagrams in %d messages, want %d: %+v", s.PacketsOut, s.MessagesOut, c.want, s)
				}
				in := to.Stats()
				if in.PacketsIn != s.PacketsOut || in.BytesIn != s.BytesOut || !plain && in.MessagesIn != c.want || plain && in.MessagesIn != in.PacketsIn {
					t.Errorf("in: %+v", in)
				}
			})
		}
	}
}

func TestWhatTheKernelWillNotCutLeavesOneByOne(t *testing.T) {
	m, k := &script{}, &keeper{}
	var from, to running
	narrow(t, 1000, func() {
		to = start(t, k, Config{Listen: loopback})
		from = start(t, m, Config{Listen: loopback})
	})
	// Each has to become two fragments, and a run cannot.
	s := deliver(t, from, to, m, k, parcels(500, 1200, 1200, 1200, 900))
	if s.PacketsOut != 5 || s.SendDrops != 0 || s.MessagesOut != 5 {
		t.Errorf("%+v", s)
	}
}

func TestAGiantWithinARunDoesNoHarm(t *testing.T) {
	m, k := &script{}, &keeper{}
	to := start(t, k, Config{Listen: loopback})
	from := start(t, m, Config{Listen: loopback})
	from.Call(t.Context(), func(time.Time) {
		for _, p := range parcels(maxDatagram+1, maxDatagram+1, 3) {
			p.Remote = to.LocalAddr(0)
			m.out = append(m.out, p)
		}
	})
	for to.Stats().TooBig == 0 && t.Context().Err() == nil {
		to.Call(t.Context(), func(time.Time) {})
	}
	to.stop()
	if s := to.Stats(); s.PacketsIn != 0 || len(k.heard) != 0 {
		t.Errorf("%+v", s)
	}
}
