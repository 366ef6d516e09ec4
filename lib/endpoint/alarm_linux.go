package endpoint

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// fdAlarm is a timerfd that is read through the runtime's poller: it wakes
// the loop within 50 µs of its time, where a time.Timer takes up to 1 ms,
// because the poller waits in whole milliseconds.
type fdAlarm struct {
	file *os.File
	raw  int
	c    chan struct{}
	end  chan struct{}
	at   time.Time // zero: not set
}

func newAlarm(plain bool) (alarm, error) {
	if plain {
		return newTimerAlarm(), nil
	}
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	a := &fdAlarm{file: os.NewFile(uintptr(fd), "timerfd"), raw: fd, c: make(chan struct{}, 1), end: make(chan struct{})}
	go func() {
		defer close(a.end)
		var expirations [8]byte
		for {
			if _, err := a.file.Read(expirations[:]); err != nil {
				return
			}
			select {
			case a.c <- struct{}{}:
			default:
			}
		}
	}()
	return a, nil
}

func (a *fdAlarm) set(now, at time.Time) {
	if !a.at.IsZero() && !at.Before(a.at) {
		return
	}
	a.at = at
	// A zero value would disarm it.
	t := unix.ItimerSpec{Value: unix.NsecToTimespec(max(1, int64(at.Sub(now))))}
	unix.TimerfdSettime(a.raw, 0, &t, nil)
}

func (a *fdAlarm) ring() <-chan struct{} { return a.c }
func (a *fdAlarm) rung()                 { a.at = time.Time{} }

func (a *fdAlarm) close() {
	a.file.Close()
	<-a.end
}
