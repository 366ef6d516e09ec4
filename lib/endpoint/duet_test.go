package endpoint

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
)

// A duet is a machine for tests. The caller sends numbered questions, waits
// for each answer, pauses, and asks the next; who is asked answers. A question
// without answer is asked again after a second.
type duet struct {
	to     netip.AddrPort // whom to ask; zero: nobody
	socket machine.Socket // to ask by
	rounds int
	pause  time.Duration
	size   int
	ttl    uint8
	ecn    machine.ECN
	noFrag bool

	round  int
	ask    bool      // a question is due now
	next   time.Time // of the next question
	again  time.Time // of the same question once more
	reply  []machine.Packet
	memory [][]byte
	bye    bool
	events []string
	quiet  bool
	seen   machine.Packet // the last packet, without its data
	got    int
	back   bool // now went backwards
	latest time.Time
	busy   int           // times Advance was called
	late   time.Duration // the worst lateness of a pause
}

func (d *duet) tell(what string, numbers ...int) {
	if !d.quiet {
		d.events = append(d.events, what+strings.Trim(fmt.Sprint(slices.Clone(numbers)), "[]"))
	}
}

func (d *duet) tick(now time.Time) {
	d.back = d.back || now.Before(d.latest)
	d.latest = now
}

func (d *duet) Receive(now time.Time, p machine.Packet) {
	d.tick(now)
	d.got++
	d.seen = p
	d.seen.Data = nil
	if len(p.Data) < 5 {
		d.tell("noise of ", len(p.Data))
		return
	}
	n := int(binary.BigEndian.Uint32(p.Data[1:]))
	switch p.Data[0] {
	case '?':
		d.tell("asked ", n, len(p.Data))
		if len(d.reply) == 64 {
			return
		}
		var b []byte
		if k := len(d.memory); k > 0 {
			b, d.memory = d.memory[k-1], d.memory[:k-1]
		}
		b = append(b[:0], p.Data...)
		b[0] = '!'
		d.reply = append(d.reply, machine.Packet{Socket: p.Socket, Remote: p.Remote, Data: b, ECN: d.ecn})
	case '!':
		if n != d.round || d.again.IsZero() {
			return
		}
		d.tell("answered ", n, len(p.Data))
		d.again = time.Time{}
		d.round++
		if d.round < d.rounds {
			d.next = now.Add(d.pause)
		} else {
			d.tell("done")
		}
	case '.':
		d.tell("bye")
	}
}

func (d *duet) start(now time.Time) { d.next = now }
func (d *duet) leave()              { d.bye = true }

func (d *duet) Advance(now time.Time) {
	d.tick(now)
	d.busy++
	if !d.next.IsZero() && !now.Before(d.next) {
		d.late = max(d.late, now.Sub(d.next))
		d.next, d.ask = time.Time{}, true
		d.again = now.Add(time.Second)
	}
	if !d.again.IsZero() && !now.Before(d.again) {
		d.tell("no answer to ", d.round)
		d.again, d.ask = now.Add(time.Second), true
	}
}

func (d *duet) NextTimeout() time.Time {
	if d.next.IsZero() || !d.again.IsZero() && d.again.Before(d.next) {
		return d.again
	}
	return d.next
}

func (d *duet) AppendDatagram(now time.Time, dst []byte) (machine.Packet, bool) {
	d.tick(now)
	if n := len(d.reply); n > 0 {
		p := d.reply[n-1]
		d.reply = d.reply[:n-1]
		d.memory = append(d.memory, p.Data)
		p.Data = append(dst, p.Data...)
		return p, true
	}
	kind := byte('?')
	switch {
	case d.ask:
		d.ask = false
		d.tell("asks ", d.round)
	case d.bye:
		d.bye = false
		kind = '.'
	default:
		return machine.Packet{}, false
	}
	b := binary.BigEndian.AppendUint32(append(dst, kind), uint32(d.round))
	for len(b)-len(dst) < d.size {
		b = append(b, byte(len(b)))
	}
	return machine.Packet{Socket: d.socket, Remote: d.to, Data: b, TTL: d.ttl, ECN: d.ecn, DontFragment: d.noFrag}, true
}
