package endpoint

import (
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fdAlarm is a timerfd in the runtime's poller: it wakes the loop within 50 µs of
// its time, where a time.Timer takes up to 1 ms, because the poller waits in whole
// milliseconds. It is never read: the poller tells of each expiry once (EPOLLET),
// and setting the timer takes back what was not read of the last one.
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
	raw, err := a.file.SyscallConn()
	if err != nil {
		a.file.Close()
		return nil, err
	}
	listens := make(chan struct{})
	go func() {
		defer close(a.end)
		heard := false
		// One call to the end: each one begins with forgetting an expiry that nobody
		// has waited for, and so the timer is not set before this one has begun.
		raw.Read(func(uintptr) bool {
			if !heard {
				heard = true
				close(listens)
				return false
			}
			select {
			case a.c <- struct{}{}:
			default:
			}
			return false
		})
	}()
	<-listens
	return a, nil
}

func (a *fdAlarm) set(now, at time.Time) {
	if !a.at.IsZero() && !at.Before(a.at) {
		return
	}
	a.at = at
	// A zero value would disarm it.
	t := unix.ItimerSpec{Value: unix.NsecToTimespec(max(1, int64(at.Sub(now))))}
	unix.RawSyscall6(unix.SYS_TIMERFD_SETTIME, uintptr(a.raw), 0, uintptr(unsafe.Pointer(&t)), 0, 0, 0)
}

func (a *fdAlarm) ring() <-chan struct{} { return a.c }
func (a *fdAlarm) rung()                 { a.at = time.Time{} }

func (a *fdAlarm) close() {
	a.file.Close()
	<-a.end
}
