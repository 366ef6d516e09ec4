package netlab

import (
	"encoding/binary"
	"testing"
	"time"
)

// header is an IPv4 header with a true checksum.
func header(tos, ttl byte) []byte {
	ip := []byte{0x45, tos, 0, 28, 0x12, 0x34, 0x40, 0, ttl, 17, 0, 0, 10, 77, 0, 1, 10, 77, 0, 2}
	binary.BigEndian.PutUint16(ip[10:], ^sum(ip))
	return ip
}

func sum(ip []byte) uint16 {
	s := uint32(0)
	for i := 0; i < 20; i += 2 {
		s += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	s = s&0xffff + s>>16
	return uint16(s&0xffff + s>>16)
}

func TestAHeaderThatARouterChangedHasATrueChecksum(t *testing.T) {
	for ttl := range 256 {
		for _, hops := range []uint8{1, 5, 255} {
			ip := header(2, byte(ttl))
			alive := lowerTTL(ip, hops)
			if alive != (ttl > int(hops)) {
				t.Errorf("TTL %d after %d hops: alive %v", ttl, hops, alive)
			}
			if alive && ip[8] != byte(ttl)-hops {
				t.Errorf("TTL %d after %d hops is %d", ttl, hops, ip[8])
			}
			if markCE(ip); sum(ip) != 0xffff || ip[1]&3 != 3 {
				t.Errorf("TTL %d after %d hops: sum %x, ECN %d", ttl, hops, sum(ip), ip[1]&3)
			}
		}
	}
	ip := header(0, 64)
	if markCE(ip); ip[1] != 0 || sum(ip) != 0xffff {
		t.Error("marked, though its transport does not know ECN")
	}
}

func TestAReportIsTrustedOnlyIfTheEmulatorKeptUp(t *testing.T) {
	if (Report{LateP99: 2 * time.Millisecond}).Trusted() == nil || (Report{Hosts: []HostReport{{Overrun: 1}}}).Trusted() == nil || (Report{}).Trusted() != nil {
		t.Error("trusts the wrong report")
	}
}
