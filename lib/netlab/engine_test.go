//go:build linux

package netlab

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The processor on which the first thread waits is taken away by whoever lends it: the
// second fetches and delivers.
func TestASecondThreadStepsInWhenTheFirstIsLate(t *testing.T) {
	hosts := []Host{{Name: "a", Addr: netip.MustParseAddr("10.77.0.1")}, {Name: "b", Addr: netip.MustParseAddr("10.77.0.2")}}
	var ours, theirs []int
	for range hosts {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs = append(ours, pair[0]), append(theirs, pair[1])
		defer unix.Close(pair[0])
	}
	e := newEngine(setup{Hosts: hosts, Delay: 5 * time.Millisecond}, theirs)
	ip := make([]byte, 60)
	ip[0], ip[8] = 0x45, 64
	a, b := hosts[0].Addr.As4(), hosts[1].Addr.As4()
	copy(ip[12:], a[:])
	copy(ip[16:], b[:])
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	for i := range 2 {
		if _, err := unix.Write(ours[0], ip); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			e.fetch(0) // the first thread takes a packet, and is not heard of again
		}
	}
	go e.standBy()
	for i := range 2 {
		fds := []unix.PollFd{{Fd: int32(ours[1]), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds, 10_000); err != nil || n != 1 {
			t.Fatalf("packet %d does not come: %v", i, err)
		}
		if n, err := unix.Read(ours[1], make([]byte, 100)); n != len(ip) || err != nil {
			t.Fatalf("packet %d: %d bytes, %v", i, n, err)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stoodIn == 0 || e.late.N() != 2 {
		t.Errorf("it stepped in %d times, and %d packets were written", e.stoodIn, e.late.N())
	}
}
