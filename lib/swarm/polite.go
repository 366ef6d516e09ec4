package swarm

import (
	"math"
	"slices"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/wire"
)

// Polite bounds what a member gives to others: what a month's quota has left,
// what it got itself, what the link costs. It is one value for all rooms of a
// member, which its owner holds and each room's Config points to; the rooms
// count in it what they give and get. Set changes the bounds.
//
// What is counted is the payload of pieces, when it is handed to the transport:
// a piece that is called off half-way was sent in part, and counts as a whole.
// So the bounds err on the side of whoever pays.
type Polite struct {
	Allowance int64   // bytes that may still be given, less with each piece; Unbounded: no bound
	Ratio     float64 // bytes given for each byte got, beyond a starting grace; 0: no bound
	Metered   bool    // the link is paid for by the byte: nothing is given

	given, got int64
	quiet      bool // others are told not to count on us
}

// Unbounded is the Allowance of who has no quota. The zero Allowance gives
// nothing.
const Unbounded = -1

// Our choices.
const (
	// With Ratio: what may be given before anything was got. A newcomer has little
	// to give and is asked for it at once; 4 MiB are the first 16 s of a stream of
	// 2 Mbit/s, until what it got says more.
	ratioGrace = 4 << 20
	// With less than quietBelow left a member says that it gives no more, and
	// still hands on what it was handed before the seeds heard of it: a second of
	// that stream. What is left of it then is not given at all.
	quietBelow = 256 << 10
	// It gives again when loudFrom may be given: 16 s of that stream. That is
	// longer than the tracker takes to hear of it (10 s), so nobody is placed as
	// an uploader who ceases to be one meanwhile.
	loudFrom = 4 << 20
)

// Set changes the bounds and keeps the counts.
func (p *Polite) Set(bounds Polite) {
	p.Allowance, p.Ratio, p.Metered = bounds.Allowance, bounds.Ratio, bounds.Metered
	p.weigh()
}

// Given returns the bytes given so far.
func (p *Polite) Given() int64 { return p.given }

// QuotaLeft returns the Allowance that is left; false if there is none.
func (p *Polite) QuotaLeft() (bytes int64, ok bool) { return max(0, p.Allowance), p.Allowance >= 0 }

// Quiet reports whether the bounds let nothing more be given, or hardly
// anything, and which one does: "metered", "quota" or "ratio".
func (p *Polite) Quiet() (quiet bool, why string) {
	if p.quiet {
		_, why = p.left()
	}
	return p.quiet, why
}

// left returns the bytes that may still be given, and what bounds them.
func (p *Polite) left() (n int64, why string) {
	n = math.MaxInt64
	if p.Ratio > 0 {
		const most = 1 << 60 // as a whole number of bytes
		n, why = int64(min(p.Ratio*float64(p.got), most))+ratioGrace-p.given, "ratio"
	}
	if p.Allowance >= 0 && p.Allowance <= n {
		n, why = p.Allowance, "quota"
	}
	if p.Metered {
		n, why = 0, "metered"
	}
	return max(0, n), why
}

// may reports whether n bytes more may be given.
func (p *Polite) may(n int) bool {
	left, _ := p.left()
	return int64(n) <= left
}

// gave counts n bytes that are given.
func (p *Polite) gave(n int) {
	p.given += int64(n)
	if p.Allowance > 0 {
		p.Allowance = max(0, p.Allowance-int64(n))
	}
	p.weigh()
}

// took counts n bytes that came from elsewhere.
func (p *Polite) took(n int) {
	p.got += int64(n)
	p.weigh()
}

// weigh decides whether to be quiet; between the two bounds all stays as it is.
func (p *Polite) weigh() {
	switch left, _ := p.left(); {
	case left < quietBelow:
		p.quiet = true
	case left >= loudFrom:
		p.quiet = false
	}
}

// SetPolite changes the bounds of this room, and of all that share them with
// it; these notice when they give or take the next time.
func (s *Swarm) SetPolite(bounds Polite) {
	s.cfg.Polite.Set(bounds)
	if bounds.Metered && !s.cfg.Seed {
		for _, n := range s.peers {
			for _, x := range slices.Clone(n.away) {
				s.callOff(n, x.id)
			}
		}
	}
	s.runPolite()
}

// Uploads reports whether the swarm gives pieces to others, and if not, why:
// "flag" (Config.Upload), "metered", "quota" or "ratio". A seed is there to give.
func (s *Swarm) Uploads() (ok bool, why string) {
	if !s.cfg.Upload {
		return false, "flag"
	}
	quiet, why := s.cfg.Polite.Quiet()
	if quiet && !s.cfg.Seed {
		return false, why
	}
	return true, ""
}

func (s *Swarm) uploads() bool {
	ok, _ := s.Uploads()
	return ok
}

// may reports whether n bytes may be given to a neighbour.
func (s *Swarm) may(n int) bool {
	return s.cfg.Seed || s.cfg.Upload && s.cfg.Polite.may(n)
}

// spend counts n bytes that are about to be given; false if they may not be.
func (s *Swarm) spend(n int) bool {
	if !s.may(n) {
		return false
	}
	s.cfg.Polite.gave(n)
	return true
}

// runPolite lets the neighbours know when the swarm ceases to give, and when it
// gives again, with all that it has got meanwhile.
func (s *Swarm) runPolite() {
	up := s.uploads()
	if up == s.loud {
		return
	}
	s.loud = up
	for _, n := range s.peers {
		n.tell = n.tell[:0]
		if n.ready() {
			s.greet(n, 0)
			s.show(n)
		}
	}
}

// show tells a neighbour all that it can have of us.
func (s *Swarm) show(n *neighbour) {
	if n.seed || s.cfg.Seed || !s.uploads() {
		return
	}
	if runs := s.win.runs(); len(runs) > 0 {
		s.control(n, wire.AppendHave(nil, s.tag, wire.HaveSnapshot, runs))
	}
	if !n.starts {
		return
	}
	if k := len(s.inits); k > 0 {
		s.sendInit(n, &s.inits[k-1])
	}
	s.sayKey(n)
}

// gives reports whether a fellow can be asked for a piece: he has it, and has
// not said that he gives nothing.
func (n *neighbour) gives(id segment.ID) bool {
	return n.ready() && !n.seed && n.uploads && n.have.has(id)
}
