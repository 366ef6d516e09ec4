package xntp

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

// A spend is where the bytes of IP packets go.
type spend struct {
	packets, headers, tags, acks, opens, objs, padding, other, pieces, messages int
	ackOnly, messageOnly                                                        int // packets without parts of pieces
}

func (s *spend) total() int {
	return s.headers + s.tags + s.acks + s.opens + s.objs + s.padding + s.other + s.pieces + s.messages
}

func (s *spend) String() string {
	share := func(n int) string { return fmt.Sprintf("%.2f %%", 100*float64(n)/float64(s.total())) }
	return fmt.Sprintf("%d packets, %d of them acknowledgements alone, %d messages; headers %s, tags %s, ACK %s, OPEN %s, OBJ %s, padding %s, others %s, messages %s, pieces %s",
		s.packets, s.ackOnly, s.messageOnly, share(s.headers), share(s.tags), share(s.acks), share(s.opens), share(s.objs), share(s.padding), share(s.other), share(s.messages), share(s.pieces))
}

const smallest = 2000 // bytes of a piece; what is smaller is a message

// spend looks into a data packet that one node sends to another.
func (s *spend) see(w *world, from, to *node, p *machine.Packet) {
	if to == nil || wire.Classify(p.Data) != wire.PacketShort {
		return
	}
	cid, _ := wire.ShortCID(p.Data)
	c := to.byCID[cid]
	if c == nil || !c.protect.ready {
		return
	}
	open := c.protect // a copy: only the receiver's own may roll
	frames, _, ok := open.open(make([]byte, 0, 2048), p.Data, c.acks.next())
	if !ok {
		return
	}
	s.packets++
	s.headers += 28 + len(p.Data) - len(frames) - wire.TagLen
	s.tags += wire.TagLen
	var f wire.Frame
	piece, eliciting := false, false
	for len(frames) > 0 {
		rest, err := f.Parse(frames)
		if err != nil {
			w.t.Fatal(err)
		}
		n := len(frames) - len(rest)
		frames = rest
		eliciting = eliciting || f.Type.AckEliciting()
		switch f.Type {
		case wire.FrameAck, wire.FrameAckECN:
			s.acks += n
		case wire.FrameOpen:
			s.opens += n
		case wire.FramePadding:
			s.padding += n
		case wire.FrameObj:
			s.objs += n - len(f.Data)
			for _, o := range from.order {
				if o.remote != cid {
					continue
				}
				if x := o.out.all[f.ID]; x != nil && x.size >= smallest {
					piece = true
					s.pieces += len(f.Data)
				} else {
					s.messages += len(f.Data)
				}
			}
		default:
			s.other += n
		}
	}
	switch {
	case !eliciting:
		s.ackOnly++
	case !piece:
		s.messageOnly++
	}
}

// A member of a room with ten neighbours: its uplink of 1 Mbit/s carries its part
// of the stream to them, and theirs carry the other parts to it. Everybody tells
// everybody of each piece in a message.
func TestWhatAnUplinkIsSpentOn(t *testing.T) {
	if brief() {
		t.Skip("four minutes of eleven nodes")
	}
	w := newWorld(t, 12)
	r := rand.New(rand.NewPCG(12, 1))
	narrow := link{delay: 20 * time.Millisecond, rate: 1e6, queue: 40_000}
	hub := w.add("hub", narrow)
	var out, in []ConnID
	var far []*node
	for i := range 10 {
		l := narrow
		l.delay = time.Duration(5+5*i) * time.Millisecond
		n := w.add(string(rune('a'+i)), l)
		hc, nc := w.dial(hub, n)
		out, in, far = append(out, hc), append(in, nc), append(far, n)
		hub.events = nil
	}
	var up, down spend
	w.meddle = func(from, to *node, p *machine.Packet) {
		if from == hub {
			up.see(w, from, to, p)
		} else {
			down.see(w, from, to, p)
		}
	}
	message := func() Object { return Object{Data: [][]byte{make([]byte, 20+r.IntN(40))}} }
	send := func(n *node, id ConnID, o Object) {
		if _, err := n.Send(w.now, id, o); err != nil {
			t.Fatal(err)
		}
	}
	const d = 4 * time.Minute
	// Pieces of 3 to 16 KiB, 100 ms of the stream: a piece for each neighbour in
	// turn each second, and one from each.
	for at := time.Duration(0); at < d; at += 100 * time.Millisecond {
		w.after(at, func() {
			i := int(at/(100*time.Millisecond)) % 10
			body := 3000 + r.IntN(13_384)
			send(hub, out[i], Object{Data: [][]byte{make([]byte, body)}, Priority: 2})
			send(far[i], in[i], Object{Data: [][]byte{make([]byte, body)}, Priority: 2})
			send(hub, out[(i+5)%10], message())
			send(far[(i+5)%10], in[(i+5)%10], message())
		})
	}
	w.run(d + 2*time.Second)
	for what, s := range map[string]*spend{"the hub": &up, "its neighbours": &down} {
		over := float64(s.total()-s.pieces-s.messages) / float64(s.total())
		t.Logf("%s: %.2f %% of %d bytes are the transport's: %v", what, 100*over, s.total(), s)
		if over > 0.065 {
			t.Errorf("%s: %.2f %% of the bytes are the transport's, want 6.5", what, 100*over)
		}
	}
}
