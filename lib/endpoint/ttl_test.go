package endpoint

import (
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/xp2p/xp2p/lib/machine"
)

// A low TTL opens a NAT's filter on this side and dies before the other: it
// must be the packet's own, and the next packet must not have it.
func TestATTLIsOfOnePacket(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("x/net reads no TTL on Windows")
	}
	for name, plain := range map[string]bool{"batched": false, "plain": true} {
		for _, host := range []string{"127.0.0.1", "::1"} {
			t.Run(name+" "+host, func(t *testing.T) {
				conn, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
				if err != nil {
					t.Skip(err)
				}
				defer conn.Close()
				conn.SetReadDeadline(time.Now().Add(20 * time.Second))
				to := conn.LocalAddr().(*net.UDPAddr).AddrPort()
				m := &script{}
				e := start(t, m, Config{Plain: plain}) // one socket for both families
				e.Do(func(time.Time) {
					for _, ttl := range []uint8{3, 0, 7} {
						m.out = append(m.out, machine.Packet{
							Remote: netip.AddrPortFrom(to.Addr().Unmap(), to.Port()), Data: []byte("hello"), TTL: ttl,
						})
					}
				})
				var got []int
				for range 3 {
					got = append(got, readTTL(t, conn, host == "::1"))
				}
				if got[0] != 3 || got[1] < 32 || got[2] != 7 {
					t.Errorf("TTLs %v, want 3, the system's, 7", got)
				}
			})
		}
	}
}

func readTTL(t *testing.T, conn net.PacketConn, v6 bool) int {
	t.Helper()
	buf := make([]byte, 100)
	if v6 {
		p := ipv6.NewPacketConn(conn)
		p.SetControlMessage(ipv6.FlagHopLimit, true)
		_, c, _, err := p.ReadFrom(buf)
		if err != nil || c == nil {
			t.Fatal(c, err)
		}
		return c.HopLimit
	}
	p := ipv4.NewPacketConn(conn)
	p.SetControlMessage(ipv4.FlagTTL, true)
	_, c, _, err := p.ReadFrom(buf)
	if err != nil || c == nil {
		t.Fatal(c, err)
	}
	return c.TTL
}
