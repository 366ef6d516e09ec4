package portmap

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

func TestTheDefaultRouteIsRead(t *testing.T) {
	const table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n" +
		"eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n" +
		"tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n" +
		"eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
	want := netip.MustParseAddr("192.168.1.1")
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		t.Skip("the sample is of a little-endian machine")
	}
	if got := defaultRoute(table); got != want {
		t.Errorf("%v", got)
	}
	if got := defaultRoute("eth0\t00000000\tzz\n"); got.IsValid() {
		t.Errorf("%v", got)
	}
}
