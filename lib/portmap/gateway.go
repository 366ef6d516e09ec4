package portmap

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"os"
	"strings"

	"github.com/jackpal/gateway"
)

// Gateway is the router that packets to anywhere go to. Linux says so in a file, which
// the library takes to begin with the default route, in little-endian numbers; elsewhere
// the library asks the system's own tools.
func Gateway() (netip.Addr, error) {
	var a netip.Addr
	if text, err := os.ReadFile("/proc/net/route"); err == nil {
		a = defaultRoute(string(text))
	} else {
		ip, err := gateway.DiscoverGateway()
		if err != nil {
			return netip.Addr{}, err
		}
		a, _ = netip.AddrFromSlice(ip)
	}
	if a = a.Unmap(); !a.IsValid() || a.IsUnspecified() {
		return netip.Addr{}, errors.New("there is no default route")
	}
	return a, nil
}

// defaultRoute reads the first default route of /proc/net/route: interface,
// destination, gateway, flags and so on, addresses as hexadecimal numbers in the
// machine's byte order.
func defaultRoute(text string) netip.Addr {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 8 || f[1] != "00000000" || f[7] != "00000000" {
			continue
		}
		b, err := hex.DecodeString(f[2])
		if err != nil || len(b) != 4 {
			continue
		}
		var a [4]byte
		binary.NativeEndian.PutUint32(a[:], binary.BigEndian.Uint32(b))
		if ip := netip.AddrFrom4(a); !ip.IsUnspecified() {
			return ip
		}
	}
	return netip.Addr{}
}
