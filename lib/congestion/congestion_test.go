package congestion

import (
	"math"
	"testing"
	"time"
)

const mtu = 1200

// A sender is a controller on a path whose queue never overflows by itself:
// the test says what is lost.
type sender struct {
	Controller
	now time.Time
	rtt time.Duration
}

func start(c Controller) *sender {
	return &sender{c, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), 100 * time.Millisecond}
}

// round sends a full window and acknowledges it a packet at a time, spread over
// the round trip.
func (s *sender) round() {
	n := s.Window() / mtu
	sent := s.now
	s.now = s.now.Add(s.rtt)
	for i := range n {
		s.OnAck(Ack{Now: s.now, Sent: sent.Add(time.Duration(i+1) * time.Microsecond), Bytes: mtu, RTT: s.rtt, SRTT: s.rtt, MinRTT: s.rtt, RoundEnd: i == 0})
	}
}

func (s *sender) lose() {
	s.OnLoss(Loss{Now: s.now, Sent: s.now, Bytes: mtu})
	s.now = s.now.Add(time.Millisecond)
}

func (s *sender) packets() float64 { return float64(s.Window()) / mtu }

func both(t *testing.T, f func(t *testing.T, s *sender)) {
	for name, c := range map[string]Controller{"cubic": NewCUBIC(mtu)} {
		t.Run(name, func(t *testing.T) { f(t, start(c)) })
	}
}

func TestInitialWindow(t *testing.T) {
	// RFC 9002 §7.2.
	for _, tc := range []struct{ mtu, want int }{{1200, 12000}, {1400, 14000}, {1472, 14720}, {9000, 18000}} {
		if got := NewCUBIC(tc.mtu).Window(); got != tc.want {
			t.Errorf("cubic of %d: %d, want %d", tc.mtu, got, tc.want)
		}
	}
}

func TestSlowStartDoubles(t *testing.T) {
	both(t, func(t *testing.T, s *sender) {
		for _, want := range []float64{20, 40, 80} {
			if s.round(); s.packets() != want {
				t.Errorf("%v packets, want %v", s.packets(), want)
			}
		}
	})
}

func TestNothingGrowsWhileTheApplicationIsTheLimit(t *testing.T) {
	// RFC 9002 §7.8: "the congestion window SHOULD NOT be increased in either
	// slow start or congestion avoidance."
	both(t, func(t *testing.T, s *sender) {
		for range 10 {
			s.OnAck(Ack{Now: s.now, Sent: s.now, Bytes: mtu, RTT: s.rtt, SRTT: s.rtt, AppLimited: true})
		}
		if s.packets() != 10 {
			t.Errorf("%v packets", s.packets())
		}
	})
}

func TestOneReductionInARoundTrip(t *testing.T) {
	for name, tc := range map[string]struct {
		c    Controller
		want float64
	}{"cubic": {NewCUBIC(mtu), 56}} {
		s := start(tc.c)
		for range 3 {
			s.round()
		}
		sent := s.now
		s.lose()
		s.OnLoss(Loss{Now: s.now, Sent: sent, Bytes: 5 * mtu}) // sent before the reduction
		if got := s.packets(); math.Abs(got-tc.want) > 0.1 {
			t.Errorf("%s: %v packets of 80, want %v", name, got, tc.want)
		}
		s.now = s.now.Add(s.rtt)
		s.lose()
		if got := s.packets(); got >= tc.want {
			t.Errorf("%s: %v packets after a second loss", name, got)
		}
	}
}

func TestSpuriousLossIsUndone(t *testing.T) {
	both(t, func(t *testing.T, s *sender) {
		for range 3 {
			s.round()
		}
		s.lose()
		s.OnSpurious(s.now)
		if s.packets() != 80 {
			t.Errorf("%v packets, want 80 again", s.packets())
		}
		s.round()
		if s.packets() != 160 {
			t.Errorf("%v packets: slow start was not taken up again", s.packets())
		}
	})
}

func TestPersistentCongestionStartsAnew(t *testing.T) {
	both(t, func(t *testing.T, s *sender) {
		for range 3 {
			s.round()
		}
		s.OnLoss(Loss{Now: s.now, Sent: s.now, Bytes: mtu, Persistent: true})
		if s.packets() != 2 {
			t.Errorf("%v packets, want the minimum", s.packets())
		}
		s.round()
		if s.packets() != 4 {
			t.Errorf("%v packets, want slow start", s.packets())
		}
	})
}

func TestCUBICComesBackAsTheFormulaSays(t *testing.T) {
	// RFC 9438 §4.2: K = cbrt((W_max - cwnd_epoch) / C); after K seconds the
	// window is W_max again, with little growth around it, and convex after.
	c := NewCUBIC(mtu)
	s := start(c)
	s.rtt = 50 * time.Millisecond
	c.window, c.ssthresh = 1000*mtu, 1000*mtu
	s.lose()
	k := math.Cbrt(300 / 0.4)
	began := s.now
	at := func(seconds float64) float64 {
		for s.now.Sub(began).Seconds() < seconds {
			s.round()
		}
		return s.packets()
	}
	if got := at(k / 2); got < 920 || got > 980 {
		t.Errorf("%v packets at K/2, want about %v", got, 1000-300.0/8)
	}
	if got := at(k); math.Abs(got-1000) > 5 {
		t.Errorf("%v packets at K = %.1f s, want 1000", got, k)
	}
	if got := at(1.5 * k); math.Abs(got-1037) > 12 {
		t.Errorf("%v packets at 1.5 K, want about 1037", got)
	}
}

func TestCUBICIsNoSlowerThanReno(t *testing.T) {
	// RFC 9438 §4.3: short round trips and small windows grow as Reno's would:
	// alpha = 3(1-β)/(1+β) = 0.53 packets a round trip.
	c := NewCUBIC(mtu)
	s := start(c)
	s.rtt = 5 * time.Millisecond
	c.window, c.ssthresh = 20*mtu, 20*mtu
	s.lose()
	before := s.packets()
	for range 8 {
		s.round()
	}
	if grown := s.packets() - before; grown < 8*0.45 || grown > 8*0.6 {
		t.Errorf("grown by %v packets in 8 round trips", grown)
	}
}

func TestFastConvergence(t *testing.T) {
	// RFC 9438 §4.7: a flow that lost before it reached W_max leaves room.
	c := NewCUBIC(mtu)
	s := start(c)
	c.window, c.ssthresh = 100*mtu, 100*mtu
	s.lose() // W_max 100, window 70
	s.now = s.now.Add(s.rtt)
	s.lose()
	if want := 70 * mtu * 0.85; math.Abs(c.wMax-want) > 1 {
		t.Errorf("W_max %v, want %v", c.wMax, want)
	}
}

func TestMarksWeighLess(t *testing.T) {
	c := NewCUBIC(mtu)
	s := start(c)
	c.window, c.ssthresh = 100*mtu, 100*mtu
	s.OnLoss(Loss{Now: s.now, Sent: s.now, CE: true})
	if got := s.packets(); math.Abs(got-85) > 0.1 {
		t.Errorf("%v packets after a mark, want 85", got)
	}
}

func TestHyStartLeavesSlowStartWhenRoundTripsRise(t *testing.T) {
	c := NewCUBIC(mtu)
	s := start(c)
	for range 3 {
		s.round()
	}
	s.rtt += 15 * time.Millisecond // above max(4 ms, min(RTT/8, 16 ms)) = 12.5 ms
	s.round()
	slow := s.packets()
	if slow >= 160 || slow <= 80 {
		t.Errorf("%v packets: growth has not slowed", slow)
	}
	for range cssRounds + 1 {
		s.round()
	}
	if math.IsInf(c.ssthresh, 1) {
		t.Error("still in slow start after five careful rounds")
	}
}

func TestHyStartForgivesARiseThatPasses(t *testing.T) {
	c := NewCUBIC(mtu)
	s := start(c)
	for range 3 {
		s.round()
	}
	s.rtt += 15 * time.Millisecond
	s.round()
	s.rtt -= 15 * time.Millisecond
	s.round()
	before := s.packets()
	s.round()
	if s.packets() != 2*before {
		t.Errorf("%v packets after %v", s.packets(), before)
	}
}

func TestRatesPaceAheadOfTheWindow(t *testing.T) {
	both(t, func(t *testing.T, s *sender) {
		if got := s.Rate(s.rtt); got != 2*12000/0.1 {
			t.Errorf("slow start: %v", got)
		}
		s.lose()
		if got, want := s.Rate(s.rtt), 1.25*float64(s.Window())/0.1; math.Abs(got-want) > 1 {
			t.Errorf("congestion avoidance: %v, want %v", got, want)
		}
	})
}
