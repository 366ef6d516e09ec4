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
	ended   time.Time
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

// ask adds a question that is asked at once, unless it has been.
func (p *Prober) ask(now time.Time, t Test, s machine.Socket, to netip.AddrPort, query wire.STUNQuery) *question {
	for _, q := range p.list {
		if q.Test == t && q.Socket == s && q.To == to && q.query.Change == query.Change && q.query.Size == query.Size {
			return q
		}
	}
	if len(p.list) >= maxProbes || wire.CheckAddr(to) != nil {
		return nil
	}
	q := &question{Probe: Probe{Test: t, Socket: s, To: to, Start: now.Sub(p.began)}, query: query, due: now, max: probeTries}
	p.list = append(p.list, q)
	return q
}

// begin asks everything that needs no answer to be asked.
func (p *Prober) begin(now time.Time) {
	p.began = now
	if p.cfg.Gateway.Is4() && nat.ReachOf(p.cfg.Gateway) < nat.World {
		p.ask(now, TestGateway, gatewaySocket, netip.AddrPortFrom(p.cfg.Gateway, wire.NATPMPPort), wire.STUNQuery{})
	}
	n := machine.Socket(0)
	for _, s := range p.cfg.Servers {
		if !p.examined(s) {
			if q := p.ask(now, TestIPv6, ipv6Socket, s, wire.STUNQuery{}); q != nil {
				q.max = sideTries
			}
			continue
		}
		p.ask(now, TestMapping, mappingSocket, s, wire.STUNQuery{Ports: true})
		if n < filterServers {
			p.ask(now, TestReach, filterSocket+n, s, wire.STUNQuery{Ports: true, Token: true})
			p.ask(now, TestFilter, filterSocket+n, s, wire.STUNQuery{Change: wire.ChangeAddr | wire.ChangePort})
			p.ask(now, TestPort, filterSocket+n, s, wire.STUNQuery{Change: wire.ChangePort})
			n++
		}
	}
}

// plan starts what the answers so far make possible, gives up what they make
// pointless, and says whether all is known.
func (p *Prober) plan(now time.Time) {
	if p.began.IsZero() || p.done {
		return
	}
	for _, q := range slices.Clone(p.list) {
		if q.Outcome != Answered {
			continue
		}
		switch q.Test {
		case TestMapping:
			p.follow(now, q)
		case TestReach:
			p.filter(now, q)
		}
	}
	p.hairpin(now)
	p.finish(now)
}

// follow asks the other addresses of a server that has answered, and the first to
// answer about a burst.
func (p *Prober) follow(now time.Time, q *question) {
	if slices.Contains(p.cfg.Servers, q.To) {
		if o := q.answer.other; o.IsValid() && p.examined(o) {
			p.ask(now, TestMapping, mappingSocket, netip.AddrPortFrom(q.To.Addr(), o.Port()), wire.STUNQuery{Ports: true})
			p.ask(now, TestMapping, mappingSocket, netip.AddrPortFrom(o.Addr(), q.To.Port()), wire.STUNQuery{Ports: true})
			p.ask(now, TestMapping, mappingSocket, o, wire.STUNQuery{Ports: true})
		}
		if port := q.answer.otherPort; port != 0 {
			p.ask(now, TestMapping, mappingSocket, netip.AddrPortFrom(q.To.Addr(), port), wire.STUNQuery{Ports: true})
		}
	}
	if p.first(TestBurst) == nil {
		for i := range machine.Socket(burstSize) {
			p.ask(now, TestBurst, burstSocket+i, q.To, wire.STUNQuery{})
		}
		if p.cfg.MTU {
			p.sizes(now, q.To)
		}
	}
}

func (p *Prober) sizes(now time.Time, to netip.AddrPort) {
	header := overhead4
	if p.v6 {
		header = overhead6
	}
	for _, size := range packetSizes {
		if q := p.ask(now, TestMTU, mtuSocket, to, wire.STUNQuery{Size: (size - header) &^ 3}); q != nil {
			q.Size, q.max = q.query.Size+header, sideTries
		}
	}
}

func (p *Prober) first(t Test) *question {
	i := slices.IndexFunc(p.list, func(q *question) bool { return q.Test == t })
	if i < 0 {
		return nil
	}
	return p.list[i]
}

// find returns a question, or nil.
func (p *Prober) find(t Test, s machine.Socket, to netip.AddrPort) *question {
	i := slices.IndexFunc(p.list, func(q *question) bool { return q.Test == t && q.Socket == s && q.To == to })
	if i < 0 {
		return nil
	}
	return p.list[i]
}

// filter goes on where a server has answered a filter's socket.
func (p *Prober) filter(now time.Time, reach *question) {
	both, port := p.find(TestFilter, reach.Socket, reach.To), p.find(TestPort, reach.Socket, reach.To)
	if both == nil || port == nil {
		return
	}
	// A server with one address does not say so by its silence.
	if !reach.answer.other.IsValid() || reach.answer.other.Addr() == reach.To.Addr() {
		both.stop(Unsupported)
		if reach.answer.otherPort == 0 && (!reach.answer.other.IsValid() || reach.answer.other.Port() == reach.To.Port()) {
			port.stop(Unsupported)
		}
	}
	if both.Outcome != Unsupported && both.Outcome != Rejected && both.Outcome != Ignored || reach.answer.token == nil {
		return
	}
	for _, q := range p.list {
		if q.Test == TestMapping && q.Outcome == Answered && q.answer.help&wire.HelpAssist != 0 && q.To.Addr() != reach.To.Addr() {
			if a := p.ask(now, TestAssist, mappingSocket, q.To, wire.STUNQuery{AssistToken: reach.answer.token}); a != nil && a.packet == (wire.STUNTransaction{}) {
				if _, err := io.ReadFull(p.cfg.Entropy, a.packet[:]); err != nil {
					a.stop(Unsupported)
					return
				}
				a.query.AssistFor, a.through = a.packet, reach.Socket
			}
			return
		}
	}
}

// stop ends a question that has not been answered.
func (q *question) stop(o Outcome) {
	if q.Outcome == Waiting {
		q.Outcome = o
	}
}

// hairpin sends from one socket of the burst to the outside address of another,
// both ways, so that a filter on the way is open.
func (p *Prober) hairpin(now time.Time) {
	if p.translated() != nat.Yes {
		return
	}
	a, b := p.burst(burstSize-2), p.burst(burstSize-1)
	if a == nil || b == nil || a.Outcome != Answered || b.Outcome != Answered {
		return
	}
	for _, x := range [][2]*question{{a, b}, {b, a}} {
		if q := p.ask(now, TestHairpin, x[0].Socket, x[1].Mapped, wire.STUNQuery{}); q != nil {
			q.max, q.through = sideTries, x[1].Socket
		}
	}
}

func (p *Prober) burst(i machine.Socket) *question {
	k := slices.IndexFunc(p.list, func(q *question) bool { return q.Test == TestBurst && q.Socket == burstSocket+i })
	if k < 0 {
		return nil
	}
	return p.list[k]
}

// quiet says whether nobody has answered at all.
func (p *Prober) quiet() bool {
	return !slices.ContainsFunc(p.list, func(q *question) bool { return q.plain() && q.Outcome != Waiting && q.Outcome != Unanswered })
}

// finish looks whether anything is still to come.
func (p *Prober) finish(now time.Time) {
	for _, q := range p.list {
		if q.Outcome == Waiting && q.Test != TestLifetime {
			return
		}
	}
	if !p.named {
		if p.cfg.TCP && p.tcp == nat.Maybe {
			p.late = p.began.Add(tcpWait)
			if p.quiet() {
				p.late = p.began.Add(blockedAfter + tcpControl)
			}
			if now.Before(p.late) {
				return
			}
		}
		p.named, p.nameEnd, p.late = true, now, time.Time{}
		if p.cfg.Lifetime && p.translatedOrFiltered() {
			p.lifetime(now)
			return
		}
	}
	if !slices.ContainsFunc(p.list, func(q *question) bool { return q.Outcome == Waiting }) {
		p.done, p.ended = true, now
	}
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

// control says whether a plain question goes on for those that ask for an answer
// from elsewhere.
func (p *Prober) control(q *question) bool {
	if !q.again() {
		return false
	}
	return slices.ContainsFunc(p.list, func(f *question) bool {
		return f.Outcome == Waiting && (f.Socket == q.Socket && (f.Test == TestFilter || f.Test == TestPort) || f.Test == TestAssist && f.through == q.Socket)
	})
}

// extend gives a question about a filter, and the plain one that goes with it, more
// tries, if its silence proves nothing yet.
func (p *Prober) extend(now time.Time, q *question) bool {
	s := q.Socket
	switch q.Test {
	case TestFilter, TestPort:
	case TestAssist:
		s = q.through
	default:
		return false
	}
	i := slices.IndexFunc(p.list, func(r *question) bool { return r.Test == TestReach && r.Socket == s })
	if i < 0 || p.list[i].heard == 0 || p.list[i].certain() || q.max >= mostTries {
		return false
	}
	reach := p.list[i]
	q.max += moreTries
	q.due = now
	if reach.max < q.max {
		reach.max, reach.due = q.max, now
	}
	return true
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
		if p.extend(now, q) {
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
