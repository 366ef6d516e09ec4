package many

import (
	"context"
	"testing"
	"time"
)

func TestEveryConnectionCarriesItsObjectsAlsoUnderAFlood(t *testing.T) {
	p := &Plan{Connections: 20, Bitrate: 1e6, Interval: 100 * time.Millisecond, Duration: time.Second, Flood: 2000}
	var said []string
	r, err := Run(context.Background(), p, func(s string) { said = append(said, s) })
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", r)
	if r.Objects < 150 || r.Arrived != r.Objects || r.FloodSent != p.Flood || r.FloodAccepted != 0 || r.IdleBytes < 1000 || r.IdleBytes > 16<<10 || len(said) != 3 {
		t.Errorf("%+v, told %q", r, said)
	}
	if r.Rejected != nil {
		t.Skipf("the rates are the machine's: %v", r.Rejected)
	}
	if r.Goodput < 0.5*20e6 || r.FloodGoodput < r.Goodput/2 || r.Retried == 0 {
		t.Errorf("%.1f Mbit/s, and %.1f under the flood; %d cookies", r.Goodput/1e6, r.FloodGoodput/1e6, r.Retried)
	}
}

func TestAPlanThatCannotBeIsRefused(t *testing.T) {
	good := Plan{Connections: 1, Bitrate: 1e6, Interval: 100 * time.Millisecond, Duration: time.Second}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for what, change := range map[string]func(*Plan){
		"no connection":   func(p *Plan) { p.Connections = 0 },
		"too many":        func(p *Plan) { p.Connections = maxConnections + 1 },
		"no rate":         func(p *Plan) { p.Bitrate = 0 },
		"an object of GB": func(p *Plan) { p.Bitrate = 1e12 },
		"no time":         func(p *Plan) { p.Duration = 0 },
		"no interval":     func(p *Plan) { p.Interval = 0 },
		"a deluge":        func(p *Plan) { p.Flood = maxFlood + 1 },
	} {
		p := good
		if change(&p); p.Check() == nil {
			t.Errorf("%s: %+v is taken", what, p)
		}
	}
}
