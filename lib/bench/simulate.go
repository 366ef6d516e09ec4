package bench

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/xp2p/xp2p/lib/measure"
)

// Links that a simulation can run over.
const (
	FlowLink   = "flow"   // package flownet: thousands of viewers
	PacketLink = "packet" // package xntp, packet by packet: dozens
)

// gcPercent is how much the heap may grow before it is collected.
const gcPercent = 400

// heapEach is about what the heap has grown to in the end, a viewer.
const heapEach = 1 << 19

// drainTime is how long a simulation goes on behind the end of the broadcast,
// so that the last pieces are played.
const drainTime = 4 * time.Second

// Simulate runs a scenario in a virtual network: every viewer and the seed are
// the shipped node, the tracker is the shipped tracker. progress, if not nil, is
// called about once a simulated second.
func Simulate(ctx context.Context, scenario *Scenario, topology string, seed uint64, link string, progress func(seconds float64, viewers int)) (*Run, error) {
	sc := *scenario
	sc.Fill()
	if link != FlowLink && link != PacketLink {
		return nil, fmt.Errorf("bench: link %q is neither %s nor %s", link, FlowLink, PacketLink)
	}
	if link == PacketLink && sc.Polluters > 0 {
		return nil, fmt.Errorf("bench: polluters change objects, and over %s links there are none: use %s", PacketLink, FlowLink)
	}
	// A simulation's memory is full of small long-lived things; looking at them less
	// often costs twice as much of it and saves a tenth of the time.
	defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	began := time.Now()
	x, err := newWorld(&sc, topology, seed, link)
	if err != nil {
		return nil, err
	}
	hugePages(len(x.viewers) * heapEach)
	x.broadcast()
	for i := range x.viewers {
		v := x.viewers[i]
		x.sim.After(seconds(v.JoinS), v.join)
		if v.JoinS+v.StayS < sc.Seconds {
			x.sim.After(seconds(v.JoinS+v.StayS), v.leave)
		}
	}
	for _, e := range sc.Events {
		x.sim.After(seconds(e.AtS), func() { x.happen(e) })
	}
	end := seconds(sc.Seconds) + drainTime
	for at := time.Duration(0); at < end; at += time.Second {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		x.sim.RunFor(min(time.Second, end-at))
		x.tick(at < seconds(sc.Seconds))
		if progress != nil {
			progress(x.sim.Elapsed().Seconds(), x.present)
		}
		if x.err != nil {
			return nil, x.err
		}
	}
	r := x.result()
	r.WallSeconds = time.Since(began).Seconds()
	r.PeakRSS = peakRSS(os.Getpid())
	return r, nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// result adds up what the viewers have seen.
func (x *world) result() *Run {
	sc := x.sc
	r := &Run{Scenario: sc.Name, Topology: x.topology, Peers: x.most, Seed: x.seedNumber, Link: x.link, Seconds: sc.Seconds,
		StreamBytes: x.streamBytes, ServerEgress: x.originBytes, PlayedBad: x.bad, AddedLag: x.lag, Startup: x.startup,
		ShareBySecond: x.shares, ViewersBySecond: x.counts, LagP95BySecond: x.lags, Tree: x.way.edges, TraceHash: x.sim.Trace()}
	if rep, ok := x.seed.Stats(x.sim.Now(), roomName); ok {
		r.ServerEgress += rep.UploadedBytes
	}
	if len(sc.Events) == 0 {
		r.WorstAfterMS = -1
	}
	var uplinks, watched float64
	var ratios []float64
	var short, shortDue float64
	for _, v := range x.viewers {
		if v.n == nil {
			continue
		}
		rep := v.report()
		r.PeerBytes += rep.PeerBytes
		r.SeedBytes += rep.SeedBytes
		r.OriginBytes += rep.OriginBytes
		r.UploadedBytes += rep.UploadedBytes
		r.DuplicateBytes += rep.DuplicateBytes
		r.PollutedBytes += rep.PollutedBytes
		r.DuePieces += rep.DuePieces
		r.LatePieces += rep.LatePieces
		r.MissingPieces += rep.MissingPieces
		r.StalledMS += rep.StalledMS
		r.WorstStallMS = max(r.WorstStallMS, v.worst.Milliseconds())
		if len(sc.Events) > 0 && v.here() {
			r.WorstAfterMS = max(r.WorstAfterMS, v.worstAfter.Milliseconds())
		}
		r.InterZoneBytes += rep.InterZoneBytes
		stayed := v.stayed(x)
		r.PlayedMS += stayed.Milliseconds()
		if rep.Continuity400Ratio != nil {
			short += *rep.Continuity400Ratio * float64(rep.DuePieces)
			shortDue += float64(rep.DuePieces)
		}
		if !v.NoUpload {
			room := float64(v.Carries()) / 8 * stayed.Seconds()
			uplinks += room
			if stayed > 5*time.Second {
				ratios = append(ratios, float64(rep.UploadedBytes)/room)
			}
		}
		watched += stayed.Seconds()
	}
	r.PlayedMS -= r.StalledMS
	r.Continuity400 = 1
	if shortDue > 0 {
		r.Continuity400 = short / shortDue
	}
	r.Jain = measure.Jain(ratios)
	r.UploadOverUplink = ratios
	if x.flows != nil {
		s := x.flows.Stats
		r.ControlBytes = s.ObjectBytes - s.BodyBytes
		r.WireBytes = s.WireBytes - s.PlainBytes
	} else {
		r.WireBytes = int64(x.sim.Stats().SentBytes)
	}
	// The mean number of viewers bounds the share of those who are served by
	// each other; who comes and goes makes it no higher.
	rate := float64(sc.RateBPS) / 8
	if n := watched / sc.Seconds; n > 0 {
		r.ShareBound = measure.ShareBound(int(n+0.5), uplinks/sc.Seconds, rate)
		m := uplinks / watched / rate
		r.LagBoundMS = 1000 * measure.LagBound(pieceSeconds(sc), 1-r.share(), m)
	}
	return r
}

// pieceSeconds is how much of the stream a piece of 16 KiB holds, at most 100 ms.
func pieceSeconds(sc *Scenario) float64 { return min(0.1, 16384*8/float64(sc.RateBPS)) }

func (r *Run) payload() int64 { return r.PeerBytes + r.SeedBytes + r.OriginBytes }

func (r *Run) share() float64 {
	if r.payload() == 0 {
		return 0
	}
	return float64(r.PeerBytes) / float64(r.payload())
}
