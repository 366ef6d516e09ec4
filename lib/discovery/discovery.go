// Package discovery finds out what network this machine is in (RFC 5780): it runs a
// natprobe.Prober on sockets of its own, and tries TCP beside it.
package discovery

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/xp2p/xp2p/lib/endpoint"
	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/natprobe"
	"github.com/xp2p/xp2p/lib/portmap"
)

// Config says what to find out, and from whom.
type Config struct {
	Servers  []netip.AddrPort // STUN servers
	Reached  bool             // TCP passes: somebody was reached just now
	Lifetime bool             // how long a mapping lives, too: takes five minutes
	MTU      bool             // the largest packet that passes, too
	Plain    bool             // use nothing that only Linux has
	Log      *slog.Logger
	// Late, which may be nil, hears of the report when only late answers are waited for.
	Late func(r nat.Report, since time.Duration)
}

// A Finding is what one discovery found.
type Finding struct {
	Report  nat.Report
	Probes  []natprobe.Probe
	Refused bool // TCP: the host says that nobody listens
}

// Run finds out what network this machine is in, on sockets of its own.
func Run(ctx context.Context, c Config) (*Finding, error) {
	router, _ := portmap.Gateway() // without one its word on our address is missing
	p := natprobe.NewProber(natprobe.ProberConfig{
		Entropy: rand.Reader, Servers: c.Servers, Local: LocalAddrs(), Gateway: router, TCP: true, Lifetime: c.Lifetime, MTU: c.MTU,
	})
	done := make(chan struct{})
	began := time.Now()
	finished := false // of the loop
	step := func(now time.Time) {
		if p.Done() && !finished {
			finished = true
			close(done)
		}
		if p.Named() && !p.Done() && c.Late != nil {
			c.Late(p.Report(now), time.Since(began))
		}
	}
	var ep *endpoint.Endpoint
	var err error
	for tries := 1; ; tries++ {
		ep, err = endpoint.New(p, endpoint.Config{Listen: sockets(c.Servers, c.Lifetime), Step: step, Log: c.Log, Plain: c.Plain})
		if err == nil {
			break
		}
		if tries == 3 { // somebody else may take a port between the look and the use
			return nil, err
		}
	}
	var ports []uint16
	for i := range natprobe.Sockets(c.Lifetime) {
		ports = append(ports, ep.LocalAddr(i).Port())
	}
	p.SetPorts(ports)
	loop, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- ep.Run(loop) }()
	dials, hangUp := context.WithCancel(ctx)
	var refused atomic.Bool
	go func() {
		reached := nat.TriOf(c.Reached || dial(dials, c.Servers, &refused))
		if reached == nat.No && refused.Load() {
			reached = nat.Maybe // TCP passes, and who says that a server is there?
		}
		ep.DoContext(dials, func(now time.Time) { p.TCP(now, reached) })
	}()
	select {
	case <-done:
	case <-ctx.Done():
	case err = <-ended:
		ended <- err
	}
	hangUp()
	stop()
	if e := <-ended; err == nil {
		err = e
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	return &Finding{Report: p.Report(time.Now()), Probes: p.Probes(), Refused: refused.Load()}, nil
}

// LocalAddrs are the addresses of this machine.
func LocalAddrs() (list []netip.Addr) {
	nics, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, nic := range nics {
		if prefix, err := netip.ParsePrefix(nic.String()); err == nil && !prefix.Addr().IsLinkLocalUnicast() {
			list = append(list, prefix.Addr().Unmap())
		}
	}
	return list
}

// Times of the control over TCP. The kernel repeats a lost SYN only after a second,
// so a few are sent apart.
const (
	dialTries  = 4
	dialEvery  = 150 * time.Millisecond
	dialWithin = 1600 * time.Millisecond
)

// windowsRefused is WSAECONNREFUSED, which Windows says for ECONNREFUSED.
const windowsRefused = syscall.Errno(10061)

// dial reports whether any server can be reached over TCP: at its own port, or at
// one that is open in most networks. refused is set if a host answers that nobody
// listens.
func dial(ctx context.Context, servers []netip.AddrPort, refused *atomic.Bool) bool {
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	results := make(chan bool)
	n := 0
	try := func(at netip.AddrPort, wait time.Duration) {
		n++
		go func() {
			var d net.Dialer
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				results <- false
				return
			}
			conn, err := d.DialContext(ctx, "tcp", at.String())
			if err == nil {
				conn.Close()
			} else if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, windowsRefused) {
				refused.Store(true)
			}
			results <- err == nil
		}()
	}
	for _, s := range servers[:min(len(servers), 3)] {
		for i := range dialTries {
			try(s, time.Duration(i)*dialEvery)
		}
		for _, port := range []uint16{443, 80} {
			try(netip.AddrPortFrom(s.Addr(), port), dialEvery)
		}
	}
	reached := false
	for range n {
		if <-results {
			reached = true
			cancel()
		}
	}
	return reached
}
