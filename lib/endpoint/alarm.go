package endpoint

import "time"

// An alarm wakes the loop at a time. Setting it costs a system call at most,
// and none where it stands earlier already: the loop then looks, and sets it
// again.
type alarm interface {
	set(now, at time.Time)
	ring() <-chan struct{}
	rung() // tells that a ring has been heard
	close()
}

// timerAlarm is the alarm of every system: a time.Timer, which below 1 ms may
// be a millisecond late.
type timerAlarm struct {
	timer *time.Timer
	c     chan struct{}
	at    time.Time // zero: not set
}

func newTimerAlarm() *timerAlarm {
	a := &timerAlarm{c: make(chan struct{}, 1)}
	a.timer = time.AfterFunc(time.Hour, func() {
		select {
		case a.c <- struct{}{}:
		default:
		}
	})
	a.timer.Stop()
	return a
}

func (a *timerAlarm) set(now, at time.Time) {
	if !a.at.IsZero() && !at.Before(a.at) {
		return
	}
	a.at = at
	a.timer.Reset(at.Sub(now))
}

func (a *timerAlarm) ring() <-chan struct{} { return a.c }
func (a *timerAlarm) rung()                 { a.at = time.Time{} }
func (a *timerAlarm) close()                { a.timer.Stop() }
