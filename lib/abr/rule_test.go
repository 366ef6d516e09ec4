package abr

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// bunny is the ladder of the paper's evaluation: Big Buck Bunny in segments of
// 3 s, kbit/s.
var bunny = []int64{230e3, 331e3, 477e3, 688e3, 991e3, 1427e3, 2056e3, 2962e3, 5027e3, 6000e3}

var home = []int64{400e3, 800e3, 1500e3, 3000e3, 6000e3}

// The first paper's Figure 1 in numbers: BOLA's map from buffer to rendition
// is a staircase that ends at V·(υ(M)+γp), the buffer less a segment.
func TestBOLAClimbsItsStaircase(t *testing.T) {
	b := NewBOLA(bunny, 3*time.Second, 25*time.Second)
	last := -1
	for q := time.Duration(0); q <= 22*time.Second; q += 10 * time.Millisecond {
		m, wait := b.Choose(q)
		if m < last || wait != 0 {
			t.Fatalf("with %v in the buffer: rendition %d after %d, wait %v", q, m, last, wait)
		}
		last = m
	}
	if last != len(bunny)-1 {
		t.Errorf("a full buffer reaches rendition %d, not the highest", last)
	}
	if _, wait := b.Choose(24 * time.Second); wait < 1999*time.Millisecond || wait > 2001*time.Millisecond {
		t.Errorf("2 s above the end of the staircase waits %v", wait)
	}
	if m, _ := b.Choose(0); m != 0 {
		t.Errorf("an empty buffer chose rendition %d", m)
	}
}

// §V of the paper: without knowing the future, BOLA comes to 84 to 95 % of the
// utility of an optimum that does.
func TestBOLAAndTheRuleComeCloseToTheOfflineOptimum(t *testing.T) {
	links := map[string]link{
		"staircase":  profile(5, 4, 3, 2, 1.5, 2, 3, 4),
		"valley":     profile(5, 4, 3, 2, 1.5, 1, 1.5, 2, 3, 4),
		"steps":      steps(45*time.Second, 8, 1.5),
		"steps fast": steps(10*time.Second, 4, 1),
	}
	for seed := range uint64(fewer(4)) {
		links[fmt.Sprintf("mobile %d", seed)] = mobile(seed, 320)
	}
	var bolas, rules, bareBolas, bareRules, n float64
	for name, l := range links {
		v := viewer{link: l, rates: bunny, segment: 3 * time.Second, segments: 100, buffer: 25 * time.Second, abandons: true}
		b := NewBOLA(v.rates, v.segment, v.buffer)
		optimum, bare := v.offline(b, GammaP), v.offline(b, 0)
		finite := v.watch(nil, func(n int, _ time.Time, buffer time.Duration) (int, time.Duration) {
			t := time.Duration(min(n, v.segments-n)) * v.segment
			return b.Within(min(v.buffer, max(t/2, 3*v.segment))).Choose(buffer)
		})
		rule, err := NewRule(RuleConfig{v.rates, v.segment, v.buffer})
		if err != nil {
			t.Fatal(err)
		}
		ours := v.watch(rule, nil)
		fb, fr := finite.utility(b, v.segment, GammaP)/optimum, ours.utility(b, v.segment, GammaP)/optimum
		bb, br := finite.utility(b, v.segment, 0)/bare, ours.utility(b, v.segment, 0)/bare
		t.Logf("%-11s mean %.1f Mbit/s: BOLA-FINITE %.1f %% of the bound (quality alone %.0f %%), %2d moves, stalls %v; rule %.1f %% (%.0f %%), %2d moves, stalls %v, abandoned %d",
			name, l.mean()/1e6, 100*fb, 100*bb, len(finite.moves), finite.stall.Round(time.Millisecond), 100*fr, 100*br, len(ours.moves), ours.stall.Round(time.Millisecond), ours.abandoned)
		if fb > 1 || fr > 1 {
			t.Errorf("%s: better than the bound: the bound is wrong", name)
		}
		if fb < 0.84 {
			t.Errorf("%s: BOLA-FINITE has %.3f of the bound", name, fb)
		}
		if fr < 0.84 {
			t.Errorf("%s: the rule has %.3f of the bound", name, fr)
		}
		if len(ours.moves) > len(finite.moves) {
			t.Errorf("%s: the rule moved %d times, BOLA %d", name, len(ours.moves), len(finite.moves))
		}
		bolas, rules, bareBolas, bareRules, n = bolas+fb, rules+fr, bareBolas+bb, bareRules+br, n+1
	}
	t.Logf("mean over %.0f links: BOLA-FINITE %.3f (quality alone %.3f), rule %.3f (%.3f)", n, bolas/n, bareBolas/n, rules/n, bareRules/n)
}

func TestStepsOfALinkAreAnsweredOnceEach(t *testing.T) {
	for _, segment := range []time.Duration{time.Second, 2 * time.Second} {
		for _, kind := range []string{"live", "live, nothing dropped", "recording"} {
			for shift := time.Duration(0); shift < 4*time.Second; shift += 125 * time.Millisecond {
				live, abandons, buffer := true, true, 3*segment
				switch kind {
				case "live, nothing dropped":
					abandons, buffer = false, 4*segment
				case "recording":
					live, buffer = false, 20*time.Second
				}
				l := steps(125*time.Millisecond, 8)
				const high, low = 40 * time.Second, 30 * time.Second
				l.bps = nil
				// From the third second on the link is unsteady, by a tenth.
				noise := rand.New(rand.NewPCG(uint64(shift), 8))
				for at := time.Duration(0); at < 120*time.Second; at += l.step {
					bps := 8e6
					if at >= high+shift && at < high+low+shift {
						bps = 1.5e6
					}
					if shift >= 2*time.Second {
						bps *= math.Exp(0.1 * noise.NormFloat64())
					}
					l.bps = append(l.bps, bps)
				}
				v := viewer{link: l, rates: home, segment: segment, segments: int(110 * time.Second / segment), buffer: buffer, live: live, abandons: abandons}
				rule, err := NewRule(RuleConfig{v.rates, segment, buffer})
				if err != nil {
					t.Fatal(err)
				}
				s := v.watch(rule, nil)
				what := fmt.Sprintf("%s, segments of %v, step at %v", kind, segment, high+shift)
				if s.stall > 0 {
					t.Errorf("%s: stalled for %v: %+v", what, s.stall, s.moves)
				}
				var downs, ups int
				var back time.Duration
				for _, m := range s.moves {
					switch {
					case m.at < high+shift:
					case m.to < m.from:
						downs++
						if m.buffer <= 0 {
							t.Errorf("%s: moved down with an empty buffer", what)
						}
					default:
						ups++
						back = m.at - (high + low + shift)
					}
				}
				if downs > 1 || ups > 1 || live && (downs != 1 || ups != 1) {
					t.Errorf("%s: %d moves down and %d up: %+v", what, downs, ups, s.moves)
				}
				if ups > 0 && (back < 0 || back > 10*time.Second) {
					t.Errorf("%s: back up %v after the link was: %+v", what, back, s.moves)
				}
				if top := s.played[len(s.played)-1]; top != len(home)-1 {
					t.Errorf("%s: ended at rendition %d", what, top)
				}
				if shift == 0 {
					t.Logf("%s: least buffer %v, %d abandoned, %+v", what, s.least.Round(time.Millisecond), s.abandoned, s.moves)
				}
			}
		}
	}
}

// Whatever a link does, the picture does not swing with it.
func TestOscillationIsBounded(t *testing.T) {
	for seed := range uint64(fewer(30)) {
		r := rand.New(rand.NewPCG(seed, 1))
		l := link{step: time.Second}
		period := 1 + r.IntN(40)
		for i := range 3600 {
			bps := 8e6
			if i/period%2 == 1 {
				bps = 0.5e6
			}
			if seed%3 == 0 {
				bps = 10e6 * r.Float64()
			}
			l.bps = append(l.bps, bps+1e5)
		}
		v := viewer{link: l, rates: home, segment: time.Second, segments: 1800, buffer: 4 * time.Second, live: seed%2 == 0, abandons: true}
		rule, _ := NewRule(RuleConfig{v.rates, v.segment, v.buffer})
		s := v.watch(rule, nil)
		turns, falling := 0, false
		for _, m := range s.moves {
			if m.to > m.from && falling {
				turns++
			}
			falling = m.to < m.from
		}
		if most := 6 + s.end.Seconds()/20; float64(turns) > most {
			t.Errorf("seed %d: turned up %d times in %v, at most %.0f", seed, turns, s.end, most)
		}
	}
}

func TestPeersWithFullCachesDoNotFoolTheRule(t *testing.T) {
	// Neighbours hold the rendition that is played and give it at 100 Mbit/s; the
	// origin, where a higher one would have to come from, gives 2.
	given := 0
	v := viewer{rates: home, segment: time.Second, segments: 120, buffer: 4 * time.Second, live: true}
	v.source = func(m int, _ time.Duration) (Source, float64) {
		if given++; m > 2 || given%7 == 0 {
			return Origin, 2e6
		}
		return Peers, 100e6
	}
	rule, _ := NewRule(RuleConfig{v.rates, v.segment, v.buffer})
	s := v.watch(rule, nil)
	for _, m := range s.moves {
		if m.to > 2 {
			t.Errorf("moved up to %d bit/s, which the origin does not give: %+v", home[m.to], m)
		}
	}
	if last := s.played[len(s.played)-1]; last != 2 {
		t.Errorf("ended at rendition %d, the origin sustains 2", last)
	}
	// Nobody has measured the origin: no move up, but a wish to know.
	rule, _ = NewRule(RuleConfig{home, time.Second, 4 * time.Second})
	now := noon
	for range 40 {
		now = now.Add(time.Second)
		rule.Feed(now, 1<<20, 100*time.Millisecond, Peers)
	}
	if c := rule.Choose(now, 4*time.Second); c.Rendition != 0 || !c.Probe || c.Reason != ReasonProbe {
		t.Errorf("with nothing from the origin: %+v", c)
	}
	// The swarm of a higher one is joined, and brings nearly all of it.
	for range 5 {
		now = now.Add(time.Second)
		rule.Feed(now, 1<<17, time.Second, Origin)
		rule.Feed(now, 1<<20, 100*time.Millisecond, Peers)
	}
	rule.Choose(now, 4*time.Second)
	if c := rule.Choose(now, 4*time.Second); c.Rendition != 1 {
		t.Errorf("1 Mbit/s of the origin: %+v", c)
	}
	rule.Expect(4, 0.9)
	now = now.Add(5 * time.Second)
	rule.Choose(now, 4*time.Second)
	if c := rule.Choose(now, 4*time.Second); c.Rendition != 4 {
		t.Errorf("with peers for 0.9 of it and 1 Mbit/s of the origin for the rest: %+v", c)
	}
}

// Peers may be slow because their own links are. What the origin was seen to give
// beside all that comes now is enough; what it gave before things were slow is not.
func TestWhatTheOriginGivesBesideSlowPeersIsEnough(t *testing.T) {
	for _, fresh := range []bool{true, false} {
		rule, _ := NewRule(RuleConfig{home, time.Second, 4 * time.Second})
		now := noon
		for i := range 40 {
			now = now.Add(250 * time.Millisecond)
			if fresh || i < 8 {
				rule.Feed(now, 125_000, 200*time.Millisecond, Origin) // 5 Mbit/s
			}
			rule.Feed(now, 25_000, 250*time.Millisecond, Peers) // 0.8
			rule.Expect(3, 1)
		}
		most := 0
		for range 60 { // until nothing is unsettled
			now = now.Add(125 * time.Millisecond)
			rule.Feed(now, 12_500, 125*time.Millisecond, Peers)
			if fresh {
				rule.Feed(now, 50_000, 80*time.Millisecond, Origin)
			}
			most = max(most, rule.Choose(now, 3*time.Second).Rendition)
		}
		if fresh && most != 3 || !fresh && most > 0 {
			t.Errorf("measured of late: %v; went up to %d", fresh, most)
		}
	}
}

// What took long is most of what was measured, also when it is over: it is forgotten
// when two samples in a row are twice as fast as all before. One is not enough.
func TestALinkThatBecameFasterIsBelieved(t *testing.T) {
	var m meter
	at := func(ms int) time.Time { return noon.Add(time.Duration(ms) * time.Millisecond) }
	feed := func(ms int, n int64, took int) float64 {
		d := time.Duration(took) * time.Millisecond
		m.rise(noon, at(ms), n, d, 4*time.Second)
		m.feed(noon, at(ms), n, d)
		bps, _ := m.rate(noon, at(ms), 4*time.Second)
		return bps
	}
	for ms := 1000; ms <= 5000; ms += 1000 {
		feed(ms, 50_000, 500) // 0.8 Mbit/s
	}
	if bps := feed(6000, 50_000, 50); bps > 1.5e6 { // 8 Mbit/s
		t.Errorf("after one sample it is said to be %.0f", bps)
	}
	if bps := feed(6300, 50_000, 50); bps > 2e6 {
		t.Errorf("after two at the same time it is said to be %.0f", bps)
	}
	if bps := feed(6700, 50_000, 50); bps < 6e6 {
		t.Errorf("after three it is said to be %.0f", bps)
	}
	m = meter{}
	for ms := 1000; ms <= 5000; ms += 1000 {
		feed(ms, 50_000, 500)
	}
	for ms := 6000; ms < 9000; ms += 1000 { // fast and slow in turn
		if bps := feed(ms, 50_000, 50+450*(ms/1000%2)); bps > 1.6e6 {
			t.Errorf("fast and slow in turn is said to be %.0f", bps)
		}
	}
}

func TestTheMeterCountsBusyTimeOnce(t *testing.T) {
	var m meter
	m.feed(noon, noon.Add(time.Second), 125_000, time.Second)   // 1 Mbit/s
	m.feed(noon, noon.Add(time.Second), 125_000, time.Second)   // and as much beside it
	m.feed(noon, noon.Add(3*time.Second), 0, 0)                 // idle
	m.feed(noon, noon.Add(5*time.Second), 250_000, time.Second) // 2 Mbit/s again
	if bps, ok := m.rate(noon, noon.Add(5*time.Second), 8*time.Second); !ok || math.Abs(bps-2e6) > 1e4 {
		t.Errorf("2 Mbit/s, half of the time: measured %.0f", bps)
	}
	if bps, ok := m.rate(noon, noon.Add(time.Hour), time.Second); !ok || math.Abs(bps-2e6) > 1e4 {
		t.Errorf("an hour later the last that was known was %.0f", bps)
	}
	var none meter
	if _, ok := none.rate(noon, noon, time.Second); ok {
		t.Error("a meter that was never fed knows a rate")
	}
}

func TestRulesRefuseWhatIsNoLadder(t *testing.T) {
	for _, rates := range [][]int64{nil, {0}, {2, 1}, {1, 1}, {-5, 1}, make([]int64, 40)} {
		if _, err := NewRule(RuleConfig{rates, time.Second, time.Second}); !errors.Is(err, ErrLadder) {
			t.Errorf("%v: %v", rates, err)
		}
	}
	if _, err := NewRule(RuleConfig{Rates: home}); err == nil {
		t.Error("no segment and no buffer were accepted")
	}
	r, _ := NewRule(RuleConfig{home[:1], time.Second, time.Second})
	if c := r.Choose(noon, 0); c.Rendition != 0 || c.Reason != ReasonOnlyChoice {
		t.Errorf("of one rendition it chose %+v", c)
	}
}

func TestACopyOfARuleGoesOnByItself(t *testing.T) {
	r, _ := NewRule(RuleConfig{home, time.Second, 4 * time.Second})
	for i := range 10 {
		r.Feed(noon.Add(time.Duration(i)*time.Second), 1<<20, time.Second, Origin)
	}
	before := *r
	for i := 10; i < 30; i++ {
		r.Feed(noon.Add(time.Duration(i)*time.Second), 1<<15, time.Second, Origin)
	}
	later := noon.Add(30 * time.Second)
	if c := r.Choose(later, 4*time.Second); c.Throughput > 400_000 {
		t.Errorf("fed with 0.26 Mbit/s: %+v", c)
	}
	if c := before.Choose(noon.Add(10*time.Second), 4*time.Second); c.Throughput < 8_000_000 {
		t.Errorf("the copy took part in what came after it: %+v", c)
	}
}
