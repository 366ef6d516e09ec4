package many

import (
	"encoding/binary"
	"time"

	"github.com/xp2p/xp2p/lib/xntp"
)

// A pump is the endpoint that is measured, with objects that fall due: each of its
// connections gets one every interval, all at different times.
type pump struct {
	*xntp.Endpoint
	conns    []xntp.ConnID
	on       bool
	body     []byte // of all objects, behind their stamps: as a piece goes to many
	interval time.Duration
	start    time.Time     // the line of time that objects are stamped on
	next     time.Duration // on it, when the next object is due
	turn     int           // whose it is
	sent     int
	refused  int
}

// NextTimeout is the next object's time too. Objects of the same two milliseconds
// leave together: that is later than any of them could be noticed.
const tick = 2 * time.Millisecond

func (p *pump) NextTimeout() time.Time {
	t := p.Endpoint.NextTimeout()
	if p.on {
		if at := p.start.Add(p.next.Truncate(tick) + tick); t.IsZero() || at.Before(t) {
			t = at
		}
	}
	return t
}

func (p *pump) Advance(now time.Time) {
	p.Endpoint.Advance(now)
	for p.on && now.Sub(p.start) >= p.next {
		stamp := binary.BigEndian.AppendUint64(nil, uint64(p.next))
		if _, err := p.Send(now, p.conns[p.turn], xntp.Object{Data: [][]byte{stamp, p.body}, Quiet: true}); err != nil {
			p.refused++
		}
		p.sent++
		p.turn = (p.turn + 1) % len(p.conns)
		p.next += p.interval / time.Duration(len(p.conns))
	}
}

// step takes the endpoint's events.
func (p *pump) step(time.Time) {
	for ev, ok := p.NextEvent(); ok; ev, ok = p.NextEvent() {
		if ev.Kind == xntp.EventConnected {
			p.conns = append(p.conns, ev.Conn)
		}
	}
}
