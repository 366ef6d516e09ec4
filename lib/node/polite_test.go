package node

import (
	"crypto/ed25519"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/swarm"
	"github.com/xp2p/xp2p/lib/wire"
	"github.com/xp2p/xp2p/lib/xntp"
)

// A viewer with a quota gives up to it and no more, and watches on; the others
// miss nothing; and when a new month begins it gives again.
func TestAViewerGivesAsMuchAsItsQuotaAndInANewMonthAgain(t *testing.T) {
	const quota = 1 << 20
	x := newWorld(t, 5, "balanced")
	up := hostOptions{up: 20e6, down: 50e6}
	a := x.join(0, "a", up, func(c *Config, r *Room) { c.Polite = &Polite{Allowance: quota} })
	b := x.join(0, "b", up)
	c := x.join(0, "c", up)
	x.broadcast(1_000_000, 2*time.Second, 28*time.Second)
	x.run(time.Millisecond)
	uploads := map[wire.PeerID]bool{} // as the tracker tells b
	toB := x.sessions[b.sess]
	x.sessions[b.sess] = func(m wire.Signal) {
		if list, ok := m.(*wire.SignalNeighbours); ok {
			for _, m := range list.Members {
				uploads[m.ID] = m.Upload
			}
		}
		toB(m)
	}
	x.run(15 * time.Second)
	r := a.report()
	if r.UploadedBytes > quota || r.UploadedBytes < quota/2 {
		t.Errorf("with a quota of %d it uploaded %d", quota, r.UploadedBytes)
	}
	if *r.UploadAllowed || r.UploadReason != "quota" || r.QuotaLeftBytes == nil || *r.QuotaLeftBytes != quota-a.n.Counts().Given {
		t.Errorf("it says: allowed %v, reason %q, left %v; given %d", *r.UploadAllowed, r.UploadReason, r.QuotaLeftBytes, a.n.Counts().Given)
	}
	if r := b.report(); !*r.UploadAllowed || r.UploadReason != "" || r.QuotaLeftBytes != nil {
		t.Errorf("one without a quota says: allowed %v, reason %q, left %v", *r.UploadAllowed, r.UploadReason, r.QuotaLeftBytes)
	}
	if r := a.n.rooms[0].report(x.w.Now()); r.QuotaLeftBytes != nil {
		t.Error("the log hears what is left of the quota")
	}
	if up, there := uploads[a.n.ID()]; up || !there {
		t.Errorf("of all %v the tracker says that it uploads: %v", uploads, up)
	}
	before := r.UploadedBytes
	a.proc.Do(func(now time.Time) { a.n.SetPolite(now, Polite{Allowance: 100 << 20}) })
	x.run(15 * time.Second)
	if r := a.report(); !*r.UploadAllowed || r.UploadedBytes-before < quota/4 {
		t.Errorf("in the new month it uploaded %d (allowed: %v)", r.UploadedBytes-before, *r.UploadAllowed)
	}
	if !uploads[a.n.ID()] {
		t.Error("the tracker says that it uploads nothing in the new month")
	}
	for _, v := range []*viewer{a, b, c} {
		x.complete(v)
		if v.stalls > 0 {
			t.Errorf("%s stalled", v.name)
		}
	}
	t.Log(x.totals())
}

// The tracker hears of each change, and not too often.
func TestTheTrackerHearsThatAViewerCeasedToUpload(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	entropy := rand.NewChaCha8([32]byte{1})
	key, err := xntp.GenerateKey(entropy)
	if err != nil {
		t.Fatal(err)
	}
	n := New(Config{Key: key, Rand: rand.New(rand.NewPCG(1, 2)), Entropy: entropy})
	if err := n.Join(now, Room{Name: "match", Key: make(ed25519.PublicKey, ed25519.PublicKeySize), NoSignal: true}); err != nil {
		t.Fatal(err)
	}
	metered := Polite{Allowance: swarm.Unbounded, Metered: true}
	free := Polite{Allowance: swarm.Unbounded}
	n.SetPolite(now, metered)
	n.SetPolite(now, free)
	if err := n.Meet(now, "match", Meeting{}); err != nil {
		t.Fatal(err)
	}
	hellos := func() (list []bool) {
		for e, ok := n.NextEvent(); ok; e, ok = n.NextEvent() {
			if h, ok := e.Signal.(*wire.SignalHello); ok {
				list = append(list, h.Upload)
			}
		}
		return list
	}
	if got := hellos(); len(got) != 1 || !got[0] {
		t.Fatalf("it began with %v", got)
	}
	now = now.Add(time.Minute)
	n.Advance(now)
	n.SetPolite(now, metered)
	if at := n.NextTimeout(); at.After(now) {
		t.Errorf("it wants to tell in %v", at.Sub(now))
	}
	n.Advance(now)
	if got := hellos(); len(got) != 1 || got[0] {
		t.Errorf("when its link became a metered one it said %v", got)
	}
	// It comes and goes: what is told is the last of it, ten seconds later.
	for i := range 9 {
		n.SetPolite(now, []Polite{free, metered}[i%2])
		now = now.Add(time.Second)
		n.Advance(now)
	}
	if got := hellos(); len(got) > 0 {
		t.Errorf("within ten seconds it said %v", got)
	}
	now = now.Add(time.Second)
	n.Advance(now)
	if got := hellos(); len(got) != 1 || !got[0] {
		t.Errorf("after ten seconds it said %v", got)
	}
}
