package node

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"time"

	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/swarm"
	"github.com/xp2p/xp2p/lib/wire"
	"github.com/xp2p/xp2p/lib/xntp"
)

// receiptKey makes the key that a node signs receipts with from the one that it
// is known by, which cannot sign: a node that comes back as itself signs as
// itself, and no second secret has to be kept.
func receiptKey(key xntp.PrivateKey) ed25519.PrivateKey {
	h := sha256.New()
	h.Write([]byte("xp2p receipt key\x00"))
	h.Write(key[:])
	return ed25519.NewKeyFromSeed(h.Sum(nil))
}

// receiptPublic is the key for the hello; zero where nothing is signed.
func (n *Node) receiptPublic() (k wire.Key) {
	if n.receiptKey != nil {
		copy(k[:], n.receiptKey.Public().(ed25519.PublicKey))
	}
	return k
}

// reportSoon is how long a report may be put off that the tracker should have at
// once; so a node that is sent bad bytes by many reports once a second.
const reportSoon = time.Second

// tellReport reports to the room's tracker.
func (r *room) tellReport(now time.Time) {
	r.reportAt, r.reportedAt = now.Add(reportEvery), now
	rep := r.report(now)
	b, err := json.Marshal(rep)
	for err == nil && len(b) > wire.MaxSignalReport && len(rep.Neighbours) > 0 {
		rep.Neighbours = rep.Neighbours[(len(rep.Neighbours)+1)/2:] // those that matter most come last
		b, err = json.Marshal(rep)
	}
	if err == nil {
		r.n.tell(Event{Kind: EventSignal, Room: r.cfg.Name, Signal: &wire.SignalReport{Report: b, Receipts: r.sw.Receipts(wire.MaxSignalReceipts), Unreached: r.unreached(now)}})
	}
}

// hurryReport reports before its time.
func (r *room) hurryReport(now time.Time) {
	if r.reportAt.IsZero() || r.leaving {
		return
	}
	at := now
	if next := r.reportedAt.Add(reportSoon); next.After(at) {
		at = next
	}
	r.reportAt = earlier(r.reportAt, at)
}

// Report has a node report to the room's tracker now: before its owner leaves it,
// so that no receipt is lost. The report is an EventSignal.
func (n *Node) Report(now time.Time, name string) {
	if r := n.room(name); r != nil && !r.reportAt.IsZero() {
		r.sw.SignAll(now)
		r.tellReport(now)
	}
}

// addPolluters adds to a report's neighbours those whose bytes did not verify,
// most of whom are none any more. They matter more than the last neighbours of a
// full list.
func addPolluters(rep *measure.Report, list []swarm.Polluter) {
	for _, p := range list {
		id := p.ID.String()
		found := false
		for i := range rep.Neighbours {
			if rep.Neighbours[i].ID == id {
				rep.Neighbours[i].PollutedBytes, found = p.Bytes, true
			}
		}
		if !found {
			rep.Neighbours = rep.Neighbours[:min(len(rep.Neighbours), measure.MaxReportNeighbours-1)]
			rep.Neighbours = append(rep.Neighbours, measure.Neighbour{ID: id, Role: string(wire.RolePeer), PollutedBytes: p.Bytes})
		}
	}
}
