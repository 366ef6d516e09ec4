package bench

import (
	"fmt"
	"math"
	"strconv"
)

// A scale is what a number is shown in.
type scale struct {
	times float64
	unit  string // with the space before it, if there is one
}

// scale picks the prefix by the size of v.
func (m *Measure) scale(v float64) scale {
	switch m.Unit {
	case Ratio:
		return scale{100, " %"}
	case Millis:
		return scale{1, " ms"}
	case Seconds:
		return scale{1, " s"}
	case Multiple:
		return scale{1, "×"}
	case Bytes:
		return prefixed(v, 1000, " B", " kB", " MB", " GB", " TB")
	case Memory:
		return prefixed(v, 1024, " B", " KiB", " MiB", " GiB", " TiB")
	}
	return scale{1, ""}
}

func prefixed(v, step float64, units ...string) scale {
	i, by := 0, 1.0
	for math.Abs(v)/by >= step && i < len(units)-1 {
		i, by = i+1, by*step
	}
	return scale{1 / by, units[i]}
}

func (m *Measure) digits(s scale) int {
	if s.unit == " B" {
		return 0
	}
	return m.Digits
}

// Show is v for people, with its unit: 97.31 %, 412 ms, 1.2 GB.
func (m *Measure) Show(v float64) string {
	s := m.scale(v)
	return strconv.FormatFloat(v*s.times, 'f', m.digits(s), 64) + s.unit
}

// Show is the mean, and where there are several seeds half of its interval:
// 97.31 ± 0.12 %.
func (v Value) Show() string {
	if v.N < 2 {
		return v.Measure.Show(v.Mean)
	}
	s := v.scale(v.Mean)
	digits := v.digits(s)
	return fmt.Sprintf("%.*f ± %.*f%s", digits, v.Mean*s.times, digits, v.Half()*s.times, s.unit)
}

// ShowBound is the value as a part of its bound, and the bound: 97.41 % of
// 99.9 %. Of a bound of nothing there is no part.
func (v Value) ShowBound() string {
	of, ok := v.OfBound()
	switch {
	case !v.HasLimit:
		return ""
	case !ok:
		return "bound 0" + v.scale(0).unit
	}
	limit := v.scale(v.Limit)
	places := math.Pow10(min(max(v.Digits, 1), 2))
	bound := plain(math.Round(v.Limit*limit.times*places)/places) + limit.unit
	if of >= 10 {
		return fmt.Sprintf("%.0f times %s", of, bound)
	}
	return fmt.Sprintf("%.2f %% of %s", 100*of, bound)
}

// BestOf says which of the summaries is the best by a measure: the one whose
// interval is clear of all others, or -1. A single seed proves nothing.
func BestOf(all []Summary, m *Measure) int {
	for i := range all {
		v := all[i].Find(m.Name)
		clear := v != nil && m.Best != None && v.N > 1
		others := 0
		for j := range all {
			o := all[j].Find(m.Name)
			if i == j || o == nil || !clear {
				continue
			}
			others++
			if m.Best == More {
				clear = v.Low > o.High && o.N > 1
			} else {
				clear = v.High < o.Low && o.N > 1
			}
		}
		if clear && others > 0 {
			return i
		}
	}
	return -1
}

// Headline says in one line what was run: steady: 1000 viewers, 2 Mbit/s, 120 s.
func (s *Scenario) Headline() string {
	return fmt.Sprintf("%s: %d viewers, %s Mbit/s, %s s of stream", s.Name, s.Peers, plain(float64(s.RateBPS)/1e6), plain(s.Seconds))
}

// SeedsText names the seeds and how they were put together.
func SeedsText(all []Summary) string {
	if len(all) == 0 {
		return "no runs"
	}
	most := 0
	for i := range all {
		most = max(most, all[i].Seeds)
	}
	first := all[0].Runs[0].Seed
	if most == 1 {
		return fmt.Sprintf("seed %d", first)
	}
	return fmt.Sprintf("%d seeds from %d on; mean ± 95 %% interval (Student's t)", most, first)
}
