package abr

// margin is how far ahead of what is written the other rendition is looked at
// where bridges can be made: a keyframe at which the old one cannot end must be
// known before the last place where it could.
const margin = 250_000_000

// decide moves the goal on. h is the next picture in line, nil if there is none
// any more. It returns true if h may be written: then no switch belongs before
// it; else the switch was made, or needs says what has to be read first.
func (s *Switcher) decide(h *sample) bool {
	g := s.goal
	if g.to.gone || g.to.last != never && g.to.codec != s.first.codec {
		s.fault("%s cannot be switched to: its codec is %s, that of %s is %s", g.to.name, g.to.codecName(), s.first.name, s.first.codecName())
		g.to.gone = true
		s.goal = nil
		s.cancel()
		return true
	}
	if need := reasonWords[g.reason] != ""; !g.inner && !need {
		switch s.meet(g.to) {
		case needed:
			return false
		case later:
			if h == nil { // it ends before that
				s.fault("%s is not switched to: where it meets %s has not become clear", g.to.name, s.first.name)
			}
			return true
		case refused:
			s.goal = nil // it said why
			s.cancel()
			return true
		}
	}
	if g.mode == Bridge {
		return s.decideBridge(h)
	}
	tol := g.to.tolerance()
	for {
		i, sure := g.to.start(max(g.at, s.shown+2*tol) - tol)
		if i < 0 {
			return s.noStart(h)
		}
		p := g.to.video.samples[i].pts
		if h != nil && h.pts < p-tol {
			if s.cfg.Bridges && !g.inner && !g.plain && p-h.pts <= margin {
				return s.beforeDirty(h, p)
			}
			return true
		}
		if !sure {
			s.needs = g.to
			return false
		}
		if h != nil {
			ok, known := s.video.clean(p)
			if !known {
				s.needs = s.video
				return false
			}
			if !ok { // never cut there
				g.at = p + 2*tol
				continue
			}
		}
		s.cross(g.to, i, Keyframe)
		return false
	}
}

// noStart is for a goal whose rendition shows no place to start in what is read.
func (s *Switcher) noStart(h *sample) bool {
	g := s.goal
	switch {
	case g.to.ended:
		if h != nil || g.reason == ByPlan || g.reason == ByControl {
			s.fault("%s has no more IDR to switch to at %s", g.to.name, clock(max(g.at, s.shown)-s.zero))
		}
		s.goal = nil
		return true
	case g.to.stalled:
		return true
	}
	ahead := int64(0)
	if s.cfg.Bridges && !g.inner {
		ahead = margin
	}
	if h != nil && g.to.safe() >= h.pts+ahead {
		return true
	}
	s.needs = g.to
	return false
}

// beforeDirty looks whether the old rendition can end at p, the new one's next
// IDR. If not, a bridge of a few pictures leads there, from the last place where
// it can.
func (s *Switcher) beforeDirty(h *sample, p int64) bool {
	if s.video.safe() < p {
		s.needs = s.video
		return false
	}
	if ok, _ := s.video.clean(p); ok {
		return true
	}
	cut, found := s.video.lastClean(s.shown, p)
	if !found {
		return true
	}
	s.goal.mode, s.goal.exact, s.goal.at = Bridge, true, cut
	return s.decideBridge(h)
}

// cross goes over to the i-th frame of to's queue.
func (s *Switcher) cross(to *lane, i int, mode Mode) {
	g, from := s.goal, s.video
	for range i {
		to.video.pop()
	}
	p := to.video.samples[0].pts
	frame := max(from.wide, to.wide)
	if frame == 0 {
		frame = usualFrame
	}
	if s.shown != never && p-s.shown > 3*frame/2+samePicture {
		s.fault("%s of pictures are missing before %s", clock(p-s.shown-frame), to.name)
	}
	name := from.name
	if from == s.bridge {
		name = s.job.to.name
	}
	if !g.inner {
		target := to.name
		if to == s.bridge {
			target = s.job.to.name
		}
		s.events = append(s.events, Switch{
			Type: "switch", From: name, To: target,
			AskedMS: milliseconds(g.asked - s.zero), AtMS: milliseconds(p - s.zero), Mode: mode, Reason: g.reason,
		})
	}
	s.mux.flush(false)
	s.video, s.switched, s.goal = to, true, nil
	if to == s.bridge {
		s.goal = &goal{to: s.job.to, at: p, asked: g.asked, mode: Keyframe, reason: g.reason, inner: true}
		to = s.job.to
	} else {
		s.cancel()
	}
	s.turnAudio(to, p)
}

// turnAudio decides whether the sound goes over, too: only where it must.
func (s *Switcher) turnAudio(to *lane, p int64) {
	old, now := s.audio.reader.audio, to.reader.audio
	silent := s.audio.ended || s.audio.stalled || s.audio.gone
	switch {
	case now == nil, to == s.audio && s.turn == nil:
	case to == s.audio:
		s.turn = nil
	case old == nil, silent, !old.same(now):
		s.turn, s.turnAt = to, p
	}
}

// writeAudio writes a frame of sound, or goes over to the other rendition's at
// the border between two.
func (s *Switcher) writeAudio(a *sample) {
	half := s.soundStep / 2
	if s.turn != nil && a.pts >= s.turnAt-half {
		s.turnOver()
		return
	}
	f := s.audio.audio.pop()
	if s.heard != never && f.pts > s.heard && (s.soundStep == 0 || f.pts-s.heard < s.soundStep) {
		s.soundStep = f.pts - s.heard
	}
	s.mux.audio(&f)
	s.heard = max(s.heard, f.pts)
}

func (s *Switcher) turnOver() {
	half := s.soundStep / 2
	s.audio, s.turn = s.turn, nil
	for h := s.audio.audio.head(); h != nil && s.heard != never && h.pts < s.heard+half+1; h = s.audio.audio.head() {
		s.audio.audio.pop()
	}
}
