package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sort"
	"time"

	"github.com/xp2p/xp2p/lib/measure"
)

// A sample is one line of a peer's --stats.
type sample struct {
	At time.Time `json:"time"`
	measure.Report
}

// samples reads what a peer has counted, a line a second; none if it never
// counted anything.
func samples(file string) (all []sample) {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 2*measure.MaxReport)
	for lines.Scan() {
		var s sample
		if json.Unmarshal(lines.Bytes(), &s) == nil {
			all = append(all, s)
		}
	}
	return all
}

// A gathering adds up what all viewers came to.
type gathering struct {
	*show
	run         *Run
	real        *Real
	lag, base   measure.Histogram   // ms
	second      []measure.Histogram // of added lag, by when a piece was written
	peer, total []int64             // bytes that came within each second
	inTime      [2]int64            // pieces, for both model players
}

// result makes a run of a show that is over.
func (s *show) result() *Run {
	seconds := s.reel.length.Seconds()
	n := int(seconds) + 1
	g := &gathering{
		show: s,
		run: &Run{Scenario: s.sc.Name, Topology: s.topology, Seed: s.seed, Link: "real", WorstAfterMS: -1, Seconds: seconds, StreamBytes: int64(len(s.reel.bytes)),
			ViewersBySecond: make([]int, n)},
		real:   &Real{Place: s.opt.Place, MachineBusy: s.busyRatio, MachineStolen: s.stolen},
		second: make([]measure.Histogram, n), peer: make([]int64, n), total: make([]int64, n),
	}
	if g.real.Place == "" {
		g.real.Place = PlaceLoopback
	}
	for _, w := range s.watchers {
		if t := w.trouble(); t != "" {
			g.fail(t)
		}
		if w.proc != nil {
			g.viewer(w)
		}
	}
	g.servers()
	g.sum()
	g.doubt()
	g.run.Real = g.real
	return g.run
}

func (g *gathering) fail(what string) {
	if len(g.real.Failures) < maxFailures {
		g.real.Failures = append(g.real.Failures, what)
	}
}

// viewer adds one viewer.
func (g *gathering) viewer(w *watcher) {
	r, x, c := g.run, g.real, w.check
	x.Viewers++
	x.ViewerCPU += w.proc.cpu()
	x.WatchedSeconds += w.watched().Seconds()
	x.PeakViewerRSS = max(x.PeakViewerRSS, w.proc.rss)
	x.DeliveredBytes += c.good
	x.Gaps += c.gaps
	if c.exact() {
		x.Exact++
	}
	r.PlayedBad += c.bad
	if c.from >= 0 {
		r.Startup.Add((c.firstB - w.came).Milliseconds())
	}
	for t := range r.ViewersBySecond {
		if at := time.Duration(t) * time.Second; at >= w.came && w.came+w.watched() > at {
			r.ViewersBySecond[t]++
		}
	}
	g.lags(w)
	g.playing(w)
	g.counters(w)
}

// ingest is when the broadcaster wrote the last byte of a piece.
func (g *gathering) ingest(piece int) time.Duration {
	end := g.reel.pieces[piece].end
	return g.wrote[sort.Search(len(g.wrote)-1, func(i int) bool { return g.reel.frames[i].end >= end })]
}

// lags adds a viewer's lag, piece by piece, and what the swarm added to it.
func (g *gathering) lags(w *watcher) {
	b := g.baseline
	for i, at := range w.check.when {
		in := g.ingest(i)
		if at == never || in < w.came {
			continue // what was on the air before he came is no lag
		}
		g.lag.Add((at - in).Milliseconds())
		if b == nil || b.check == nil || b.check.when[i] == never || in < b.check.firstB {
			continue
		}
		added := (at - b.check.when[i] - g.place.path(w.Viewer, g.reel.size(i))).Milliseconds()
		g.run.AddedLag.Add(added)
		g.second[min(int(in/time.Second), len(g.second)-1)].Add(added)
	}
}

// playing has the model players watch what the viewer put out. A piece that had
// not come when he left is late if its moment had passed.
func (g *gathering) playing(w *watcher) {
	r, c := g.run, w.check
	if c.whole == 0 {
		return
	}
	clock := func(d time.Duration) time.Time { return g.began.Add(d) }
	left := w.came + w.watched()
	first := g.reel.frames[c.from].dts
	entry := sort.Search(len(c.when), func(i int) bool { return g.reel.pieces[i].end > g.reel.start(c.from) })
	for n, buffer := range []time.Duration{measure.PlayerBuffer, measure.PlayerBufferShort} {
		p := measure.NewPlayer(buffer)
		p.Start(clock(c.whole), first)
		var worst time.Duration
		last := first
		for i := entry; i < len(c.when); i++ {
			dts := g.reel.pieces[i].dts
			if c.when[i] == never {
				if i >= c.piece && p.Deadline(dts).After(clock(left)) {
					break // he had left
				}
				p.Skip(dts)
				continue
			}
			was := p.Stalled
			p.Play(dts, clock(c.when[i]))
			worst, last = max(worst, p.Stalled-was), dts
		}
		g.inTime[n] += p.Due - p.Late - p.Missing
		if n == 0 {
			r.DuePieces, r.LatePieces, r.MissingPieces = r.DuePieces+p.Due, r.LatePieces+p.Late, r.MissingPieces+p.Missing
			r.StalledMS += p.Stalled.Milliseconds()
			r.PlayedMS += last - first
			r.WorstStallMS = max(r.WorstStallMS, worst.Milliseconds())
		}
	}
}

// counters adds what the peer itself has counted.
func (g *gathering) counters(w *watcher) {
	all := samples(w.statsFile())
	if len(all) == 0 {
		return
	}
	r, last := g.run, all[len(all)-1]
	r.PeerBytes += last.PeerBytes
	r.SeedBytes += last.SeedBytes
	r.OriginBytes += last.OriginBytes + last.RelayBytes
	r.UploadedBytes += last.UploadedBytes
	r.DuplicateBytes += last.DuplicateBytes
	r.PollutedBytes += last.PollutedBytes
	r.ControlBytes += last.OverheadBytes
	var peer, total int64
	for _, s := range all {
		// Its clock says milliseconds of the same machine's wall clock.
		t := min(max(0, int(s.At.Sub(g.began.Round(0))/time.Second)), len(g.peer)-1)
		g.peer[t] += s.PeerBytes - peer
		g.total[t] += s.TotalBytes() - total
		peer, total = s.PeerBytes, s.TotalBytes()
	}
	if carries := float64(w.Carries()) / 8 * w.watched().Seconds(); carries > 0 && !w.NoUpload {
		g.run.UploadOverUplink = append(g.run.UploadOverUplink, float64(last.UploadedBytes)/carries)
	}
}

// servers adds the broadcaster's processes and the baseline.
func (g *gathering) servers() {
	x := g.real
	x.SliceCPU, x.SeedCPU = g.slice.cpu(), g.server.cpu()
	x.PeakSeedRSS = g.server.rss
	for _, p := range []*process{g.slice, g.server} {
		if t := p.trouble(0); t != "" {
			g.fail(t)
		}
	}
	b := g.baseline
	if b == nil {
		return
	}
	if t := b.trouble(); t != "" {
		g.fail(t)
	}
	if b.check == nil {
		return
	}
	for i, at := range b.check.when {
		if in := g.ingest(i); at != never && in >= b.check.firstB {
			g.base.Add((at - in).Milliseconds())
		}
	}
}

// sum draws the totals.
func (g *gathering) sum() {
	r, x := g.run, g.real
	r.Peers = slices.Max(r.ViewersBySecond)
	r.ServerEgress = r.SeedBytes + r.OriginBytes
	if g.opt.Plain {
		r.OriginBytes, r.ServerEgress = x.DeliveredBytes, x.DeliveredBytes
	}
	// Both ends of a connection count what it costs.
	r.ControlBytes /= 2
	r.WireBytes = r.PeerBytes + r.SeedBytes + r.OriginBytes + r.DuplicateBytes + r.ControlBytes
	if r.DuePieces > 0 {
		r.Continuity400 = float64(g.inTime[1]) / float64(r.DuePieces)
	}
	slices.Sort(r.UploadOverUplink)
	r.Jain = measure.Jain(r.UploadOverUplink)
	var uplinks float64
	for _, v := range g.viewers {
		if !v.NoUpload {
			uplinks += float64(v.Carries())
		}
	}
	n, rate := len(g.viewers), float64(streamRate(g.sc))
	r.ShareBound = measure.ShareBound(n, uplinks, rate)
	if total := r.PeerBytes + r.ServerEgress; total > 0 {
		const piece = 0.1 // seconds
		r.LagBoundMS = 1000 * measure.LagBound(piece, float64(r.ServerEgress)/float64(total), uplinks/float64(n)/rate)
	}
	for t := range g.second {
		share := 0.0
		if g.total[t] > 0 {
			share = float64(g.peer[t]) / float64(g.total[t])
		}
		r.ShareBySecond = append(r.ShareBySecond, share)
		r.LagP95BySecond = append(r.LagP95BySecond, float64(g.second[t].Quantile(0.95)))
	}
	r.PeakRSS = x.PeakViewerRSS
	x.LagP50MS, x.LagP95MS = g.lag.Quantile(0.5), g.lag.Quantile(0.95)
	x.BaselineP50MS, x.BaselineP95MS = g.base.Quantile(0.5), g.base.Quantile(0.95)
}

// doubt says why the run may have measured the machine and not the swarm.
func (g *gathering) doubt() {
	x := g.real
	var late []float64
	for i, at := range g.wrote {
		late = append(late, max(0, float64(at-g.reel.due(i))/float64(time.Millisecond)))
	}
	slices.Sort(late)
	x.BroadcastLateMS = late[len(late)*99/100]
	say := func(format string, args ...any) { x.Doubts = append(x.Doubts, fmt.Sprintf(format, args...)) }
	if x.BroadcastLateMS > lateFrameMS {
		say("frames were written %.0f ms late at the 99th percentile", x.BroadcastLateMS)
	}
	if x.MachineBusy+x.MachineStolen > busyMachine {
		say("the processors were busy for %.0f %% of the time, and the host took %.0f %%", 100*x.MachineBusy, 100*x.MachineStolen)
	}
	if e := g.emulated; e != nil {
		x.EmulatorLateMS = float64(e.LateP99) / float64(time.Millisecond)
		if err := e.Trusted(); err != nil {
			say("%v", err)
		}
		g.run.WireBytes = 0
		for _, h := range e.Hosts {
			g.run.WireBytes += int64(h.Up.Bytes) // whole packets; the baseline's do not come this way
		}
	}
}
