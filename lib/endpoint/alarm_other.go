//go:build !linux

package endpoint

func newAlarm(bool) (alarm, error) { return newTimerAlarm(), nil }
