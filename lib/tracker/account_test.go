package tracker

import (
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/wire"
)

// A ledgerLab is a lab whose peers report and sign, and in which time passes. Peer
// n has session n and the address 198.51.n.1; the seed is number 1.
type ledgerLab struct {
	*lab
	seen   map[Session]*measure.Report
	papers map[Session][]wire.Receipt // to be shown with the next report
	began  time.Time
}

const kBps = 1000 // bytes a second

func newLedgerLab(t *testing.T, topo string) *ledgerLab {
	began := now
	t.Cleanup(func() { now = began })
	w := &ledgerLab{newLab(t, topo, Config{}), map[Session]*measure.Report{}, map[Session][]wire.Receipt{}, began}
	w.seed(1, 1, "203.0.113.1:9000")
	w.Tick(now)
	return w
}

func signerOf(n int) ed25519.PrivateKey {
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], uint64(n))
	return ed25519.NewKeyFromSeed(seed[:])
}

func idOf(n int) wire.PeerID { return wire.PeerIDOf(keyOf(n)) }

// enter lets peer n in, at an address of its own unless one is given.
func (w *ledgerLab) enter(n int, at ...string) {
	w.t.Helper()
	addr := fmt.Sprintf("198.51.%d.1", n)
	if len(at) > 0 {
		addr = at[0]
	}
	a := w.hello(Session(n), n, addr, addr+":5000")
	a.Hello.ReceiptKey = wire.Key(signerOf(n).Public().(ed25519.PublicKey))
	w.join(a)
	w.seen[Session(n)] = &measure.Report{}
}

// paper is a receipt of receiver to for sender from.
func (w *ledgerLab) paper(from, to int, bytes int64) wire.Receipt {
	r := wire.Receipt{Sender: idOf(from), Receiver: idOf(to), SinceMS: w.began.UnixMilli(), Bytes: bytes}
	r.Sign(signerOf(to), "match")
	return r
}

// give has from give to so much more, and get a receipt for all of it.
func (w *ledgerLab) give(from, to int, bytes int64) {
	s, r := w.seen[Session(from)], w.seen[Session(to)]
	s.UploadedBytes += bytes
	r.PeerBytes += bytes
	id := idOf(from).String()
	i := slices.IndexFunc(r.Neighbours, func(n measure.Neighbour) bool { return n.ID == id })
	if i < 0 {
		i = len(r.Neighbours)
		r.Neighbours = append(r.Neighbours, measure.Neighbour{ID: id})
	}
	r.Neighbours[i].ReceivedBytes += bytes
	w.papers[Session(from)] = append(w.papers[Session(from)], w.paper(from, to, r.Neighbours[i].ReceivedBytes))
}

// tell has peer n report, over the wire's grammar.
func (w *ledgerLab) tell(n int) {
	w.t.Helper()
	b, err := json.Marshal(w.seen[Session(n)])
	if err != nil {
		w.t.Fatal(err)
	}
	w.show(n, string(b), w.papers[Session(n)]...)
	delete(w.papers, Session(n))
}

func (w *ledgerLab) show(n int, report string, papers ...wire.Receipt) {
	w.t.Helper()
	text, err := wire.AppendSignal(nil, &wire.SignalReport{Report: json.RawMessage(report), Receipts: papers})
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := wire.ParseSignal(text)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.Report(Session(n), m.(*wire.SignalReport)); err != nil {
		w.t.Fatal(err)
	}
	w.drain()
}

// pass lets ten seconds of a stream pass: the seed says how much it had, the
// others report what was given since.
func (w *ledgerLab) pass(rate int64) {
	w.t.Helper()
	now = now.Add(TickInterval)
	w.drain()
	w.show(1, fmt.Sprintf(`{"stream_bytes":%d}`, rate*int64(now.Sub(w.began).Seconds())))
	for s := range w.seen {
		if w.sessions[s] != nil {
			w.tell(int(s))
		}
	}
	w.Tick(now)
	w.drain()
}

func (w *ledgerLab) account() Account {
	a, _ := w.Account("match")
	return a
}

func (w *ledgerLab) vouched(n int) int64 {
	for _, p := range w.account().Peers {
		if p.ID == idOf(n) {
			return p.VouchedBytes
		}
	}
	return -1
}

// standing is what session n was told of peer o; -1 if it does not know it.
func (w *ledgerLab) standing(n, o int) int {
	for _, m := range w.lists[Session(n)].Members {
		if m.ID == idOf(o) {
			return int(m.Standing)
		}
	}
	return -1
}

func TestOnlySignedBytesCountAndWhoBoastsShowsUp(t *testing.T) {
	w := newLedgerLab(t, "balanced")
	for n := 2; n <= 5; n++ {
		w.enter(n)
	}
	// 2, 3 and 4 share the stream between them and with 5, who says that it gives a
	// gigabyte and gives nothing.
	for i := range 9 {
		for n := 2; n <= 5; n++ {
			w.seen[Session(n)].SeedBytes += 10 * 60 * kBps
			for m := 2; m <= 4; m++ {
				if m != n {
					w.give(m, n, 10*60*kBps)
				}
			}
		}
		w.seen[5].UploadedBytes = 1 << 30
		w.pass(250 * kBps)
		if free := w.account().FreeRiders; i < 5 && len(free) > 0 {
			t.Errorf("after %d s it is judged: %v", 10*(i+1), free)
		}
	}
	a := w.account()
	// Of 5 the others had nothing: six pairs, and three who gave to 5.
	if want := int64(9 * 90 * 60 * kBps); a.VouchedBytes != want || a.PeerBytes != want || a.PayloadBytes != want+4*90*60*kBps {
		t.Errorf("vouched %d of %d, payload %d; want %d", a.VouchedBytes, a.PeerBytes, a.PayloadBytes, want)
	}
	if a.ClaimedBytes != 1<<30+a.VouchedBytes || a.CutBytes != 0 || a.LocalBytes != 0 || a.Refused != 0 {
		t.Errorf("%+v", a)
	}
	if want := 9.0 / 13; a.VouchedShare < want-0.001 || a.VouchedShare > want+0.001 {
		t.Errorf("share %.3f, want %.3f", a.VouchedShare, want)
	}
	if !slices.Equal(a.FreeRiders, []wire.PeerID{idOf(5)}) || w.vouched(5) != 0 || w.vouched(2) != 3*90*60*kBps {
		t.Errorf("free-riders %v, vouched for 2: %d", a.FreeRiders, w.vouched(2))
	}
	if w.standing(2, 5) != 1 || w.standing(2, 3) != 0 {
		t.Errorf("2 is told that 5 stands at %d, and 3 at %d", w.standing(2, 5), w.standing(2, 3))
	}
	// It betters itself: for as long as it rode, it is soon good again.
	for range 3 {
		for n := 2; n <= 5; n++ {
			for m := 2; m <= 5; m++ {
				if m != n {
					w.give(m, n, 10*80*kBps)
				}
			}
		}
		w.pass(250 * kBps)
	}
	if a := w.account(); len(a.FreeRiders) > 0 || w.standing(2, 5) != 0 {
		t.Errorf("it gives, and free-riders are %v", a.FreeRiders)
	}
}

func TestTwoWhoVouchForEachOtherGetNoFurtherThanTheStream(t *testing.T) {
	w := newLedgerLab(t, "balanced")
	for n := 2; n <= 4; n++ {
		w.enter(n)
	}
	last := int64(0)
	for range 12 {
		w.give(4, 3, 10*20*kBps) // an honest third gives one of them something
		w.give(2, 3, 1<<30)
		w.give(3, 2, 1<<30)
		w.pass(250 * kBps)
		v := w.account().VouchedBytes
		if v < last {
			t.Errorf("vouched bytes fall from %d to %d", last, v)
		}
		last = v
	}
	stream := int64(120 * 250 * kBps)
	a := w.account()
	if most := 2 * (stream*5/4 + 50*250*kBps); a.VouchedBytes > most || a.PayloadBytes > most || a.CutBytes < 20<<30 {
		t.Errorf("they vouch for %d and say they had %d: at most %d can be; %d were cut", a.VouchedBytes, a.PayloadBytes, most, a.CutBytes)
	}
	if got := w.vouched(4); got < 120*20*kBps*9/10 {
		t.Errorf("an honest sender's bytes were cut to %d of %d", got, 120*20*kBps)
	}
	if a.VouchedShare > 1 {
		t.Errorf("share %f", a.VouchedShare)
	}
}

func TestReceiptsThatAreNotGoodCountForNothing(t *testing.T) {
	w := newLedgerLab(t, "balanced")
	for n := 2; n <= 4; n++ {
		w.enter(n)
	}
	w.seen[3].PeerBytes = 100 * kBps
	for range 3 {
		w.pass(250 * kBps)
	}
	word := func(n int) string { b, _ := json.Marshal(w.seen[Session(n)]); return string(b) }
	signed := func(by int, room string, r wire.Receipt) wire.Receipt {
		r.Sign(signerOf(by), room)
		return r
	}
	good := w.paper(2, 3, 50*kBps)
	more := good
	more.Bytes *= 2
	for name, c := range map[string]struct {
		by    int
		paper wire.Receipt
	}{
		"forged by its sender":         {2, signed(2, "match", good)},
		"of another room":              {2, signed(3, "other", good)},
		"written over":                 {2, more},
		"of a receiver who never came": {2, w.paper(2, 9, 50*kBps)},
		"for the seed":                 {3, w.paper(1, 3, 50*kBps)},
		"shown by a third":             {4, good},
	} {
		before := w.account().Refused
		w.show(c.by, word(c.by), c.paper)
		if a := w.account(); a.VouchedBytes != 0 || a.Refused != before+1 {
			t.Errorf("a receipt %s: %d vouched, %d refused", name, a.VouchedBytes, a.Refused-before)
		}
	}
	w.pass(250 * kBps)
	count := func(name string, want int64, papers ...wire.Receipt) {
		t.Helper()
		w.show(2, word(2), papers...)
		if got := w.account().VouchedBytes; got != want {
			t.Errorf("%s: %d are vouched for, want %d", name, got, want)
		}
	}
	count("a good one", 50*kBps, good)
	count("the same again", 50*kBps, good, good)
	newer := w.paper(2, 3, 70*kBps)
	count("a newer one", 70*kBps, newer)
	count("the old one again", 70*kBps, good)
	anew := w.paper(2, 3, 20*kBps)
	anew.SinceMS += 1000
	anew = signed(3, "match", anew)
	count("a count that began anew", 90*kBps, anew)
	count("all old ones again", 90*kBps, good, newer, anew)
	anew.Bytes = 60 * kBps
	count("one for more than it says it had", 100*kBps, signed(3, "match", anew))
	if a := w.account(); a.CutBytes != 30*kBps {
		t.Errorf("%d were cut", a.CutBytes)
	}
}

func TestWhatAReceiverSignedStaysGoodWhenItHasLeft(t *testing.T) {
	w := newLedgerLab(t, "balanced")
	w.enter(2)
	w.enter(3)
	for range 3 {
		w.give(2, 3, 400*kBps)
		w.pass(250 * kBps)
	}
	if v := w.account().VouchedBytes; v != 1200*kBps {
		t.Fatalf("%d", v)
	}
	// Its last receipt is on its way when it goes.
	w.give(2, 3, 300*kBps)
	w.tell(3)
	w.Leave(now, 3)
	w.pass(250 * kBps)
	if v := w.account(); v.VouchedBytes != 1500*kBps || w.vouched(2) != 1500*kBps || v.PeerBytes != 1500*kBps {
		t.Errorf("after it left: %+v", v)
	}
	// It comes back on another connection, with its counters as they were.
	a := w.hello(30, 3, "198.51.3.1", "198.51.3.1:5000")
	a.Hello.ReceiptKey = wire.Key(signerOf(3).Public().(ed25519.PublicKey))
	w.join(a)
	w.seen[30] = w.seen[3]
	delete(w.seen, 3)
	w.pass(250 * kBps)
	if v := w.account(); v.VouchedBytes != 1500*kBps || v.PeerBytes != 1500*kBps {
		t.Errorf("back again it is counted twice: %+v", v)
	}
	w.Leave(now, 30)
	delete(w.seen, 30)
	for range int(accountKept/TickInterval) + 1 {
		w.pass(250 * kBps)
	}
	v := w.account()
	if len(w.rooms["match"].books.accounts) != 1 || len(w.rooms["match"].books.gone) != 0 {
		t.Errorf("accounts %v are kept for ever", w.rooms["match"].books.accounts)
	}
	if v.VouchedBytes != 1500*kBps || w.vouched(2) != 1500*kBps || v.PayloadBytes != 1500*kBps {
		t.Errorf("when its account is closed: %+v", v)
	}
	w.show(2, `{"uploaded_bytes":1500000}`, w.paper(2, 3, 1600*kBps))
	if v := w.account(); v.VouchedBytes != 1500*kBps || v.Refused != 1 {
		t.Errorf("nobody knows its key any more, and yet: %+v", v)
	}
}

func TestATrackerThatBeganAnewCountsNoOldTimes(t *testing.T) {
	w := newLedgerLab(t, "balanced")
	hour := int64(3600 * 250 * kBps)
	now = now.Add(time.Hour) // the viewers have been there, and this tracker has not
	w.Tick(now)
	for n := 2; n <= 3; n++ {
		w.enter(n)
		w.seen[Session(n)].AgeMS = time.Hour.Milliseconds()
	}
	w.give(2, 3, hour)
	w.seen[3].SeedBytes = hour
	w.seen[3].AgeMS += 10_000
	w.tell(3)
	w.tell(2)
	if a := w.account(); a.VouchedBytes != 0 || a.PayloadBytes != 0 || a.ClaimedBytes != 0 {
		t.Errorf("history counts: %+v", a)
	}
	w.began = now // of the seed's count
	w.pass(250 * kBps)
	w.seen[3].SeedBytes += 500 * kBps
	w.seen[3].PeerBytes += 500 * kBps // of one who knows no receipts
	old := w.began
	w.began = old.Add(-time.Hour) // of the receipts'
	w.give(2, 3, 1000*kBps)
	w.began = old
	w.pass(250 * kBps)
	if a := w.account(); a.VouchedBytes != 1000*kBps || a.PayloadBytes != 2000*kBps || a.ClaimedBytes != 1000*kBps {
		t.Errorf("the present does not count: %+v", a)
	}
}

func TestWithoutASeedsWordTheViewerInTheMiddleSaysHowMuchThereWas(t *testing.T) {
	w := newLedgerLab(t, "mesh")
	for n := 2; n <= 6; n++ {
		w.enter(n)
	}
	for range 6 {
		for n := 2; n <= 4; n++ {
			w.seen[Session(n)].OriginBytes += 10 * 200 * kBps
		}
		w.give(4, 3, 10*50*kBps)
		w.give(5, 6, 1<<30)
		w.give(6, 5, 1<<30)
		w.pass(0)
	}
	a := w.account()
	if w.vouched(4) != 60*50*kBps {
		t.Errorf("an honest sender is vouched for with %d", w.vouched(4))
	}
	if most := int64(2*(60*250*kBps*5/4+50*250*kBps) + 60*50*kBps); a.VouchedBytes > most {
		t.Errorf("two liars got %d, at most %d", a.VouchedBytes, most)
	}
}

func TestTheStreamIsWhatTheSeedFurthestAheadHasHad(t *testing.T) {
	var s stream
	var first, second, again, old source
	for _, c := range []struct {
		name string
		src  *source
		n    int64
		want int64
	}{
		{"the first", &first, 1000, 1000},
		{"goes on", &first, 1500, 1500},
		{"a second, with another past", &second, 9000, 1500},
		{"is ahead", &second, 9700, 2200},
		{"the first comes after", &first, 2100, 2200},
		{"the first again, on another connection", &again, 2300, 2200},
		{"and on", &again, 2500, 2400},
		{"it began anew", &again, 100, 2500},
	} {
		if s.say(c.src, c.n, false); s.total != c.want {
			t.Errorf("%s: %d, want %d", c.name, s.total, c.want)
		}
	}
	s = stream{}
	s.say(&old, 1<<40, true)
	s.say(&old, 1<<40+500, false)
	if s.total != 500 {
		t.Errorf("of old times there are %d", s.total)
	}
}

func TestCheckingReceiptsIsBounded(t *testing.T) {
	w := newLedgerLab(t, "mesh")
	w.enter(2)
	w.enter(3)
	w.seen[3].PeerBytes = 5000
	w.pass(250 * kBps)
	w.pass(250 * kBps)
	// An eager receiver signs for every ten bytes.
	var good, bad []wire.Receipt
	for i := range 100 {
		r := w.paper(2, 3, int64(10*i+10))
		good = append(good, r)
		r.Bytes += 2000
		bad = append(bad, r)
	}
	w.show(2, `{}`, good[:64]...)
	w.show(2, `{}`, good[36:]...)
	if a := w.account(); a.VouchedBytes != 640 || a.Refused != 0 {
		t.Errorf("in one tick %d of its receipts were checked", a.VouchedBytes/10)
	}
	w.pass(250 * kBps)
	w.show(2, `{}`, good[36:]...)
	if a := w.account(); a.VouchedBytes != 1000 {
		t.Errorf("after the next one %d were", a.VouchedBytes/10)
	}
	w.pass(250 * kBps)
	w.show(2, `{}`, bad[:64]...)
	if a := w.account(); a.VouchedBytes != 1000 || a.Refused != checkBudget/badCost {
		t.Errorf("%d bad ones were checked", a.Refused)
	}
}

func TestBytesBetweenTwoAtOneAddressAreCountedApart(t *testing.T) {
	w := newLedgerLab(t, "balanced")
	w.enter(2, "198.51.100.7")
	w.enter(3, "198.51.100.7")
	w.enter(4)
	for range 3 {
		w.give(2, 3, 300*kBps)
		w.give(2, 4, 200*kBps)
		w.pass(250 * kBps)
	}
	a := w.account()
	if a.VouchedBytes != 1500*kBps || a.LocalBytes != 900*kBps {
		t.Errorf("vouched %d, of it at one address %d", a.VouchedBytes, a.LocalBytes)
	}
}

// pollute has peer n report that it had so many bad bytes of another.
func (w *ledgerLab) pollute(n, by int, bytes int64) {
	w.t.Helper()
	w.show(n, fmt.Sprintf(`{"neighbours":[{"id":"%s","sent_bytes":0,"received_bytes":0,"polluted_bytes":%d}]}`, idOf(by), bytes))
}

func TestTwoFellowsInTwoPlacesMakeAPolluterForTenMinutes(t *testing.T) {
	w := newLedgerLab(t, "balanced")
	w.enter(2)
	w.enter(3)
	w.enter(4, "198.51.3.1") // with 3
	w.enter(5)
	bad := func() []wire.PeerID { return w.account().Polluters }
	w.pollute(3, 2, 100)
	w.pollute(3, 2, 5000)
	w.pollute(4, 2, 100)
	if len(bad()) != 0 || w.standing(5, 2) != 0 {
		t.Fatalf("one place is enough: %v", bad())
	}
	w.pollute(5, 2, 7)
	if !slices.Equal(bad(), []wire.PeerID{idOf(2)}) {
		t.Fatalf("two places are not: %v", bad())
	}
	for n := 3; n <= 5; n++ {
		if w.standing(n, 2) != -1 || !slices.Equal(w.lists[Session(n)].Banned, []wire.PeerID{idOf(2)}) {
			t.Errorf("%d knows it still, or was not told: %+v", n, w.lists[Session(n)])
		}
	}
	for _, g := range w.feeds[1] {
		if slices.ContainsFunc(g.Members, func(m wire.SignalMember) bool { return m.ID == idOf(2) }) {
			t.Error("the seed feeds it still")
		}
	}
	if l := w.lists[2]; len(l.Members) != 0 || w.gone[2] != nil {
		t.Errorf("it is told of %v", l.Members)
	}
	// Neither another hello nor another connection helps.
	again := w.hello(2, 2, "198.51.2.1", "198.51.2.1:5001")
	again.Hello.ReceiptKey = wire.Key(signerOf(2).Public().(ed25519.PublicKey))
	w.join(again)
	w.Leave(now, 2)
	again.Session = 22
	w.join(again)
	if len(w.lists[22].Members) != 0 || w.standing(3, 2) != -1 {
		t.Error("it came back")
	}
	// Its neighbour in the same house, and its word, are as good as before.
	w.enter(6, "198.51.2.1")
	if w.standing(3, 6) != 0 {
		t.Error("the whole house is banned")
	}
	w.pollute(22, 3, 10)
	w.pollute(6, 3, 10)
	if len(bad()) != 1 {
		t.Errorf("a polluter's word counts: %v", bad())
	}
	for range int(banTime / TickInterval) {
		w.pass(250 * kBps)
	}
	// Who had bad bytes of it then says so still: that is no news.
	w.pollute(3, 2, 5000)
	w.pollute(5, 2, 7)
	if len(bad()) != 0 || w.standing(3, 2) != 0 || w.standing(5, 2) != 0 || len(w.lists[22].Members) == 0 || len(w.lists[3].Banned) != 0 {
		t.Errorf("after ten minutes: polluters %v, its list %+v", bad(), w.lists[22])
	}
	w.pollute(3, 2, 5001)
	w.pollute(5, 2, 8)
	if len(bad()) != 1 {
		t.Error("it does it again, and stays")
	}
}

func TestOnlyFellowsAreBelievedAndOnlyAFew(t *testing.T) {
	w := newLedgerLab(t, "balanced")
	for n := 2; n <= 25; n++ {
		w.enter(n)
	}
	r := w.rooms["match"]
	stranger := 0
	for n := 2; n < 25; n++ { // the last came below the first, as others did whom it does not meet
		if !r.meets(idOf(25), idOf(n)) {
			stranger = n
			w.pollute(n, 25, 9)
		}
	}
	if stranger == 0 || len(w.account().Polluters) != 0 {
		t.Errorf("strangers (%d) are believed: %v", stranger, w.account().Polluters)
	}
	for n := 3; n <= 25; n++ {
		w.pollute(2, n, 9)
	}
	if n := len(w.sessions[2].account.accused); n == 0 || n > maxAccused {
		t.Errorf("one accuses %d", n)
	}
}

func TestNobodyIsAFreeRiderWhoCannotGiveOrWhereFewSign(t *testing.T) {
	// Alone with the seed, there is nobody to give to.
	w := newLedgerLab(t, "balanced")
	w.enter(2)
	for range 9 {
		w.seen[2].PeerBytes += 10 * 250 * kBps // of one who has left, say
		w.pass(250 * kBps)
	}
	if f := w.account().FreeRiders; len(f) > 0 {
		t.Errorf("alone one is a free-rider: %v", f)
	}
	// Among those who know no receipts nobody is vouched for.
	w = newLedgerLab(t, "balanced")
	for n := 2; n <= 8; n++ {
		if n > 4 {
			addr := fmt.Sprintf("198.51.%d.1", n)
			w.join(w.hello(Session(n), n, addr, addr+":5000"))
			w.seen[Session(n)] = &measure.Report{}
			continue
		}
		w.enter(n)
	}
	for range 9 {
		for n := 2; n <= 8; n++ {
			w.seen[Session(n)].PeerBytes += 10 * 250 * kBps
		}
		w.pass(250 * kBps)
	}
	if f := w.account().FreeRiders; len(f) > 0 {
		t.Errorf("where few sign, free-riders are %v", f)
	}
}

func BenchmarkReportWithTenReceipts(b *testing.B) {
	t := New(Config{})
	if err := t.Open(now, "match", "balanced"); err != nil {
		b.Fatal(err)
	}
	for n := 2; n <= 12; n++ {
		a := Arrival{Session: Session(n), Room: "match", Hello: &wire.SignalHello{Key: keyOf(n), Role: wire.RolePeer,
			ReceiptKey: wire.Key(signerOf(n).Public().(ed25519.PublicKey))}}
		if _, err := t.Join(now, a); err != nil {
			b.Fatal(err)
		}
	}
	w := &ledgerLab{began: now}
	for i := int64(1); b.Loop(); i++ {
		b.StopTimer()
		m := &wire.SignalReport{Report: json.RawMessage(`{}`)}
		for n := 3; n <= 12; n++ {
			m.Receipts = append(m.Receipts, w.paper(2, n, i))
		}
		t.sessions[2].account.checks = checkBudget
		b.StartTimer()
		if _, err := t.Report(2, m); err != nil {
			b.Fatal(err)
		}
	}
}
