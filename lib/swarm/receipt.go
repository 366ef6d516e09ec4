package swarm

import (
	"cmp"
	"crypto/ed25519"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/wire"
)

// ledger is what a member has had of each of the others, and what they signed
// for it. A neighbour that leaves and comes back finds its account as it was.
type ledger struct {
	key      ed25519.PrivateKey // nil: signs nothing
	accounts map[Peer]*account
	papers   []paper // those that changed last come last
}

// An account is with one sender, over all its connections.
type account struct {
	since    time.Time // it was opened
	at       time.Time // it last had a reason to change
	in       int64     // verified bytes of pieces that were new
	polluted int64     // bytes that did not verify
	signed   int64     // of in: what our receipts say
	signedAt time.Time
}

// A paper is a receipt that the tracker shall see: the newest that a receiver
// signed for us, or one of ours for a sender who cannot show it.
type paper struct {
	wire.Receipt
	told bool
}

// Our choices. A receipt takes 101 bytes and, since it travels with a REPORT,
// little more. Of a neighbour that gives 210 KiB between two of them that is one
// byte in 2000; one that gives less waits longer, until it would look idle, or
// has paused. As an account grows old its receipts grow rare: they are late by a
// sixteenth of its age at the most, so that sums stay as exact, and in the end
// signing and checking cost a sixth.
const (
	receiptFull  = 210 << 10
	receiptLow   = 64 << 10
	receiptSlow  = 30 * time.Second // for receiptLow
	receiptPause = 5 * time.Second  // without a new byte: then receiptLow is due
	receiptAge   = 16               // of an account's age is the time between two,
	receiptWait  = time.Minute      // and this is the most
	receiptLast  = 16 << 10         // who left gets a receipt for as little as this
	maxAccounts  = 512              // neighbours past and present; who was idle longest is forgotten
	maxPapers    = 256              // the oldest is dropped: the tracker has most likely seen it
	maxPolluters = 32               // that a report names
)

func (l *ledger) init(key ed25519.PrivateKey) {
	l.key, l.accounts = key, map[Peer]*account{}
}

// account returns the account with a sender, opened if there is none.
func (l *ledger) account(now time.Time, id Peer) *account {
	a := l.accounts[id]
	if a == nil {
		if len(l.accounts) >= maxAccounts {
			l.forget()
		}
		a = &account{since: now, signedAt: now}
		l.accounts[id] = a
	}
	a.at = now
	return a
}

// forget closes the account that was idle longest. There are more accounts than
// neighbours, so it is one of a neighbour that is gone.
func (l *ledger) forget() {
	var oldest Peer
	for id, a := range l.accounts {
		if o := l.accounts[oldest]; o == nil || a.at.Before(o.at) || a.at.Equal(o.at) && id < oldest {
			oldest = id
		}
	}
	delete(l.accounts, oldest)
}

// got notes a new piece of a neighbour's. Seeds need no receipts, and those who come
// by way of a relay get none: their bytes are no peer's.
func (l *ledger) got(now time.Time, n *neighbour, size int) {
	if n.source() == measure.Peer {
		l.account(now, n.id).in += int64(size)
	}
}

// polluted notes bytes of a neighbour's that did not verify.
func (l *ledger) polluted(now time.Time, n *neighbour, size int) {
	if !n.seed {
		l.account(now, n.id).polluted += int64(max(size, 1))
	}
}

// sign makes a receipt for all that came from a sender until now.
func (s *Swarm) sign(now time.Time, id Peer, a *account) wire.Receipt {
	r := wire.Receipt{Sender: id, Receiver: s.cfg.Self, SinceMS: max(0, a.since.UnixMilli()), Bytes: min(a.in, wire.MaxReceiptBytes)}
	r.Sign(s.ledger.key, s.cfg.Name)
	a.signed, a.signedAt = a.in, now
	return r
}

// signFor gives a neighbour the receipt that it is due. Who does not know
// receipts has his shown to the tracker by us.
func (s *Swarm) signFor(now time.Time, n *neighbour) {
	a := s.ledger.accounts[n.id]
	if s.ledger.key == nil || a == nil || !n.ready() {
		return
	}
	owed, waited := a.in-a.signed, now.Sub(a.signedAt)
	wait := min(now.Sub(a.since)/receiptAge, receiptWait)
	if owed < receiptFull && now.Sub(a.at) < receiptPause {
		wait = max(wait, receiptSlow)
	}
	if owed < receiptLow || waited < wait {
		return
	}
	r := s.sign(now, n.id, a)
	if !n.receipts {
		s.ledger.file(r)
		return
	}
	s.control(n, wire.AppendReceipt(nil, s.tag, &r))
}

// signLast vouches for a neighbour that is gone: it cannot be handed the
// receipt, so the tracker gets it from us.
func (s *Swarm) signLast(now time.Time, n *neighbour) {
	a := s.ledger.accounts[n.id]
	if s.ledger.key != nil && a != nil && a.in-a.signed >= receiptLast {
		s.ledger.file(s.sign(now, n.id, a))
	}
}

// SignAll vouches for all neighbours, as if they were gone: we are about to go.
func (s *Swarm) SignAll(now time.Time) {
	for _, n := range s.peers {
		s.signLast(now, n)
	}
}

// onReceipt takes a receipt from a receiver. Whether the signature is good only
// the tracker can tell.
func (s *Swarm) onReceipt(n *neighbour, r *wire.Receipt) {
	if r.Sender == s.cfg.Self && r.Receiver == n.id {
		s.ledger.file(*r)
	}
}

// file keeps a receipt, if it says more than the one of before.
func (l *ledger) file(r wire.Receipt) {
	i := slices.IndexFunc(l.papers, func(p paper) bool { return p.Sender == r.Sender && p.Receiver == r.Receiver })
	switch {
	case i >= 0 && !r.Newer(&l.papers[i].Receipt):
		return
	case i >= 0:
		l.papers = slices.Delete(l.papers, i, i+1)
	case len(l.papers) >= maxPapers:
		l.papers = slices.Delete(l.papers, 0, 1)
	}
	l.papers = append(l.papers, paper{Receipt: r})
}

// Receipts returns what the tracker has not been shown yet, at most limit, what
// waited longest first.
func (s *Swarm) Receipts(limit int) (list []wire.Receipt) {
	for i := range s.ledger.papers {
		if p := &s.ledger.papers[i]; !p.told && len(list) < limit {
			p.told = true
			list = append(list, p.Receipt)
		}
	}
	return list
}

// RepeatReceipts has everything shown again: the tracker is another, or did not
// hear the last report.
func (s *Swarm) RepeatReceipts() {
	for i := range s.ledger.papers {
		s.ledger.papers[i].told = false
	}
}

// A Polluter is a peer whose bytes did not verify.
type Polluter struct {
	ID    Peer
	Bytes int64
}

// Polluters returns the worst of them, by ID. They are remembered after they were
// left, for the tracker to hear of them.
func (s *Swarm) Polluters() (list []Polluter) {
	for id, a := range s.ledger.accounts {
		if a.polluted > 0 {
			list = append(list, Polluter{id, a.polluted})
		}
	}
	byID := func(a, b Polluter) int { return cmp.Compare(a.ID, b.ID) }
	slices.SortFunc(list, func(a, b Polluter) int { return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), byID(a, b)) })
	list = list[:min(len(list), maxPolluters)]
	slices.SortFunc(list, byID)
	return list
}
