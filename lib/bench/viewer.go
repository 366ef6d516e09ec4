package bench

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/xp2p/xp2p/lib/flownet"
	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/simnet"
	"github.com/xp2p/xp2p/lib/tracker"
	"github.com/xp2p/xp2p/lib/wire"
)

// simWindow is how much of the stream a simulated member keeps for others: less
// than the 30 s of a real one, to hold ten thousand in memory; who asks, asks for
// what is a few seconds old.
const simWindow = 12 * time.Second

// pokePacket is a datagram that says nothing: its first byte is XNTP's.
var pokePacket = machine.Packet{Data: []byte{64}}

// A viewer is a node with a player behind it that checks every byte.
type viewer struct {
	Viewer
	world *world
	index int
	host  *simnet.Host
	proc  *simnet.Process
	n     *node.Node
	ep    *flownet.Endpoint
	sess  tracker.Session
	group uint64 // by the tracker's last word
	dice  *rand.Rand

	began, left time.Time // joined and left; left is zero while he is here
	asks        map[uint64]bool
	known       bool // the connection to the origin stands
	base        time.Duration
	at          int // where the last piece that was put out stands
	out         int64
	got         [4]int64 // payload put out, by source
	worst       time.Duration
	worstAfter  time.Duration  // the same from the first event on
	last        measure.Report // when he left
}

func (v *viewer) here() bool { return v.n != nil && v.left.IsZero() }

func (v *viewer) join() {
	x := v.world
	name := fmt.Sprintf("viewer %d", v.index)
	down := simnet.Rate(v.DownlinkBPS)
	v.host = x.sim.AddHost(simnet.HostConfig{Addr: netip.AddrFrom4([4]byte{10, byte(v.Zone), byte(v.index >> 8), byte(v.index)}),
		Up:   simnet.Link{Rate: simnet.Rate(v.Carries()), Delay: v.AccessDelay, Loss: x.sc.Loss},
		Down: simnet.Link{Rate: down, Delay: v.AccessDelay, Loss: x.sc.Loss}})
	x.byHost[v.host] = v
	v.dice = x.sim.Rand(name + " dice")
	v.base = x.sim.Delay(x.server, v.host)
	key := x.key(name)
	cfg := node.Config{Key: key, Rand: x.sim.Rand(name), Entropy: x.entropy(name), TokenKeys: []ed25519.PublicKey{x.tokenPub},
		NoUpload: v.NoUpload, Hard: v.Hard, NoReceipts: true, Verifier: x.verifier}
	if v.ep = x.transport(v.host, key); v.ep != nil {
		cfg.Transport = v.ep
	}
	v.n = node.New(cfg)
	v.began = x.sim.Now()
	x.present++
	x.most = max(x.most, x.present)
	delay := func() time.Duration { return x.sim.Delay(x.server, v.host) + signalDelay }
	v.sess = x.signalling(func(m wire.Signal) {
		if v.here() {
			v.proc.Do(func(now time.Time) { v.signalled(now, m) })
		}
	}, delay)
	v.proc = v.host.Run(v.n, 4000, v.step)
	if v.ep != nil {
		v.ep.Bind(v.proc.Addr(0), poke(v.proc, v.n))
	}
	// As xp2p-peer does: the origin is asked for the start at once, and the room
	// document comes one round trip later.
	v.proc.Do(func(now time.Time) {
		x.must(v.n.Join(now, node.Room{Name: roomName, Key: x.roomPub, Topology: x.topology, NoSignal: true, Window: simWindow}))
	})
	x.sim.After(2*v.roundTrip(), func() {
		if !v.here() {
			return
		}
		v.proc.Do(func(now time.Time) {
			x.must(v.n.Meet(now, roomName, node.Meeting{STUN: []netip.AddrPort{x.seedProc.Addr(0)},
				Seeds: []wire.RoomSeed{{Key: wire.Key(x.seed.Public()), Addrs: []netip.AddrPort{x.seedProc.Addr(0)}}}}))
		})
	})
}

func (v *viewer) roundTrip() time.Duration {
	w := v.world.sim
	return w.Delay(v.host, v.world.server) + w.Delay(v.world.server, v.host)
}

func (v *viewer) signalled(now time.Time, m wire.Signal) {
	if l, ok := m.(*wire.SignalNeighbours); ok {
		v.group = l.Group
	}
	if err := v.n.Signal(now, roomName, m); err != nil {
		if _, said := err.(*wire.SignalError); !said {
			v.world.must(err)
		}
	}
}

// leave says goodbye; kill does not: the tracker hears that the connection is
// gone, as it does when a process ends.
func (v *viewer) leave() {
	if !v.here() {
		return
	}
	v.last = v.report() // afterwards the node is in no room any more
	v.proc.Do(func(now time.Time) { v.n.Close(now) })
	v.gone()
}

func (v *viewer) kill() {
	v.last = v.report()
	v.gone()
}

func (v *viewer) gone() {
	x := v.world
	v.left = x.sim.Now()
	x.present--
	if v.ep != nil {
		v.ep.Kill()
	}
	v.host.Kill()
	x.sim.After(v.base+signalDelay, func() {
		if !x.trackerGone {
			x.tracker.Leave(x.sim.Now(), v.sess)
			x.drainTracker()
		}
		delete(x.sessions, v.sess)
	})
}

// stayed is how long he was there while the broadcast lasted.
func (v *viewer) stayed(x *world) time.Duration {
	end := simnet.Epoch.Add(seconds(x.sc.Seconds))
	if !v.left.IsZero() && v.left.Before(end) {
		end = v.left
	}
	return max(0, end.Sub(v.began))
}

func (v *viewer) report() measure.Report {
	if !v.left.IsZero() {
		return v.last
	}
	r, _ := v.n.Stats(v.world.sim.Now(), roomName)
	return r
}

// step drains the node's events, as cmd/xp2p-peer does.
func (v *viewer) step(now time.Time) {
	for {
		e, ok := v.n.NextEvent()
		if !ok {
			return
		}
		switch e.Kind {
		case node.EventSignal:
			v.say(e.Signal)
		case node.EventNeedOrigin:
			v.asks[e.Origin.ID] = true
			v.world.origin.asked(v, e.Origin)
		case node.EventStopOrigin:
			delete(v.asks, e.Origin.ID)
		case node.EventOutput:
			v.output(now, &e.Output)
		case node.EventResume:
			v.worst = max(v.worst, e.Late)
			v.worstAfter = max(v.worstAfter, min(e.Late, v.world.sinceEvent(v)))
		}
	}
}

// say takes a message to the tracker.
func (v *viewer) say(m wire.Signal) {
	x := v.world
	x.sim.After(x.sim.Delay(v.host, x.server)+signalDelay, func() {
		switch m := m.(type) {
		case *wire.SignalHello:
			if v.left.IsZero() {
				x.arrive(tracker.Arrival{Session: v.sess, Room: roomName, Remote: v.host.Addr(), Hello: m})
			}
		case *wire.SignalReport:
			if v.left.IsZero() {
				x.report(v.sess, m)
			}
		case *wire.SignalBye:
			if !x.trackerGone {
				x.tracker.Leave(x.sim.Now(), v.sess)
				x.drainTracker()
			}
		}
	})
}

// output checks that each byte is the one that stands next in the broadcast,
// and notes when it came.
func (v *viewer) output(now time.Time, o *node.Output) {
	if o.Record.Kind != segment.KindPiece {
		return
	}
	x := v.world
	d := o.Record.Piece
	x.way.came(v, d.ID, o.Source, now)
	k := x.origin.find(d.ID)
	if k < 0 || !same(x.origin.recs[k].Body, o.Record.Body) || !o.Begin && k != x.origin.following(v.at) {
		x.bad += int64(len(o.Record.Body))
		if k < 0 {
			return
		}
	}
	v.at = k
	n := len(o.Record.Body) - o.Skip
	v.out += int64(n)
	v.got[o.Source&3] += int64(len(o.Record.Body))
	if v.out == int64(n) {
		x.startup.Add(now.Sub(v.began).Milliseconds())
	}
	at := x.origin.times[k]
	if at.Before(v.began) {
		return // behind the live edge when he came: no lag of the swarm's
	}
	lag := now.Sub(at) - v.base - nanosOf(len(o.Record.Body), v.DownlinkBPS)
	x.lag.Add(max(0, lag).Milliseconds())
	x.lagNow.Add(max(0, lag).Milliseconds())
}

func same(a, b []byte) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || bytes.Equal(a, b))
}

func nanosOf(bytes int, bps int64) time.Duration {
	if bps <= 0 {
		return 0
	}
	return time.Duration(float64(bytes) * 8e9 / float64(bps))
}
