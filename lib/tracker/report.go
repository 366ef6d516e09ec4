package tracker

import (
	"fmt"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/wire"
)

// TickInterval is how often uplinks that peers measured reach the lists of
// others: often enough for a stream's length, and rarely enough that lists do
// not chatter.
const TickInterval = 10 * time.Second

// Report takes what a peer says of itself.
func (t *Tracker) Report(session Session, m *wire.SignalReport) (*measure.Report, error) {
	p := t.sessions[session]
	if p == nil {
		return nil, fmt.Errorf("%w: a report before the hello", ErrProtocol)
	}
	r, err := measure.ParseReport(m.Report)
	if err != nil {
		return nil, err
	}
	r.Room, r.ID, r.Role = p.room.name, p.id.String(), string(p.hello.Role)
	p.report = r
	return r, nil
}

// NextTimeout returns when Tick wants to be called.
func (t *Tracker) NextTimeout() time.Time { return t.nextTick }

// Tick lets time pass.
func (t *Tracker) Tick(now time.Time) {
	if now.Before(t.nextTick) {
		return
	}
	t.nextTick = now.Add(TickInterval)
	for _, name := range t.Rooms() {
		r := t.rooms[name]
		for _, id := range r.ids() {
			p := r.peers[id]
			if !p.placed || p.report == nil || !differs(p.uplink, p.report.UplinkBPS) {
				continue
			}
			p.uplink = min(p.report.UplinkBPS, maxUplink)
			t.apply(r, r.top.Update(p.member()))
		}
	}
}

// maxUplink is the most that a list may say (wire refuses more).
const maxUplink = 100_000_000_000

// differs says whether a measured uplink is worth telling: half as much again,
// or a third less.
func differs(old, measured int64) bool {
	if measured <= 0 {
		return false
	}
	return old == 0 || measured >= old+old/2 || measured <= old-old/3
}

// Rooms returns the names of all rooms, ascending.
func (t *Tracker) Rooms() []string {
	names := make([]string, 0, len(t.rooms))
	for name := range t.rooms {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// A RoomStats is a room in numbers.
type RoomStats struct {
	Room     string
	Topology string
	Peers    int // without seeds
	Seeds    int
	Unseen   int // peers that no responder has observed yet: nobody is told of them
	Groups   int
	Reports  []*measure.Report // the last of each who reported, by ascending ID
}

// Stats returns a room in numbers; ok is false if there is no such room.
func (t *Tracker) Stats(name string) (s RoomStats, ok bool) {
	r := t.rooms[name]
	if r == nil {
		return s, false
	}
	s = RoomStats{Room: name, Topology: r.top.Name(), Seeds: len(r.seeds), Peers: len(r.peers) - len(r.seeds), Groups: len(r.top.Groups())}
	for _, id := range r.ids() {
		p := r.peers[id]
		if !p.placed {
			s.Unseen++
		}
		if p.report != nil {
			s.Reports = append(s.Reports, p.report)
		}
	}
	return s, true
}
