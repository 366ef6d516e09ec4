package tracker

import (
	"fmt"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
)

// TickInterval is how often uplinks that peers measured reach the lists of
// others: often enough for a stream's length, and rarely enough that lists do
// not chatter.
const TickInterval = 10 * time.Second

// Report takes what a peer says of itself, and the receipts that it shows.
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
	if p.placed && p.hello.Role == wire.RoleSeed && r.RateBPS > 0 {
		t.apply(p.room, p.room.top.SetRate(p.room.rate()))
	}
	if p.placed && p.uplink == 0 && r.UplinkBPS > 0 {
		// How many it can feed was not known until now.
		p.uplink = min(r.UplinkBPS, maxUplink)
		t.apply(p.room, p.room.top.Update(p.member()))
	}
	b := &p.room.books
	if p.account == nil {
		b.stream.say(&p.stream, r.StreamBytes, isOld(r, t.clock.Sub(p.joined)))
		return r, nil
	}
	p.account.report(t.clock, r)
	for i := range m.Receipts {
		if !b.take(p.account, p.room.name, &m.Receipts[i]) {
			b.refused++
		}
	}
	t.accuse(p, r)
	t.part(p, m.Unreached)
	t.countWays(p, r, m.Unreached)
	return r, nil
}

// NextTimeout returns when Tick wants to be called.
func (t *Tracker) NextTimeout() time.Time {
	if t.nextTend.Before(t.nextTick) {
		return t.nextTend
	}
	return t.nextTick
}

// Tick lets time pass.
func (t *Tracker) Tick(now time.Time) {
	if !now.Before(t.nextTend) {
		t.nextTend = now.Add(TendInterval)
		t.tend()
	}
	if now.Before(t.nextTick) {
		return
	}
	t.nextTick, t.clock = now.Add(TickInterval), now
	for _, name := range t.Rooms() {
		r := t.rooms[name]
		t.settle(now, r)
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

// TendInterval is how often rooms are put in order: as fast as a crowd comes. When
// one of manyGone has left a room since, it is put in order after tendSoon: by then
// the others who leave with him have left too.
const (
	TendInterval = time.Second
	tendSoon     = 100 * time.Millisecond
	manyGone     = 20
)

// tend lets topologies that wish to put themselves in order.
func (t *Tracker) tend() {
	for _, name := range t.Rooms() {
		r := t.rooms[name]
		r.gone = 0
		if top, ok := r.top.(interface{ Tend() topology.Change }); ok {
			t.apply(r, top.Tend())
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
	Zones    []ZoneStats       // by ascending name; none if the tracker knows no zones
	Reports  []*measure.Report // the last of each who reported, by ascending ID
}

// Stats returns a room in numbers; ok is false if there is no such room.
func (t *Tracker) Stats(name string) (s RoomStats, ok bool) {
	r := t.rooms[name]
	if r == nil {
		return s, false
	}
	s = RoomStats{Room: name, Topology: r.top.Name(), Seeds: len(r.seeds), Peers: len(r.peers) - len(r.seeds), Groups: len(r.top.Groups()), Zones: r.zoneStats()}
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
