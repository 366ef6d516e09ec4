package node

import (
	"crypto/ed25519"
	"fmt"

	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/tracker"
	"github.com/xp2p/xp2p/lib/wire"
	"github.com/xp2p/xp2p/lib/xntp"
)

func (x *world) account() tracker.Account {
	a, _ := x.tr.Account("match")
	return a
}

// few is a world with n viewers who are there from the start and upload what they
// like.
func few(t *testing.T, seed uint64, topo string, n, bps int, d time.Duration) *world {
	x := newWorld(t, seed, topo)
	x.broadcast(bps, 2*time.Second, d)
	for i := range n {
		x.join(time.Duration(i)*50*time.Millisecond, fmt.Sprintf("viewer %d", i+1), hostOptions{})
	}
	return x
}

func TestAfterTwentyFiveSecondsTheTrackerHoldsReceiptsForWhatViewersGotFromEachOther(t *testing.T) {
	both(t, func(t *testing.T, topo string) {
		// The stream ends before the first receipts are due, so that the last ones can
		// have come: each is up to ten seconds late at the receiver and as many at the
		// sender.
		x := few(t, 41, topo, 5, 2_000_000, 9*time.Second)
		paper := 0
		x.w.After(time.Second, func() {
			for _, v := range x.viewers {
				send := v.n.send
				v.n.send = func(now time.Time, c xntp.ConnID, o xntp.Object) (xntp.ObjectID, error) {
					if kind, _, _ := wire.SwarmRoom(o.Data[0]); kind == wire.SwarmReceipt {
						paper += len(o.Data[0])
					}
					return send(now, c, o)
				}
			}
		})
		x.run(15 * time.Second)
		// One goes: what it had and gave stays counted.
		x.viewers[2].proc.Do(func(now time.Time) { x.viewers[2].n.Close(now) })
		x.run(10 * time.Second)
		gone := x.viewers[2].sess
		s := x.totals(slices.Concat(x.viewers[:2], x.viewers[3:])...)
		a := x.account()
		t.Logf("vouched %d of %d, share %.3f; refused %d, cut %d", a.VouchedBytes, a.PeerBytes, a.VouchedShare, a.Refused, a.CutBytes)
		if a.PeerBytes < s.peer*11/10 || a.PeerBytes > s.peer*14/10 {
			t.Errorf("session %d left: peers had %d without it, and say %d with it", gone, s.peer, a.PeerBytes)
		}
		if a.VouchedBytes > a.PeerBytes || a.VouchedBytes < a.PeerBytes*9/10 {
			t.Errorf("%d are vouched for", a.VouchedBytes)
		}
		if paper == 0 || int64(paper) > a.PeerBytes/2000 {
			t.Errorf("receipts for %d bytes took %d", a.PeerBytes, paper)
		}
		if a.Refused != 0 || a.CutBytes != 0 || len(a.FreeRiders)+len(a.Polluters) != 0 || len(a.Peers) != 4 {
			t.Errorf("%+v", a)
		}
		sum := int64(0)
		for _, p := range a.Peers {
			sum += p.VouchedBytes
		}
		if sum == 0 || sum >= a.VouchedBytes {
			t.Errorf("those who are here are vouched for with %d of %d", sum, a.VouchedBytes)
		}
	})
}

func TestAPolluterLosesItsNeighboursWithinFiveSecondsOfItsFirstBadByte(t *testing.T) {
	both(t, func(t *testing.T, topo string) {
		x := few(t, 42, topo, 5, 1_000_000, 9*time.Second)
		bad := x.join(100*time.Millisecond, "polluter", hostOptions{})
		victims := 0
		x.w.After(3*time.Second, func() {
			// It lies to three of its fellows, and to the others it does not.
			honest := bad.n.send
			met := map[xntp.ConnID]bool{}
			bad.n.send = func(now time.Time, c xntp.ConnID, o xntp.Object) (xntp.ObjectID, error) {
				if kind, _, _ := wire.SwarmRoom(o.Data[0]); kind == wire.SwarmPiece && !met[c] && len(met) < 3 {
					met[c] = true
					body := slices.Clone(o.Data[1])
					body[0] ^= 1
					o.Data = [][]byte{o.Data[0], body}
				}
				return honest(now, c, o)
			}
		})
		x.run(8 * time.Second)
		id := bad.n.ID()
		for _, v := range x.viewers[:5] {
			if v.report().PollutedBytes > 0 {
				victims++
			}
			if r := v.n.room("match"); r.sw.Has(id) {
				t.Errorf("%s still has it as a neighbour", v.name)
			}
		}
		if a := x.account(); victims < 2 || !slices.Equal(a.Polluters, []wire.PeerID{id}) {
			t.Errorf("%d were lied to, polluters %v", victims, a.Polluters)
		}
		x.run(3 * time.Second)
		for _, v := range x.viewers[:5] {
			x.complete(v)
			if v.stalls > 0 {
				t.Errorf("%s: %d stalls", v.name, v.stalls)
			}
		}
	})
}

func TestWhoGivesNothingIsServedLastAndStillSeesEverything(t *testing.T) {
	if testing.Short() {
		t.Skip("a minute of a room") // nobody is judged before
	}
	// At this rate a neighbour gives so little that receipts are as late as they get:
	// nobody who gives may look idle for that.
	x := few(t, 43, "balanced", 4, 400_000, 74*time.Second)
	idle := x.join(200*time.Millisecond, "idler", hostOptions{}, func(c *Config, _ *Room) { c.NoUpload = true })
	x.run(76 * time.Second)
	if a := x.account(); !slices.Equal(a.FreeRiders, []wire.PeerID{idle.n.ID()}) {
		t.Errorf("free-riders %v: %+v", a.FreeRiders, a)
	}
	for _, v := range x.viewers {
		x.complete(v)
		if v.stalls > 0 {
			t.Errorf("%s: %d stalls", v.name, v.stalls)
		}
	}
}

func TestAReportOfASeedWithManyNeighboursFitsItsMessage(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	entropy := rand.NewChaCha8([32]byte{1})
	key, err := xntp.GenerateKey(entropy)
	if err != nil {
		t.Fatal(err)
	}
	n := New(Config{Key: key, Rand: rand.New(rand.NewPCG(1, 2)), Entropy: entropy, Role: wire.RoleSeed})
	if err := n.Join(now, Room{Name: "match", Key: make(ed25519.PublicKey, ed25519.PublicKeySize)}); err != nil {
		t.Fatal(err)
	}
	sw := n.room("match").sw
	for id := wire.PeerID(1); id <= 1000; id++ {
		sw.Connected(now, id<<50, false, false)
		sw.Receive(now, id<<50, wire.AppendHello(nil, sw.Tag(), &wire.Hello{Name: "match"}), nil)
	}
	n.Report(now, "match")
	for e, ok := n.NextEvent(); ok; e, ok = n.NextEvent() {
		if r, ok := e.Signal.(*wire.SignalReport); ok {
			if _, err := wire.AppendSignal(nil, r); err != nil {
				t.Error(err)
			}
			return
		}
	}
	t.Error("no report")
}
