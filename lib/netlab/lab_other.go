//go:build !linux

package netlab

import (
	"fmt"
	"runtime"
	"time"
)

// Available says why this machine cannot have a lab, or nil if it can.
func Available() error {
	return fmt.Errorf("%w: network namespaces are Linux's, and this is %s", ErrUnavailable, runtime.GOOS)
}

// What follows is never reached: New asks Available first.

type namespace struct{}

func (*namespace) fd() int                 { return -1 }
func (*namespace) do(f func() error) error { return ErrUnavailable }

func newPlace(Host, *place) (*place, error) { return nil, ErrUnavailable }
func (*place) close()                       {}
func (*place) overrun() uint64              { return 0 }

type emulator struct{}

func newEmulator(Config, []*place) (*emulator, error) { return nil, ErrUnavailable }
func (*emulator) stop()                               {}
func (*emulator) setLinks(int, Link, Link)            {}
func (*emulator) setDelay(a, b int, d time.Duration)  {}
func (*emulator) report() Report                      { return Report{} }
