package netlab

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// A namespace is a network namespace without a name: an open file keeps it,
// so that nothing is left when the process is gone.
type namespace struct{ file *os.File }

func newNamespace() (*namespace, error) {
	var file *os.File
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return os.NewSyscallError("unshare", err)
		}
		var err error
		file, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	if err != nil {
		return nil, err
	}
	return &namespace{file}, nil
}

// do calls f on a thread that is in the namespace.
func (n *namespace) do(f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(n.fd(), unix.CLONE_NEWNET); err != nil {
			return os.NewSyscallError("setns", err)
		}
		return f()
	})
}

func (n *namespace) fd() int { return int(n.file.Fd()) }
func (n *namespace) close()  { n.file.Close() }

// onThread calls f on a thread of its own, which ends with it: whatever f
// does to the thread, nobody inherits it.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked
		defer func() {
			if r := recover(); r != nil {
				done <- fmt.Errorf("panic in a namespace: %v", r)
			}
		}()
		done <- f()
	}()
	return <-done
}
