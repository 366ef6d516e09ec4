package main

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/xp2p/xp2p/lib/endpoint"
	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/natprobe"
	"github.com/xp2p/xp2p/lib/tool"
)

// A finding is what one probe found.
type finding struct {
	report  nat.Report
	probes  []natprobe.Probe
	refused bool // TCP: the host says that nobody listens
}

// find runs one probe on sockets of its own.
func (o *options) find(ctx context.Context, t *tool.IO, names []string) (*finding, error) {
	servers, tracked, err := serversOf(ctx, names)
	if err != nil {
		return nil, err
	}
	p := natprobe.NewProber(natprobe.ProberConfig{
		Entropy: rand.Reader, Servers: servers, Local: localAddrs(), Gateway: gateway(), TCP: true, Lifetime: o.lifetime, MTU: o.mtu,
	})
	done := make(chan struct{})
	began := time.Now()
	f := &finding{}
	finished := false // of the loop
	step := func(now time.Time) {
		if p.Done() && !finished {
			finished = true
			close(done)
		}
		if p.Named() && !p.Done() {
			t.Status("%s; waiting for late answers, %v of 5m", p.Report(now).Class, time.Since(began).Round(time.Second))
		}
	}
	var ep *endpoint.Endpoint
	for tries := 1; ; tries++ {
		ep, err = endpoint.New(p, endpoint.Config{Listen: sockets(servers, o.lifetime), Step: step, Log: t.Log, Plain: o.plain})
		if err == nil {
			break
		}
		if tries == 3 { // somebody else may take a port between the look and the use
			return nil, err
		}
	}
	var ports []uint16
	for i := range natprobe.Sockets(o.lifetime) {
		ports = append(ports, ep.LocalAddr(i).Port())
	}
	p.SetPorts(ports)
	loop, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- ep.Run(loop) }()
	dials, hangUp := context.WithCancel(ctx)
	var refused atomic.Bool
	go func() {
		reached := nat.TriOf(tracked || dial(dials, servers, &refused))
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
	t.Status("")
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	f.report, f.probes, f.refused = p.Report(time.Now()), p.Probes(), refused.Load()
	return f, nil
}

// localAddrs are the addresses of this machine.
func localAddrs() (list []netip.Addr) {
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

// waitForChange returns when this machine has other addresses, or after a while.
func waitForChange(ctx context.Context, d time.Duration) error {
	before := localAddrs()
	look := time.NewTicker(500 * time.Millisecond)
	defer look.Stop()
	end := time.After(d)
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-end:
			return nil
		case <-look.C:
			if !slices.Equal(localAddrs(), before) {
				return nil
			}
		}
	}
}
