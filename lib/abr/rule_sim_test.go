package abr

import (
	"math"
	"math/rand/v2"
	"time"
)

// A link is a throughput trace: bit/s for one step after the other, over and
// over.
type link struct {
	step time.Duration
	bps  []float64
}

func (l link) at(t time.Duration) float64 { return l.bps[int(t/l.step)%len(l.bps)] }

func (l link) mean() (sum float64) {
	for _, b := range l.bps {
		sum += b / float64(len(l.bps))
	}
	return sum
}

// mobile is a seeded model of a 3G trace: a chain of states around 0.3 to 6
// Mbit/s, each held for some seconds, with log-normal noise from second to
// second and now and then a dead spell, as on the commuter routes of Riiser et
// al. (MMSys 2013, the HSDPA traces of BOLA's evaluation). The numbers are ours.
func mobile(seed uint64, seconds int) link {
	r := rand.New(rand.NewPCG(seed, 3))
	levels := []float64{0.3e6, 0.8e6, 1.5e6, 2.5e6, 4e6, 6e6}
	l, state := link{step: time.Second}, 2+r.IntN(3)
	for len(l.bps) < seconds {
		state = min(max(state+r.IntN(3)-1, 0), len(levels)-1)
		for range 3 + r.IntN(12) {
			v := levels[state] * math.Exp(0.3*r.NormFloat64())
			if r.IntN(60) == 0 {
				v = 0.1e6
			}
			l.bps = append(l.bps, v)
		}
	}
	l.bps = l.bps[:seconds]
	return l
}

// profile is a staircase in the manner of the DASH-IF's network profiles: every
// 30 s the next rate, in Mbit/s.
func profile(mbits ...float64) link {
	l := link{step: 30 * time.Second}
	for _, m := range mbits {
		l.bps = append(l.bps, m*1e6)
	}
	return l
}

// steps holds each rate, in Mbit/s, for d.
func steps(d time.Duration, mbits ...float64) link {
	l := profile(mbits...)
	l.step = d
	return l
}

// A viewer is a model player that fetches one segment after the other.
type viewer struct {
	link     link
	rates    []int64
	segment  time.Duration
	segments int
	buffer   time.Duration // of a recording: as much is held; of a live stream: the distance to its edge
	live     bool
	abandons bool
	source   func(m int, t time.Duration) (Source, float64) // where from and how fast; nil: the origin, as the link gives
}

type move struct {
	at       time.Duration
	from, to int
	buffer   time.Duration
	reason   Reason
}

// A story is what a viewer lived through.
type story struct {
	played    []int
	moves     []move
	stall     time.Duration // after the first picture
	startup   time.Duration
	end       time.Duration // the last segment has been played
	abandoned int
	least     time.Duration // buffer, after the first picture
}

var noon = time.Unix(1_000_000_000, 0)

// tick is the granularity of a transfer: a bench's piece, a browser's chunk.
const tick = 50 * time.Millisecond

// choose is asked before each segment.
type choose func(n int, now time.Time, buffer time.Duration) (m int, wait time.Duration)

// watch plays all segments. rule may be nil, then only pick decides.
func (v viewer) watch(rule *Rule, pick choose) (s story) {
	var t time.Duration
	var buffer time.Duration
	current, playing := -1, false
	s.least = time.Hour
	pass := func(d time.Duration) {
		t += d
		if !playing {
			return
		}
		if buffer -= d; buffer < 0 {
			s.stall -= buffer
			buffer = 0
		}
		s.least = min(s.least, buffer)
	}
	change := func(m int, why Reason) {
		if current >= 0 && m != current {
			s.moves = append(s.moves, move{t, current, m, buffer, why})
		}
		current = m
	}
	for n := range v.segments {
		if v.live { // it exists once it has been made
			if made := time.Duration(n+1)*v.segment - v.buffer; t < made {
				pass(made - t)
			}
		} else if over := buffer + v.segment - v.buffer; over > 0 {
			pass(over)
		}
		var why Reason
		m, wait := 0, time.Duration(0)
		if rule != nil {
			c := rule.Choose(noon.Add(t), buffer)
			m, wait, why = c.Rendition, c.Wait, c.Reason
		} else {
			m, wait = pick(n, noon.Add(t), buffer)
		}
		if !v.live && wait > 0 {
			pass(wait)
		}
		change(m, why)
		size := float64(v.rates[m]) * v.segment.Seconds() / 8
		left := size
		began := t
		for left > 0 {
			src, bps := Origin, 0.0
			if v.source != nil {
				src, bps = v.source(m, t)
			} else {
				bps = v.link.at(t)
			}
			part := min(left, bps/8*tick.Seconds())
			d := tick
			if part < bps/8*tick.Seconds() {
				d = time.Duration(part * 8 / bps * float64(time.Second))
			}
			pass(max(d, time.Microsecond))
			left -= part
			if rule == nil {
				continue
			}
			rule.Feed(noon.Add(t), int64(part), d, src)
			if v.abandons && t-began > 500*time.Millisecond {
				if c, yes := rule.Abandon(noon.Add(t), buffer, int64(left), int64(size)); yes {
					s.abandoned++
					change(c.Rendition, c.Reason)
					m = c.Rendition
					size = float64(v.rates[m]) * v.segment.Seconds() / 8
					left, began = size, t
				}
			}
		}
		s.played = append(s.played, m)
		buffer += v.segment
		if !playing && (!v.live || buffer >= v.buffer || n+1 == v.segments) {
			playing, s.startup = true, t
		}
	}
	s.end = t + buffer
	return s
}

// utility is the paper's objective: the time average of υ + γp, as γp·played
// time is what rebuffering costs.
func (s story) utility(b BOLA, segment time.Duration, gp float64) (sum float64) {
	for _, m := range s.played {
		sum += b.Utility(m) + gp
	}
	return sum * segment.Seconds() / s.end.Seconds()
}

// offline bounds the objective from above over all choices of someone who
// knows the trace: dynamic programming over segments and time, as in §V of the
// paper. For each amount of waiting (start-up and stalls together) a segment is
// due as if all of it had come before, and may be fetched as early as if none
// had; times are rounded down and the waiting is paid for up to a second less
// than it was. So nobody does better who waits for 12 s or less.
func (v viewer) offline(b BOLA, gp float64) float64 {
	const grid = 100 * time.Millisecond
	longest := time.Duration(v.segments)*v.segment + 20*time.Second
	cells := int(longest / grid)
	// got[i] is how many bits came until cell i; done finds when.
	got := make([]float64, 2*cells)
	for i := 1; i < len(got); i++ {
		got[i] = got[i-1] + v.link.at(time.Duration(i-1)*grid)*grid.Seconds()
	}
	const never = -1
	best := 0.0
	for wait := time.Duration(0); wait <= 12*time.Second; wait += time.Second {
		value := make([]float64, cells)
		for i := range value {
			value[i] = never
		}
		value[0] = 0
		for n := range v.segments {
			next := make([]float64, cells)
			for i := range next {
				next[i] = never
			}
			due := min(cells-1, int((wait+time.Duration(n)*v.segment)/grid))
			first := max(0, int((time.Duration(n+1)*v.segment-v.buffer)/grid)) // not before there is room
			carry := float64(never)
			j := make([]int, len(v.rates))
			for i := 0; i < cells; i++ {
				u := value[i]
				if i < first { // who is done early waits
					carry = max(carry, u)
					continue
				}
				if i == first {
					u = max(u, carry)
				}
				if u < 0 {
					continue
				}
				for m, rate := range v.rates {
					need := got[i] + float64(rate)*v.segment.Seconds()
					j[m] = max(j[m], i)
					for j[m]+1 < len(got) && got[j[m]+1] <= need {
						j[m]++
					}
					if j[m] <= due {
						next[j[m]] = max(next[j[m]], u+b.Utility(m)+gp)
					}
				}
			}
			value = next
		}
		for _, u := range value {
			total := time.Duration(v.segments)*v.segment + max(0, wait-time.Second)
			best = max(best, u*v.segment.Seconds()/total.Seconds())
		}
	}
	return best
}
