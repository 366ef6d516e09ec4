package portmap

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/huin/goupnp/dcps/internetgateway2"
)

// nobody is a router's address at which nobody answers, and noIGD a device's.
var (
	nobody   = netip.MustParseAddr("127.9.9.9")
	noIGD, _ = url.Parse("http://127.9.9.9:1/")
)

// A host is one that keeps a port.
type host struct {
	t     *testing.T
	heard chan Mapping
	end   func()
	ended chan error
}

func keep(t *testing.T, c Config, port uint16) *host {
	ctx, cancel := context.WithCancel(t.Context())
	h := &host{t, make(chan Mapping, 8), cancel, make(chan error, 1)}
	go func() { h.ended <- Keep(ctx, c, port, func(m Mapping) { h.heard <- m }) }()
	return h
}

func (h *host) next() Mapping {
	h.t.Helper()
	select {
	case m := <-h.heard:
		return m
	case err := <-h.ended:
		h.t.Fatalf("it ended: %v", err)
	case <-time.After(20 * time.Second):
		h.t.Fatal("no mapping")
	}
	return Mapping{}
}

func (h *host) leave() {
	h.t.Helper()
	h.end()
	select {
	case err := <-h.ended:
		if err != nil {
			h.t.Errorf("it ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		h.t.Fatal("it does not end")
	}
}

func TestAPortIsMappedAndGivenBack(t *testing.T) {
	for name, c := range map[string]struct {
		by   string
		make func(r *router) Config
	}{
		"PCP":     {"pcp", func(r *router) Config { r.pcp = true; return Config{Gateway: r.listen("127.0.5.1"), IGD: noIGD} }},
		"NAT-PMP": {"nat-pmp", func(r *router) Config { r.pmp = true; return Config{Gateway: r.listen("127.0.5.2"), IGD: noIGD} }},
		"UPnP version 1": {"upnp", func(r *router) Config {
			return Config{Gateway: nobody, IGD: r.igd(internetgateway2.URN_WANIPConnection_1)}
		}},
		"UPnP version 2": {"upnp", func(r *router) Config {
			return Config{Gateway: nobody, IGD: r.igd(internetgateway2.URN_WANIPConnection_2)}
		}},
		"UPnP for PPP": {"upnp", func(r *router) Config {
			return Config{Gateway: nobody, IGD: r.igd(internetgateway2.URN_WANPPPConnection_1)}
		}},
		"UPnP for ever": {"upnp", func(r *router) Config {
			r.forever = true
			return Config{Gateway: nobody, IGD: r.igd(internetgateway2.URN_WANIPConnection_1)}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRouter(t)
			r.taken = 4000 // another has it
			h := keep(t, c.make(r), 4000)
			m := h.next()
			if m.By != c.by || m.External.Addr() != outside || m.External.Port() == 4000 || !m.Usable() || (m.Lifetime == 0) != r.forever {
				t.Errorf("mapped: %+v", m)
			}
			r.mu.Lock()
			if r.maps[m.External.Port()] != 4000 {
				t.Errorf("the router maps %v, and says %v", r.maps, m.External)
			}
			r.mu.Unlock()
			h.leave()
			r.wantNone()
		})
	}
}

func TestARouterThatForgetsIsAskedAgain(t *testing.T) {
	r := newRouter(t)
	r.pcp = true
	h := keep(t, Config{Gateway: r.listen("127.0.5.3"), IGD: noIGD, lookEvery: 20 * time.Millisecond}, 4000)
	h.next()
	r.restart()
	r.until("the mapping is made anew", func() bool { return len(r.maps) == 1 })
	h.leave()
}

func TestAMappingIsRenewedInTime(t *testing.T) {
	r := newRouter(t)
	r.pmp, r.grant = true, 1
	h := keep(t, Config{Gateway: r.listen("127.0.5.4"), IGD: noIGD}, 4000)
	first := h.next()
	r.until("it is renewed twice", func() bool { return len(r.log) >= 3 })
	select {
	case m := <-h.heard:
		t.Errorf("news of a mapping that is as it was: %+v, before %+v", m, first)
	default:
	}
	h.leave()
}

// A router answers by two protocols: the port is mapped by one of them, and given back by
// that. Were it mapped by both, the router would have one mapping, which ended when the
// second was given back.
func TestOnlyOneMappingIsMade(t *testing.T) {
	r := newRouter(t)
	r.pcp, r.slow = true, true
	at := r.listen("127.0.5.5")
	h := keep(t, Config{Gateway: at, IGD: r.igd(internetgateway2.URN_WANIPConnection_2)}, 4000)
	if m := h.next(); m.By != "upnp" {
		t.Errorf("mapped: %+v", m)
	}
	r.until("it is asked by PCP, too", func() bool { return slices.Contains(r.log, "pcp is here") })
	// So long that whatever might follow would have come.
	other := keep(t, Config{Gateway: at, IGD: noIGD}, 4001)
	other.next()
	other.leave()
	r.mu.Lock()
	if len(r.maps) != 1 || r.maps[4000] != 4000 || slices.Contains(r.log, "pcp maps 4000 to 4000") {
		t.Errorf("mapped are %v: %v", r.maps, r.log)
	}
	r.mu.Unlock()
	h.leave()
	r.wantNone()
}

func TestWithoutARouterThereIsNone(t *testing.T) {
	if err := Keep(t.Context(), Config{Gateway: nobody, IGD: noIGD}, 4000, func(m Mapping) { t.Errorf("mapped: %+v", m) }); !errors.Is(err, ErrNone) {
		t.Errorf("%v, want %v", err, ErrNone)
	}
	behind := Mapping{External: netip.MustParseAddrPort("100.64.0.9:4000")}
	if behind.Usable() || (Mapping{}).Usable() {
		t.Error("a mapping of a router that stands behind another is of use")
	}
}

func TestARoutersClockTellsThatItHasForgotten(t *testing.T) {
	at := state{counts: true, epoch: 1000, external: outside}
	for _, c := range []struct {
		later state
		after time.Duration
		want  bool
	}{
		{state{true, 1060, outside}, time.Minute, false},
		{state{true, 1055, outside}, time.Minute, false}, // RFC 6887 §8.5: clocks drift
		{state{true, 1040, outside}, time.Minute, true},
		{state{true, 5, outside}, time.Minute, true},
		{state{true, 1060, nobody}, time.Minute, true},
		{state{true, 0, outside}, time.Minute, true},
		{state{false, 0, outside}, time.Minute, false},
	} {
		if got := at.forgot(c.later, c.after); got != c.want {
			t.Errorf("%+v after %v: %v", c.later, c.after, got)
		}
	}
}
