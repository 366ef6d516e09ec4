package natprobe

import (
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/wire"
)

// The sockets of a Prober. Each must be fresh: whatever was sent from it before
// has opened a filter.
const (
	mappingSocket machine.Socket = 0
	filterSocket  machine.Socket = 1 // and one more for each further server
	filterServers                = 4
	burstSocket   machine.Socket = filterSocket + filterServers // and further
	burstSize                    = 10
	ipv6Socket    machine.Socket = burstSocket + burstSize
	mtuSocket     machine.Socket = ipv6Socket + 1
	gatewaySocket machine.Socket = mtuSocket + 1
	lifeSocket    machine.Socket = gatewaySocket + 1 // and further

	// FilterSockets are from FilterSocket on. The port of one must not have been
	// that of another socket of a Prober a while ago: a NAT that remembers what
	// that one sent to whom still lets answers in.
	FilterSocket  = int(filterSocket)
	FilterSockets = filterServers
	// IPv6Socket is the socket that must speak IPv6, if the machine does.
	IPv6Socket = int(ipv6Socket)
)

// Sockets returns how many sockets a Prober needs.
func Sockets(lifetime bool) int {
	if lifetime {
		return int(lifeSocket) + 2*len(idleTimes)
	}
	return int(lifeSocket)
}

// idleTimes are what --lifetime tries, each with both patterns of traffic.
var idleTimes = [...]time.Duration{
	10 * time.Second, 20 * time.Second, 28 * time.Second, 40 * time.Second, 58 * time.Second, 90 * time.Second, 118 * time.Second, 170 * time.Second, 290 * time.Second,
}

// packetSizes are the IP packets that --mtu tries: Ethernet's, and what tunnels
// and DSL leave of it, down to IPv6's least.
var packetSizes = [...]int{1500, 1492, 1480, 1472, 1460, 1450, 1440, 1420, 1400, 1380, 1350, 1280}

const (
	maxProbes = 512 // questions; never reached by what plan starts
	// tcpWait is how long a verdict waits for the outcome over TCP.
	tcpWait = 300 * time.Millisecond
	// tcpControl is how much longer than blockedAfter that may be where UDP is silent:
	// the outcome decides then.
	tcpControl = 200 * time.Millisecond
	// settle is the time between the packets of an active flow (TestLifetime):
	// longer than the two seconds after which Linux takes one for a stream.
	settle = 2200 * time.Millisecond
)

// ProberConfig configures a Prober.
type ProberConfig struct {
	Entropy io.Reader
	// Servers, at most 8. The family of the first IPv4 one is examined, the
	// other only asked whether it works.
	Servers []netip.AddrPort
	// Local has the addresses of this machine, Ports the port of each socket.
	Local    []netip.Addr
	Ports    []uint16
	Gateway  netip.Addr // the router, if it is known: it may know whether another NAT follows
	TCP      bool       // somebody tries TCP meanwhile and will call Prober.TCP
	Lifetime bool       // find out how long a mapping lives: takes five minutes
	MTU      bool
}

const maxProbeServers = 8

// A Prober finds out what stands between this machine and the internet (RFC 5780,
// with all questions at once). Its sockets are numbers below Sockets. It ends; Done
// says when.
type Prober struct {
	cfg     ProberConfig
	v6      bool // the family that is examined
	began   time.Time
	list    []*question
	msg     wire.STUN
	tcp     nat.Tri
	done    bool
	named   bool // everything but the lifetime is known
	nameEnd time.Time
	late    time.Time // the time up to which a verdict waits for TCP
}

// NewProber returns a machine that starts at its first Advance.
func NewProber(cfg ProberConfig) *Prober {
	p := &Prober{cfg: cfg}
	p.cfg.Servers = nil
	for _, a := range cfg.Servers {
		a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
		if len(p.cfg.Servers) < maxProbeServers && !slices.Contains(p.cfg.Servers, a) {
			p.cfg.Servers = append(p.cfg.Servers, a)
		}
	}
	p.v6 = !slices.ContainsFunc(p.cfg.Servers, func(a netip.AddrPort) bool { return a.Addr().Is4() })
	return p
}

// TCP tells whether a server was reached over TCP; Maybe is an attempt that proves
// nothing either way.
func (p *Prober) TCP(now time.Time, reached nat.Tri) {
	p.cfg.TCP = false // nothing more is to come
	if p.tcp != nat.Yes {
		p.tcp = reached
	}
	p.plan(now)
}

// Done says whether all is known that can be.
func (p *Prober) Done() bool { return p.done }

// Named says whether all but the lifetime is known.
func (p *Prober) Named() bool { return p.named }

// Probes returns every question so far and what became of it.
func (p *Prober) Probes() (list []Probe) {
	for _, q := range p.list {
		list = append(list, q.Probe)
	}
	return list
}

func (p *Prober) examined(a netip.AddrPort) bool { return a.Addr().Is4() != p.v6 }

// quiet says whether nobody has answered at all.
func (p *Prober) quiet() bool {
	return !slices.ContainsFunc(p.list, func(q *question) bool { return q.plain() && q.Outcome != Waiting && q.Outcome != Unanswered })
}

// NextTimeout implements machine.Machine.
func (p *Prober) NextTimeout() (t time.Time) {
	switch {
	case p.done:
		return t
	case p.began.IsZero():
		return time.Unix(0, 0)
	}
	t = p.late
	for _, q := range p.list {
		if (q.Outcome == Waiting || p.control(q)) && (t.IsZero() || q.due.Before(t)) {
			t = q.due
		}
	}
	return t
}

// AppendDatagram implements machine.Machine.
func (p *Prober) AppendDatagram(now time.Time, dst []byte) (out machine.Packet, ok bool) {
	for _, q := range p.list {
		if q.Outcome != Waiting && !p.control(q) || now.Before(q.due) {
			continue
		}
		at, more := q.try(p.began.Add(q.Start), p.quiet())
		if !more || now.Before(at) {
			continue
		}
		b, ok := q.send(now, p.cfg.Entropy, dst)
		if !ok {
			q.Outcome = Unanswered // without entropy anybody could answer
			continue
		}
		q.due = p.after(q)
		return machine.Packet{Socket: q.Socket, Remote: q.To, Data: b, DontFragment: q.Test == TestMTU}, true
	}
	return out, false
}

// after returns when a question that has just been asked is to be looked at again:
// for its next try or for its verdict.
func (p *Prober) after(q *question) time.Time {
	if at, more := q.try(p.began.Add(q.Start), p.quiet()); more {
		return at
	}
	last := q.sent[len(q.sent)-1]
	if q.Test == TestGateway {
		return last.Add(leastWait)
	}
	if q.Test == TestHairpin || q.Test == TestIPv6 && p.rtt(netip.AddrPort{}) > 0 {
		return last.Add(max(leastWait, 2*p.rtt(netip.AddrPort{})))
	}
	if q.Test == TestLifetime && len(q.query.DelayToken) > 0 {
		return last.Add(q.Idle + max(2*p.rtt(q.To), 10*leastWait))
	}
	if d := p.rtt(q.To); d > 0 {
		return last.Add(max(leastWait, 2*d))
	}
	if d := p.rtt(netip.AddrPort{}); d > 0 {
		return last.Add(max(2*leastWait, 3*d))
	}
	return p.began.Add(max(q.Start+5*probeEvery, blockedAfter))
}

// rtt returns the longest round trip that a server's address has shown, of all
// servers for the zero address; 0 if there was none.
func (p *Prober) rtt(to netip.AddrPort) (worst time.Duration) {
	for _, q := range p.list {
		if q.RTT > 0 && q.plain() && (!to.IsValid() || q.To.Addr() == to.Addr()) {
			worst = max(worst, q.RTT)
		}
	}
	return worst
}

// Advance implements machine.Machine.
func (p *Prober) Advance(now time.Time) {
	if p.began.IsZero() {
		p.begin(now)
	}
	for _, q := range p.list {
		if q.Outcome != Waiting || now.Before(q.due) {
			continue
		}
		if _, more := q.try(p.began.Add(q.Start), p.quiet()); more {
			continue
		}
		// What was heard meanwhile may have changed how long to wait.
		if at := p.after(q); now.Before(at) {
			q.due = at
			continue
		}
		if p.extend(q) {
			continue
		}
		q.Outcome = Unanswered
		if q.Test == TestAssist && !q.told {
			q.Outcome = Unsupported // nobody says that it sent anything
		}
	}
	p.plan(now)
}

// SetPorts replaces ProberConfig.Ports, for who knows them only when the sockets are
// open.
func (p *Prober) SetPorts(ports []uint16) { p.cfg.Ports = slices.Clone(ports) }
