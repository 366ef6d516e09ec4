package abr

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// A Rule chooses a rendition from measured throughput and buffer. It is a
// hybrid in the manner of DYNAMIC (Spiteri, Sitaraman and Sparacio, "From
// Theory to Practice: Improving Bitrate Adaptation in the DASH Reference
// Player", MMSys 2018): BOLA where the buffer is worth asking, throughput where
// it is not. Where dash.js takes one or the other's word, here BOLA says when
// to move and throughput how far:
//
//   - Down when BOLA wants less than what is played and throughput does not
//     sustain that either; then at once to what it sustains. While the buffer
//     bears it, a dip in throughput moves nothing.
//   - Up when throughput sustains more and BOLA wants more; never beyond what
//     throughput sustains (BOLA-O of the first paper, against oscillation). Below
//     the low mark of the buffer, where BOLA always wants the least, throughput
//     alone decides.
//
// So that nothing stalls when a link falls from 8 to 1.5 Mbit/s while 6 are
// played, the buffer has to hold three segments where one that comes too late can
// be dropped for a lower one ([Rule.Abandon]), and four where it cannot.
//
// A rendition is sustained if its rate is at most 0.9 of the throughput
// (dash.js), 0.7 below the low mark. Throughput is the lower of what the last
// second and the last four say (of large buffers a sixteenth and a sixth, if that
// is more). While it rises (a younger window says 1.25 times as much as an older
// one) nothing moves up, for 6 s at most: a step is answered once, not in stages.
// What the origin gave before is forgotten when it gives twice as much, twice in
// a row.
//
// # Oscillation
//
// After a move down the next up waits for a hold of 4 s. The hold doubles, up
// to 64 s, each time a move down comes within 30 s of a move up, and is 4 s
// again when no move was taken back for two minutes. So however a link swings, a
// Rule turns up again after a move down at most 6 + T/20 s times in T.
//
// # Origin and peers
//
// What peers have in their caches says little about a rendition that they do
// not have. Throughput is measured from the origin, from peers and of both
// together. The rendition that is played is judged by both together; a higher
// one by no more than what the origin would give, unless [Rule.Expect] said that
// peers hold it; and by what the origin was seen to give of late beside all else,
// if that is more, for peers may be slow because their own links are. If only the origin's want of evidence stands against a move up,
// the choice says so (Probe): fetch the next piece from there.
//
// # Use
//
// Feed what arrives, Choose before each segment, and Abandon while one comes.
// A Rule has no clock and nothing outside itself: copied by value, the two go
// on apart.
type Rule struct {
	cfg     RuleConfig
	bola    BOLA
	zero    time.Time
	begun   bool
	meters  [2]meter
	total   meter
	fed     [2]time.Time
	expect  [MaxRenditions]float64
	young   time.Duration
	old     time.Duration
	current int
	chosen  bool
	// Against oscillation.
	down, up, undone time.Time
	since            time.Time // no higher one was sustained up to here
	target           int       // what was sustained when it was asked last
	hold             time.Duration
}

// MaxRenditions bounds a ladder.
const MaxRenditions = 32

// A RuleConfig says what a Rule chooses from.
type RuleConfig struct {
	// Rates are the mean rates of the renditions, audio included, in bit/s,
	// strictly ascending.
	Rates []int64
	// Segment is the time between points where a switch is possible.
	Segment time.Duration
	// Buffer is how much is held when all is well: of a live stream the distance
	// to its edge, of a recording the player's full buffer (the paper's Qmax·p).
	Buffer time.Duration
}

// Constants of the rule; see the type's text.
const (
	safety    = 0.9
	safetyLow = 0.7
	lowMark   = 0.4 // of the buffer: dash.js has 10 s of 25
	// Windows over which throughput is measured, on the wall clock: what is young
	// enough to see a step, and what is old enough to be believed. dash.js has two
	// half-lives for the same purpose, and like it we take the lower. A large
	// buffer bears longer ones.
	youngMin    = time.Second
	oldMin      = 4 * time.Second
	youngShare  = 16 // of the buffer
	oldShare    = 6
	settles     = 6 * time.Second
	holdMin     = 4 * time.Second
	holdMax     = 64 * time.Second
	takenBack   = 30 * time.Second
	forgiven    = 2 * time.Minute
	originStale = 30 * time.Second
)

// A Reason says why a rendition was chosen.
type Reason string

const (
	ReasonStart      Reason = "start"            // nothing is measured yet: the lowest
	ReasonKeep       Reason = "keep"             // buffer and throughput agree
	ReasonBuffer     Reason = "buffer bears it"  // throughput is short, the buffer is not
	ReasonDown       Reason = "throughput short" // throughput does not sustain it and the buffer falls
	ReasonUp         Reason = "throughput"       // a higher one is sustained
	ReasonUnsettled  Reason = "unsettled"        // a higher one may be sustained, or one higher still
	ReasonHold       Reason = "hold"             // a move down was not long ago
	ReasonFill       Reason = "buffer fills"     // throughput would sustain more, the buffer is not there yet
	ReasonProbe      Reason = "origin unknown"   // only peers were measured
	ReasonAbandon    Reason = "segment late"     // the segment would come after the buffer is empty
	ReasonOnlyChoice Reason = "only rendition"
)

// A Choice is what a Rule says.
type Choice struct {
	Rendition int // index into Rates
	Reason    Reason
	// Wait is how long the buffer is still too full to fetch (recordings).
	Wait time.Duration
	// Throughput is what the choice was made by, in bit/s; 0 if not known.
	Throughput int64
	// Probe asks for the next piece from the origin, to measure it.
	Probe bool
}

// ErrLadder is returned for rates that are no ladder.
var ErrLadder = errors.New("rates must be positive and strictly ascending")

// NewRule returns a Rule.
func NewRule(cfg RuleConfig) (*Rule, error) {
	if len(cfg.Rates) == 0 || len(cfg.Rates) > MaxRenditions {
		return nil, fmt.Errorf("%w: %d of them, 1 to %d are possible", ErrLadder, len(cfg.Rates), MaxRenditions)
	}
	for i, r := range cfg.Rates {
		if r <= 0 || i > 0 && r <= cfg.Rates[i-1] {
			return nil, fmt.Errorf("%w: %v", ErrLadder, cfg.Rates)
		}
	}
	if cfg.Segment <= 0 || cfg.Buffer <= 0 {
		return nil, errors.New("segment and buffer must be positive")
	}
	cfg.Rates = slices.Clone(cfg.Rates)
	return &Rule{
		cfg: cfg, bola: NewBOLA(cfg.Rates, cfg.Segment, cfg.Buffer), hold: holdMin,
		young: max(youngMin, cfg.Buffer/youngShare), old: min(slots*slot, max(oldMin, cfg.Buffer/oldShare)),
	}, nil
}

// Feed tells that n bytes from s arrived up to now, and that they took d, from
// their first byte (or from the request, where one was made) to their last.
// Parts of d that were told before of the same source count once.
func (r *Rule) Feed(now time.Time, n int64, d time.Duration, s Source) {
	if n < 0 || d < 0 || s > Peers {
		return
	}
	r.begin(now.Add(-d))
	if s == Origin {
		r.meters[s].rise(r.zero, now, n, d, r.old)
	}
	r.meters[s].feed(r.zero, now, n, d)
	r.total.feed(r.zero, now, n, d)
	r.fed[s] = now
}

// begin takes the first time that is told as zero.
func (r *Rule) begin(t time.Time) {
	if !r.begun {
		r.begun, r.zero = true, t
	}
}

// Expect tells which part of rendition m, 0 to 1, its peers would bring.
func (r *Rule) Expect(m int, share float64) {
	if m >= 0 && m < len(r.cfg.Rates) {
		r.expect[m] = min(1, max(0, share))
	}
}

// Playing tells that rendition m is what is fetched, whatever was chosen.
func (r *Rule) Playing(m int) {
	if m >= 0 && m < len(r.cfg.Rates) {
		r.current, r.chosen = m, true
	}
}

// Choose says which rendition the next segment should be of, with this much in
// the buffer.
func (r *Rule) Choose(now time.Time, buffer time.Duration) Choice {
	r.begin(now)
	c := r.choose(now, buffer)
	r.moved(now, c.Rendition)
	if c.Rendition == len(r.cfg.Rates)-1 || r.bolaFull(buffer) {
		_, c.Wait = r.bola.Choose(buffer)
	}
	return c
}

func (r *Rule) bolaFull(buffer time.Duration) bool { return buffer+r.cfg.Segment > r.cfg.Buffer }

func (r *Rule) choose(now time.Time, buffer time.Duration) Choice {
	c := Choice{Rendition: r.current}
	if len(r.cfg.Rates) == 1 {
		c.Reason = ReasonOnlyChoice
		return c
	}
	fast, ok := r.total.rate(r.zero, now, r.young)
	if !ok {
		c.Reason = ReasonStart
		return c
	}
	slow, _ := r.total.rate(r.zero, now, r.old)
	both := min(fast, slow)
	c.Throughput = int64(both)
	low := buffer < time.Duration(lowMark*float64(r.cfg.Buffer))
	factor := safety
	if low {
		factor = safetyLow
	}
	wish, _ := r.bola.Choose(buffer)
	if rate := float64(r.cfg.Rates[r.current]); r.current > 0 && rate > safety*both {
		// What comes next has to come before the buffer is empty, whatever BOLA says.
		bears := rate*r.cfg.Segment.Seconds() <= safety*both*buffer.Seconds()
		if wish >= r.current && !low && bears {
			c.Reason = ReasonBuffer
			return c
		}
		c.Rendition, c.Reason = sustained(r.cfg.Rates[:r.current], factor*both), ReasonDown
		return c
	}
	// Up: the highest that is sustained, each by its own throughput.
	up, possible, apart := r.current, r.current, r.current
	for m := r.current + 1; m < len(r.cfg.Rates); m++ {
		rate := float64(r.cfg.Rates[m])
		if rate <= factor*both {
			possible = m
		}
		if rate <= factor*r.forRendition(now, m, least) {
			up = m
		}
		if rate <= factor*r.forRendition(now, m, most) {
			apart = m
		}
	}
	c.Probe = possible > up && r.meters[Peers].any
	if up == r.current {
		r.since = now
	}
	before := r.target
	r.target = up
	switch {
	case up == r.current && c.Probe:
		c.Reason = ReasonProbe
	case up == r.current:
		c.Reason = ReasonKeep
	case wish <= r.current && !low:
		c.Reason = ReasonFill
	case (apart > up || up > before) && now.Sub(r.since) < settles:
		c.Reason = ReasonUnsettled
	case !r.down.IsZero() && now.Sub(r.down) < r.hold:
		c.Reason = ReasonHold
	default:
		c.Rendition, c.Reason = up, ReasonUp
	}
	return c
}

// least and most pick between what the young and the old window say.
func least(fast, slow float64) float64 { return min(fast, slow) }
func most(fast, slow float64) float64  { return max(fast, slow) }

// forRendition is the throughput, in bit/s, that a higher rendition can count
// on: no more than what is measured now, and of that no more than origin and
// peers would give of it together, one after the other. Or what the origin would
// give beside all that comes now, if that is more: peers may be slow because their
// own links are.
func (r *Rule) forRendition(now time.Time, m int, pick func(fast, slow float64) float64) float64 {
	of := func(s *meter) float64 {
		fast, _ := s.rate(r.zero, now, r.young)
		slow, _ := s.rate(r.zero, now, r.old)
		return pick(fast, slow)
	}
	if !r.meters[Peers].any {
		return of(&r.total)
	}
	o := of(&r.meters[Origin])
	if now.Sub(r.fed[Origin]) > originStale {
		o = 0
	}
	share := r.expect[m]
	var seconds float64 // for one bit
	if share < 1 {
		if o <= 0 {
			return 0
		}
		seconds += (1 - share) / o
	}
	if share > 0 {
		p := of(&r.meters[Peers])
		if p <= 0 {
			return 0
		}
		seconds += share / p
	}
	if now.Sub(r.fed[Origin]) > r.old {
		o = 0 // it was asked when things were otherwise
	}
	return max(min(of(&r.total), 1/seconds), o)
}

// sustained returns the highest of rates that is at most bps, else the lowest.
func sustained(rates []int64, bps float64) (m int) {
	for i, rate := range rates {
		if float64(rate) <= bps {
			m = i
		}
	}
	return m
}

// Abandon says, while a segment of size bytes is being fetched and left of
// them are missing, whether to drop it and fetch which rendition of the same
// segment instead: if it would come after the buffer is empty, and another
// would come sooner.
func (r *Rule) Abandon(now time.Time, buffer time.Duration, left, size int64) (Choice, bool) {
	fast, ok := r.total.rate(r.zero, now, r.young)
	if !r.begun || !ok || r.current == 0 || left <= 0 || size < left {
		return Choice{Rendition: r.current, Reason: ReasonKeep}, false
	}
	finish := float64(left) * 8 / fast
	if finish <= safety*buffer.Seconds() {
		return Choice{Rendition: r.current, Reason: ReasonKeep, Throughput: int64(fast)}, false
	}
	m := sustained(r.cfg.Rates[:r.current], safetyLow*fast)
	share := float64(r.cfg.Rates[m]) / float64(r.cfg.Rates[r.current])
	if float64(size)*8*share/fast >= finish {
		return Choice{Rendition: r.current, Reason: ReasonKeep, Throughput: int64(fast)}, false
	}
	r.moved(now, m)
	return Choice{Rendition: m, Reason: ReasonAbandon, Throughput: int64(fast)}, true
}

// moved keeps what bounds oscillation.
func (r *Rule) moved(now time.Time, m int) {
	switch {
	case !r.chosen:
	case m < r.current:
		if !r.up.IsZero() && now.Sub(r.up) < takenBack {
			r.hold, r.undone = min(2*r.hold, holdMax), now
		}
		r.down = now
	case m > r.current:
		r.up = now
	}
	if r.hold > holdMin && now.Sub(r.undone) > forgiven {
		r.hold = holdMin
	}
	r.current, r.chosen = m, true
}
