package tracker

import (
	"math/bits"
	"net/netip"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/wire"
)

// Bounds and times of accounts, our choices.
const (
	// accountKept is how long an account outlives its peer's session: its last
	// receipts are still on their way, and it may come back.
	accountKept = 10 * time.Minute
	maxGone     = 4096 // such accounts in a room; the oldest is closed
	maxLines    = 256  // senders that one receiver vouches for
	// checkBudget bounds the signatures that are checked for one peer in a
	// TickInterval; an honest one shows ten. A bad one counts as eight.
	checkBudget = wire.MaxSignalReceipts
	badCost     = 8
	// oldCount: who began to count so long before his session counts for somebody
	// else's time, a tracker's before this one, say; only what he counts on counts.
	oldCount = 15 * time.Second
	// slackNum / slackDen: what one can receive is that much of the stream; the
	// stream's rate is not the same at all times and ends.
	slackNum, slackDen = 5, 4
	// maxCount keeps sums within 63 bits.
	maxCount = 1 << 52
)

// books are a room's accounts: who has had how much of whom.
type books struct {
	accounts map[wire.PeerID]*account
	gone     []*account // those whose peers have left, the longest ago first
	closed   sums       // of accounts that are no more
	stream   stream
	refused  int64         // receipts that were not good
	banned   []wire.PeerID // the last few polluters, the longest ago first
}

// sums are a room's bytes.
type sums struct {
	payload, peer, claimed, vouched, local, cut int64
}

// An account is one peer's: what it says of itself, what it vouches for others,
// what others vouch for it.
type account struct {
	id      wire.PeerID
	key     wire.Key     // signs its receipts; zero: it signs none
	network netip.Prefix // where it is
	joined  time.Time
	left    time.Time // zero while it is here
	mark    int64     // of the stream, when it joined

	payload, peer, claimed counter // by its own word
	told                   bool    // it has given its word

	lines  map[wire.PeerID]*line // what it vouches for, by sender
	done   int64                 // of lines that are closed
	most   int64                 // payload that it can have received so far
	limit  int64                 // of it, from peers
	checks int                   // signatures that may still be checked before the next tick

	vouched, local int64 // by others, for it
	kept           int64 // of vouched, by those whose accounts are closed

	conduct
}

// A line is what a receiver vouches for one sender.
type line struct {
	since, bytes int64 // of the newest receipt
	base         int64 // of bytes, what was counted before we kept books
	before       int64 // of counts before this one
	local        bool  // both ends are at one address: one person may stand on both
}

func (l *line) total() int64 { return l.before + l.bytes - l.base }

// A counter adds up a number that only grows, but for a process that begins anew.
type counter struct{ last, sum int64 }

func (c *counter) set(v int64) {
	if v < c.last {
		c.last = 0
	}
	c.sum = min(c.sum+v-c.last, maxCount)
	c.last = v
}

func newBooks() books { return books{accounts: map[wire.PeerID]*account{}} }

// open returns the account of a peer that comes, or comes back.
func (b *books) open(now time.Time, hello *wire.SignalHello, remote netip.Addr) *account {
	id := wire.PeerIDOf(hello.Key)
	a := b.accounts[id]
	if a != nil && a.key != hello.ReceiptKey {
		b.close(a) // another process under an old name: its counts are others
		a = nil
	}
	if a == nil {
		a = &account{id: id, key: hello.ReceiptKey, joined: now, mark: b.stream.total, lines: map[wire.PeerID]*line{}, checks: checkBudget}
		b.accounts[id] = a
	}
	if !a.left.IsZero() {
		a.left = time.Time{}
		b.gone = slices.DeleteFunc(b.gone, func(g *account) bool { return g == a })
	}
	a.network = network(remote)
	return a
}

// leave keeps the account of a peer that has left for a while.
func (b *books) leave(now time.Time, a *account) {
	if a == nil || !a.left.IsZero() {
		return
	}
	a.left = now
	b.gone = append(b.gone, a)
	b.expire(now)
}

// expire closes accounts that were kept long enough.
func (b *books) expire(now time.Time) {
	for len(b.gone) > 0 && (len(b.gone) > maxGone || now.Sub(b.gone[0].left) >= accountKept) {
		b.close(b.gone[0])
	}
}

// close adds an account to the sums of those that are no more.
func (b *books) close(a *account) {
	b.bound(a)
	s := &b.closed
	s.payload += min(a.payload.sum, a.most)
	s.peer += min(a.peer.sum, a.most)
	s.claimed += a.claimed.sum
	total, cut := a.share(func(sender wire.PeerID, l *line, n int64) {
		if o := b.accounts[sender]; o != nil {
			o.kept += n
		}
		if l.local {
			s.local += n
		}
	})
	s.vouched += total
	s.cut += cut
	delete(b.accounts, a.id)
	b.gone = slices.DeleteFunc(b.gone, func(g *account) bool { return g == a })
}

// report takes a peer's own word. What it counted long before it came is left
// out.
func (a *account) report(now time.Time, r *measure.Report) {
	for _, c := range []struct {
		counter *counter
		v       int64
	}{{&a.payload, min(r.TotalBytes(), maxCount)}, {&a.peer, r.PeerBytes}, {&a.claimed, r.UploadedBytes}} {
		if !a.told && isOld(r, now.Sub(a.joined)) {
			c.counter.last = c.v
		}
		c.counter.set(c.v)
	}
	a.told = true
}

// isOld says whether a report counts from a time well before the session that it
// comes in, which is so old.
func isOld(r *measure.Report, session time.Duration) bool {
	return time.Duration(min(r.AgeMS, maxCount/1_000_000))*time.Millisecond > session+oldCount
}

// take takes a receipt that one of its two ends has shown, and reports whether
// it was good. One that says nothing new is not looked at.
func (b *books) take(by *account, room string, r *wire.Receipt) bool {
	from, to := b.accounts[r.Receiver], b.accounts[r.Sender]
	if by != from && by != to || from == nil || to == nil || from == to || from.key == (wire.Key{}) {
		return false
	}
	l := from.lines[r.Sender]
	if l != nil && (r.SinceMS < l.since || r.SinceMS == l.since && r.Bytes <= l.bytes) {
		return true
	}
	if by.checks <= 0 {
		return true // a newer one will come
	}
	by.checks--
	if !r.Verify(from.key, room) {
		by.checks -= badCost - 1
		return false
	}
	if l == nil {
		if len(from.lines) >= maxLines && !b.tidy(from) {
			return true
		}
		l = &line{local: from.network == to.network}
		from.lines[r.Sender] = l
	}
	if r.SinceMS > l.since {
		l.before = min(l.total(), maxCount)
		l.since, l.bytes, l.base = r.SinceMS, 0, 0
		if began := time.UnixMilli(r.SinceMS); began.Add(oldCount).Before(from.joined) || began.Add(oldCount).Before(to.joined) {
			l.base, l.bytes = r.Bytes, r.Bytes
		}
	}
	l.bytes = r.Bytes
	return true
}

// tidy closes the lines of senders whose accounts are no more.
func (b *books) tidy(a *account) (room bool) {
	for id, l := range a.lines {
		if b.accounts[id] == nil {
			a.done = min(a.done+l.total(), maxCount)
			delete(a.lines, id)
			room = true
		}
	}
	return room
}

// bound brings up to date what a peer can have received: its part of the
// stream's time, and not more from peers than it says itself. A bound never
// falls, so that nothing that was counted is taken back.
func (b *books) bound(a *account) {
	a.most = max(a.most, (b.stream.total-a.mark)*slackNum/slackDen+b.stream.recent())
	limit := a.most
	if a.told {
		limit = min(limit, a.peer.sum)
	}
	a.limit = max(a.limit, limit)
}

// share deals what a receiver can have received among those for whom it vouches:
// all of what it said, or in proportion. No line counts for more than all that
// it can have received, so that one absurd line does not starve the others. It
// returns how much was dealt, and how much was said beyond it.
func (a *account) share(f func(sender wire.PeerID, l *line, n int64)) (dealt, cut int64) {
	said, total := a.done, min(a.done, a.limit)
	for _, l := range a.lines {
		said += l.total()
		total += min(l.total(), a.limit)
	}
	dealt = min(total, a.limit)
	for id, l := range a.lines {
		n := min(l.total(), a.limit)
		if dealt < total {
			n = portion(n, dealt, total)
		}
		f(id, l, n)
	}
	return dealt, said - dealt
}

// portion is n × part / whole, for n at most whole.
func portion(n, part, whole int64) int64 {
	hi, lo := bits.Mul64(uint64(n), uint64(part))
	q, _ := bits.Div64(hi, lo, uint64(whole))
	return int64(q)
}

// balance brings the accounts up to date, and returns the room's sums.
func (b *books) balance() sums {
	s := b.closed
	for _, a := range b.accounts {
		b.bound(a)
		a.vouched, a.local = a.kept, 0
	}
	for _, a := range b.accounts {
		dealt, cut := a.share(func(sender wire.PeerID, l *line, n int64) {
			if l.local {
				s.local += n
			}
			if o := b.accounts[sender]; o != nil {
				o.vouched += n
				if l.local {
					o.local += n
				}
			}
		})
		s.vouched += dealt
		s.cut += cut
		s.payload += min(a.payload.sum, a.most)
		s.peer += min(a.peer.sum, a.most)
		s.claimed += a.claimed.sum
	}
	return s
}
