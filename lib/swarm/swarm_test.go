package swarm

import (
	"crypto/ed25519"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
)

var (
	t0      = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	roomKey = ed25519.NewKeyFromSeed(make([]byte, 32))
)

func at(ms int) time.Time { return t0.Add(time.Duration(ms) * time.Millisecond) }

// records cuts ten seconds of a made-up FLV stream, 25 frames of 2000 bytes a
// second. Who changes a record changes a copy.
var records = sync.OnceValue(func() (recs []segment.Record) {
	cut := segment.NewCutter(segment.CutterConfig{Container: media.FLV, Epoch: 1000, Key: roomKey})
	b := []byte("FLV\x01\x01\x00\x00\x00\x09\x00\x00\x00\x00")
	tag := func(ms uint32, body []byte) {
		n := len(body)
		b = append(b, 9, byte(n>>16), byte(n>>8), byte(n), byte(ms>>16), byte(ms>>8), byte(ms), byte(ms>>24), 0, 0, 0)
		b = append(b, body...)
		b = binary.BigEndian.AppendUint32(b, uint32(n+11))
	}
	tag(0, []byte{0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 4, 0x67, 0x64, 0, 0x1f, 1, 0, 1, 0x68})
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 250 {
		body := make([]byte, 2000)
		for j := range body {
			body[j] = byte(rng.Uint32())
		}
		body[0], body[1] = 0x27, 1
		if i%50 == 0 {
			body[0] = 0x17
		}
		tag(uint32(40*i), body)
		cut.Feed(b)
		cut.Sign()
		b = b[:0]
		for {
			r, ok := cut.Next()
			if !ok {
				break
			}
			r.Body = slices.Clone(r.Body)
			recs = append(recs, r)
		}
	}
	return recs
})

func pieces(t testing.TB) (list []segment.Record) {
	for _, r := range records() {
		if r.Kind == segment.KindPiece {
			list = append(list, r)
		}
	}
	return list
}

func message(s *Swarm, rec segment.Record, flags byte) []byte {
	b := wire.AppendPieceHead(nil, s.tag, &wire.PieceMessage{Flags: flags, IngestMS: 5, Descriptor: segment.AppendPiece(nil, rec.Piece)})
	return append(b, rec.Body...)
}

func newSwarm(t testing.TB, self Peer, seed bool, topo string, more ...func(*Config)) *Swarm {
	t.Helper()
	cfg := Config{Name: "match", Key: roomKey.Public().(ed25519.PublicKey), Self: self, Seed: seed, Upload: true, Topology: topo, Rand: rand.New(rand.NewPCG(1, uint64(self)))}
	for _, f := range more {
		f(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const seedID = Peer(1)

// meet makes s know peers 2…n of its room, and the seed, all connected.
func meet(t testing.TB, s *Swarm, n int) {
	t.Helper()
	var members []wire.SignalMember
	for id := Peer(1); id <= Peer(n); id++ {
		role := wire.RolePeer
		if id == seedID {
			role = wire.RoleSeed
		}
		if id != s.cfg.Self {
			members = append(members, wire.SignalMember{ID: id, Role: role, Upload: true})
		}
	}
	know(t, s, members)
}

// stand makes s know a room of several levels: the seed, fellows 2 to 6, and a
// group 7 below of 11 to 13.
func stand(t testing.TB, s *Swarm) {
	t.Helper()
	members := []wire.SignalMember{{ID: seedID, Role: wire.RoleSeed, Upload: true}}
	for _, id := range []Peer{2, 3, 4, 5, 6, 11, 12, 13} {
		m := wire.SignalMember{ID: id, Role: wire.RolePeer, Upload: true, Group: 1}
		if id > 10 {
			m.Tier, m.Group = int8(topology.Below), 7
		}
		if id != s.cfg.Self {
			members = append(members, m)
		}
	}
	know(t, s, members)
}

// know gives s the tracker's list, and connects all who are in it.
func know(t testing.TB, s *Swarm, members []wire.SignalMember) {
	t.Helper()
	if s.cfg.Seed {
		if err := s.SetFeed(t0, &wire.SignalFeed{Topology: s.top.Name(), Groups: []wire.SignalGroup{{Group: 1, Version: 1, Members: members}}}); err != nil {
			t.Fatal(err)
		}
	} else if err := s.SetNeighbours(t0, &wire.SignalNeighbours{Version: 1, Topology: s.top.Name(), Group: 1, Upload: true, Members: members}); err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		s.Connected(t0, m.ID, m.Role == wire.RoleSeed, false)
		s.Receive(t0, m.ID, wire.AppendHello(nil, s.tag, &wire.Hello{Name: "match", Flags: wire.HelloUpload}), nil)
		s.SetPath(m.ID, Path{SRTT: 20 * time.Millisecond})
	}
	actions(s)
}

func actions(s *Swarm) (list []Action) {
	for {
		a, ok := s.Next()
		if !ok {
			return list
		}
		list = append(list, a)
	}
}

// sent parses the messages of one type among actions.
func sent(t testing.TB, list []Action, kind wire.SwarmType) (to []Peer, msgs []wire.Swarm) {
	t.Helper()
	for _, a := range list {
		if a.Kind != Send {
			continue
		}
		m, err := wire.ParseSwarm(slices.Concat(a.Data...))
		if err != nil {
			t.Fatalf("it sent what is no message: %v", err)
		}
		if m.Type == kind {
			to, msgs = append(to, a.Peer), append(msgs, m)
		}
	}
	return to, msgs
}

func find(list []Action, kind ActionKind) *Action {
	for i := range list {
		if list[i].Kind == kind {
			return &list[i]
		}
	}
	return nil
}

func TestAnOwnerHandsItsPieceToAllFellowsAndTheyToNobody(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	meet(t, s, 6)
	p := pieces(t)
	s.Receive(at(1), seedID, message(s, p[0], wire.PieceDistribute), nil)
	list := actions(s)
	to, _ := sent(t, list, wire.SwarmPiece)
	slices.Sort(to)
	if !slices.Equal(to, []Peer{2, 3, 5, 6}) {
		t.Errorf("the owner pushed to %v", to)
	}
	if got := find(list, Got); got == nil || got.Ingest != 5 {
		t.Errorf("nothing was taken: %+v", got)
	}
	s.Receive(at(2), 3, message(s, p[1], 0), nil)
	if to, _ := sent(t, actions(s), wire.SwarmPiece); len(to) > 0 {
		t.Errorf("a fellow pushed to %v", to)
	}
}

func TestWhoSendsABadByteIsBannedBeforeItIsKeptOrHandedOn(t *testing.T) {
	p := pieces(t)
	for name, spoil := range map[string]func(rec *segment.Record){
		"body":  func(rec *segment.Record) { rec.Body[77] ^= 1 },
		"proof": func(rec *segment.Record) { d := *rec.Piece; d.DTS++; rec.Piece = &d },
	} {
		s := newSwarm(t, 4, false, "balanced")
		meet(t, s, 6)
		bad := p[0]
		bad.Body = slices.Clone(bad.Body)
		spoil(&bad)
		s.Receive(at(1), 3, message(s, bad, 0), nil)
		list := actions(s)
		down := find(list, Down)
		if down == nil || down.Peer != 3 || !down.Ban || down.Code != wire.ByePolluted {
			t.Fatalf("%s: %+v", name, down)
		}
		if find(list, Got) != nil || s.win.bytes > 0 {
			t.Errorf("%s: it was taken", name)
		}
		if to, _ := sent(t, list, wire.SwarmPiece); len(to) > 0 {
			t.Errorf("%s: it was handed on to %v", name, to)
		}
		s.Connected(at(2), 3, false, false)
		s.Receive(at(2), 3, wire.AppendHello(nil, s.tag, &wire.Hello{Name: "match"}), nil)
		if s.peer(3) != nil {
			t.Errorf("%s: the polluter is back", name)
		}
	}
}

func TestASeedHandsAPieceToAnotherWhenItIsNotAcknowledged(t *testing.T) {
	s := newSwarm(t, seedID, true, "balanced")
	meet(t, s, 6)
	p := pieces(t)
	s.Offer(at(0), p[0], 7)
	first, _ := sent(t, actions(s), wire.SwarmPiece)
	if len(first) != 1 {
		t.Fatalf("handed to %v", first)
	}
	wake := s.NextTimeout()
	if d := wake.Sub(t0); d != ackMin {
		t.Fatalf("it waits %v for the acknowledgement", d)
	}
	s.Advance(wake)
	list := actions(s)
	second, _ := sent(t, list, wire.SwarmPiece)
	if len(second) != 1 || second[0] == first[0] {
		t.Fatalf("then handed to %v, first to %v", second, first)
	}
	if find(list, Cancel) == nil {
		t.Error("the first was not called off")
	}
	for _, a := range list {
		if a.Kind == Send && a.Tag != 0 {
			s.Delivered(wake.Add(20*time.Millisecond), a.Peer, a.Tag, Departure{})
		}
	}
	s.Advance(wake.Add(time.Second))
	if more, _ := sent(t, actions(s), wire.SwarmPiece); len(more) > 0 {
		t.Errorf("acknowledged, and handed to %v all the same", more)
	}
	// The one that failed is no owner for a while.
	for i := range 30 {
		s.Offer(wake.Add(time.Duration(i)*time.Millisecond), p[1+i], 7)
	}
	if to, _ := sent(t, actions(s), wire.SwarmPiece); slices.Contains(to, first[0]) {
		t.Errorf("%d got pieces at once again", first[0])
	}
}

func TestAMissingPieceIsGivenAGraceAndThenAskedFor(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	meet(t, s, 6)
	p := pieces(t)
	s.SetWant(t0, p[0].Piece.ID, Line{Epoch: 1000, DTS: 0, At: at(1000)})
	s.Receive(at(0), 2, message(s, p[0], 0), nil)
	s.Receive(at(100), 3, message(s, p[2], 0), nil) // 1 is missing
	if to, _ := sent(t, actions(s), wire.SwarmWant); len(to) > 0 {
		t.Fatalf("asked %v at once", to)
	}
	s.Receive(at(110), 5, wire.AppendHave(nil, s.tag, 0, []wire.Run{{Epoch: 1000, Seq: 0, First: 1, Bits: []byte{1}}}), nil)
	s.Advance(at(100).Add(graceMin - 2*gather))
	if to, _ := sent(t, actions(s), wire.SwarmWant); len(to) > 0 {
		t.Fatalf("asked %v within the grace", to)
	}
	now := at(100).Add(graceMin)
	s.Advance(now)
	to, msgs := sent(t, actions(s), wire.SwarmWant)
	if len(to) != 1 || to[0] != 5 || !msgs[0].Runs[0].Has(1) {
		t.Fatalf("asked %v %+v", to, msgs)
	}
	// It does not answer: it may have had too much to send, and is asked once more
	// at most; then the seed is.
	asked := map[Peer]int{5: 1}
	for range 20 {
		next := s.NextTimeout()
		if next.IsZero() || asked[seedID] > 0 {
			break
		}
		now = next
		s.Advance(now)
		to, _ := sent(t, actions(s), wire.SwarmWant)
		for _, id := range to {
			asked[id]++
		}
	}
	if asked[seedID] == 0 || asked[5] > 2 || now.After(at(1200)) {
		t.Errorf("asked %v until %v", asked, now.Sub(t0))
	}
	s.Receive(now, seedID, message(s, p[1], wire.PieceAsked), nil)
	s.Advance(now.Add(time.Second))
	if to, _ := sent(t, actions(s), wire.SwarmWant); len(to) > 0 {
		t.Errorf("here, and still asked of %v", to)
	}
}

func TestWhatANeighbourGotElsewhereIsCalledOff(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	meet(t, s, 6)
	p := pieces(t)
	s.Receive(at(1), seedID, message(s, p[0], wire.PieceDistribute), nil)
	actions(s)
	id := p[0].Piece.ID
	s.Receive(at(2), 3, wire.AppendHave(nil, s.tag, 0, []wire.Run{{Epoch: id.Epoch, Seq: id.Seq, Bits: []byte{1}}}), nil)
	a := find(actions(s), Cancel)
	if a == nil || a.Peer != 3 {
		t.Errorf("%+v", a)
	}
	if s.peer(3).owed != 0 {
		t.Error("it is still on the books")
	}
}

func TestASeedLetsTheGroupTryFirst(t *testing.T) {
	s := newSwarm(t, seedID, true, "balanced")
	meet(t, s, 6)
	p := pieces(t)
	s.Offer(at(0), p[0], 7)
	var owner Peer
	for _, a := range actions(s) {
		if a.Tag != 0 {
			owner = a.Peer
			s.Delivered(at(20), a.Peer, a.Tag, Departure{})
		}
	}
	id := p[0].Piece.ID
	want := []wire.Run{{Epoch: id.Epoch, Seq: id.Seq, Bits: []byte{1}}}
	others := slices.DeleteFunc([]Peer{2, 3, 4, 5, 6}, func(p Peer) bool { return p == owner })
	for _, who := range others {
		s.Receive(at(60), who, wire.AppendWant(nil, s.tag, 0, 0, want), nil)
	}
	if to, _ := sent(t, actions(s), wire.SwarmPiece); len(to) > 0 {
		t.Fatalf("answered %v at once", to)
	}
	s.Receive(at(61), others[0], wire.AppendWant(nil, s.tag, wire.WantUrgent, 0, want), nil)
	if to, _ := sent(t, actions(s), wire.SwarmPiece); !slices.Equal(to, others[:1]) {
		t.Fatalf("an urgent one is answered at once: %v", to)
	}
	over := t0.Add(s.chance())
	s.Advance(over)
	to, _ := sent(t, actions(s), wire.SwarmPiece)
	if len(to) != 1 {
		t.Errorf("of those who waited it answered %v", to)
	}
	// That one tells the others, who say so.
	for _, who := range others[1:] {
		s.Receive(over.Add(50*time.Millisecond), who, wire.AppendHave(nil, s.tag, 0, want), nil)
	}
	s.Advance(over.Add(s.chance()))
	if to, _ := sent(t, actions(s), wire.SwarmPiece); len(to) > 0 {
		t.Errorf("all have it, and yet it sent to %v", to)
	}
}

func TestASeedAnswersAtOnceWhatAWholeGroupLacks(t *testing.T) {
	s := newSwarm(t, seedID, true, "balanced")
	meet(t, s, 3)
	p := pieces(t)
	s.Offer(at(0), p[0], 7)
	for _, a := range actions(s) {
		if a.Tag != 0 {
			s.Delivered(at(20), a.Peer, a.Tag, Departure{})
			s.SetFeed(at(21), &wire.SignalFeed{Groups: []wire.SignalGroup{{Group: 1, Version: 1, Members: []wire.SignalMember{
				{ID: 2, Role: wire.RolePeer, Upload: true}, {ID: 3, Role: wire.RolePeer, Upload: true}}}}})
			s.Disconnected(at(22), a.Peer, "killed") // it had not handed it on
		}
	}
	actions(s)
	id := p[0].Piece.ID
	for _, who := range []Peer{2, 3} {
		s.Receive(at(60), who, wire.AppendWant(nil, s.tag, 0, 0, run1(id)), nil)
	}
	if to, _ := sent(t, actions(s), wire.SwarmPiece); len(to) != 1 {
		t.Errorf("answered %v at once, want the one who is left", to)
	}
}

func TestUploadIsBoundedAndCanBeOff(t *testing.T) {
	p := pieces(t)
	s := newSwarm(t, 4, false, "balanced", func(c *Config) { c.MaxUpload = 800_000 }) // 100 kB/s
	meet(t, s, 6)
	sentBytes := 0
	for i := range 40 {
		now := at(i * 25)
		s.Receive(now, seedID, message(s, p[i], wire.PieceDistribute), nil)
		for _, a := range actions(s) {
			if a.Kind == Send && a.Tag != 0 {
				sentBytes += len(a.Data[1])
				s.Delivered(now, a.Peer, a.Tag, Departure{})
			}
		}
	}
	if most := 100_000 + 64<<10 + 16<<10; sentBytes > most || sentBytes < 80_000 {
		t.Errorf("in a second it sent %d bytes", sentBytes)
	}

	s = newSwarm(t, 4, false, "balanced", func(c *Config) { c.Upload = false })
	meet(t, s, 6)
	s.Receive(at(1), seedID, message(s, p[0], wire.PieceDistribute), nil)
	s.Receive(at(2), 2, wire.AppendWant(nil, s.tag, wire.WantUrgent, 0, []wire.Run{{Epoch: 1000, Seq: 0, Bits: []byte{1}}}), nil)
	list := actions(s)
	if to, _ := sent(t, list, wire.SwarmPiece); len(to) > 0 {
		t.Errorf("without upload it sent to %v", to)
	}
	if to, _ := sent(t, list, wire.SwarmGone); !slices.Equal(to, []Peer{2}) {
		t.Errorf("who asked was told nothing: %v", to)
	}
}

func TestAWordAboutPiecesThatNobodyHasLeadsNowhere(t *testing.T) {
	s := newSwarm(t, 4, false, "mesh")
	meet(t, s, 6)
	p := pieces(t)
	s.SetWant(t0, p[0].Piece.ID, Line{Epoch: 1000, DTS: 0, At: at(1000)})
	s.Receive(at(0), 2, message(s, p[0], 0), nil)
	for seq := range int64(5000) {
		s.Receive(at(1), 3, wire.AppendHave(nil, s.tag, 0, []wire.Run{{Epoch: 1000, Seq: 1000 + seq, Bits: []byte{255}}, {Epoch: 1 << 50, Seq: seq, Bits: []byte{255, 255}}}), nil)
	}
	now := at(1)
	for range 200 {
		actions(s)
		next := s.NextTimeout()
		if next.IsZero() || next.After(at(20_000)) {
			break
		}
		now = next
		s.Advance(now)
	}
	if n := len(s.win.segs); n > maxParts {
		t.Errorf("%d segments are open", n)
	}
	s.Disconnected(now, 3, "gone")
	for range 200 {
		actions(s)
		now = now.Add(100 * time.Millisecond)
		s.Advance(now)
	}
	if n := len(s.want.order); n > 0 {
		t.Errorf("it still looks for %d pieces that only one neighbour spoke of", n)
	}
}

func TestWordsDoNotShutOutWhatTheKeySigned(t *testing.T) {
	for _, topo := range []string{"mesh", "balanced"} {
		s := newSwarm(t, 4, false, topo)
		meet(t, s, 6)
		all := pieces(t)
		s.SetWant(t0, all[0].Piece.ID, Line{Epoch: 1000, At: at(1000)})
		// A neighbour speaks of a later stream, and of pieces that a segment cannot have.
		for seq := range int64(2 * maxParts) {
			s.Receive(at(0), 3, wire.AppendHave(nil, s.tag, wire.HaveSnapshot, []wire.Run{{Epoch: 1 << 50, Seq: seq, First: maxKnown - 1, Bits: []byte{1}}}), nil)
		}
		s.Receive(at(0), 3, wire.AppendHave(nil, s.tag, wire.HaveSnapshot, []wire.Run{{Epoch: 1000, Seq: 0, First: maxKnown - 1, Bits: []byte{1}}}), nil)
		got := 0
		for i, rec := range all {
			s.Receive(at(40*i), 2, message(s, rec, 0), nil)
			for _, a := range actions(s) {
				if a.Kind == Got {
					got++
				}
			}
		}
		if got != len(all) {
			t.Errorf("%s: %d of %d pieces were let in", topo, got, len(all))
		}
		last := all[len(all)-1].Piece.ID
		if id, ok := s.Newest(); !ok || id != last {
			t.Errorf("%s: the newest piece is %v, want %v", topo, id, last)
		}
		for _, m := range s.want.order {
			if id := m.id; id.Epoch == 1000 && id.Seq < last.Seq {
				t.Errorf("%s: it looks for %v, which the next segment's first piece denies", topo, id)
				break
			}
		}
		if n, _ := s.win.words(); n > maxWords {
			t.Errorf("%s: %d segments are known by words alone", topo, n)
		}
	}
}

func TestOneWhoNeverAnswersIsNotAskedWithoutEnd(t *testing.T) {
	s := newSwarm(t, 4, false, "mesh")
	meet(t, s, 3)
	n := s.peer(2)
	for range 1000 {
		n.rate -= n.rate / 8
	}
	if d := s.answerTime(n); d <= 0 || d > timeoutMax {
		t.Errorf("an answer is expected within %v", d)
	}
}

func TestTheWindowIsBounded(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced", func(c *Config) { c.WindowBytes = 150_000 })
	meet(t, s, 3)
	for i, rec := range pieces(t) {
		s.Receive(at(i*60), 2, message(s, rec, 0), nil)
		actions(s)
	}
	if s.win.bytes > 150_000+60_000 {
		t.Errorf("%d bytes in the window", s.win.bytes)
	}
	for _, n := range s.peers {
		if len(n.have.segs) > len(s.win.segs) {
			t.Errorf("%d segments remembered of a neighbour, %d in the window", len(n.have.segs), len(s.win.segs))
		}
	}
}

func FuzzReceive(f *testing.F) {
	all := pieces(f)
	s := newSwarm(f, 4, false, "mesh")
	f.Add(uint64(1), message(s, all[0], wire.PieceDistribute))
	f.Add(uint64(2), wire.AppendHave(nil, s.tag, 1, []wire.Run{{Epoch: 1000, Seq: 1, Bits: []byte{255}}}))
	f.Add(uint64(3), wire.AppendWant(nil, s.tag, 1, 100, []wire.Run{{Epoch: 1000, Seq: 0, Bits: []byte{255}}}))
	f.Add(uint64(4), wire.AppendBye(nil, s.tag, &wire.Bye{}))
	first := []wire.Run{{Epoch: 1000, Seq: 0, Bits: []byte{7}}}
	f.Add(uint64(5), wire.AppendHave(nil, s.tag, wire.HaveKey, first))
	f.Add(uint64(6), wire.AppendHello(nil, s.tag, &wire.Hello{Name: "match", Flags: wire.HelloStart | wire.HelloUpload, UplinkKbps: 900}))
	f.Add(uint64(7), wire.AppendBusy(nil, s.tag, first))
	f.Add(uint64(8), wire.AppendGone(nil, s.tag, first))
	f.Add(uint64(9), wire.AppendFrom(nil, s.tag, first[0]))
	f.Add(uint64(10), wire.AppendCancel(nil, s.tag, first))
	f.Add(uint64(11), wire.AppendDue(nil, s.tag, wire.Due{Epoch: 1000, LeftMS: 300}))
	f.Fuzz(func(t *testing.T, seed uint64, b []byte) {
		rng := rand.New(rand.NewPCG(seed, 1))
		s := newSwarm(t, 4, false, []string{"mesh", "balanced", "tree"}[seed%3])
		stand(t, s)
		who := func() Peer { return []Peer{1, 2, 3, 5, 6, 11, 12, 13}[rng.IntN(8)] }
		s.SetWant(t0, all[0].Piece.ID, Line{Epoch: 1000, At: at(500)})
		if len(b) > 5 {
			copy(b[1:5], s.tag[:])
		}
		now := t0
		for i := range 20 {
			now = now.Add(time.Duration(rng.IntN(200)) * time.Millisecond)
			switch rng.IntN(4) {
			case 0:
				s.Receive(now, who(), b, nil)
			case 1:
				s.Receive(now, who(), message(s, all[i], byte(rng.IntN(4))), nil)
			case 2:
				s.Advance(now)
			case 3:
				for _, a := range actions(s) {
					if a.Tag != 0 && rng.IntN(2) == 0 {
						s.Delivered(now, a.Peer, a.Tag, Departure{})
					} else if a.Tag != 0 {
						s.Failed(now, a.Peer, a.Tag)
					}
				}
			}
			flying, waiting := 0, 0
			for _, n := range s.peers {
				if !n.stuck {
					flying += n.owed
				}
			}
			for _, q := range s.give.queues {
				for _, p := range q {
					waiting += len(p.h.body)
				}
			}
			if flying != s.give.flying || waiting != s.give.bytes {
				t.Fatalf("books: %d bytes fly of %d, %d wait of %d", flying, s.give.flying, waiting, s.give.bytes)
			}
			for _, n := range s.peers {
				owed := 0
				for _, x := range n.away {
					owed += x.size
				}
				if n.owed != owed || n.asked < 0 {
					t.Fatalf("books: owed %d of %d, asked %d", n.owed, owed, n.asked)
				}
			}
		}
	})
}
