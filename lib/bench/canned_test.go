package bench

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
)

// canned makes up a run that looks like one: the same for the same arguments.
func canned(_ context.Context, s *Scenario, topology string, seed uint64, link string, progress func(float64, int)) (*Run, error) {
	kind := float64(slices.Index(Topologies, topology)) // 2 is the best
	rng := rand.New(rand.NewPCG(seed, uint64(kind)))
	n := s.Peers
	r := &Run{
		Scenario: s.Name, Topology: topology, Peers: n, Seed: seed, Link: link,
		Jain: 0.8 + 0.06*kind, ShareBound: 1 - 1/float64(n), LagBoundMS: 180,
		TraceHash: rng.Uint64(), Seconds: s.Seconds, WallSeconds: s.Seconds / (2 + rng.Float64()), PeakRSS: 700 << 20,
		StreamBytes: int64(float64(s.RateBPS) / 8 * s.Seconds),
	}
	payload := float64(r.StreamBytes) * float64(n) * 0.9
	share := 0.95 + 0.01*kind + 0.002*rng.Float64()
	r.PeerBytes, r.SeedBytes = int64(payload*share), int64(payload*(1-share)*0.8)
	r.OriginBytes = int64(payload) - r.PeerBytes - r.SeedBytes
	r.UploadedBytes, r.ServerEgress = r.PeerBytes, int64(payload*(1-share)*1.01)
	r.DuplicateBytes, r.ControlBytes, r.WireBytes = int64(payload*0.004), int64(payload*0.02), int64(payload*1.05)
	r.InterZoneBytes = 3 * r.StreamBytes
	r.DuePieces = int64(n) * 1200
	r.LatePieces = int64(float64(r.DuePieces) * 0.0003 * (3 - kind))
	r.PlayedMS, r.StalledMS, r.WorstStallMS = int64(float64(n)*s.Seconds*1000), r.LatePieces*30, int64(900-300*kind)
	r.Continuity400 = 0.98 + 0.005*kind
	for range n {
		r.Startup.Add(int64(200 + 100*rng.ExpFloat64()))
		for range 20 {
			r.AddedLag.Add(int64((450 - 120*kind) * math.Exp(0.6*rng.NormFloat64())))
		}
		r.UploadOverUplink = append(r.UploadOverUplink, 0.5+(0.3-0.09*kind)*(rng.Float64()-0.5))
	}
	slices.Sort(r.UploadOverUplink)
	for t := range int(s.Seconds) {
		if progress != nil && t%30 == 0 {
			progress(float64(t), n)
		}
		there := min(1, float64(t+1)/20)
		r.ViewersBySecond = append(r.ViewersBySecond, int(float64(n)*there))
		r.ShareBySecond = append(r.ShareBySecond, share*math.Sqrt(there)-0.01*rng.Float64())
		r.LagP95BySecond = append(r.LagP95BySecond, (900-200*kind)*(1+0.1*rng.NormFloat64()))
	}
	for i := range n {
		e := Edge{From: fromSeed, To: i, LagMS: 40 + 20*rng.Float64()}
		switch first := 3 + 2*int(2-kind); {
		case i < 2:
			e.From = fromOrigin
		case i >= first:
			e.From = int(float64(i-first) / (1.5 + kind + rng.Float64()))
			e.LagMS = r.Tree[e.From].LagMS + 20 + 80*rng.Float64()
		}
		r.Tree = append(r.Tree, e)
	}
	return r, nil
}
