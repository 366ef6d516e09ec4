package abr

import (
	"fmt"

	"github.com/xp2p/xp2p/lib/media"
)

// A Config says what a Switcher is to do.
type Config struct {
	Container media.Container
	Names     []string // of the renditions
	First     int      // the one to begin with
	Mode      Mode     // of the plan, and of what is asked without a mode
	Plan      []Step   // in the order of time
	// Bridges says that an encoder is at hand: then the Switcher asks for bridges
	// (see [Switcher.Job]).
	Bridges bool
	// Trust takes the renditions' times as they are, instead of finding out where
	// they meet.
	Trust bool
	// History bounds the bytes of all renditions that are kept for bridges.
	History int
	// Again says which renditions can be read a second time, as files can: where
	// they meet is then found before a switch, however much it takes (see
	// [Switcher.Scan]). nil is none.
	Again []bool
}

// A Step asks for a rendition at a time of the stream written, counted from its
// first picture.
type Step struct {
	At int64 // nanoseconds
	To int   // of Names
}

// A goal is a switch that is on its way.
type goal struct {
	to     *lane
	at     int64 // when it was asked for; pictures before it are not looked at
	asked  int64 // the same, as events tell it
	mode   Mode
	reason string
	inner  bool  // the end of a bridge: no event
	exact  bool  // a bridge from at and nowhere else, to an IDR where the old rendition cannot end
	plain  bool  // no bridge any more
	chosen *lane // where a bridge begins: its own first picture or an IDR near by
	cut    int64
}

// A Switcher writes one stream of several renditions. Feed it what is read
// (Feed, End), ask what it needs next (Needs, Accepts), write what it gives
// (Output).
type Switcher struct {
	cfg     Config
	lanes   []*lane
	bridge  *lane // what an encoder makes, on its way like a rendition
	job     *job
	jobs    int
	bridged int64 // how long the last one was that ended

	first        *lane // the one whose times are the output's
	video, audio *lane // where they are taken from
	out          output
	mux          muxer
	begun        bool
	zero         int64 // PTS of the first picture
	shown        int64 // the greatest PTS written
	heard        int64 // the same of audio
	soundStep    int64
	switched     bool
	goal         *goal
	turn         *lane // audio goes over to it where the picture did
	turnAt       int64
	plan         []Step
	needs        *lane // what nothing can be written without
	scan         *Scan // the same
	meets        bool  // needs is only to know where renditions meet
	slow         bool  // they come too slowly to wait for that
	ending       bool  // the last pictures are written, not yet their sound
	done         bool

	events []Switch
	notes  []string
	broken bool
}

// NewSwitcher returns a Switcher.
func NewSwitcher(cfg Config) *Switcher {
	s := &Switcher{cfg: cfg, plan: cfg.Plan, shown: never, heard: never}
	for i, n := range cfg.Names {
		l := newLane(n, cfg.Container, cfg.Bridges)
		l.again = i < len(cfg.Again) && cfg.Again[i]
		s.lanes = append(s.lanes, l)
	}
	s.video, s.audio = s.lanes[cfg.First], s.lanes[cfg.First]
	s.needs = s.video
	return s
}

// Feed takes the next bytes of rendition i.
func (s *Switcher) Feed(i int, p []byte) {
	l := s.lanes[i]
	l.stalled = false
	l.reader.Feed(p)
	l.take(s.fault)
}

// End says that nothing of rendition i follows. why is empty at its proper end.
func (s *Switcher) End(i int, why string) {
	l := s.lanes[i]
	if l.ended {
		return
	}
	l.reader.End()
	l.take(s.fault)
	l.ended = true
	if why != "" {
		s.fault("%s: %s", l.name, why)
	}
}

// Stalled says that rendition i, which the Switcher needs, gives nothing: it
// goes on without it as long as that is so.
func (s *Switcher) Stalled(i int) {
	if l := s.lanes[i]; !l.stalled && !l.ended {
		l.stalled = true
		s.fault("%s: nothing comes any more", l.name)
	}
}

// Absent says that rendition i is not read, as its reader wants it: it is left
// out until something comes, and nothing is wrong.
func (s *Switcher) Absent(i int) { s.lanes[i].stalled = true }

// Asked reports whether rendition i was asked for and is still to come. What
// cannot be switched to is not, as the notes say.
func (s *Switcher) Asked(i int) bool { return s.goal != nil && s.goal.to == s.lanes[i] }

// Fits reports whether rendition i has shown pictures that can follow those that
// are written.
func (s *Switcher) Fits(i int) bool {
	l := s.lanes[i]
	return s.begun && !l.gone && l.last != never && l.codec == s.first.codec
}

// Restart says that what comes next of rendition i does not follow on what came:
// nobody has read it for a while. While something is taken from it, it does
// nothing.
func (s *Switcher) Restart(i int) {
	old := s.lanes[i]
	if old == s.video || old == s.audio || old == s.turn || s.goal != nil && s.goal.to == old {
		return
	}
	s.lanes[i] = newLane(old.name, s.cfg.Container, old.keep) // it begins elsewhere: it cannot be read again
	if s.needs == old {
		s.needs = nil
	}
}

// Ask asks for rendition i from now on.
func (s *Switcher) Ask(i int, mode Mode, reason string) {
	at := s.shown + 1
	if s.shown == never {
		at = never
	}
	if mode == "" {
		mode = s.cfg.Mode
	}
	s.ask(&goal{to: s.lanes[i], at: at, mode: mode, reason: reason})
}

func (s *Switcher) ask(g *goal) {
	g.asked = max(g.at, s.zero)
	if g.at == never {
		g.asked = s.zero
	}
	from := s.video
	if s.bridge != nil && s.video == s.bridge {
		from = s.job.to
	}
	switch {
	case g.to == from && s.goal != nil && !s.goal.inner:
		s.goal = nil // it is taken back
		s.cancel()
		return
	case g.to == from:
		return
	case g.to.gone:
		s.fault("%s cannot be switched to", g.to.name)
		return
	case s.goal != nil && s.goal.inner:
		// The bridge is left by the shorter way: its pictures are clean everywhere.
	case s.goal != nil:
		s.cancel()
	}
	if g.mode == Bridge && !s.cfg.Bridges {
		s.fault("no bridge can be made: %s is switched to at its next keyframe", g.to.name)
		g.mode = Keyframe
	}
	s.goal = g
}

// Playing returns the rendition whose pictures are written.
func (s *Switcher) Playing() int {
	for i, l := range s.lanes {
		if l == s.video || s.video == s.bridge && s.job != nil && l == s.job.to {
			return i
		}
	}
	return 0
}

// Position returns how far the stream is written: nanoseconds from its first
// picture.
func (s *Switcher) Position() int64 {
	if !s.begun || s.shown == never {
		return 0
	}
	return s.shown - s.zero
}

// Timeline returns what is known of rendition i.
func (s *Switcher) Timeline(i int) *Timeline { return s.lanes[i].reader.Timeline() }

// Output returns what is to be written, in order. It is valid as it is.
func (s *Switcher) Output() [][]byte { return s.out.take() }

// Events returns the switches since the last call.
func (s *Switcher) Events() []Switch {
	e := s.events
	s.events = nil
	return e
}

// Notes returns what went wrong since the last call, in words.
func (s *Switcher) Notes() []string {
	n := s.notes
	s.notes = nil
	return n
}

// Broken reports that something of the input was not as it should be.
func (s *Switcher) Broken() bool { return s.broken }

// Done reports that everything is written.
func (s *Switcher) Done() bool { return s.done }

// Goes reports whether more can be written at once, without anything new.
func (s *Switcher) Goes() bool { return s.needs == nil && !s.done }

// Needs returns the rendition without which nothing more can be written, or -1:
// then it is a bridge, or the Switcher is done.
func (s *Switcher) Needs() int {
	for i, l := range s.lanes {
		if l == s.needs && !l.ended {
			return i
		}
	}
	return -1
}

// Accepts reports whether rendition i may be read on.
func (s *Switcher) Accepts(i int) bool {
	l := s.lanes[i]
	switch {
	case l.ended || s.done:
		return false
	case l == s.needs:
		return true
	case s.job != nil && s.needs == s.bridge && l == s.job.to:
		return l.queued() < 2*maxQueued && l.newest < s.shown+3*second
	case l.queued() > maxQueued:
		return false
	case !s.begun:
		return true
	case !l.met && l.tries < forced && !s.cfg.Trust && l.span() < window(0):
		return true
	}
	return max(l.newest, l.sound) < s.shown+second
}

func (s *Switcher) fault(format string, args ...any) {
	s.broken = true
	s.note(format, args...)
}

func (s *Switcher) note(format string, args ...any) {
	if len(s.notes) < 64 {
		s.notes = append(s.notes, fmt.Sprintf(format, args...))
	}
}

// Advance writes what can be written.
func (s *Switcher) Advance() {
	if s.done {
		return
	}
	s.needs, s.scan, s.meets = nil, nil, false
	if !s.begun && !s.begin() {
		return
	}
	for s.needs == nil && !s.done && s.out.bytes < maxOutput {
		s.next()
	}
	if s.job != nil {
		s.feedJob()
	}
	for _, l := range s.lanes {
		if want := window(l.tries); !l.met && l != s.first && !s.cfg.Trust && l.tries < maxTries && min(l.span(), s.first.span()) >= want {
			s.tryToMeet(l) // before anybody asks
		}
	}
	for _, l := range s.lanes {
		if l != s.video {
			heard := int64(never)
			if l != s.audio && l != s.turn {
				heard = s.heard
			}
			if l.met || l.tries >= forced && s.slow || s.cfg.Trust || l == s.first || l.queued() > maxQueued/2 {
				l.drop(s.shown, heard)
			}
		} else if l != s.audio {
			s.dropAudio(l)
		}
	}
	s.forget()
	s.mux.flush(!s.done)
}

// forget keeps what is there for bridges within bounds. What is played goes first:
// it is switched to only after another.
func (s *Switcher) forget() {
	for {
		sum := 0
		var most *lane
		for _, l := range s.lanes {
			sum += l.past.bytes
			if l.past.bytes > 0 && (most == nil || most != s.video && (l == s.video || l.past.bytes > most.past.bytes)) {
				most = l
			}
		}
		if sum <= s.cfg.History || most == nil {
			return
		}
		most.past.clear()
	}
}

// dropAudio forgets the audio of a lane whose pictures are written, but not its
// sound.
func (s *Switcher) dropAudio(l *lane) {
	if l == s.turn {
		return
	}
	for h := l.audio.head(); h != nil && h.pts <= s.heard; h = l.audio.head() {
		l.audio.pop()
	}
}

// begin waits until every rendition has shown what it is, and writes what
// stands before the first frame.
func (s *Switcher) begin() bool {
	for _, l := range s.lanes {
		if !l.ended && !l.stalled && !l.gone && l.video.head() == nil && (l.audio.head() == nil || l.soundSpan() < 2*second) {
			s.needs = l
			return false
		}
	}
	first := s.video
	if first.video.head() == nil && first.audio.head() == nil {
		for _, l := range s.lanes {
			if !l.gone && (l.video.head() != nil || l.audio.head() != nil) {
				s.fault("%s: nothing comes: %s is played", first.name, l.name)
				first = l
				break
			}
		}
		if first == s.video {
			s.done = true
			s.mux = newMuxerFLV(&s.out)
			return false
		}
	}
	s.video, s.audio = first, first
	for h := first.video.head(); h != nil && !(h.track == media.Video && h.frame.Key); h = first.video.head() {
		if first.video.pop(); h.track == media.Video {
			s.zero = h.pts
		}
	}
	if first.video.head() == nil && !first.ended && first.newest != never {
		s.needs = first
		return false
	}
	if first.reader.audio == nil {
		for _, l := range s.lanes {
			if l.reader.audio != nil {
				s.audio = l
				break
			}
		}
	}
	for _, l := range s.lanes {
		if l.codec != 0 && first.codec != 0 && l.codec != first.codec && !l.gone {
			l.gone = true
			s.fault("%s: its codec is %s, that of %s is %s: it cannot be switched to", l.name, l.codecName(), first.name, first.codecName())
		}
	}
	if s.cfg.Container == media.FMP4 {
		if first.reader.movie == nil {
			s.done = true
			return false
		}
		s.mux = newMuxerMP4(&s.out, s.lanes, first)
	} else {
		s.mux = newMuxerFLV(&s.out)
	}
	s.begun, s.first = true, first
	if !s.cfg.Trust {
		for _, l := range s.lanes {
			s.guess(l)
		}
	}
	s.mux.begin(s.video, s.audio)
	if h := first.video.head(); h != nil {
		s.zero = h.pts
	} else if h := first.audio.head(); h != nil {
		s.zero = h.pts
	}
	if s.goal != nil && s.goal.at == never {
		s.goal.asked = s.zero
	}
	return true
}

// soundSpan is how much sound is in the queue: a rendition that has so much of it
// and no picture has none.
func (l *lane) soundSpan() int64 {
	if h := l.audio.head(); h != nil {
		return l.sound - h.dts
	}
	return 0
}

// codecName names the codec that the lane began with.
func (l *lane) codecName() string {
	if l.codec == 0 {
		return "another one"
	}
	return (&config{codec: l.codec}).word()
}

// next writes one frame, or says in needs what it waits for.
func (s *Switcher) next() {
	if s.ending {
		s.endAudio()
		return
	}
	v, a := s.video.video.head(), s.audio.audio.head()
	if s.video != s.audio {
		s.nextOfTwo(v, a)
		return
	}
	switch {
	case v != nil && (a == nil || v.seq < a.seq):
		s.writeVideo(v)
	case a != nil:
		s.writeAudio(a)
	case s.video.ended || s.video.stalled || s.video.gone:
		s.finish()
	default:
		s.needs = s.video
	}
}

// nextOfTwo goes by decoding times, where pictures and sound come from two.
func (s *Switcher) nextOfTwo(v, a *sample) {
	silent := s.audio.ended || s.audio.stalled || s.audio.reader.audio == nil
	if silent && a == nil && (s.turn != nil || s.video.reader.audio != nil) {
		if s.turn == nil {
			s.turn = s.video
		}
		s.turnOver() // even before the border: there is nothing more up to it
		return
	}
	over := s.video.ended || s.video.stalled || s.video.gone
	switch {
	case v == nil && over:
		s.finish()
	case v == nil && !over:
		s.needs = s.video
	case v != nil && a != nil && v.dts <= a.dts, v != nil && a == nil && silent:
		s.writeVideo(v)
	case a != nil:
		s.writeAudio(a)
	default:
		// Sound that was not read yet may be due before the picture.
		if s.audio.sound != never && s.audio.sound >= v.dts {
			s.writeVideo(v)
			return
		}
		s.needs = s.audio
	}
}

func (s *Switcher) writeVideo(h *sample) {
	if h.track != media.Video {
		f := s.video.video.pop()
		if !s.switched {
			s.mux.other(&f)
		}
		return
	}
	s.follow(h)
	if s.goal != nil && !s.decide(h) {
		return
	}
	f := s.video.video.pop()
	if s.video == s.bridge && s.job.from == never {
		s.job.from = f.pts
	}
	s.mux.video(&f, s.switched)
	s.video.remember(f)
	s.shown = max(s.shown, f.pts)
}

// follow takes up the plan where its time comes.
func (s *Switcher) follow(h *sample) {
	for len(s.plan) > 0 {
		step := s.plan[0]
		to := s.lanes[step.To]
		ahead := int64(second / 10)
		if s.cfg.Mode == Bridge && s.cfg.Bridges {
			// One GOP ahead, so that the encoder is there in time.
			if ahead = to.gop; ahead == 0 {
				ahead = usualGOP
			}
			ahead = min(ahead, 10*second) + 2*early
		}
		if h.pts < s.zero+step.At-ahead || s.goal != nil && h.pts < s.zero+step.At-samePicture {
			return
		}
		if s.goal != nil && s.goal.inner {
			return // first the bridge is crossed
		}
		s.plan = s.plan[1:]
		s.ask(&goal{to: to, at: s.zero + step.At, mode: s.cfg.Mode, reason: ByPlan})
	}
}

// finish ends the stream, unless another rendition has pictures that were not
// shown.
func (s *Switcher) finish() {
	from := s.video
	if s.goal != nil && s.decide(nil) {
		// The rendition that was asked for has nothing more either.
		s.goal = nil
		s.cancel()
	}
	if s.needs != nil || s.video != from {
		return
	}
	var best *lane
	for _, l := range s.lanes {
		if l == s.video || l.gone || l.stalled {
			continue
		}
		if l.ended && l.shownAfter(s.shown) {
			if i, _ := l.start(s.shown + 1); i < 0 {
				continue
			}
		} else if l.ended {
			continue
		}
		if best == nil || l.newest > best.newest {
			best = l
		}
	}
	if best != nil && !best.ended && best.newest <= s.shown+2*usualFrame {
		if i, _ := best.start(s.shown + 1); i < 0 {
			s.needs = best // it may be at its end too
			return
		}
	}
	if best != nil {
		reason := ByEnd
		switch {
		case s.video.gone:
			reason = ByCodec
		case s.video.stalled:
			reason = ByStall
		}
		if s.video != s.bridge {
			s.fault("%s %s at %s: %s goes on", s.video.name, reasonWords[reason], clock(s.shown-s.zero), best.name)
		}
		if best != s.first && !best.met && !s.cfg.Trust && (best.tries >= maxTries || !s.tryToMeet(best)) {
			s.fault("%s: taken as it is: %v", best.name, best.astray)
		}
		s.goal = &goal{to: best, at: s.shown + 1, asked: s.shown + 1, mode: Keyframe, reason: reason}
		return
	}
	if s.video.stalled && !s.video.ended {
		s.needs = s.video // all of them are
		return
	}
	s.endAudio()
}

var reasonWords = map[string]string{ByEnd: "ends", ByStall: "gives nothing", ByCodec: "changes its codec"}

func (l *lane) shownAfter(t int64) bool { return l.shown > t+l.tolerance() }

// endAudio writes the sound that belongs to the last pictures.
func (s *Switcher) endAudio() {
	s.ending = true
	a := s.audio.audio.head()
	limit := s.shown + max(s.video.frame, usualFrame) + 100_000_000
	switch {
	case s.shown == never:
		s.done = a == nil
		if a != nil {
			s.writeAudio(a)
		}
	case a != nil && a.pts <= limit:
		s.writeAudio(a)
	case a == nil && !s.audio.ended && !s.audio.stalled && s.audio.sound < limit && s.audio.reader.audio != nil:
		s.needs = s.audio
	default:
		s.done = true
	}
}
