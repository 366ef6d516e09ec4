package transport

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/internal/link"
)

func TestTheLimitIsOneRoundTripAndTheObjectAtTheRate(t *testing.T) {
	// The figures of the table of targets: 20 Mbit/s and 40 ms, 100 Mbit/s and 40 ms.
	for _, tc := range []struct {
		rate int64
		size int64
		want time.Duration
	}{{20e6, 1000 << 10, 463 * time.Millisecond}, {100e6, 256 << 10, 61*time.Millisecond + 663*time.Microsecond}, {0, 1 << 20, 40 * time.Millisecond}} {
		l := Link{Kind: TUN, Rate: tc.rate, RTT: 40 * time.Millisecond}
		if got := l.Limit(tc.size); (got - tc.want).Abs() > 200*time.Microsecond {
			t.Errorf("%d bytes at %d: %v, want %v", tc.size, tc.rate, got, tc.want)
		}
	}
}

func TestALinksBottleneckIsWhatItSays(t *testing.T) {
	l := Link{Kind: UDP, Rate: 20e6, RTT: 40 * time.Millisecond, BurstLoss: 0.02, BurstLength: 8, Steps: []Step{{5 * time.Second, 10e6}}}
	b := l.bottleneck()
	if b.Queue != 100_000 || b.Rate != 20*link.Mbps || b.Delay != 0 || len(b.Steps) != 1 || b.Steps[0] != (link.Step{At: 5 * time.Second, Rate: 10 * link.Mbps}) {
		t.Errorf("%+v", b)
	}
	if math.Abs(b.Burst.Share()-0.02) > 1e-9 || b.Burst.Leave != 1.0/8 {
		t.Errorf("%+v loses %v", b.Burst, b.Burst.Share())
	}
	if small := (&Link{Rate: 1e6, RTT: time.Millisecond}).QueueBytes(); small != MinQueue {
		t.Errorf("a queue of %d", small)
	}
}

func TestTheCapacityIsTheMeanOfTheSteps(t *testing.T) {
	l := Link{Rate: 50e6, Steps: []Step{{5 * time.Second, 10e6}, {10 * time.Second, 50e6}}}
	for over, want := range map[time.Duration]float64{2 * time.Second: 50e6, 10 * time.Second: 30e6, 15 * time.Second: 110e6 / 3} {
		if got := l.capacity(over); math.Abs(got-want) > 1 {
			t.Errorf("over %v: %v, want %v", over, got, want)
		}
	}
}

func TestWhatCannotBeIsRefused(t *testing.T) {
	good := Plan{Link: Link{Kind: UDP, Rate: 1e6}, Workload: Cold, Only: []string{"xntp"}, Size: 1, Runs: 1, Timeout: time.Second}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Plan){
		"link \"wire\"":         func(p *Plan) { p.Link.Kind = "wire" },
		"only an emulated link": func(p *Plan) { p.Link = Link{Kind: None, Loss: 0.1} },
		"needs a link":          func(p *Plan) { p.Link = Link{Kind: None} },
		"at most 10 Gbit/s":     func(p *Plan) { p.Link.Rate = 1e11 },
		"less than 100 %":       func(p *Plan) { p.Link.Loss = 1 },
		"length of 1":           func(p *Plan) { p.Link.BurstLoss = 0.1 },
		"order of time":         func(p *Plan) { p.Link.Steps = []Step{{2, 1}, {1, 1}} },
		"a rate to begin with":  func(p *Plan) { p.Link.Rate, p.Link.Steps = 0, []Step{{1, 1}} },
		"runs 0":                func(p *Plan) { p.Runs = 0 },
		"no such transport":     func(p *Plan) { p.Only = []string{"sctp"} },
		"no transports":         func(p *Plan) { p.Only = nil },
		"size 0":                func(p *Plan) { p.Size = 0 },
		"100ms to 1h":           func(p *Plan) { p.Workload = Bulk },
		"workload":              func(p *Plan) { p.Workload = "warm" },
		"tun link, or none":     func(p *Plan) { p.Workload = CPU },
		"between two machines":  func(p *Plan) { p.Link, p.Workload = Link{Kind: Remote}, Live },
		"want 2 to":             func(p *Plan) { p.Workload, p.Duration, p.Flows = Fair, time.Second, 1 },
	} {
		p := good
		change(&p)
		if err := p.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
