package xntp

import (
	"crypto/ed25519"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/congestion"
	"github.com/xp2p/xp2p/lib/simnet"
)

// A lab is one narrow link, the uplink of a host, and flows over it, each with
// a sender and a receiver of its own.
type lab struct {
	t       testing.TB
	w       *simnet.World
	host    *simnet.Host
	link    simnet.Link
	flows   []*flow
	waits   []time.Duration // that packets met at the link
	sampled bool            // waits are taken
	hint    float64         // bytes per second that both ends vouch for; 0: none
}

// A flow is a transfer from a to b.
type flow struct {
	l      *lab
	a, b   *Endpoint
	pa, pb *simnet.Process
	conn   ConnID
	cc     congestion.Controller
	got    int // object bytes at b
	size   int // of a cold transfer; 0: without end
	done   time.Duration
	asked  time.Duration
}

type maker func() congestion.Controller

func model() congestion.Controller { return congestion.NewModel(DefaultMTU) }
func cubic() congestion.Controller { return congestion.NewCUBIC(DefaultMTU) }
func bbr() congestion.Controller   { return congestion.NewBBR(DefaultMTU) }

func newLab(t testing.TB, seed uint64, link simnet.Link) *lab {
	l := &lab{t: t, w: simnet.New(seed), link: link, sampled: true}
	l.host = l.w.AddHost(simnet.HostConfig{Addr: netip.MustParseAddr("192.0.2.1"), Up: link})
	l.w.Tap(func(_ time.Time, from, _ netip.AddrPort, data []byte) bool {
		if from.Addr() == l.host.Addr() && l.sampled && len(data) > 200 {
			wait, _ := l.host.Backlog()
			l.waits = append(l.waits, wait)
		}
		return true
	})
	return l
}

// add puts a sender at the link and its receiver rtt away. The receiver asks at
// once, in its first datagram.
func (l *lab) add(cc maker, rtt time.Duration, size int) *flow {
	f := &flow{l: l, size: size}
	n := len(l.flows)
	l.flows = append(l.flows, f)
	config := func(name string) Config {
		entropy := newSource(uint64(n), name)
		key, err := GenerateKey(entropy)
		if err != nil {
			l.t.Fatal(err)
		}
		return Config{Key: key, Rand: rand.New(rand.NewPCG(7, uint64(n))), Entropy: entropy, Window: 64 << 20, QueueBytes: 64 << 20,
			VerifyToken: func([]ed25519.PublicKey, []byte, netip.AddrPort, time.Time) bool { return true }}
	}
	ca := config("a")
	ca.NewController = func(time.Time) congestion.Controller { f.cc = cc(); return f.cc }
	cb := config("b")
	ca.Uplink, cb.Downlink = int64(8*l.hint), int64(8*l.hint)
	f.a, f.b = New(ca), New(cb)
	far := l.w.AddHost(simnet.HostConfig{Addr: netip.AddrFrom4([4]byte{198, 51, 100, byte(n + 1)}), Up: simnet.Link{Rate: l.link.Rate, Queue: l.link.Queue}})
	l.w.SetDelay(l.host, far, rtt/2)
	f.pa = l.host.Run(f.a, 0, f.send)
	f.pb = far.Run(f.b, 0, f.take)
	f.asked = l.w.Elapsed()
	// Who has no word of the link, has no word of the address either, and pads his
	// question.
	o := DialOptions{Remote: f.a.Public(), Addr: f.pa.Addr(0), Early: []byte("GET")}
	if o.Earn = size; l.hint > 0 || size == 0 {
		o.Token = []byte("t")
	}
	f.pb.Do(func(now time.Time) {
		if _, err := f.b.Dial(now, o); err != nil {
			l.t.Fatal(err)
		}
	})
	return f
}

var labPiece = [][]byte{make([]byte, 16<<10)}

// send keeps the sender supplied.
func (f *flow) send(now time.Time) {
	for {
		ev, ok := f.a.NextEvent()
		if !ok {
			break
		}
		if ev.Kind == EventAccepted {
			f.conn = ev.Conn
			for left := f.size; left > 0; left -= 16 << 10 {
				if _, err := f.a.Send(now, f.conn, Object{Data: [][]byte{make([]byte, min(left, 16<<10))}}); err != nil {
					f.l.t.Fatal(err)
				}
			}
		}
	}
	for f.size == 0 && f.conn != 0 {
		if s, ok := f.a.Stats(f.conn); !ok || s.QueuedBytes > 1<<20 {
			break
		}
		if _, err := f.a.Send(now, f.conn, Object{Data: labPiece}); err != nil {
			break
		}
	}
}

func (f *flow) take(time.Time) {
	for {
		ev, ok := f.b.NextEvent()
		if !ok {
			return
		}
		if ev.Kind == EventObject {
			f.got += len(ev.Data)
			if f.size > 0 && f.got >= f.size && f.done == 0 {
				f.done = f.l.w.Elapsed() - f.asked
			}
		}
	}
}

func (f *flow) stats() Stats { s, _ := f.a.Stats(f.conn); return s }

// rates lets d pass and returns what each flow got in it, in Mbit/s.
func (l *lab) rates(d time.Duration) (r []float64) {
	before := make([]int, len(l.flows))
	for i, f := range l.flows {
		before[i] = f.got
	}
	l.w.RunFor(d)
	for i, f := range l.flows {
		r = append(r, float64(f.got-before[i])*8/d.Seconds()/1e6)
	}
	return r
}

func (l *lab) queueP95() time.Duration {
	if len(l.waits) == 0 {
		return 0
	}
	slices.Sort(l.waits)
	return l.waits[len(l.waits)*95/100]
}

// linkOf is a link of a rate in Mbit/s whose queue holds what it carries in a time.
func linkOf(mbps float64, queue time.Duration, loss float64) simnet.Link {
	return simnet.Link{Rate: simnet.Rate(mbps * 1e6), Queue: int(mbps * 1e6 / 8 * queue.Seconds()), Loss: loss}
}

func jain(x []float64) float64 {
	var sum, squares float64
	for _, v := range x {
		sum += v
		squares += v * v
	}
	return sum * sum / (float64(len(x)) * squares)
}
