package xntp

import (
	"crypto/ed25519"
	"net/netip"
	"testing"
	"time"
)

func TestAPathThatWasUsedLatelyStartsAtHalfOfItsRate(t *testing.T) {
	token := func(c *Config) {
		c.VerifyToken = func([]ed25519.PublicKey, []byte, netip.AddrPort, time.Time) bool { return true }
	}
	// run gets an object for somebody and, after a pause, one for a neighbour of his.
	run := func(pause time.Duration) (first, second time.Duration, kept float64) {
		w := newWorld(t, 9)
		l := link{delay: 20 * time.Millisecond, rate: 100e6, queue: 500e3}
		a, b := w.add("a", l), w.add("b", l, token)
		neighbour := w.add("c", l)
		first, _, _ = askFor(t, a, b, DialOptions{Token: []byte("t")}, 512<<10)
		w.run(time.Second)
		a.CloseAll(w.now)
		w.run(pause)
		b.events = nil
		kept = b.past.recall(w.now, path{addr: neighbour.addr}).rate
		second, _, _ = askFor(t, neighbour, b, DialOptions{Token: []byte("t")}, 512<<10)
		return first, second, kept
	}
	first, second, kept := run(time.Second)
	t.Logf("%v, a second later %v; %.1f Mbit/s remembered", first, second, kept*8/1e6)
	if kept*8 < 80e6 || kept*8 > 105e6 {
		t.Errorf("%.1f of 100 Mbit/s remembered", kept*8/1e6)
	}
	if second > first-10*time.Millisecond {
		t.Errorf("%v, and with a memory of the path %v", first, second)
	}
	if first, second, kept := run(pastLife + time.Second); kept != 0 || second < first-time.Millisecond {
		t.Errorf("five minutes later %.1f Mbit/s are remembered: %v, then %v", kept*8/1e6, first, second)
	}
}

func TestTheMemoryOfPathsIsBounded(t *testing.T) {
	var s pastState
	now := time.Unix(1000, 0)
	at := func(i int) path {
		return path{addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}), 5)}
	}
	for i := range 3 * pastMost {
		s.note(at(i), float64(i+1), time.Second, now)
		s.note(at(i), float64(i+1), time.Second, now) // of the same network one
	}
	if len(s.list) != pastMost {
		t.Errorf("%d are remembered", len(s.list))
	}
	if got := s.recall(now, at(3*pastMost-1)).rate; got != 3*pastMost {
		t.Errorf("the latest has a rate of %v", got)
	}
	if s.recall(now, at(0)).rate != 0 {
		t.Error("the oldest is remembered")
	}
	if got, want := networkOf(netip.MustParseAddr("2001:db8:1:2::3")).String(), "2001:db8:1::/48"; got != want {
		t.Errorf("the network of an IPv6 address is %v, want %v", got, want)
	}
	if networkOf(netip.MustParseAddr("::ffff:192.0.2.7")) != networkOf(netip.MustParseAddr("192.0.2.1")) {
		t.Error("a mapped address is of another network")
	}
}
