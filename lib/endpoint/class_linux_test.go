package endpoint

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xp2p/xp2p/lib/machine"
)

// The class is of every datagram, and leaves the ECN field to the machine.
func TestEveryDatagramIsOfTheClassThatWasAskedFor(t *testing.T) {
	const lowerEffort = 1 // RFC 8622
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
				e := start(t, m, Config{Plain: plain, DSCP: lowerEffort}) // one socket for both families
				e.Do(func(time.Time) {
					for _, ecn := range []machine.ECN{machine.NotECT, machine.ECT0, machine.NotECT} {
						m.out = append(m.out, machine.Packet{
							Remote: netip.AddrPortFrom(to.Addr().Unmap(), to.Port()), Data: []byte("hello"), ECN: ecn,
						})
					}
				})
				want := []int{lowerEffort << 2, lowerEffort<<2 | int(machine.ECT0), lowerEffort << 2}
				if plain {
					want[1] = want[0]
				}
				for i, w := range want {
					if got := readClass(t, conn.(*net.UDPConn), host == "::1"); got != w {
						t.Errorf("datagram %d has %#x, want %#x", i, got, w)
					}
				}
			})
		}
	}
}

func readClass(t *testing.T, conn *net.UDPConn, v6 bool) int {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		if v6 {
			unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1)
		} else {
			unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVTOS, 1)
		}
	})
	data, control := make([]byte, 100), make([]byte, 100)
	_, n, _, _, err := conn.ReadMsgUDP(data, control)
	if err != nil {
		t.Fatal(err)
	}
	for b := control[:n]; len(b) > 0; {
		h, d, rest, err := unix.ParseOneSocketControlMessage(b)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_TOS:
			return int(d[0])
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_TCLASS:
			return int(binary.NativeEndian.Uint32(d))
		}
		b = rest
	}
	t.Fatal("the kernel did not say of what class it is")
	return 0
}
