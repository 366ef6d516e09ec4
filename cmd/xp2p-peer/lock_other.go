//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// lock makes this program the only one that holds the lock at path, and waits
// for it for a bounded time. Here the lock is the file; one that is older than
// lockStale was left by a program that died with it.
func lock(path string, within time.Duration) (unlock func(), err error) {
	for end := time.Now().Add(within); ; time.Sleep(lockAgain) {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err == nil {
			f.Close()
			return func() { os.Remove(path) }, nil
		}
		if !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrPermission) || time.Now().After(end) {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > lockStale {
			os.Remove(path)
		}
	}
}

const (
	lockAgain = 5 * time.Millisecond
	lockStale = 10 * time.Second // a thousand times as long as it is held
)
