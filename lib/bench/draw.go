package bench

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// A Viewer is one who watches: what a scenario and a seed say of him, before
// anything has run. The simulator and the real processes are given the same.
type Viewer struct {
	JoinS float64 // seconds of the broadcast that have passed when he comes
	StayS float64 // for how long he watches, in seconds; who stays to the end stays Scenario.Seconds

	UplinkBPS   int64 // of his access link, as he says: see Carries
	DownlinkBPS int64
	// AccessDelay is that of his access link, one way: the round trip between
	// two viewers of one zone is twice the sum of theirs.
	AccessDelay time.Duration
	Zone        int

	Hard     bool // behind a NAT such that no two of these can connect
	Polluter bool
	NoUpload bool
	Slow     bool
}

// slowFactor is by how much the uplink of a slow viewer is slower than he says.
const slowFactor = 10

// Carries is what the viewer's uplink really carries, in bit/s, whether or not
// he gives it.
func (v Viewer) Carries() int64 {
	if v.Slow {
		return v.UplinkBPS / slowFactor
	}
	return v.UplinkBPS
}

// A flash crowd finds those who are there from the start. They come over this
// long, and not at one moment: they are no crowd of their own.
const firstComeS = 2

// maxViewers bounds how many are drawn: a hundred times what a simulation can
// carry.
const maxViewers = 1 << 20

// Draw says who watches in a scenario: those who come while the broadcast
// lasts. A Poisson process of arrivals with sessions keeps about Scenario.Peers
// in the room once it is full, so more than that come; else it is as many.
//
// Every viewer has a generator of his own, and all his values are drawn whether
// the scenario asks for them or not: the tenth viewer of a seed has the same
// delay in a room of 10 and of 1000, in a steady room and in a flash crowd. Only
// arrivals one after another (poisson) and the pick of the slow ones depend on
// how many there are.
func Draw(sc *Scenario, seed uint64) []Viewer {
	var (
		peers    = cmp.Or(sc.Peers, 1000)
		seconds  = cmp.Or(sc.Seconds, 120)
		rate     = float64(cmp.Or(sc.RateBPS, 2_000_000))
		downlink = int64(rate * cmp.Or(sc.Downlink, 20))
		rtt      = cmp.Or(sc.RTTMS, [2]float64{20, 120})
		zones    = max(1, sc.Zones)
		uplinks  = sc.Uplinks
	)
	if len(uplinks) == 0 {
		uplinks = []Uplink{{Weight: 1, Low: 1, High: 3}}
	}
	var vs []Viewer
	var luck []float64 // who is slow
	for i, clock := 0, 0.0; ; i++ {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		// In this order for ever: a new one is drawn last.
		come, stay, class, speed := r.Float64(), r.Float64(), r.Float64(), r.Float64()
		delay, nat, bad, mean, slow := r.Float64(), r.Float64(), r.Float64(), r.Float64(), r.Float64()
		zone := r.Float64()

		var v Viewer
		if sc.Join.Kind == "poisson" {
			clock += -math.Log(1-come) / arrivals(sc, float64(peers), seconds)
			if v.JoinS = clock; clock >= seconds || i == maxViewers {
				break
			}
		} else {
			if i >= min(peers, maxViewers) {
				break
			}
			v.JoinS = joins(sc.Join, i, come)
		}
		v.StayS = seconds
		if sc.Session.Kind == "pareto" {
			v.StayS = min(seconds, pareto(sc.Session, stay))
		}
		v.UplinkBPS, v.DownlinkBPS = int64(rate*pick(uplinks, class, speed)), downlink
		// Half of half of a round trip, which two viewers make of four access delays.
		v.AccessDelay = time.Duration((rtt[0] + delay*(rtt[1]-rtt[0])) / 4 * float64(time.Millisecond))
		v.Zone = int(zone * float64(zones))
		// Two of a share h are a share h² of all pairs.
		v.Hard = nat < math.Sqrt(sc.Unconnectable)
		v.Polluter = bad < sc.Polluters
		v.NoUpload = mean < sc.NoUpload && !v.Polluter // who gives nothing pollutes nothing
		vs = append(vs, v)
		luck = append(luck, slow)
	}
	markSlow(vs, luck, sc.Slow)
	return vs
}

// arrivals is the rate of a Poisson process, per second: as many as leave, or,
// if nobody leaves, as many as fill the room within Join.OverS or by the end.
func arrivals(sc *Scenario, peers, seconds float64) float64 {
	if sc.Session.Kind == "pareto" {
		return peers / cmp.Or(sc.Session.MeanS, 60)
	}
	return peers / cmp.Or(sc.Join.OverS, seconds)
}

// joins says when viewer i comes, for an even draw u.
func joins(j Join, i int, u float64) float64 {
	if j.Kind != "flash" {
		return u * cmp.Or(j.OverS, 20)
	}
	if i < cmp.Or(j.First, 10) {
		return u * firstComeS
	}
	return cmp.Or(j.AtS, 20) + u*cmp.Or(j.OverS, 10)
}

// pareto is a session in seconds, for an even draw u: P(X > x) = (low/x)^alpha,
// whose mean is low·alpha/(alpha-1). A tail without a mean (alpha of at most 1)
// takes MeanS for its shortest session.
func pareto(s Session, u float64) float64 {
	low, alpha := cmp.Or(s.MeanS, 60), cmp.Or(s.Alpha, 1.5)
	if alpha > 1 {
		low *= (alpha - 1) / alpha
	}
	return low * math.Pow(1-u, -1/alpha)
}

// pick draws an uplink in bitrates: its class by weight, then evenly within.
func pick(classes []Uplink, class, speed float64) float64 {
	var sum float64
	for _, c := range classes {
		sum += c.Weight
	}
	at := class * sum
	for i, c := range classes {
		if at -= c.Weight; at < 0 || i == len(classes)-1 {
			return c.Low + speed*(max(c.Low, c.High)-c.Low)
		}
	}
	return 0
}

// markSlow makes n viewers slow: those with the least luck.
func markSlow(vs []Viewer, luck []float64, n int) {
	order := make([]int, len(vs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(luck[a], luck[b]) })
	for _, i := range order[:min(max(0, n), len(order))] {
		vs[i].Slow = true
	}
}

// ServerDelay is the delay of the access link of origin, seed and tracker, one
// way: that of the viewer in the middle.
func ServerDelay(sc *Scenario) time.Duration {
	rtt := cmp.Or(sc.RTTMS, [2]float64{20, 120})
	return time.Duration((rtt[0] + rtt[1]) / 8 * float64(time.Millisecond))
}
