package abr

import (
	"math"
	"time"
)

// BOLA chooses a rendition from the buffer alone: BOLA-BASIC of Spiteri,
// Urgaonkar and Sitaraman, "BOLA: Near-Optimal Bitrate Adaptation for Online
// Videos", INFOCOM 2016. Of the renditions m with mean size S(m) per segment
// and utility υ(m) = ln(S(m)/S(0)) it takes the one with the largest
//
//	(V·(υ(m) + γp) − Q) / S(m)
//
// where Q is the buffer, counted in segments of p seconds, and
//
//	V = (Qmax − 1) / (υ(M) + γp)
//
// so that nothing is left to gain when the buffer holds Qmax segments less the
// one that is being fetched. γp weighs play against quality; the paper's
// evaluation has γp = 5, p = 3 s and Qmax·p = 25 s.
//
// All levels are seconds here, and V is V·p; the formulae are the same.
type BOLA struct {
	rates   []float64 // bit/s, ascending
	utility []float64
	gp      float64
	v       float64
	segment float64
	full    float64
}

// GammaP is the paper's γp.
const GammaP = 5

// NewBOLA returns BOLA for mean rates (bit/s, strictly ascending, at least
// one), segments of the given duration and a buffer that holds full. A buffer
// below two segments counts as two.
func NewBOLA(rates []int64, segment, full time.Duration) BOLA {
	b := BOLA{gp: GammaP, segment: segment.Seconds()}
	for _, r := range rates {
		b.rates = append(b.rates, float64(r))
		b.utility = append(b.utility, math.Log(float64(r)/float64(rates[0])))
	}
	return b.Within(full)
}

// Within returns b for a buffer that holds full. With
//
//	full = min(Qmax·p, max(t/2, 3p)), t = min(played, still to play)
//
// before each choice it is BOLA-FINITE (§IV of the paper), which neither starts
// nor ends with a buffer that is too large for it.
func (b BOLA) Within(full time.Duration) BOLA {
	b.full = max(full.Seconds(), 2*b.segment)
	b.v = (b.full - b.segment) / (b.utility[len(b.utility)-1] + b.gp)
	return b
}

// Utility returns υ of rendition m.
func (b BOLA) Utility(m int) float64 { return b.utility[m] }

// Choose returns the rendition for a buffer, and how long to wait before its
// next segment is fetched: until no rendition has a negative score any more.
func (b BOLA) Choose(buffer time.Duration) (m int, wait time.Duration) {
	q := buffer.Seconds()
	best := math.Inf(-1)
	for i := range b.rates {
		if s := (b.v*(b.utility[i]+b.gp) - q) / b.rates[i]; s >= best {
			m, best = i, s
		}
	}
	if best < 0 {
		m = len(b.rates) - 1
		wait = time.Duration((q - b.v*(b.utility[m]+b.gp)) * float64(time.Second))
	}
	return m, wait
}
