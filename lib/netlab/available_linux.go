package netlab

import (
	"fmt"
	"os/exec"
	"sync"

	"golang.org/x/sys/unix"
)

// Available says why this machine cannot have a lab, or nil if it can.
func Available() error { return available() }

var available = sync.OnceValue(func() error {
	if _, err := exec.LookPath("nsenter"); err != nil {
		return fmt.Errorf("%w: nsenter (util-linux) is missing", ErrUnavailable)
	}
	if err := unix.Access("/dev/net/tun", unix.R_OK|unix.W_OK); err != nil {
		return fmt.Errorf("%w: /dev/net/tun: %w", ErrUnavailable, err)
	}
	// What counts is not being root but what the kernel allows: try.
	ns, err := newNamespace()
	if err != nil {
		return fmt.Errorf("%w: a network namespace: %w (root is needed)", ErrUnavailable, err)
	}
	defer ns.close()
	err = ns.do(func() error {
		tun, err := openTUN()
		if err == nil {
			unix.Close(tun)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%w: a TUN device: %w", ErrUnavailable, err)
	}
	return nil
})
