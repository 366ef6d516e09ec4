//go:build linux

package netlab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const ms = time.Millisecond

// open builds a lab, or skips the test with the reason.
func open(t testing.TB, c Config) *Lab {
	t.Helper()
	if err := Available(); err != nil {
		t.Skip(err)
	}
	l, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// listen opens a UDP socket inside a host.
func listen(t testing.TB, l *Lab, host string) *net.UDPConn {
	t.Helper()
	var conn *net.UDPConn
	err := l.Do(host, func() (err error) {
		conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: l.Addr(host).AsSlice()})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetReadBuffer(4 << 20)
	conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	return conn
}

func addrOf(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

// pings measures round trips that only kernels take part in: ICMP echo.
func pings(t testing.TB, l *Lab, from, to string, n int) (rtts []time.Duration) {
	t.Helper()
	var conn net.PacketConn
	if err := l.Do(from, func() (err error) {
		conn, err = net.ListenPacket("ip4:icmp", l.Addr(from).String())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	dst := &net.IPAddr{IP: l.Addr(to).AsSlice()}
	buf := make([]byte, 1500)
	for i := range n {
		echo := []byte{8, 0, 0, 0, 0, 1, 0, byte(i)}
		sum := uint32(8<<8) + 1 + uint32(i)
		binary.BigEndian.PutUint16(echo[2:], ^uint16(sum+sum>>16))
		t0 := time.Now()
		if _, err := conn.WriteTo(echo, dst); err != nil {
			t.Fatal(err)
		}
		for {
			k, _, err := conn.ReadFrom(buf)
			if err != nil {
				t.Fatalf("ping %d: %v", i, err)
			}
			if k == 8 && buf[0] == 0 && buf[7] == byte(i) {
				rtts = append(rtts, time.Since(t0))
				break
			}
		}
	}
	slices.Sort(rtts)
	return rtts
}

// quietly measures in a lab, and once more where the machine was so busy that the lab
// itself says not to be trusted.
func quietly(t *testing.T, cfg Config, measure func(l *Lab) error) {
	for range 5 {
		l := open(t, cfg)
		err := measure(l)
		logReport(t, l)
		busy := l.Report().Trusted()
		l.Close()
		switch {
		case err == nil:
			return
		case busy == nil:
			t.Fatal(err)
		}
		t.Logf("not counted: %v (%v)", err, busy)
	}
	t.Skip("the machine was too busy five times to emulate a link")
}

func TestAPingThroughTheLabTakesTheDelayThatWasSet(t *testing.T) {
	quietly(t, Config{
		Hosts: []Host{
			{Name: "a", Up: Link{Delay: 4 * ms}, Down: Link{Delay: 1 * ms}},
			{Name: "b", Up: Link{Delay: 2 * ms, Rate: 10 * Mbps}, Down: Link{Delay: 3 * ms}},
			{Name: "c"},
		},
		Delay: 15 * ms, Realtime: true,
	}, func(l *Lab) (err error) {
		l.SetDelay("a", "c", 0)
		for _, c := range []struct {
			to   string
			want time.Duration
		}{{"b", 40 * ms}, {"c", 5 * ms}} {
			rtts := pings(t, l, "a", c.to, 20)
			p50 := rtts[len(rtts)/2]
			t.Logf("a to %s: want %v, shortest %v, median %v, longest %v", c.to, c.want, rtts[0], p50, rtts[len(rtts)-1])
			if rtts[0] < c.want {
				t.Errorf("a to %s: %v, want at least %v", c.to, rtts[0], c.want)
			}
			if p50 > c.want+2*ms {
				err = fmt.Errorf("a to %s: median %v, want %v and at most 2ms more", c.to, p50, c.want)
			}
		}
		return err
	})
}

func logReport(t testing.TB, l *Lab) {
	r := l.Report()
	t.Logf("%d packets, late p50 %v p99 %v worst %v, CPU %v, trusted: %v", r.Packets, r.LateP50, r.LateP99, r.LateWorst, r.CPU, r.Trusted())
}

func TestALinkInTheLabCarriesItsRateAndDropsTheRest(t *testing.T) {
	quietly(t, Config{
		Hosts: []Host{
			{Name: "a", Up: Link{Rate: 20 * Mbps, Queue: 450_000}},
			{Name: "b", Down: Link{Rate: 100 * Mbps}},
		},
		Delay: 10 * ms, Realtime: true,
	}, func(l *Lab) error {
		a, b := listen(t, l, "a"), listen(t, l, "b")
		stamped(t, b)
		send := func(size int) {
			if _, err := a.WriteToUDPAddrPort(make([]byte, size), addrOf(b)); err != nil {
				t.Fatal(err)
			}
		}
		buf, oob := make([]byte, 2000), make([]byte, 64)
		// The kernel begins to stamp a moment after it was asked to; until then it says
		// when the datagram was read.
		send(1)
		if _, _, err := b.ReadFromUDPAddrPort(buf); err != nil {
			t.Fatal(err)
		}
		before := l.Report().Hosts[0].Up.Packets
		const blast = 400 // of 1500 bytes: more than the link's queue holds
		for range blast {
			send(1472)
		}
		var first, last int64
		n := 0
		for {
			b.SetReadDeadline(time.Now().Add(300 * ms))
			_, k, _, _, err := b.ReadMsgUDPAddrPort(buf, oob)
			if err != nil {
				break
			}
			last = stamp(oob[:k])
			if n++; n == 1 {
				first = last
			}
		}
		rate := float64(n-1) * 1500 * 8 / time.Duration(last-first).Seconds()
		t.Logf("%d of %d came, at %.3f Mbit/s of 20 (%+.2f %%)", n, blast, rate/1e6, rate/20e4-100)
		up := l.Report().Hosts[0].Up
		if int(up.Packets-before) != n || n < 300 || up.LostQueue != uint64(blast-n) {
			t.Errorf("%d came; the emulator passed %d and dropped %d", n, up.Packets, up.LostQueue)
		}
		if rate < 19.6e6 || rate > 20.4e6 {
			return fmt.Errorf("%.2f Mbit/s, want 20", rate/1e6)
		}
		return nil
	})
}

// stamped asks the kernel to say when a datagram came: the reader's own
// lateness is not the lab's.
func stamped(t testing.TB, c *net.UDPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) })
	if err != nil {
		t.Fatal(err)
	}
}

func stamp(oob []byte) int64 {
	_, data, _, err := unix.ParseOneSocketControlMessage(oob)
	if err != nil || len(data) < 16 {
		return 0
	}
	return int64(binary.NativeEndian.Uint64(data))*1e9 + int64(binary.NativeEndian.Uint64(data[8:]))
}

// BenchmarkTCP fills a link with kernel TCP, and reports what came through
// and how late the emulator was.
func BenchmarkTCP(b *testing.B) {
	for _, rate := range []Rate{20 * Mbps, 100 * Mbps, 300 * Mbps} {
		b.Run(fmt.Sprintf("%dMbps", rate/Mbps), func(b *testing.B) {
			half := Link{Rate: rate, Delay: 10 * ms, Queue: int(rate / 8 / 25)}
			l := open(b, Config{Hosts: []Host{{Name: "a", Up: half}, {Name: "b", Up: Link{Delay: 10 * ms}}}, Realtime: true})
			var in net.Listener
			var out net.Conn
			l.Do("b", func() (err error) { in, err = net.Listen("tcp4", l.Addr("b").String()+":0"); return err })
			defer in.Close()
			l.Do("a", func() (err error) { out, err = net.Dial("tcp4", in.Addr().String()); return err })
			defer out.Close()
			sink, err := in.Accept()
			if err != nil {
				b.Fatal(err)
			}
			go io.Copy(io.Discard, sink)
			chunk := make([]byte, 64<<10)
			b.SetBytes(int64(len(chunk)))
			for b.Loop() {
				if _, err := out.Write(chunk); err != nil {
					b.Fatal(err)
				}
			}
			r := l.Report()
			b.ReportMetric(float64(r.LateP50.Microseconds()), "late-p50-µs")
			b.ReportMetric(float64(r.LateP99.Microseconds()), "late-p99-µs")
			b.ReportMetric(float64(r.Hosts[0].Up.Bytes)*8/1e6/b.Elapsed().Seconds(), "Mbit/s")
			b.ReportMetric(float64(r.Hosts[0].Overrun), "overruns")
			b.ReportMetric(r.CPU.Seconds()/b.Elapsed().Seconds()*100, "CPU-%")
		})
	}
}

func TestThirtyHostsAllReachEachOther(t *testing.T) {
	var c Config
	for i := range 30 {
		c.Hosts = append(c.Hosts, Host{Name: fmt.Sprint(i), Up: Link{Rate: 20 * Mbps}, Down: Link{Rate: 100 * Mbps}})
	}
	c.Delay = 10 * ms
	c.Realtime = true
	l := open(t, c)
	socks := make([]*net.UDPConn, len(c.Hosts))
	for i := range socks {
		socks[i] = listen(t, l, fmt.Sprint(i))
	}
	for _, from := range socks {
		for _, to := range socks {
			if from == to {
				continue
			}
			if _, err := from.WriteToUDPAddrPort(make([]byte, 500), addrOf(to)); err != nil {
				t.Fatal(err)
			}
		}
	}
	buf := make([]byte, 2000)
	for i, s := range socks {
		heard := map[netip.AddrPort]bool{}
		for range len(socks) - 1 {
			_, from, err := s.ReadFromUDPAddrPort(buf)
			if err != nil {
				t.Fatalf("host %d heard %d others: %v", i, len(heard), err)
			}
			heard[from] = true
		}
		if len(heard) != len(socks)-1 {
			t.Errorf("host %d heard %d others", i, len(heard))
		}
	}
	logReport(t, l)
}

func TestLinksAndDelaysChangeWhileTheLabRuns(t *testing.T) {
	l := open(t, Config{Hosts: []Host{{Name: "a"}, {Name: "b"}}})
	l.SetDelay("a", "b", 30*ms)
	if rtts := pings(t, l, "a", "b", 3); rtts[0] < 60*ms {
		t.Errorf("ping in %v after the delay was set to 30ms", rtts[0])
	}
	l.SetDelay("a", "b", 0)
	l.SetLinks("b", Link{Delay: 20 * ms}, Link{})
	if rtts := pings(t, l, "a", "b", 3); rtts[0] < 20*ms || rtts[0] > 60*ms {
		t.Errorf("ping in %v after the link's delay was set to 20ms", rtts[0])
	}
	l.SetLinks("b", Link{}, Link{Loss: 1})
	a, b := listen(t, l, "a"), listen(t, l, "b")
	a.WriteToUDPAddrPort([]byte("hello"), addrOf(b))
	b.SetReadDeadline(time.Now().Add(50 * ms))
	if _, _, err := b.ReadFromUDPAddrPort(make([]byte, 10)); err == nil {
		t.Error("a link that loses everything let something through")
	}
}

func TestLossInTheLabComesFromTheSeed(t *testing.T) {
	const n = 1000
	lost := func(seed uint64) (missing []uint32) {
		l := open(t, Config{
			Hosts: []Host{{Name: "a", Up: Link{Loss: 0.1}}, {Name: "b"}},
			Seed:  seed,
		})
		defer l.Close()
		a, b := listen(t, l, "a"), listen(t, l, "b")
		for i := range uint32(n) {
			if _, err := a.WriteToUDPAddrPort(binary.BigEndian.AppendUint32(nil, i), addrOf(b)); err != nil {
				t.Fatal(err)
			}
		}
		next := uint32(0)
		buf := make([]byte, 2000)
		for {
			b.SetReadDeadline(time.Now().Add(300 * ms))
			if _, _, err := b.ReadFromUDPAddrPort(buf); err != nil {
				break
			}
			for i := binary.BigEndian.Uint32(buf); next < i; next++ {
				missing = append(missing, next)
			}
			next++
		}
		if r := l.Report().Hosts[0]; r.Overrun != 0 || int(r.Up.LostRandom) < len(missing) {
			t.Errorf("%d lost by chance, %d by the kernel", r.Up.LostRandom, r.Overrun)
		}
		return missing
	}
	a, b, c := lost(5), lost(5), lost(6)
	if len(a) < 60 || len(a) > 140 {
		t.Errorf("%d of %d lost at 10 %%", len(a), n)
	}
	if !slices.Equal(a, b) || slices.Equal(a, c) {
		t.Errorf("lost with seeds 5, 5, 6: %v, %v, %v…", a[:5], b[:5], c[:5])
	}
}

func TestCommandsRunInsideTheirHostAndSeeNothingElse(t *testing.T) {
	l := open(t, Config{Hosts: []Host{{Name: "a"}, {Name: "b", Addr: netip.MustParseAddr("203.0.113.9")}}})
	outside, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	inside := map[string]bool{outside: true}
	for _, host := range []string{"a", "b"} {
		out, err := l.Command(host, "sh", "-c", "readlink /proc/self/ns/net; cat /proc/net/dev").CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		ns, devices, _ := strings.Cut(string(out), "\n")
		if inside[ns] {
			t.Errorf("%s is in a namespace that is not its own: %s", host, ns)
		}
		inside[ns] = true
		if n := strings.Count(devices, ":"); n != 2 || !strings.Contains(devices, "lo:") || !strings.Contains(devices, tunName+":") {
			t.Errorf("%s has devices\n%s", host, devices)
		}
	}
	// Loopback is up.
	conn := listenOn(t, l, "a", "127.0.0.1")
	if _, err := conn.WriteToUDPAddrPort([]byte("self"), addrOf(conn)); err != nil {
		t.Fatal(err)
	}
	if n, _, err := conn.ReadFromUDPAddrPort(make([]byte, 10)); n != 4 || err != nil {
		t.Errorf("%d bytes to itself, %v", n, err)
	}
	if rtts := pings(t, l, "a", "b", 1); rtts[0] > time.Second {
		t.Errorf("ping across: %v", rtts)
	}
}

func listenOn(t *testing.T, l *Lab, host, addr string) *net.UDPConn {
	t.Helper()
	var conn *net.UDPConn
	if err := l.Do(host, func() (err error) {
		conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(addr)})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	return conn
}

func TestACommandDiesWithItsSignalAndALabLeavesNothing(t *testing.T) {
	before := openFiles(t)
	l := open(t, Config{Hosts: []Host{{Name: "a"}, {Name: "b"}}})
	c := l.Command("a", "cat")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	c.Process.Kill()
	if err := c.Wait(); err == nil {
		t.Error("a killed command ended well")
	}
	in.Close()
	l.Close()
	if after := openFiles(t); after > before {
		t.Errorf("%d open files, before %d", after, before)
	}
}

func openFiles(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && (strings.Contains(to, "tun") || strings.Contains(to, "net:")) {
			n++
		}
	}
	return n
}

func TestALabRefusesWhatCannotBe(t *testing.T) {
	if err := Available(); err != nil {
		t.Skip(err)
	}
	for name, hosts := range map[string][]Host{
		"a name twice":     {{Name: "a"}, {Name: "a"}},
		"an address twice": {{Name: "a", Addr: netip.MustParseAddr("10.1.1.1")}, {Name: "b", Addr: netip.MustParseAddr("10.1.1.1")}},
		"IPv6":             {{Name: "a", Addr: netip.MustParseAddr("2001:db8::1")}},
	} {
		if l, err := New(Config{Hosts: hosts}); err == nil {
			l.Close()
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestLabsSideBySideDoNotMeet(t *testing.T) {
	c := Config{Hosts: []Host{{Name: "a"}, {Name: "b"}}, Delay: 5 * ms}
	one, two := open(t, c), open(t, c)
	a := listen(t, one, "a")
	b := listen(t, two, "b")
	a.WriteToUDPAddrPort([]byte("hello"), addrOf(b)) // the same address, but another lab's
	b.SetReadDeadline(time.Now().Add(100 * ms))
	if n, _, err := b.ReadFromUDPAddrPort(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes came from the other lab, %v", n, err)
	}
	if rtts := pings(t, two, "a", "b", 1); rtts[0] < 10*ms {
		t.Errorf("ping in %v", rtts)
	}
}

func TestATTLThatIsTooLowEndsInTheLab(t *testing.T) {
	l := open(t, Config{Hosts: []Host{{Name: "a"}, {Name: "b"}}, Hops: 5})
	out, err := l.Command("a", "cat", "/proc/sys/net/ipv4/ip_default_ttl").Output()
	if err != nil || strings.TrimSpace(string(out)) != "64" {
		t.Fatalf("%s, %v", out, err)
	}
	pings(t, l, "a", "b", 1) // checksums are right
	if err := l.Do("a", func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_default_ttl", []byte("5"), 0) }); err != nil {
		t.Fatal(err)
	}
	before := l.Report().Expired
	a, b := listen(t, l, "a"), listen(t, l, "b")
	a.WriteToUDPAddrPort([]byte("hello"), addrOf(b))
	b.SetReadDeadline(time.Now().Add(100 * ms))
	if _, _, err := b.ReadFromUDPAddrPort(make([]byte, 10)); err == nil {
		t.Error("a packet with TTL 5 passed 5 routers")
	}
	if got := l.Report().Expired - before; got != 1 {
		t.Errorf("%d expired", got)
	}
}
