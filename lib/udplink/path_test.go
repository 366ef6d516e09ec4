package udplink

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/internal/link"
)

const ms = time.Millisecond

func socket(t *testing.T) (*net.UDPConn, netip.AddrPort) {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c, c.LocalAddr().(*net.UDPAddr).AddrPort()
}

func open(t *testing.T, c Config) *Path {
	p := New(c)
	t.Cleanup(p.Close)
	return p
}

func hear(t *testing.T, c *net.UDPConn, want string) netip.AddrPort {
	t.Helper()
	buf := make([]byte, 2000)
	n, from, err := c.ReadFromUDPAddrPort(buf)
	if err != nil || string(buf[:n]) != want {
		t.Fatalf("heard %q, %v; want %q", buf[:n], err, want)
	}
	return from
}

func TestADatagramTakesTheDelayEachWayAndClientsAreToldApart(t *testing.T) {
	p := open(t, Config{})
	server, addr := socket(t)
	front, err := p.Open(addr, 10*ms)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := socket(t)
	b, _ := socket(t)
	// A question each, before any is answered.
	t0 := time.Now()
	a.WriteToUDPAddrPort([]byte("from a"), front)
	fromA := hear(t, server, "from a")
	if d := time.Since(t0); d < 10*ms {
		t.Errorf("came after %v", d)
	}
	b.WriteToUDPAddrPort([]byte("from b"), front)
	fromB := hear(t, server, "from b")
	if fromA == fromB {
		t.Errorf("both come from %v", fromA)
	}
	server.WriteToUDPAddrPort([]byte("to b"), fromB)
	server.WriteToUDPAddrPort([]byte("to a"), fromA)
	hear(t, a, "to a")
	hear(t, b, "to b")
	if d := time.Since(t0); d < 30*ms {
		t.Errorf("answered after %v", d)
	}
	if r := p.Report(); r.Up.Packets != 2 || r.Down.Packets != 2 || r.Down.Bytes != 2*(4+28) || r.Overrun != 0 {
		t.Errorf("%+v", r)
	}
}

// A lane is arithmetic: no socket is needed to hold it.
func TestTheBottleneckIsSharedDropsItsTailAndRefusesWhatIsTooBig(t *testing.T) {
	p := open(t, Config{Down: Link{Rate: 12 * link.Mbps, Queue: 15_000}})
	passed := 0
	for i := range 30 {
		exit, ok := p.down.pass(int64(5*ms), 1500)
		if ok {
			passed++
			if want := int64(5*ms) + int64(passed)*int64(ms); exit != want {
				t.Errorf("packet %d leaves at %v, want %v", i, time.Duration(exit), time.Duration(want))
			}
		}
	}
	// A reader that was overtaken by another hands in what came before.
	if exit, ok := p.down.pass(int64(4*ms), 1500); ok || exit != 0 {
		t.Error("time ran backwards")
	}
	if _, ok := p.down.pass(int64(50*ms), 1501); ok {
		t.Error("a packet of 1501 bytes passed")
	}
	c := p.Report().Down
	if passed != 10 || c.LostQueue != 21 || c.LostTooBig != 1 || c.QueueMax != 9*ms {
		t.Errorf("%d passed: %+v", passed, c)
	}
	if up := p.Report().Up; up.Packets != 0 {
		t.Errorf("the other way: %+v", up)
	}
}

// Datagrams that are sent at once come out at the rate of the link. What is
// measured is the virtual queue through real sockets; a machine that is busy
// makes it later, never faster.
func TestABurstComesOutAtTheRateOfTheLink(t *testing.T) {
	const n = 60
	p := open(t, Config{Up: Link{Rate: 12 * link.Mbps, Queue: 1 << 20}})
	server, addr := socket(t)
	front, err := p.Open(addr, 0)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := socket(t)
	t0 := time.Now()
	for i := range uint32(n) {
		a.WriteToUDPAddrPort(append(binary.BigEndian.AppendUint32(nil, i), make([]byte, 1500-28-4)...), front)
	}
	buf := make([]byte, 2000)
	for i := range uint32(n) {
		size, _, err := server.ReadFromUDPAddrPort(buf)
		if err != nil || size != 1472 || binary.BigEndian.Uint32(buf) != i {
			t.Fatalf("%d bytes, number %d, %v; want number %d", size, binary.BigEndian.Uint32(buf), err, i)
		}
		if d := time.Since(t0); d < time.Duration(i+1)*ms {
			t.Errorf("packet %d came after %v, faster than the link", i, d)
		}
	}
	r := p.Report()
	if r.Up.Packets != n || r.LateWorst == 0 {
		t.Errorf("%+v", r)
	}
	t.Logf("late p50 %v p99 %v worst %v, trusted: %v", r.LateP50, r.LateP99, r.LateWorst, r.Trusted())
}

func TestAReportIsTrustedOnlyIfTheRelayKeptUp(t *testing.T) {
	if (Report{LateP99: 2 * ms}).Trusted() == nil || (Report{Overrun: 1}).Trusted() == nil || (Report{LateP99: ms}).Trusted() != nil {
		t.Error("trusts the wrong report")
	}
}

func TestAClosedPathIsSilent(t *testing.T) {
	p := New(Config{})
	server, addr := socket(t)
	front, err := p.Open(addr, time.Hour) // on its way for ever
	if err != nil {
		t.Fatal(err)
	}
	a, _ := socket(t)
	a.WriteToUDPAddrPort([]byte("x"), front)
	for p.Report().Up.Packets == 0 {
		runtime.Gosched()
	}
	done := make(chan struct{})
	go func() { p.Close(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("Close waits for what is on its way")
	}
	server.SetReadDeadline(time.Now())
	if _, _, err := server.ReadFromUDPAddrPort(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}
