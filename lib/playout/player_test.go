package playout

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/segment"
)

var t0 = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func at(ms int) time.Time { return t0.Add(time.Duration(ms) * time.Millisecond) }

func hash(s string) (h segment.Hash) {
	copy(h[:], s)
	return h
}

func initRec(name string, copied bool) segment.Record {
	return segment.Record{Kind: segment.KindInit, Init: &segment.Init{Hash: hash(name), Copy: copied}, Body: []byte(name)}
}

// stream makes segments of ten pieces, 100 ms each, with a keyframe in the
// first piece of every second one.
func stream(epoch int64, init string, segs int) (recs []segment.Record) {
	for seq := range segs {
		for i := range 10 {
			p := &segment.Piece{ID: segment.ID{Epoch: epoch, Seq: int64(seq), Index: i}, DTS: int64(seq*1000 + i*100)}
			if i == 0 && seq > 0 {
				p.Prev = &segment.Link{Epoch: epoch, Seq: int64(seq - 1), Pieces: 10}
			}
			if i == 0 && seq%2 == 0 {
				p.Keyframes = []segment.Keyframe{{Offset: 0, DTS: p.DTS, Init: hash(init)}}
			}
			recs = append(recs, segment.Record{Kind: segment.KindPiece, Piece: p, Body: []byte(fmt.Sprintf("%d.%d.%d;", epoch, seq, i))})
		}
	}
	return recs
}

func endRec(epoch int64, segs int) segment.Record {
	return segment.Record{Kind: segment.KindEnd, End: &segment.End{Last: segment.Link{Epoch: epoch, Seq: int64(segs - 1), Pieces: 10}}}
}

// drain returns what was put out, as text.
func drain(p *Player) (s string) {
	for {
		o, ok := p.Next()
		if !ok {
			return s
		}
		if o.Record.Kind == segment.KindPiece || o.Record.Kind == segment.KindInit {
			s += string(o.Record.Body[o.Skip:])
		}
	}
}

func text(recs []segment.Record) (s string) {
	for _, r := range recs {
		s += string(r.Body)
	}
	return s
}

func events(p *Player) (list []Event) {
	for {
		e, ok := p.NextEvent()
		if !ok {
			return list
		}
		list = append(list, e)
	}
}

func kinds(list []Event) (k []EventKind) {
	for _, e := range list {
		k = append(k, e.Kind)
	}
	return k
}

func asksOf(p *Player) (list []Ask) {
	for {
		a, ok := p.NextAsk()
		if !ok {
			return list
		}
		list = append(list, a)
	}
}

func TestTheStreamComesOutInOrderWhateverTheOrderItComesIn(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		recs := stream(5, "init", 4)
		p := New(t0, Config{NoOrigin: true, Start: Start{Mode: Oldest}})
		p.Add(t0, initRec("init", false), measure.Peer, time.Time{}, 0)
		got := ""
		// The keyframe first, so that the run begins there; the rest shuffled, and
		// a third of it twice.
		p.Add(t0, recs[0], measure.Peer, time.Time{}, 0)
		rest := slices.Clone(recs[1:])
		rest = append(rest, rest[:len(rest)/3]...)
		rng.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
		for _, r := range rest {
			p.Add(t0, r, measure.Peer, time.Time{}, 0)
			got += drain(p)
		}
		if want := "init" + text(recs); got != want {
			t.Fatalf("seed %d:\n got %s\nwant %s", seed, got, want)
		}
	}
}

func TestAViewerBeginsAtTheNewestKeyframe(t *testing.T) {
	recs := stream(5, "init", 5)
	p := New(t0, Config{})
	if q := asksOf(p); len(q) != 1 || q[0].Kind != AskStart {
		t.Fatalf("a new player asks %+v", q)
	}
	for _, r := range recs[15:] { // joined in the middle of a GOP
		p.Add(t0, r, measure.Peer, time.Time{}, 0)
	}
	if got := drain(p); got != "" {
		t.Fatalf("without an init came %q", got)
	}
	p.Add(t0, initRec("init", true), measure.Origin, time.Time{}, 1)
	if got, want := drain(p), "init"+text(recs[40:]); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A viewer that is given its place begins there and not at a newer keyframe that
// came first; what lies behind it will do when nothing else comes.
func TestAViewerBeginsWhereItIsToldTo(t *testing.T) {
	recs := stream(5, "init", 6)
	place := segment.ID{Epoch: 5, Seq: 2}
	p := New(t0, Config{Start: Start{Mode: At, At: place}})
	if q := asksOf(p); len(q) != 1 || q[0].Kind != AskStart || q[0].Start.At != place {
		t.Fatalf("it asks %+v", q)
	}
	p.Add(t0, initRec("init", true), measure.Peer, time.Time{}, 0)
	p.Add(t0, recs[0], measure.Peer, time.Time{}, 0)
	p.Add(t0, recs[40], measure.Peer, time.Time{}, 0)
	if got := drain(p); got != "" {
		t.Fatalf("it begins with %q", got)
	}
	for _, r := range recs[20:] {
		p.Add(t0, r, measure.Peer, time.Time{}, 0)
	}
	if got, want := drain(p), "init"+text(recs[20:]); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	late := New(t0, Config{Start: Start{Mode: At, At: place}})
	late.Add(t0, initRec("init", true), measure.Peer, time.Time{}, 0)
	late.Add(t0, recs[40], measure.Peer, time.Time{}, 0)
	late.Advance(at(3000))
	if got, want := drain(late), "init"+text(recs[40:41]); got != want {
		t.Errorf("after a while got %q, want %q", got, want)
	}
}

func TestAHoleIsAskedOfTheOriginWhenItsDeadlineNears(t *testing.T) {
	recs := stream(5, "init", 3)
	p := New(t0, Config{Buffer: time.Second, OriginRTT: 50 * time.Millisecond})
	start := asksOf(p)[0].ID
	p.Add(t0, initRec("init", false), measure.Origin, time.Time{}, start)
	for _, r := range recs[:5] {
		p.Add(t0, r, measure.Origin, time.Time{}, start)
	}
	p.StopStream(at(1))
	if q := asksOf(p); len(q) != 1 || q[0].Kind != AskStop {
		t.Fatalf("stopping asks %+v", q)
	}
	for _, r := range recs[6:12] { // 5 is missing; it is due when 4 has been played: at 1.4 s
		p.Add(at(10), r, measure.Peer, time.Time{}, 0)
	}
	p.Advance(at(900))
	if q := asksOf(p); len(q) != 0 {
		t.Fatalf("asked long before the deadline: %+v", q)
	}
	wake := p.NextTimeout()
	if d := at(1400).Sub(wake); d < 100*time.Millisecond || d > 600*time.Millisecond {
		t.Fatalf("it wakes %v before the deadline", d)
	}
	p.Advance(wake)
	q := asksOf(p)
	if len(q) != 1 || q[0].Kind != AskPieces || !slices.Equal(q[0].Pieces, []segment.ID{{Epoch: 5, Index: 5}}) {
		t.Fatalf("asked %+v", q)
	}
	drain(p)
	p.Add(wake.Add(40*time.Millisecond), recs[5], measure.Origin, time.Time{}, q[0].ID)
	if got, want := drain(p), text(recs[5:12]); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if e := events(p); len(e) != 0 {
		t.Errorf("in time, and yet %+v", e)
	}
}

// What is due at once comes one after another: a player that has seen how fast
// that goes asks so much earlier.
func TestAKeyframesPiecesAreAskedForSoEarlyThatTheLastComesInTime(t *testing.T) {
	recs := stream(5, "init", 12)
	for _, r := range recs { // in each segment four pieces of one large frame
		if p := r.Piece; p.ID.Index > 5 && p.ID.Index < 9 {
			p.DTS = p.ID.Seq*1000 + 500
		}
	}
	p := New(t0, Config{Buffer: time.Second, OriginRTT: 50 * time.Millisecond})
	start := asksOf(p)[0].ID
	p.Add(t0, initRec("init", false), measure.Origin, time.Time{}, start)
	p.Add(at(50), recs[0], measure.Origin, time.Time{}, start)
	p.StopStream(at(50))
	asksOf(p)
	var leads []time.Duration
	for seq := range 11 {
		base := at(1000 * seq)
		for i, r := range recs[10*seq : 10*seq+12] { // all but the frame come in time
			if id := r.Piece.ID; i > 0 && (id.Index < 5 || id.Index > 8) {
				p.Add(base.Add(60*time.Millisecond), r, measure.Peer, time.Time{}, 0)
			}
		}
		drain(p)
		var q []Ask
		for len(q) == 0 {
			wake := p.NextTimeout()
			if wake.IsZero() || wake.After(base.Add(3*time.Second)) {
				t.Fatalf("the frame of segment %d is not asked for", seq)
			}
			p.Advance(wake)
			if q = asksOf(p); len(q) > 0 {
				if len(q[0].Pieces) != 4 {
					t.Fatalf("segment %d: asked %+v", seq, q)
				}
				leads = append(leads, base.Add(1500*time.Millisecond).Sub(wake))
				for k := range 4 { // 20 ms each
					p.Add(wake.Add(time.Duration(50+20*k)*time.Millisecond), recs[10*seq+5+k], measure.Origin, time.Time{}, q[0].ID)
				}
				p.Answered(wake.Add(110*time.Millisecond), q[0].ID, Answer{})
			}
		}
	}
	more := leads[len(leads)-1] - leads[0]
	if more < 40*time.Millisecond || more > 80*time.Millisecond {
		t.Errorf("asked %v before the time at first, %v at last; want 60 ms more", leads[0], leads[len(leads)-1])
	}
	if e := events(p); len(e) != 0 {
		t.Errorf("in time, and yet %+v", e)
	}
}

// Two players come when four seconds are there already, of which the last piece is
// missing. The model player begins with the oldest and needs it in five seconds;
// who is hurried to the edge needs it a second after it was made, and what he gets
// later than that is no stall of the model's.
func TestAPlayerWhoIsHurriedToTheEdgeAsksForHolesAsIfItWereThere(t *testing.T) {
	recs := stream(5, "init", 5)
	for _, edge := range []bool{false, true} {
		p := New(t0, Config{Start: Start{Mode: Oldest}, Edge: edge})
		start := asksOf(p)[0].ID
		p.Add(t0, initRec("init", false), measure.Origin, time.Time{}, start)
		for _, r := range recs[:39] {
			p.Add(t0, r, measure.Origin, time.Time{}, start)
		}
		p.Add(t0, recs[40], measure.Peer, time.Time{}, 0) // 39 is missing
		p.StopStream(t0)
		asksOf(p)
		_, _, due, _ := p.Line()
		want := at(1000 + 3800)
		if edge {
			want = at(1000 - 200)
		}
		if !due.Equal(want) {
			t.Errorf("edge %v: what was put out last was due at %v, want %v", edge, due.Sub(t0), want.Sub(t0))
		}
		var asked time.Time
		for ms := 10; ms < 6000 && asked.IsZero(); ms += 10 {
			p.Advance(at(ms))
			for _, a := range asksOf(p) {
				if a.Kind == AskPieces && a.Pieces[0] == recs[39].Piece.ID {
					asked = at(ms)
				}
			}
		}
		if early := want.Sub(asked); early < 0 || early > time.Second {
			t.Errorf("edge %v: the origin was asked at %v", edge, asked.Sub(t0))
		}
		p.Add(asked.Add(20*time.Millisecond), recs[39], measure.Origin, time.Time{}, 0)
		if list := kinds(events(p)); len(list) > 0 {
			t.Errorf("edge %v: %v", edge, list)
		}
	}
}

func TestALatePieceIsAStallAndShiftsWhatFollows(t *testing.T) {
	recs := stream(5, "init", 2)
	p := New(t0, Config{NoOrigin: true, Buffer: 100 * time.Millisecond})
	p.Add(t0, initRec("init", false), measure.Peer, time.Time{}, 0)
	p.Add(t0, recs[0], measure.Peer, time.Time{}, 0)
	p.Advance(at(500))
	p.Add(at(700), recs[1], measure.Peer, time.Time{}, 0) // due at 200
	e := events(p)
	if !slices.Equal(kinds(e), []EventKind{Stall, Resume}) || e[1].Late != 500*time.Millisecond {
		t.Fatalf("events %+v", e)
	}
	p.Add(at(780), recs[2], measure.Peer, time.Time{}, 0) // due at 300, and now at 800
	if e := events(p); len(e) != 0 {
		t.Errorf("what follows is due later, and yet %+v", e)
	}
}

func TestWhatNobodyHasIsJumpedOverAndCounted(t *testing.T) {
	recs := stream(5, "init", 5)
	p := New(t0, Config{Start: Start{Mode: Oldest}})
	start := asksOf(p)[0].ID
	p.Add(t0, initRec("init", false), measure.Origin, time.Time{}, start)
	for i, r := range recs {
		if i != 7 {
			p.Add(t0, r, measure.Origin, time.Time{}, start)
		}
	}
	p.Answered(at(1), start, Answer{Failed: false, Gone: false})
	now := at(1)
	for range 100 {
		for _, q := range asksOf(p) {
			if q.Kind == AskPieces {
				p.Answered(now.Add(30*time.Millisecond), q.ID, Answer{Failed: false, Gone: true}) // 404
			}
		}
		next := p.NextTimeout()
		if next.IsZero() || next.Sub(t0) > 3*time.Second {
			break
		}
		now = next
		p.Advance(now)
	}
	if got, want := drain(p), "init"+text(recs[:7])+"init"+text(recs[20:]); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if p.Gaps != 1 || !slices.Contains(kinds(events(p)), Gap) {
		t.Errorf("%d gaps told of", p.Gaps)
	}
}

func TestANewStreamFollowsTheOldWithItsInit(t *testing.T) {
	old, anew := stream(5, "init", 2), stream(9, "other", 2)
	for _, ended := range []bool{true, false} {
		p := New(t0, Config{NoOrigin: true})
		p.Add(t0, initRec("init", false), measure.Peer, time.Time{}, 0)
		p.Add(t0, initRec("other", false), measure.Peer, time.Time{}, 0)
		for _, r := range old {
			p.Add(t0, r, measure.Peer, time.Time{}, 0)
		}
		got := drain(p)
		if ended {
			p.Add(t0, endRec(5, 2), measure.Peer, time.Time{}, 0)
			if !p.Ended() {
				t.Error("the end was reached, and not told")
			}
		}
		for _, r := range anew {
			p.Add(at(100), r, measure.Peer, time.Time{}, 0)
		}
		if !ended {
			if more := drain(p); more != "" {
				t.Errorf("the old stream may go on, and yet came %s", more)
			}
			p.Advance(p.NextTimeout())
			p.Advance(at(100 + 1000))
		}
		got += drain(p)
		if want := "init" + text(old) + "other" + text(anew); got != want {
			t.Errorf("ended %v:\n got %s\nwant %s", ended, got, want)
		}
		if !slices.Contains(kinds(events(p)), Restart) {
			t.Error("no word of the restart")
		}
	}
}

func TestAResumedViewerGoesOnBehindWhatItHas(t *testing.T) {
	recs := stream(5, "init", 2)
	p := New(t0, Config{Resume: recs[3].Piece.ID})
	q := asksOf(p)
	if len(q) != 1 || q[0].Kind != AskAfter || q[0].After != recs[3].Piece.ID {
		t.Fatalf("asked %+v", q)
	}
	for _, r := range recs[2:] {
		p.Add(t0, r, measure.Origin, time.Time{}, q[0].ID)
	}
	if got, want := drain(p), text(recs[4:]); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAnOriginWithoutRoomIsAskedEverMoreRarelyForHoweverManyHoles(t *testing.T) {
	recs := stream(5, "init", 20)
	p := New(t0, Config{Start: Start{Mode: Oldest}})
	start := asksOf(p)[0].ID
	p.Add(t0, initRec("init", false), measure.Origin, time.Time{}, start)
	for _, r := range recs[:5] {
		p.Add(t0, r, measure.Origin, time.Time{}, start)
	}
	p.Answered(at(1), start, Answer{})
	var asked []time.Duration
	now := at(1)
	for i := 5; now.Sub(t0) < 12*time.Second; {
		p.Announce(now, recs[min(i, len(recs)-1)].Piece.ID) // nobody brings what is announced
		i++
		for _, q := range asksOf(p) {
			if q.Kind != AskStop {
				asked = append(asked, now.Sub(t0))
				p.Answered(now, q.ID, Answer{Failed: true, Busy: true})
			}
		}
		now = now.Add(20 * time.Millisecond)
		p.Advance(now)
	}
	if n := len(asked); n < 4 || n > 8 {
		t.Errorf("asked %d times: %v", n, asked)
	}
	for i := 2; i < len(asked); i++ {
		if gap, before := asked[i]-asked[i-1], asked[i-1]-asked[i-2]; gap < before {
			t.Errorf("asked after %v, and then after %v", before, gap)
		}
	}
}

// What the origin was asked for, and neighbours brought before it could answer,
// is called off: it may have more to do than it can.
func TestARequestForWhatHasComeFromElsewhereIsCalledOff(t *testing.T) {
	recs := stream(5, "init", 20)
	p := New(t0, Config{Start: Start{Mode: Oldest}})
	start := asksOf(p)[0].ID
	p.Add(t0, initRec("init", false), measure.Origin, time.Time{}, start)
	for _, r := range recs[:5] {
		p.Add(t0, r, measure.Origin, time.Time{}, start)
	}
	p.Answered(t0, start, Answer{})
	p.Announce(t0, recs[7].Piece.ID)
	now := t0
	var q []Ask
	for len(q) == 0 || q[0].Kind != AskPieces || len(q[0].Pieces) < 2 {
		now = now.Add(10 * time.Millisecond)
		if p.Advance(now); now.Sub(t0) > 3*time.Second {
			t.Fatal("the origin was not asked")
		}
		q = append(asksOf(p), q...)
	}
	ask := q[0]
	for i, id := range ask.Pieces {
		p.Add(now, recs[5+i], measure.Peer, time.Time{}, 0)
		if recs[5+i].Piece.ID != id {
			t.Fatalf("asked for %v", ask.Pieces)
		}
		stops := slices.DeleteFunc(asksOf(p), func(a Ask) bool { return a.Kind != AskStop || a.ID != ask.ID })
		if last := i == len(ask.Pieces)-1; last != (len(stops) == 1) {
			t.Errorf("after piece %d of %d: %+v", i+1, len(ask.Pieces), stops)
		}
	}
	// Who carried it out has broken it off, which is no failure of the origin's.
	trusted := p.Backstop(now)
	p.Answered(now, ask.ID, Answer{Failed: true})
	if got := p.Backstop(now); trusted == 0 || got != trusted {
		t.Errorf("the origin is relied on for %v, and for %v after the call", trusted, got)
	}
}

func TestAFailingOriginIsAskedAgainAndNotMoreThanThat(t *testing.T) {
	p := New(t0, Config{})
	now, asked := t0, 0
	for now.Sub(t0) < 20*time.Second {
		for _, q := range asksOf(p) {
			asked++
			p.Answered(now, q.ID, Answer{Failed: true, Gone: false})
		}
		next := p.NextTimeout()
		if next.IsZero() {
			t.Fatal("it gave up")
		}
		if !next.After(now) {
			t.Fatalf("at %v it wants to be woken at %v", now, next)
		}
		now = next
		p.Advance(now)
	}
	if asked < 5 || asked > 20 {
		t.Errorf("%d requests in 20 s", asked)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	p := New(t0, Config{NoOrigin: true, MaxBytes: 100})
	p.Add(t0, initRec("init", false), measure.Peer, time.Time{}, 0)
	recs := stream(5, "init", 20)
	p.Add(t0, recs[0], measure.Peer, time.Time{}, 0)
	refused := 0
	for _, r := range recs[2:] {
		if p.Add(t0, r, measure.Peer, time.Time{}, 0) == Refused {
			refused++
		}
	}
	if p.tl.bytes > 100 || refused == 0 {
		t.Errorf("%d bytes are held, %d pieces were refused", p.tl.bytes, refused)
	}
	// The one that is next is never refused: it makes room.
	if v := p.Add(t0, recs[1], measure.Peer, time.Time{}, 0); v != Fresh {
		t.Errorf("the next piece: %v", v)
	}
}

func TestAnAnnouncementOfWhatIsNotThereHoldsNobodyUp(t *testing.T) {
	p := New(t0, Config{NoOrigin: true})
	recs := stream(1, "i", 4)
	p.Add(t0, initRec("i", false), measure.Peer, time.Time{}, 0)
	for _, r := range recs[:5] {
		p.Add(t0, r, measure.Peer, time.Time{}, 0)
	}
	p.Announce(t0, segment.ID{Epoch: 1, Seq: 0, Index: 999})
	p.Announce(t0, segment.ID{Epoch: 1, Seq: 1, Index: 999})
	for _, r := range recs[5:] {
		p.Add(t0, r, measure.Peer, time.Time{}, 0)
		p.Announce(t0, segment.ID{Epoch: 1, Seq: 0, Index: 999})
	}
	if got, want := drain(p), "i"+text(recs); got != want {
		t.Errorf("the output stops after %d of %d bytes", len(got), len(want))
	}
}

func TestParseStart(t *testing.T) {
	for _, s := range []string{"live", "oldest", "1m30s"} {
		got, err := ParseStart(s)
		if err != nil || got.String() != s {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"-3s", "yesterday", "1000h"} {
		if _, err := ParseStart(s); err == nil {
			t.Errorf("%s passed", s)
		}
	}
}

// Where the configuration changes, the copy that joiners need stands before the
// keyframe that names it, once; the segments' records and the end come too.
func TestRecordsWithoutBytesComeOutInTheirPlaces(t *testing.T) {
	p := New(at(0), Config{Start: Start{Mode: Oldest}})
	recs := stream(7, "A", 6)
	recs[40].Piece.Keyframes[0].Init = hash("B")
	for seq := range 6 {
		recs = append(recs, segment.Record{Kind: segment.KindSegment, Segment: &segment.Segment{Epoch: 7, Seq: int64(seq), Pieces: 10}})
	}
	recs = append(recs, initRec("B", true), endRec(7, 6))
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(recs), func(i, j int) { recs[i], recs[j] = recs[j], recs[i] })
	q := asksOf(p)[0]
	p.Add(at(1), initRec("A", false), measure.Origin, time.Time{}, q.ID)
	for _, rec := range stream(7, "A", 1)[:1] {
		p.Add(at(1), rec, measure.Origin, time.Time{}, q.ID)
	}
	for _, rec := range recs {
		p.Add(at(2), rec, measure.Peer, time.Time{}, 0)
	}
	var got string
	for o, ok := p.Next(); ok; o, ok = p.Next() {
		switch r := o.Record; r.Kind {
		case segment.KindInit:
			got += string(r.Body)
		case segment.KindPiece:
			got += "."
		default:
			got += r.Kind.String()[:1]
		}
	}
	const ten = ".........."
	if want := "A" + ten + "s" + ten + "s" + ten + "s" + ten + "sB" + ten + "s" + ten + "se"; got != want {
		t.Errorf("put out %s, want %s", got, want)
	}
}

func TestACopyOfAnInitComesBeforeTheKeyframeThatNamesItAndAddsNoBytes(t *testing.T) {
	recs := stream(5, "init", 4)
	recs[20].Piece.Keyframes[0].Init = hash("changed")
	p := New(t0, Config{NoOrigin: true, Start: Start{Mode: Oldest}})
	p.Add(t0, initRec("init", false), measure.Peer, time.Time{}, 0)
	p.Add(t0, initRec("changed", true), measure.Peer, time.Time{}, 0)
	for _, r := range recs {
		p.Add(t0, r, measure.Peer, time.Time{}, 0)
	}
	got, copies := "", 0
	for {
		o, ok := p.Next()
		if !ok {
			break
		}
		if o.Record.Kind == segment.KindInit && o.Record.Init.Copy {
			copies++
			if next, _ := p.Next(); next.Record.Piece != recs[20].Piece {
				t.Errorf("behind the copy comes %+v", next.Record)
			} else {
				got += string(next.Record.Body)
			}
		}
		got += string(o.Record.Body[o.Skip:])
	}
	if want := "init" + text(recs); got != want || copies != 1 {
		t.Errorf("%d copies\n got %s\nwant %s", copies, got, want)
	}
}

func TestAnOldEndBroughtAgainDoesNotHideTheRealOne(t *testing.T) {
	p := New(t0, Config{NoOrigin: true, Start: Start{Mode: Oldest}})
	p.Add(t0, initRec("init", false), measure.Peer, time.Time{}, 0)
	recs := stream(7, "init", 2)
	for _, r := range recs[:15] {
		p.Add(t0, r, measure.Peer, time.Time{}, 0)
	}
	drain(p)
	p.Add(t0, endRec(7, 2), measure.Seed, time.Time{}, 0)
	if v := p.Add(t0, endRec(5, 4), measure.Peer, time.Time{}, 0); v != Duplicate {
		t.Errorf("the end of an earlier stream, signed by the same key, is taken: %v", v)
	}
	for _, r := range recs[15:] {
		p.Add(t0, r, measure.Peer, time.Time{}, 0)
	}
	drain(p)
	if k := kinds(events(p)); !slices.Contains(k, End) {
		t.Errorf("the stream is over and the player does not say so: %v", k)
	}
}

// A stream is closed only when there is time for neighbours to do better, and so much
// later in a room that is short of uplink.
func TestAPlayerIsAtEaseWhileTheOriginCanWait(t *testing.T) {
	recs := stream(5, "init", 3)
	p := New(t0, Config{Buffer: time.Second, OriginRTT: 50 * time.Millisecond})
	start := asksOf(p)[0].ID
	if p.AtEase(t0) {
		t.Error("nothing plays yet, and it is at ease")
	}
	p.Add(t0, initRec("init", false), measure.Origin, time.Time{}, start)
	for _, r := range recs[:5] {
		p.Add(t0, r, measure.Origin, time.Time{}, start)
	}
	p.StopStream(at(1))
	asksOf(p)
	// What is there is played until 1.5 s; nothing is known to follow.
	dry := p.NextTimeout()
	if at(1500).Sub(dry) < 100*time.Millisecond {
		t.Errorf("the origin is to be asked at %v", dry.Sub(t0))
	}
	eases := func(short bool) (before time.Duration) {
		p.SetShort(short)
		for before < time.Second && !p.AtEase(dry.Add(-before)) {
			before += time.Millisecond
		}
		return before
	}
	if long, short := eases(false), eases(true); long < easeMargin || short <= long {
		t.Errorf("at ease until %v before the origin is asked, in a room that is short until %v", long, short)
	}
	p.SetShort(false)
	p.Advance(dry)
	if q := asksOf(p); len(q) != 1 || q[0].Kind != AskAfter {
		t.Errorf("nothing is known to follow, and it asks for %+v", q)
	}
	for _, r := range recs[5:10] {
		p.Add(dry, r, measure.Peer, time.Time{}, 0)
	}
	if !p.AtEase(dry) {
		t.Error("half a second is there, and it is not at ease")
	}
}

// Of what the origin was asked for nothing has come for longer than it takes to answer:
// until it does, others had better be asked too.
func TestAnOriginThatOwesAnAnswerIsNotReliedOn(t *testing.T) {
	recs := stream(5, "init", 20)
	p := New(t0, Config{Start: Start{Mode: Oldest}})
	start := asksOf(p)[0].ID
	p.Add(at(50), initRec("init", false), measure.Origin, time.Time{}, start)
	for _, r := range recs[:5] {
		p.Add(at(50), r, measure.Origin, time.Time{}, start)
	}
	p.Answered(at(50), start, Answer{})
	p.Announce(at(50), recs[6].Piece.ID)
	now := at(50)
	var q []Ask
	for len(q) == 0 || q[0].Kind != AskPieces {
		now = now.Add(10 * time.Millisecond)
		if p.Advance(now); now.Sub(t0) > 3*time.Second {
			t.Fatal("the origin was not asked")
		}
		q = append(asksOf(p), q...)
	}
	relied := func(after time.Duration) bool { return p.Backstop(now.Add(after)) > 0 }
	surely := p.owed().Sub(now)
	if !relied(0) || !relied(surely-1) {
		t.Error("it has just been asked, and is not relied on")
	}
	if p.NextTimeout().After(now.Add(surely)) {
		t.Errorf("nobody looks before %v, whether it has answered by %v", p.NextTimeout(), now.Add(surely))
	}
	if relied(surely) {
		t.Error("it has not answered in time, and is relied on")
	}
	if left := p.lead() - surely; left < 100*time.Millisecond {
		t.Errorf("%v are left to ask a neighbour", left)
	}
	p.Add(now.Add(surely), recs[5], measure.Origin, time.Time{}, q[0].ID)
	if !relied(surely) {
		t.Error("it has answered at last, and is not relied on")
	}
}

// TestAnOriginThatIsTooSlowIsNotReliedOn: it would be asked too late, for it is not
// asked earlier than the buffer allows.
func TestAnOriginThatIsTooSlowIsNotReliedOn(t *testing.T) {
	recs := stream(5, "init", 2)
	p := New(t0, Config{OriginRTT: 800 * time.Millisecond})
	start := asksOf(p)[0].ID
	p.Add(t0, initRec("init", false), measure.Origin, time.Time{}, start)
	p.Add(at(800), recs[0], measure.Origin, time.Time{}, start)
	if b := p.Backstop(at(800)); b != 0 {
		t.Errorf("it takes %v to answer, is asked %v before, and is relied on for %v", p.asks.rtt, p.lead(), b)
	}
}

// begun returns a player that has had its start of the origin, whose stream it does not
// need any more.
func begun(recs []segment.Record) *Player {
	p := New(t0, Config{})
	start := asksOf(p)[0].ID
	p.Add(t0, initRec("init", false), measure.Origin, time.Time{}, start)
	for _, r := range recs {
		p.Add(t0, r, measure.Origin, time.Time{}, start)
	}
	p.StopStream(t0)
	asksOf(p)
	return p
}

// Whoever's neighbours are a little late lacks a few pieces, and asks for no more; whoever
// gets nothing from anybody else is streamed to.
func TestWhereNeighboursAreLateAFewPiecesAreAskedFor(t *testing.T) {
	recs := stream(5, "init", 5) // a piece each 100 ms
	p := begun(recs[:13])
	next := func(ms int) (Ask, int) {
		for ; ms < 10_000; ms += 10 {
			p.Advance(at(ms))
			if list := asksOf(p); len(list) > 0 {
				return list[0], ms
			}
		}
		t.Fatal("nothing is asked for")
		return Ask{}, 0
	}
	p.Add(t0, recs[13], measure.Peer, time.Time{}, 0)
	a, ms := next(10)
	if a.Kind != AskAfter || a.For != fewTime || p.Streaming() {
		t.Fatalf("neighbours bring pieces: asked for %+v", a)
	}
	n := 14 // as much as was asked for: from the first piece's DTS on, fewTime of it
	for first := recs[n].Piece.DTS; ; n++ {
		p.Add(at(ms), recs[n], measure.Origin, time.Time{}, a.ID)
		if recs[n].Piece.DTS-first >= fewTime.Milliseconds() {
			break
		}
	}
	p.Answered(at(ms), a.ID, Answer{})
	// They have not done better since.
	a, ms = next(ms)
	if a.Kind != AskAfter || a.For != 0 || !p.Streaming() {
		t.Errorf("nobody else has brought anything: asked for %+v", a)
	}
	p.Add(at(ms), recs[n+1], measure.Peer, time.Time{}, 0)
	p.StopStream(at(ms))
	asksOf(p)
	if a, _ = next(ms + 10); a.For == 0 {
		t.Errorf("a neighbour has brought a piece again: asked for %+v", a)
	}
}

// How early the origin is asked follows from its answers: twice as early as they come
// in, and earlier if they vary.
func TestTheOriginIsAskedAsEarlyAsItsAnswersVary(t *testing.T) {
	p := begun(stream(5, "init", 2))
	p.asks.rtt, p.asks.vary = 100*time.Millisecond, 10*time.Millisecond
	if got, want := p.lead(), 200*time.Millisecond+leadMargin; got != want {
		t.Errorf("even answers: asked %v ahead, want %v", got, want)
	}
	p.asks.vary = 50 * time.Millisecond
	if got, want := p.lead(), 300*time.Millisecond+leadMargin; got != want {
		t.Errorf("uneven answers: asked %v ahead, want %v", got, want)
	}
}

// The next pieces are spoken of, but nobody has sent one behind them, which would prove
// it. They are asked for by name; if the origin does not know them, what follows is
// asked for, and nothing counts as lost.
func TestWhatIsSpokenOfIsAskedForByName(t *testing.T) {
	recs := stream(5, "init", 5)
	next := func(p *Player, from, to int) (a Ask, when int) {
		for ms := from; ms < to; ms += 10 {
			p.Advance(at(ms))
			if list := asksOf(p); len(list) > 0 {
				return list[0], ms
			}
		}
		return Ask{}, to
	}
	p := begun(recs[:13])
	if a, _ := next(p, 10, 5000); a.Kind != AskAfter {
		t.Errorf("nobody speaks of anything, and it asked for %+v", a)
	}
	p = begun(recs[:13])
	p.Hear(recs[19].Piece.ID)
	a, when := next(p, 10, 5000)
	if a.Kind != AskPieces || len(a.Pieces) != spokenMost || a.Pieces[0] != recs[13].Piece.ID {
		t.Fatalf("asked for %+v", a)
	}
	if due, _ := p.Due(5, 1300); at(when).After(due) {
		t.Errorf("asked at %d ms, when it was due", when)
	}
	p.Answered(at(when+50), a.ID, Answer{Gone: true})
	if b, later := next(p, when+50, when+1000); b.Kind != AskAfter || later > when+100 {
		t.Errorf("the origin does not know them: after %d ms %+v", later-when, b)
	}
	for ms := when + 60; ms < when+3000; ms += 10 {
		p.Hear(recs[19].Piece.ID)
		p.Advance(at(ms))
		for _, a := range asksOf(p) {
			if a.Kind == AskPieces {
				t.Errorf("asked again for %v", a.Pieces)
			}
		}
	}
	p.Add(at(when+3000), recs[20], measure.Peer, time.Time{}, 0) // a keyframe, to which a player could jump
	p.Add(at(when+3000), recs[13], measure.Peer, time.Time{}, 0)
	if id, _ := p.Position(); id != recs[14].Piece.ID || p.Gaps != 0 {
		t.Errorf("it stands at %v, with %d gaps", id, p.Gaps)
	}
}

// A keyframe may be more pieces than are asked for at once, all of them due together:
// as some come, the next are asked for.
func TestOfWhatIsSpokenOfTheNextAreAskedForAsSomeCome(t *testing.T) {
	recs := stream(5, "init", 5)
	p := begun(recs[:11])
	p.Hear(recs[19].Piece.ID)
	var asked []segment.ID
	open := map[uint64]bool{}
	for ms := 10; ms < 3000 && len(asked) < 9; ms += 10 {
		p.Advance(at(ms))
		if n := len(asked); n >= spokenMost { // the rest of them does not come
			p.Add(at(ms), recs[11+n-spokenMost], measure.Origin, time.Time{}, 2)
		}
		for _, a := range asksOf(p) {
			if a.Kind != AskPieces {
				t.Fatalf("at %d ms it asks for %+v", ms, a)
			}
			asked, open[a.ID] = append(asked, a.Pieces...), true
		}
	}
	for i, id := range asked {
		if id != recs[11+i].Piece.ID {
			t.Errorf("asked for %v", asked)
			break
		}
	}
	if len(asked) != 9 || len(open) < 3 {
		t.Errorf("asked for %v, in %d requests", asked, len(open))
	}
}

// A hole is being filled, and nothing is known of what comes behind it, though that is
// needed as soon: the stream behind what is known is asked for, before the hole's piece
// has come.
func TestWhatFollowsAHoleIsAskedForBesideIt(t *testing.T) {
	recs := stream(5, "init", 5)
	p := begun(recs[:13])
	p.Announce(t0, recs[14].Piece.ID)
	hole := 0
	for ms := 10; ms < 3000; ms += 10 {
		p.Advance(at(ms))
		for _, a := range asksOf(p) {
			switch {
			case a.Kind == AskPieces:
				hole = ms
			case a.Kind == AskAfter && a.After == recs[14].Piece.ID:
				if due, _ := p.Due(5, 1400); hole == 0 || at(ms).After(due) {
					t.Errorf("asked for the hole at %d ms, for what follows at %d", hole, ms)
				}
				return
			default:
				t.Fatalf("at %d ms it asks for %+v", ms, a)
			}
		}
	}
	t.Errorf("the hole was asked for at %d ms, what follows not", hole)
}

// A hole that it is another's turn to ask for is left to him for a while; but not for so
// long where he could hardly hand it on.
func TestWhereUplinkIsShortAnothersTurnIsShorter(t *testing.T) {
	recs := stream(5, "init", 5)
	asked := func(others, short bool) time.Duration {
		p := begun(recs[:13])
		p.cfg.Turn = func(segment.ID) bool { return !others }
		p.SetShort(short)
		p.Announce(t0, recs[14].Piece.ID)
		for ms := time.Duration(0); ; ms++ {
			if p.Advance(t0.Add(ms * time.Millisecond)); len(asksOf(p)) > 0 {
				return ms * time.Millisecond
			}
		}
	}
	ours, theirs, short := asked(false, true), asked(true, false), asked(true, true)
	if !(ours < short && short < theirs) {
		t.Errorf("asked for after %v when it is our turn, %v when another's, %v where uplink is short", ours, theirs, short)
	}
}

// Where the stream is known to end nothing follows.
func TestNothingIsAskedForBehindTheEnd(t *testing.T) {
	recs := stream(5, "init", 2)
	p := begun(recs[:13])
	p.Add(at(1), endRec(5, 2), measure.Peer, time.Time{}, 0)
	for ms := 10; ms < 3000; ms += 10 {
		p.Advance(at(ms))
		for _, a := range asksOf(p) {
			if a.Kind != AskPieces {
				t.Fatalf("at %d ms it asks for %+v", ms, a)
			}
		}
	}
}

// An origin that many ask for streams at once may owe one for long: what is known to
// be missing is asked for beside it, as soon as it is late.
func TestAStreamThatDoesNotBeginIsNotWaitedFor(t *testing.T) {
	recs := stream(5, "init", 5)
	p := begun(recs[:3])
	var opened int
	for ms := 10; ms < 3000; ms += 10 {
		p.Advance(at(ms))
		for _, a := range asksOf(p) {
			switch {
			case a.Kind == AskAfter:
				opened = ms
				p.Add(at(ms), recs[6], measure.Peer, time.Time{}, 0) // 3 to 5 are missing
			case a.Kind == AskPieces && a.Pieces[0] == recs[3].Piece.ID:
				if opened == 0 || ms-opened > 600 {
					t.Errorf("the stream was asked for at %d ms, the pieces at %d", opened, ms)
				}
				return
			}
		}
	}
	t.Errorf("a stream was asked for at %d ms, and nothing else", opened)
}

// Front skips the pieces; it says what going through them one by one says.
func TestTheFrontIsWhereTheHolesEnd(t *testing.T) {
	fronts := map[segment.ID]bool{}
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		p := New(at(0), Config{})
		recs := stream(7, "a", 8)
		p.Add(at(0), initRec("a", false), measure.Origin, time.Time{}, 0)
		for i := range 10 { // it plays
			p.Add(at(10*i), recs[i], measure.Origin, at(0), p.asks.start)
		}
		for step := range 60 {
			now := at(200 + 20*step)
			if rec := recs[rnd.IntN(len(recs))]; rnd.IntN(3) > 0 {
				p.Add(now, rec, measure.Peer, at(0), 0)
			} else {
				p.Announce(now, rec.Piece.ID)
			}
			p.Advance(now)
			drain(p)
			end, _ := p.holes(func(segment.ID, int64) bool { return true })
			if got := p.Front(); got != end.next {
				t.Fatalf("seed %d, step %d: the front is %v, want %v", seed, step, got, end.next)
			}
			fronts[end.next] = true
		}
	}
	if len(fronts) < 20 {
		t.Fatalf("only %d fronts", len(fronts))
	}
}
