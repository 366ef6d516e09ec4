package swarm

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"testing"

	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/wire"
)

var signer = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, 32))

func signs(c *Config) { c.ReceiptKey = signer }

// modern has neighbours say that they take receipts.
func modern(s *Swarm, ids ...Peer) {
	for _, id := range ids {
		s.Receive(t0, id, wire.AppendHello(nil, s.tag, &wire.Hello{Name: "match", Flags: wire.HelloUpload | wire.HelloReply | wire.HelloReceipts}), nil)
	}
	actions(s)
}

func TestWhoGivesGetsSmallReceiptsThatOnlyGrow(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced", signs)
	meet(t, s, 6)
	modern(s, 2, 3)
	key := wire.Key(signer.Public().(ed25519.PublicKey))
	given := map[Peer]int64{}
	signed := map[Peer]int64{}
	small := 0
	// Two thirds of the stream come from 2, who knows receipts, the rest from 5,
	// who does not, and from the seed, who needs none. It takes 100 s.
	list := pieces(t)
	for i, p := range list {
		from := [...]Peer{2, 5, 2, seedID, 2, 2}[i%6]
		now := at(i * 100_000 / len(list))
		s.Receive(now, from, message(s, p, 0), nil)
		given[from] += int64(len(p.Body))
		_, msgs := sent(t, actions(s), wire.SwarmReceipt)
		for _, m := range msgs {
			r := m.Receipt
			if !r.Verify(key, "match") || r.Receiver != 4 || r.Sender != 2 || r.SinceMS != t0.UnixMilli() {
				t.Fatalf("a receipt that is none: %+v", r)
			}
			if r.Bytes != given[2] || r.Bytes-signed[2] < receiptLow {
				t.Errorf("a receipt for %d behind one for %d; it gave %d", r.Bytes, signed[2], given[2])
			}
			signed[2] = r.Bytes
			small++
		}
	}
	if small < 2 || int64(small*101) > given[2]/1000 {
		t.Errorf("%d receipts for %d bytes", small, given[2])
	}
	// 5 cannot show his: the tracker hears it from the receiver, and of 2 when it
	// goes.
	s.Disconnected(at(101_000), 2, "gone")
	shown := map[Peer]int64{}
	for _, r := range s.Receipts(wire.MaxSignalReceipts) {
		if !r.Verify(key, "match") {
			t.Errorf("not good: %+v", r)
		}
		shown[r.Sender] = r.Bytes
	}
	if shown[2] != given[2] || shown[5] < given[5]/2 || len(shown) != 2 {
		t.Errorf("the tracker is shown %v; they gave %v", shown, given)
	}
	// It comes back: the account goes on.
	s.Connected(at(102_000), 2, false, false)
	if a := s.ledger.accounts[2]; a.in != given[2] {
		t.Errorf("the account was at %d, and is at %d when it comes back", given[2], a.in)
	}
}

func TestWhatARelayPassedOnIsAServersAndGetsNoReceipt(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced", signs)
	meet(t, s, 6)
	modern(s, 2, 3)
	list := pieces(t)
	feed := func(from int, list []segment.Record) (n int64, receipts int) {
		for i, p := range list {
			s.Receive(at((from+i)*200), 2, message(s, p, 0), nil)
			n += int64(len(p.Body))
			_, msgs := sent(t, actions(s), wire.SwarmReceipt)
			receipts += len(msgs)
		}
		return n, receipts
	}
	s.SetPath(2, Path{Relayed: true})
	half := len(list) / 2
	n, receipts := feed(0, list[:half])
	if got := s.Meter.Received; got[measure.Relay] != n || got[measure.Peer] != 0 || n == 0 || receipts != 0 {
		t.Errorf("counted %v of %d bytes by way of a relay, %d receipts", got, n, receipts)
	}
	// Now it has a way of its own.
	s.SetPath(2, Path{})
	m, _ := feed(half, list[half:])
	if got := s.Meter.Received; got[measure.Relay] != n || got[measure.Peer] != m {
		t.Errorf("counted %v; %d bytes by way of a relay, then %d without", got, n, m)
	}
	s.Disconnected(at(1_000_000), 2, "gone")
	shown := s.Receipts(wire.MaxSignalReceipts)
	if len(shown) != 1 || shown[0].Bytes != m {
		t.Errorf("receipts %+v, want one for %d", shown, m)
	}
}

func TestASenderShowsTheNewestReceiptOfEachReceiverOnce(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced", signs)
	meet(t, s, 6)
	give := func(from, sender, receiver Peer, since, n int64) {
		r := wire.Receipt{Sender: sender, Receiver: receiver, SinceMS: since, Bytes: n}
		s.Receive(at(1), from, wire.AppendReceipt(nil, s.tag, &r), nil)
	}
	give(2, 4, 2, 10, 500)
	give(3, 4, 3, 10, 100)
	give(2, 4, 2, 10, 900)
	give(2, 4, 2, 10, 700)   // came late
	give(2, 4, 2, 9, 10_000) // from before
	give(2, 4, 3, 10, 5000)  // in another's name
	give(2, 3, 2, 10, 5000)  // for another
	give(77, 4, 77, 10, 1)   // a stranger's
	amounts := func(list []wire.Receipt) (n []int64) {
		for _, r := range list {
			n = append(n, r.Bytes)
		}
		return n
	}
	if got := amounts(s.Receipts(1)); !slices.Equal(got, []int64{100}) {
		t.Errorf("first it shows %v", got)
	}
	if got := amounts(s.Receipts(64)); !slices.Equal(got, []int64{900}) {
		t.Errorf("then it shows %v", got)
	}
	if got := s.Receipts(64); len(got) != 0 {
		t.Errorf("then it shows %v", got)
	}
	s.RepeatReceipts()
	if got := amounts(s.Receipts(64)); !slices.Equal(got, []int64{100, 900}) {
		t.Errorf("to another tracker it shows %v", got)
	}
	for i := range int64(3 * maxPapers) {
		s.ledger.file(wire.Receipt{Sender: 4, Receiver: Peer(1000 + i), Bytes: 1})
	}
	for i := range 3 * maxAccounts {
		s.ledger.account(at(i), Peer(1000+i))
	}
	if len(s.ledger.papers) != maxPapers || len(s.ledger.accounts) != maxAccounts || s.ledger.accounts[1000] != nil {
		t.Errorf("%d papers and %d accounts", len(s.ledger.papers), len(s.ledger.accounts))
	}
}

func TestAMessageOfALaterVersionIsSkippedAndItsSenderStays(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced", signs)
	meet(t, s, 6)
	s.Receive(at(1), 2, append([]byte{200}, s.tag[:]...), nil)
	if find(actions(s), Down) != nil || s.peer(2) == nil || s.Meter.Bad != 1 {
		t.Error("its sender was left")
	}
	s.Receive(at(2), 2, append([]byte{byte(wire.SwarmReceipt)}, s.tag[:]...), nil)
	if s.peer(2) != nil {
		t.Error("who sends half a receipt breaks the grammar, and stays")
	}
}

func TestAPolluterIsRememberedAfterItWasLeft(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced", signs)
	meet(t, s, 6)
	p := pieces(t)
	s.Receive(at(1), 3, message(s, p[0], 0), nil)
	bad := message(s, p[1], 0)
	bad[len(bad)-1] ^= 1
	s.Receive(at(2), 3, bad, nil)
	want := []Polluter{{3, int64(len(p[1].Body))}}
	if got := s.Polluters(); s.peer(3) != nil || !slices.Equal(got, want) {
		t.Errorf("polluters %v, want %v", got, want)
	}
	if a := s.ledger.accounts[3]; a.in != int64(len(p[0].Body)) {
		t.Errorf("what it sent before it lied counts as %d", a.in)
	}
}

// idler marks a neighbour as one that takes and does not give.
func idler(s *Swarm, id Peer) {
	for i := range s.view.Members {
		if Peer(s.view.Members[i].ID) == id {
			s.view.Members[i].Standing = 1
		}
	}
	s.rename(t0)
}

func TestWhoTakesAndDoesNotGiveIsServedLast(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced", func(c *Config) { c.MaxUpload = 800_000 }) // 100 kB/s
	meet(t, s, 6)
	idler(s, 2)
	// A piece of 5 kB goes to four fellows every 50 ms: four times what may be sent.
	got := map[Peer]int{}
	list := pieces(t)
	for i := range 80 {
		now := at(i * 50)
		s.Receive(now, seedID, message(s, list[i], wire.PieceDistribute), nil)
		for _, a := range actions(s) {
			if a.Kind == Send && a.Tag != 0 {
				got[a.Peer]++
				s.Delivered(now, a.Peer, a.Tag, Departure{})
			}
		}
	}
	if got[2] > got[3]/2 || got[3] < 20 || got[3]+2 < got[5] || got[5]+2 < got[3] {
		t.Errorf("pieces by receiver: %v", got)
	}
	if !s.strained() {
		t.Fatal("the upload is not short")
	}
	want := func(id Peer, i int) []byte {
		p := list[i].Piece
		b, _ := wire.AppendToRuns(nil, p.Epoch, p.Seq, p.Index)
		s.peer(id).have.remove(p.ID)
		s.give.tokens = 1e6 // there is enough for one answer
		return wire.AppendWant(nil, s.tag, wire.WantUrgent, 0, b)
	}
	s.Receive(at(4000), 2, want(2, 0), nil)
	if !toldBusy(t, actions(s), 2, list[0].Piece.ID) {
		t.Error("its request was not declined")
	}
	s.Receive(at(4000), 3, want(3, 0), nil)
	if toldBusy(t, actions(s), 3, list[0].Piece.ID) {
		t.Error("another's request was declined")
	}
	// When nobody waits it is served as everybody.
	s.give.queues, s.give.bytes = [ranks][]push{}, 0
	for _, n := range s.peers {
		for _, x := range slices.Clone(n.away) {
			s.Delivered(at(4000), n.id, x.tag, Departure{}) // and the window has room
		}
	}
	s.Receive(at(4001), 2, want(2, 0), nil)
	if to, _ := sent(t, actions(s), wire.SwarmPiece); !slices.Equal(to, []Peer{2}) {
		t.Errorf("it was not served: %v", to)
	}
}

func TestReceiptsOfAnOldAccountAreRare(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced", signs)
	meet(t, s, 3)
	modern(s, 2)
	count := [2]int{}
	for sec := range 1200 {
		s.ledger.got(at(sec*1000), s.peer(2), 100_000)
		s.Advance(at(sec * 1000))
		if to, _ := sent(t, actions(s), wire.SwarmReceipt); len(to) > 0 {
			count[sec/600]++
		}
	}
	if count[0] < 25 || count[0] > 40 || count[1] < 10 || count[1] > 15 {
		t.Errorf("receipts in the first and the second ten minutes: %v", count)
	}
}
