package transport

import (
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"github.com/xp2p/xp2p/lib/bench/rival"
	"github.com/xp2p/xp2p/lib/internal/link"
	"github.com/xp2p/xp2p/lib/netlab"
	"github.com/xp2p/xp2p/lib/udplink"
)

// A bed is where the ends of one run stand, and what lies between them. It is
// made for the run: counters, queues and what a kernel remembers of a path
// begin anew.
type bed interface {
	// server is where the dialed ends stand, client where those of a group do
	// that dial them.
	server() rival.Place
	client(group int) rival.Place
	// route is what a group dials to reach a peer at the server's place.
	route(p rival.Peer, group int) (rival.Peer, error)
	// report is what the emulator saw so far.
	report() emulated
	close()
}

// emulated is what an emulator says of a run.
type emulated struct {
	known   bool          // there is one
	trusted error         // why the run is not to be believed
	late50  time.Duration // how late its packets were, at the median
	late    time.Duration // and at the 99th percentile
	data    link.Count    // from the server
	acks    link.Count    // to it
}

const groups = 2

func newBed(l *Link, seed uint64) (bed, error) {
	switch l.Kind {
	case None:
		return loopbackBed{}, nil
	case UDP:
		half := l.bottleneck()
		b := &udpBed{link: l, path: udplink.New(udplink.Config{Up: half, Down: half, Seed: seed}), procs: runtime.GOMAXPROCS(0)}
		// A thread of the relay that wakes finds a processor free: without that it
		// waits for one as long as any goroutine may run, 10 ms.
		runtime.GOMAXPROCS(b.procs + relayThreads)
		return b, nil
	case TUN:
		return newTUNBed(l, seed)
	}
	return nil, l.Check()
}

var localhost = rival.Place{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)}

// loopbackBed has nothing between the ends.
type loopbackBed struct{}

func (loopbackBed) server() rival.Place                           { return localhost }
func (loopbackBed) client(int) rival.Place                        { return localhost }
func (loopbackBed) route(p rival.Peer, _ int) (rival.Peer, error) { return p, nil }
func (loopbackBed) report() emulated                              { return emulated{} }
func (loopbackBed) close()                                        {}

// udpBed has a relay between the ends.
type udpBed struct {
	link  *Link
	path  *udplink.Path
	procs int // as it was before
}

// relayThreads are those that write, one each way.
const relayThreads = 2

func (*udpBed) server() rival.Place    { return localhost }
func (*udpBed) client(int) rival.Place { return localhost }

func (b *udpBed) close() {
	b.path.Close()
	runtime.GOMAXPROCS(b.procs)
}

func (b *udpBed) route(p rival.Peer, group int) (rival.Peer, error) {
	front, err := b.path.Open(p.Addr, b.link.rtt(group)/2)
	return rival.Peer{Addr: front, Key: p.Key}, err
}

func (b *udpBed) report() emulated {
	r := b.path.Report()
	return emulated{known: true, trusted: r.Trusted(), late50: r.LateP50, late: r.LateP99, data: r.Down, acks: r.Up}
}

// tunBed has a namespace for the server and one for each group.
type tunBed struct{ lab *netlab.Lab }

func newTUNBed(l *Link, seed uint64) (bed, error) {
	half := l.bottleneck()
	c := netlab.Config{Seed: seed, Realtime: true, Hosts: []netlab.Host{{Name: "server", Up: half, Down: half}}}
	for g := range groups {
		c.Hosts = append(c.Hosts, netlab.Host{Name: clientName(g)})
	}
	lab, err := netlab.New(c)
	if err != nil {
		return nil, err
	}
	for g := range groups {
		lab.SetDelay("server", clientName(g), l.rtt(g)/2)
	}
	return &tunBed{lab}, nil
}

func clientName(group int) string { return fmt.Sprintf("client%d", group) }

func (b *tunBed) place(host string) rival.Place {
	return rival.Place{Addr: netip.AddrPortFrom(b.lab.Addr(host), 0), Do: func(f func() error) error { return b.lab.Do(host, f) }}
}

func (b *tunBed) server() rival.Place                         { return b.place("server") }
func (b *tunBed) client(group int) rival.Place                { return b.place(clientName(group)) }
func (*tunBed) route(p rival.Peer, _ int) (rival.Peer, error) { return p, nil }
func (b *tunBed) close()                                      { b.lab.Close() }

func (b *tunBed) report() emulated {
	r := b.lab.Report()
	e := emulated{known: true, trusted: r.Trusted(), late50: r.LateP50, late: r.LateP99}
	if len(r.Hosts) > 0 {
		e.data, e.acks = r.Hosts[0].Up, r.Hosts[0].Down
	} else {
		e.trusted = fmt.Errorf("the emulator is gone")
	}
	return e
}
