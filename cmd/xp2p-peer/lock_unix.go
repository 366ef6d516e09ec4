//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// lock makes this program the only one that holds the lock at path, and waits
// for it for a bounded time. The system takes the lock back from whoever dies
// with it. The file stays: to remove it would let two hold the lock.
func lock(path string, within time.Duration) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(within); ; time.Sleep(lockAgain) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return func() { f.Close() }, nil
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR), time.Now().After(end):
			f.Close()
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
}

// lockAgain is how soon a lock that others hold is tried again.
const lockAgain = 5 * time.Millisecond
