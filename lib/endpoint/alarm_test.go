package endpoint

import (
	"slices"
	"testing"
	"time"
)

// BenchmarkAlarm reports how late the loop's alarm rings after 250 µs.
func BenchmarkAlarm(b *testing.B) {
	for name, plain := range map[string]bool{"timerfd": false, "timer": true} {
		b.Run(name, func(b *testing.B) {
			a, err := newAlarm(plain)
			if err != nil {
				b.Fatal(err)
			}
			defer a.close()
			var late []time.Duration
			for b.Loop() {
				now := time.Now()
				at := now.Add(250 * time.Microsecond)
				a.set(now, at)
				<-a.ring()
				a.rung()
				late = append(late, time.Since(at))
			}
			slices.Sort(late)
			b.ReportMetric(float64(late[len(late)/2].Microseconds()), "p50-late-µs")
			b.ReportMetric(float64(late[len(late)*99/100].Microseconds()), "p99-late-µs")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func TestAnAlarmNeverRingsEarly(t *testing.T) {
	for name, plain := range map[string]bool{"as the system can": false, "plain": true} {
		a, err := newAlarm(plain)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 50 {
			now := time.Now()
			at := now.Add(time.Duration(i) * 20 * time.Microsecond)
			a.set(now, at)
			<-a.ring()
			a.rung()
			if early := time.Until(at); early > 0 {
				t.Errorf("%s: %v early", name, early)
			}
		}
		a.close()
	}
}
