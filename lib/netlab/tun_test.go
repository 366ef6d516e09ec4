//go:build linux

package netlab

import "testing"

func TestDropsAreReadFromTheRightColumn(t *testing.T) {
	dev := []byte(`Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    9    0     0          0         0      100       1    0    8    0     0       0          0
  lab0:     200       2    0    7    0     0          0         0      200       2    0   42    0     0       0          0
`)
	if n := txDrops(dev, "lab0"); n != 42 {
		t.Errorf("%d drops", n)
	}
	if n := txDrops(dev, "lab1"); n != 0 {
		t.Errorf("%d drops of a device that is not there", n)
	}
	if n := txDrops([]byte("lab0: 1 2"), "lab0"); n != 0 {
		t.Errorf("%d drops in half a line", n)
	}
}
