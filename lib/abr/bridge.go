package abr

import (
	"math"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/flv"
	"github.com/xp2p/xp2p/lib/media"
)

// early is how far from the asked moment a bridge may begin: old renditions end
// cleanly only every few pictures.
const early = 100_000_000

// lead is the time that an encoder's input begins with: it must not be negative.
const lead = second

// A Job is a bridge to be encoded. An encoder gets video in the Switcher's
// container (Input) and gives it back, encoded anew: pictures from time Start
// on, the first Keys of them each an IDR, none of them reordered.
type Job struct {
	ID        int
	Codec     string // RFC 6381; avc1… or hvc1…, hev1…
	Container media.Container
	Start     int64 // ticks of the timeline that is handed in
	Timescale uint32
	Keys      int
	To        int           // the rendition, of Config.Names
	Ahead     time.Duration // what was still to be written before it is needed
	QP        int           // that of the rendition's finer pictures; 0 if not known
}

// A job is one on its way.
type job struct {
	Job
	to     *lane
	base   int64 // the input's times are those of the output less base
	cts    int64 // how much earlier than it is shown a keyframe of to is decoded
	next   int64 // seq of the sample to be fed next
	until  int64 // where it may end
	mux    muxer
	in     output
	closed bool
	failed bool
	start  int64 // the first picture is the first one that was fed from here on
	first  int64 // when that is shown
	shift  int64 // from the encoder's times to the output's
	placed bool
	from   int64 // the time of its first picture that was written, if it was
}

// Job returns the bridge that is wanted now, or nil. One with another ID is
// not wanted any more.
func (s *Switcher) Job() *Job {
	if s.job == nil || s.job.failed {
		return nil
	}
	return &s.job.Job
}

// Bridged returns how much of the stream the bridge was that ended last.
func (s *Switcher) Bridged() time.Duration { return time.Duration(s.bridged) }

// Input returns what the encoder gets next; over says that nothing follows.
func (s *Switcher) Input() (b [][]byte, over bool) {
	if s.job == nil {
		return nil, true
	}
	return s.job.in.take(), s.job.closed
}

// Encoded takes the next bytes of what the encoder of job id made.
func (s *Switcher) Encoded(id int, p []byte) {
	if s.job == nil || s.job.ID != id {
		return
	}
	s.bridge.reader.Feed(p)
	s.takeBridge()
}

// AcceptsEncoded reports whether more of the bridge may be handed over: an encoder may
// be faster than what is written.
func (s *Switcher) AcceptsEncoded() bool {
	return s.bridge == nil || s.needs == s.bridge || s.bridge.queued() < maxQueued/2
}

// EndEncoded says that nothing of job id follows; why is empty if it ended well.
func (s *Switcher) EndEncoded(id int, why string) {
	if s.job == nil || s.job.ID != id || s.bridge.ended {
		return
	}
	s.bridge.reader.End()
	s.takeBridge()
	s.bridge.ended = true
	if why != "" || !s.job.closed {
		if why == "" {
			why = "the encoder ended early"
		}
		s.fault("the bridge to %s: %s", s.job.to.name, why)
		s.job.failed = true
	}
}

// WaitsForBridge reports whether nothing can be written before the encoder gives more.
func (s *Switcher) WaitsForBridge() bool { return s.needs != nil && s.needs == s.bridge }

// GiveUpBridge says that the encoder is too late.
func (s *Switcher) GiveUpBridge(why string) {
	if s.job != nil {
		s.EndEncoded(s.job.ID, why)
	}
}

func (s *Switcher) takeBridge() {
	b := s.bridge
	for i := range b.reader.samples {
		f := &b.reader.samples[i]
		if !s.job.placed { // the MP4 muxer of ffmpeg begins at 0 whatever it is told
			s.job.placed, s.job.shift = true, s.job.first-f.pts
		}
		f.pts += s.job.shift
		f.dts = f.pts - s.job.cts
	}
	b.take(func(string, ...any) {})
}

// startJob begins a bridge to g.to; false means that there is nothing to begin
// it with. It may need more of g.to first.
func (s *Switcher) startJob(g *goal) bool {
	to := g.to
	if len(to.past.samples) == 0 || to.reader.video == nil || to.codec != avc1 && to.codec != hvc1 {
		return false
	}
	if to.codec == hvc1 && s.cfg.Container == media.FLV {
		return false // no encoder writes that
	}
	s.jobs++
	first := to.past.samples[0]
	j := &job{to: to, next: first.seq, cts: first.pts - first.dts, from: never}
	j.ID, j.Codec, j.Container = s.jobs, first.config.name, s.cfg.Container
	j.To, j.Ahead = slices.Index(s.lanes, to), time.Duration(max(0, g.at-s.shown))
	j.QP = quantiser(to.past.samples, to.video.samples)
	j.base = first.dts - lead
	start := max(g.at-early, s.shown) + samePicture/2
	j.until = g.at + 2*early
	if g.exact {
		start = g.at - to.tolerance()
		j.until = g.at + to.tolerance()
	}
	if s.cfg.Container == media.FLV {
		m := newMuxerFLV(&j.in)
		head := flv.AppendHeader(nil)
		head[4] = 1 // video alone
		j.in.copied(head)
		j.mux, j.Timescale = m, 1000
	} else {
		m := newMuxerMP4(&j.in, []*lane{to}, to)
		m.video_.config, m.audio_.id = to.reader.video, 0
		m.writeInit()
		j.mux, j.Timescale = m, m.video_.scale
		j.base += nanos(m.video_.shift, m.video_.scale)
	}
	j.start, j.first = start, math.MaxInt64
	j.Start = ticks(start-j.base, j.Timescale)
	j.Keys = to.within(j.until - start)
	s.job = j
	s.bridge = newLane("the bridge to "+to.name, s.cfg.Container, false)
	s.bridge.codec = to.codec
	return true
}

// feedJob hands the encoder what came in of its rendition, up to the IDR that
// the bridge leads to.
func (s *Switcher) feedJob() {
	j := s.job
	if j.closed {
		return
	}
	cut := j.until
	if s.video == s.bridge && s.goal != nil {
		cut = s.goal.at
	}
	over := j.to.ended || j.to.gone
	var end int64 = -1 // seq of the sample to end before
	if i, sure := j.to.start(cut + j.to.tolerance()); i >= 0 {
		end = j.to.video.samples[i].seq
		_ = sure // an IDR that turns out to have leading pictures only makes the bridge longer
		over = true
	}
	for _, q := range []*deque{&j.to.past, &j.to.video} {
		for i := range q.samples {
			f := q.samples[i]
			if f.seq < j.next || f.track != media.Video {
				continue
			}
			if end >= 0 && f.seq >= end {
				break
			}
			j.next = f.seq + 1
			if f.pts >= j.start {
				j.first = min(j.first, f.pts)
			}
			f.dts -= j.base
			f.pts -= j.base
			j.mux.video(&f, false)
		}
	}
	j.mux.flush(false)
	j.closed = over
}

// cancel forgets the bridge, unless it is what is written.
func (s *Switcher) cancel() {
	if s.job != nil && s.video != s.bridge {
		if s.bridged = 0; s.job.from != never {
			s.bridged = s.shown - s.job.from
		}
		s.job, s.bridge = nil, nil
	}
}

// plainly falls back to the next keyframe.
func (s *Switcher) plainly(h *sample, why string) bool {
	g := s.goal
	s.cancel()
	if why != "" {
		s.fault("no bridge to %s: %s; it is switched to at its next keyframe", g.to.name, why)
	}
	g.mode, g.plain, g.exact = Keyframe, true, false
	return s.decide(h)
}

// decideBridge is decide for a goal that wants a bridge.
func (s *Switcher) decideBridge(h *sample) bool {
	g := s.goal
	if h == nil {
		return s.plainly(h, "")
	}
	if s.job == nil {
		if g.to.safe() < s.shown {
			if g.to.stalled || g.to.ended {
				return s.plainly(h, "nothing of it is there")
			}
			s.needs = g.to
			return false
		}
		ahead := h.pts < g.at-early
		if s.shown == never && ahead {
			return true // first there must be a picture
		}
		if s.shown == never { // nothing was written: there is no old rendition to end
			return s.plainly(h, "")
		}
		g.to.drop(s.shown, never)
		if g.at == never || g.at < s.shown {
			g.at = s.shown + 1
		}
		if !s.startJob(g) {
			if ahead && !g.exact && g.to.codec == s.video.codec {
				return true // its keyframe may yet come
			}
			why := "its keyframe before has not been seen"
			if g.to.codec != avc1 && (g.to.codec != hvc1 || s.cfg.Container == media.FLV) {
				why = "its codec " + g.to.codecName() + " cannot be encoded"
			}
			if g.exact {
				why = "" // nobody asked for it
			}
			return s.plainly(h, why)
		}
	}
	if s.job.failed {
		return s.plainly(h, "the encoder gave none")
	}
	tol := g.to.tolerance()
	low, high := max(g.at-early, s.shown+2*tol)-tol, g.at+2*early
	if g.exact {
		low, high = g.at-tol, g.at+tol
	}
	if h.pts < low {
		return true
	}
	if g.chosen == nil {
		switch {
		case s.bridge.safe() < high && !(s.bridge.ended):
			s.needs = s.bridge
			return false
		case s.video.safe() < high:
			s.needs = s.video
			return false
		}
		s.choose(low, high)
		if g.chosen == nil {
			return s.plainly(h, "no place near "+clock(g.at-s.zero)+" where the old rendition can end")
		}
	}
	if h.pts < g.cut-tol {
		return true
	}
	i, _ := g.chosen.start(g.cut)
	if i < 0 || g.chosen.video.samples[i].pts != g.cut {
		return s.plainly(h, "its pictures came too late")
	}
	mode := Bridge
	if g.chosen == g.to {
		mode = Keyframe
	}
	s.cross(g.chosen, i, mode)
	return false
}

// choose finds the place between low and high nearest to the asked moment where
// the old rendition can end and the bridge, or the new one itself, can begin.
func (s *Switcher) choose(low, high int64) {
	g := s.goal
	best := int64(1 << 62)
	try := func(l *lane, p, dearer int64) {
		d := max(p-g.at, g.at-p) + dearer
		if p < low || p > high || d >= best {
			return
		}
		if ok, _ := s.video.clean(p); ok {
			best, g.chosen, g.cut = d, l, p
		}
	}
	const worth = 20_000_000 // what it is worth to encode nothing
	for i, _ := g.to.start(low); i >= 0; {
		p := g.to.video.samples[i].pts
		try(g.to, p, 0)
		i, _ = g.to.start(p + 1)
	}
	for _, f := range s.bridge.video.samples {
		if f.frame.IDR && f.frame.Key {
			try(s.bridge, f.pts, worth)
		}
	}
}
