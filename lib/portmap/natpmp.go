package portmap

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	natpmpclient "github.com/jackpal/go-nat-pmp"
)

// A natpmp is a router that speaks NAT-PMP.
type natpmp struct{ c *natpmpclient.Client }

func openNATPMP(ctx context.Context, c Config) (protocol, error) {
	if !c.Gateway.Is4() {
		return nil, errors.New("nat-pmp: no router is known")
	}
	p := natpmp{natpmpclient.NewClientWithTimeout(c.Gateway.AsSlice(), askLimit)}
	_, err := p.look(ctx)
	return p, err
}

func (natpmp) name() string { return "nat-pmp" }
func (natpmp) close()       {}

// within gives a call of the library, which knows no context, one.
func within[T any](ctx context.Context, call func() (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() { // it ends within askLimit
		v, err := call()
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			r.err = fmt.Errorf("nat-pmp: %w", r.err)
		}
		return r.v, r.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

func (p natpmp) look(ctx context.Context) (state, error) {
	r, err := within(ctx, p.c.GetExternalAddress)
	if err != nil {
		return state{}, err
	}
	return state{true, r.SecondsSinceStartOfEpoc, netip.AddrFrom4(r.ExternalIPAddress)}, nil
}

func (p natpmp) add(ctx context.Context, port uint16, before Mapping) (Mapping, error) {
	want := before.External.Port()
	if want == 0 {
		want = port
	}
	r, err := within(ctx, func() (*natpmpclient.AddPortMappingResult, error) {
		return p.c.AddPortMapping("udp", int(port), int(want), int(lifetime.Seconds()))
	})
	if err != nil {
		return Mapping{}, err
	}
	s, err := p.look(ctx)
	if err != nil {
		return Mapping{}, err
	}
	return Mapping{
		By: p.name(), External: netip.AddrPortFrom(s.external, r.MappedExternalPort),
		Lifetime: time.Duration(r.PortMappingLifetimeInSeconds) * time.Second, state: s,
	}, nil
}

func (p natpmp) remove(ctx context.Context, port uint16, _ Mapping) error {
	_, err := within(ctx, func() (*natpmpclient.AddPortMappingResult, error) { return p.c.AddPortMapping("udp", int(port), 0, 0) })
	return err
}
