package portmap

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/xp2p/xp2p/lib/wire"
)

// pcpTries is when a question is asked, since the first time. RFC 6887 §8.1.1 begins
// with 3 s, for routers that must not be flooded; four datagrams are no flood.
var pcpTries = []time.Duration{0, 250 * time.Millisecond, 750 * time.Millisecond, 1500 * time.Millisecond}

// A pcp is a router that speaks PCP.
type pcp struct {
	conn   *net.UDPConn
	client netip.Addr
	nonce  [12]byte
}

func openPCP(ctx context.Context, c Config) (protocol, error) {
	if !c.Gateway.IsValid() {
		return nil, errors.New("pcp: no router is known")
	}
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.Gateway, wire.NATPMPPort)))
	if err != nil {
		return nil, fmt.Errorf("pcp: %w", err)
	}
	p := &pcp{conn: conn, client: conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()}
	rand.Read(p.nonce[:])
	if _, err := p.look(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return p, nil
}

func (p *pcp) name() string { return "pcp" }
func (p *pcp) close()       { p.conn.Close() }

// ask sends a question until an answer comes that fits.
func (p *pcp) ask(ctx context.Context, question []byte, fits func(wire.PCPAnswer) bool) (wire.PCPAnswer, error) {
	stop := context.AfterFunc(ctx, func() { p.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	began := time.Now()
	buf := make([]byte, wire.MaxPCP+1)
	for i := range pcpTries {
		if _, err := p.conn.Write(question); err != nil {
			return wire.PCPAnswer{}, fmt.Errorf("pcp: %w", err)
		}
		until := began.Add(askLimit)
		if i+1 < len(pcpTries) {
			until = began.Add(pcpTries[i+1])
		}
		p.conn.SetReadDeadline(until)
		for ctx.Err() == nil {
			n, err := p.conn.Read(buf)
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				break
			}
			if err != nil {
				return wire.PCPAnswer{}, fmt.Errorf("pcp: %w", err) // nobody listens there
			}
			if n >= 2 && buf[0] == 0 {
				return wire.PCPAnswer{}, errors.New("pcp: the router speaks NAT-PMP only") // RFC 6887 §9
			}
			if a, err := wire.ParsePCP(buf[:n]); err == nil && (fits(a) || a.Result != 0) {
				if a.Result != 0 {
					return a, fmt.Errorf("pcp: refused with code %d", a.Result)
				}
				return a, nil
			}
		}
		if ctx.Err() != nil {
			return wire.PCPAnswer{}, context.Cause(ctx)
		}
	}
	return wire.PCPAnswer{}, errors.New("pcp: no answer")
}

func (p *pcp) look(ctx context.Context) (state, error) {
	a, err := p.ask(ctx, wire.AppendPCPAnnounce(nil, p.client), func(a wire.PCPAnswer) bool { return a.Map == nil })
	return state{counts: true, epoch: a.Epoch}, err
}

func (p *pcp) request(ctx context.Context, port uint16, external netip.AddrPort, life time.Duration) (wire.PCPAnswer, error) {
	m := &wire.PCPMap{Nonce: p.nonce, Client: p.client, Internal: port, External: external, Lifetime: uint32(life.Seconds())}
	return p.ask(ctx, wire.AppendPCPMap(nil, m), func(a wire.PCPAnswer) bool {
		return a.Map != nil && a.Map.Nonce == p.nonce && a.Map.Internal == port
	})
}

func (p *pcp) add(ctx context.Context, port uint16, before Mapping) (Mapping, error) {
	want := before.External
	if !want.IsValid() {
		any := netip.IPv6Unspecified()
		if p.client.Is4() {
			any = netip.IPv4Unspecified()
		}
		want = netip.AddrPortFrom(any, port)
	}
	a, err := p.request(ctx, port, want, lifetime)
	if err != nil {
		return Mapping{}, err
	}
	return Mapping{By: p.name(), External: a.Map.External, Lifetime: time.Duration(a.Lifetime) * time.Second, state: state{counts: true, epoch: a.Epoch}}, nil
}

func (p *pcp) remove(ctx context.Context, port uint16, _ Mapping) error {
	_, err := p.request(ctx, port, netip.AddrPort{}, 0)
	return err
}
