package signal

import (
	"testing"
	"testing/synctest"
	"time"
)

// Rooms are put in order when the tracker wants it, and not with its slowest tick.
func TestTheTrackerIsCalledWhenItWantsToBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(ServerConfig{})
		defer s.Close()
		for range 25 {
			synctest.Wait()
			s.mu.Lock()
			next := time.Until(s.tracker.NextTimeout())
			s.mu.Unlock()
			if next <= 0 {
				t.Fatalf("it waits for a call since %v", -next)
			}
			time.Sleep(time.Second)
		}
	})
}
