package endpoint

import (
	"context"
	"runtime"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
)

const (
	// turnDatagrams is how many datagrams a machine may send before the loop
	// looks at its input again: a millisecond's work.
	turnDatagrams = 256
	// lookRounds is how often a look waits for what the readers had no batches for. If
	// it did not, who has more to send than he can would hear ever less of his
	// acknowledgements, and take that for a slow path.
	lookRounds = 8
	// A machine that wants to be woken now, again and again, is given a rest of
	// hurryRest after maxHurry turns.
	maxHurry  = 64
	hurryRest = time.Millisecond
)

// loop owns the machine.
func (e *Endpoint) loop(ctx context.Context, a alarm) error {
	hurry := 0
	for more := e.turn(); ; more = e.turn() {
		next := e.m.NextTimeout()
		now := e.now()
		switch wait := next.Sub(now); {
		case more, !next.IsZero() && wait <= 0:
			if hurry++; more || hurry < maxHurry {
				if err := e.look(ctx); err != nil || ctx.Err() != nil {
					return e.leave(err)
				}
				continue
			}
			a.set(now, now.Add(hurryRest))
		case !next.IsZero():
			a.set(now, next)
		}
		hurry = 0
		select {
		case b := <-e.in:
			e.receive(b)
		case f := <-e.work:
			f(e.now())
		case <-a.ring():
			a.rung()
		case <-ctx.Done():
			return e.leave(nil)
		case err := <-e.fatal:
			return e.leave(err)
		}
		e.count.wakeups.Add(1)
		if err := e.look(ctx); err != nil {
			return e.leave(err)
		}
	}
}

// look takes what else is there, without waiting: so that one wake-up serves
// it all.
func (e *Endpoint) look(ctx context.Context) error {
	for range lookRounds {
		more, err := e.pending()
		if err != nil {
			return err
		}
		if !more {
			break
		}
		runtime.Gosched() // the readers have batches again
	}
	for range commandQueue {
		select {
		case f := <-e.work:
			f(e.now())
			continue
		default:
		}
		break
	}
	return nil
}

// pending takes the batches that wait, and reports whether the kernel may hold more.
func (e *Endpoint) pending() (more bool, err error) {
	for n := range batchCount {
		select {
		case b := <-e.in:
			more = b.n == batchSize || n == batchCount-1
			e.receive(b)
		case err := <-e.fatal:
			return false, err
		default:
			return more, nil
		}
	}
	return more, nil
}

// turn keeps the rhythm once, and reports whether the machine has more to say
// than one turn allows.
func (e *Endpoint) turn() (more bool) {
	e.count.turns.Add(1)
	now := e.now()
	if t := e.m.NextTimeout(); !t.IsZero() && !t.After(now) {
		e.m.Advance(now)
	}
	more = e.drain(now)
	if e.c.Step != nil {
		e.c.Step(now)
		// Step may have given commands, and these datagrams.
		more = e.drain(now) || more
	}
	return more
}

// drain writes what the machine has to send.
func (e *Endpoint) drain(now time.Time) (more bool) {
	o := &e.out
	for range turnDatagrams {
		p, ok := e.m.AppendDatagram(now, o.room(e))
		if !ok {
			e.flush()
			return false
		}
		o.add(e, p)
	}
	e.flush()
	return true
}

// receive gives a batch to the machine. Kernel stamps are of the wall clock;
// the machine gets them on the line of its now, which has no jumps.
func (e *Endpoint) receive(b *batch) {
	now := e.now()
	wall, bytes := now.UnixNano(), 0
	if e.socket(b.socket.id) == nil {
		b.n = 0 // it was closed meanwhile
	}
	datagrams := 0
	for i := range b.n {
		p := b.pkts[i]
		p.Socket, p.Stamp = b.socket.id, time.Time{}
		if age := time.Duration(wall - b.stamps[i]); b.stamps[i] != 0 && age >= 0 && age < time.Second {
			p.Stamp = now.Add(-age)
		}
		bytes += len(p.Data)
		run, each := p.Data, p.Segment
		if each <= 0 || each > len(run) {
			each = len(run)
		}
		for p.Segment = 0; ; run = run[each:] {
			p.Data = run[:min(each, len(run))]
			datagrams++
			e.m.Receive(now, p)
			if len(run) <= each {
				break
			}
		}
	}
	e.count.batchesIn.Add(1)
	e.count.messagesIn.Add(uint64(b.n))
	e.count.packetsIn.Add(uint64(datagrams))
	e.count.bytesIn.Add(uint64(bytes))
	b.socket = nil
	e.pool <- b // has room for every batch there is
}

// leave runs the last turn.
func (e *Endpoint) leave(err error) error {
	now := e.now()
	if e.c.Leave != nil {
		e.c.Leave(now)
	}
	e.drain(now)
	if e.c.Step != nil {
		e.c.Step(now)
		e.drain(now)
	}
	return err
}

// now is the time for the machine. It never goes backwards.
func (e *Endpoint) now() time.Time {
	if t := time.Now(); t.After(e.last) {
		e.last = t
	}
	return e.last
}

// outbox collects datagrams of one socket until they are written in one call.
type outbox struct {
	arena  []byte
	used   int
	socket machine.Socket
	pkts   []machine.Packet
}

const (
	arenaBytes = 256 << 10
	maxBatch   = 64 << 10 // the most that a machine appends at once (GSO)
	writeBatch = 160      // datagrams in one call: an arena full
)

func (o *outbox) init() {
	o.arena = make([]byte, arenaBytes)
	o.pkts = make([]machine.Packet, 0, writeBatch)
}

// room is where the machine may append its next datagram.
func (o *outbox) room(e *Endpoint) []byte {
	if len(o.arena)-o.used < maxBatch || len(o.pkts) == writeBatch {
		e.flush()
	}
	return o.arena[o.used:o.used]
}

// add takes what the machine appended to room; a batch becomes datagrams.
func (o *outbox) add(e *Endpoint, p machine.Packet) {
	if p.Socket != o.socket {
		used := o.used
		e.flush()
		o.used = used // p is still there
	}
	o.socket = p.Socket
	o.used += len(p.Data)
	size := p.Segment
	if size <= 0 {
		size = len(p.Data)
	}
	p.Segment = 0
	for data := p.Data; len(data) > 0; {
		n := min(size, len(data))
		p.Data, data = data[:n:n], data[n:]
		if len(o.pkts) == writeBatch {
			used := o.used
			e.flush()
			o.used = used
		}
		o.pkts = append(o.pkts, p)
	}
}

// What became of packets: those that left, in how many messages; and of the others
// those that do not fit their way out.
type written struct{ packets, messages, bytes, tooBig int }

// flush writes what has been collected.
func (e *Endpoint) flush() {
	o := &e.out
	if len(o.pkts) > 0 {
		var w written
		switch s := e.socket(o.socket); {
		case s == nil:
		case s.carrier != nil:
			w = s.writeCarrier(o.pkts)
		default:
			w = s.sys.write(s, o.pkts)
		}
		e.count.batchesOut.Add(1)
		e.count.messagesOut.Add(uint64(w.messages))
		e.count.packetsOut.Add(uint64(w.packets))
		e.count.bytesOut.Add(uint64(w.bytes))
		e.count.sendDrops.Add(uint64(len(o.pkts) - w.packets))
		e.count.sendTooBig.Add(uint64(w.tooBig))
	}
	clear(o.pkts)
	o.pkts = o.pkts[:0]
	o.used = 0
}
