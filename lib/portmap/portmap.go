// Package portmap has the router pass a UDP port on to us: by PCP (RFC 6887), by
// NAT-PMP (RFC 6886), or as an Internet Gateway Device of UPnP, whichever it speaks.
// The mapping is renewed, made again when the router has forgotten it, and given
// back at the end.
package portmap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/xp2p/xp2p/lib/nat"
)

// Times, our choices but where a source is named.
const (
	// lifetime is what is asked for: a program that dies leaves its mapping no longer. Half
	// of it is how long a router may have forgotten us unnoticed: miniupnpd counts, if it is
	// set up so, from when the machine began, and not itself.
	lifetime     = 20 * time.Minute
	lookEvery    = time.Minute     // whether the router has started anew meanwhile
	retryEvery   = 5 * time.Minute // after a failure
	askLimit     = 3 * time.Second // for one router, by one protocol; UPnP may take twice that
	releaseLimit = 2 * time.Second
)

// ErrNone says that no router here maps ports.
var ErrNone = errors.New("no router here maps ports")

// Config says what is known of the router.
type Config struct {
	Gateway netip.Addr // zero: that of the default route
	IGD     *url.URL   // where a device describes itself; nil: it is searched for
	Log     *slog.Logger

	lookEvery time.Duration // 0: lookEvery
}

// A Mapping is a port of the router's. It is the router's word: whether packets come
// through is another question. The zero Mapping is none.
type Mapping struct {
	By       string // pcp, nat-pmp or upnp
	External netip.AddrPort
	Lifetime time.Duration // zero: until it is given back

	state state // of the router when it was made
}

// Usable says whether peers could be told of a mapping: a router that stands behind
// another one names an address that is nobody's in the world.
func (m Mapping) Usable() bool {
	return m.External.Port() != 0 && nat.ReachOf(m.External.Addr()) == nat.World
}

// A protocol is a way to speak to a router.
type protocol interface {
	name() string
	// add makes or renews the mapping of a port, if possible with the same outside
	// port as before.
	add(ctx context.Context, port uint16, before Mapping) (Mapping, error)
	remove(ctx context.Context, port uint16, m Mapping) error
	// look returns something that is another one when the router has forgotten its
	// mappings, or moved.
	look(ctx context.Context) (state, error)
	close()
}

// A state is what a router says of itself.
type state struct {
	counts   bool   // it says epoch
	epoch    uint32 // seconds since it began
	external netip.Addr
}

// forgot says whether a router that was in one state has lost its mappings by
// another, so much later: its clock has gone back, or stands elsewhere than at
// the same time (RFC 6887 §8.5: 7/8 of the time, less 2 s), or its address is
// another.
func (s state) forgot(later state, after time.Duration) bool {
	if s.external != later.external {
		return true
	}
	if !s.counts || !later.counts {
		return false
	}
	gone := int64(later.epoch) - int64(s.epoch)
	return gone < int64(after.Seconds()*7/8)-2
}

// Keep has a port mapped until ctx ends, then gives it back. tell is called with the
// mapping, with each that takes its place, and with none when it is lost. ErrNone:
// no router has answered that does it.
func Keep(ctx context.Context, c Config, port uint16, tell func(Mapping)) error {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.lookEvery == 0 {
		c.lookEvery = lookEvery
	}
	if !c.Gateway.IsValid() {
		c.Gateway, _ = Gateway() // without one, UPnP is left
	}
	p, m, rest, err := first(ctx, c, port)
	defer rest.Wait()
	if err != nil {
		return err
	}
	k := &keeper{c: c, p: p, port: port, tell: tell}
	defer k.release()
	k.have(m)
	k.keep(ctx)
	return nil
}

// first asks by all protocols at once who is there, and has the first that is map the
// port. Only one at a time maps, and none when there is a mapping: a router that speaks
// several would have it once, and would have lost it when the second was given back. rest
// waits for those that ask still.
func first(ctx context.Context, c Config, port uint16) (protocol, Mapping, *sync.WaitGroup, error) {
	type answer struct {
		p   protocol
		m   Mapping
		err error
	}
	var rest sync.WaitGroup
	ways := [][]func(context.Context, Config) (protocol, error){{openPCP, openNATPMP}, {openUPnP}}
	answers := make(chan answer, len(ways))
	var one sync.Mutex
	mapped := false
	add := func(p protocol) (m Mapping, ok bool, err error) {
		one.Lock()
		defer one.Unlock()
		if mapped {
			return m, false, nil
		}
		m, err = p.add(ctx, port, Mapping{})
		mapped = err == nil
		return m, mapped, err
	}
	for _, way := range ways {
		rest.Go(func() {
			var a answer
			for _, open := range way { // NAT-PMP after PCP, which is its successor
				p, err := open(ctx, c)
				if err != nil {
					a.err = errors.Join(a.err, err)
					continue
				}
				m, ok, err := add(p)
				if ok {
					a = answer{p: p, m: m}
					break
				}
				p.close()
				if err == nil {
					break // there is a mapping
				}
				a.err = errors.Join(a.err, fmt.Errorf("%s: %w", p.name(), err))
			}
			answers <- a
		})
	}
	var errs error
	for range ways {
		a := <-answers
		if a.p != nil {
			return a.p, a.m, &rest, nil
		}
		errs = errors.Join(errs, a.err)
	}
	if ctx.Err() != nil {
		return nil, Mapping{}, &rest, context.Cause(ctx)
	}
	c.Log.Debug("no port is mapped", "err", errs)
	return nil, Mapping{}, &rest, ErrNone
}

func giveBack(c Config, p protocol, port uint16, m Mapping) {
	ctx, cancel := context.WithTimeout(context.Background(), releaseLimit)
	defer cancel()
	if err := p.remove(ctx, port, m); err != nil {
		c.Log.Warn("a port mapping is left behind", "by", p.name(), "at", m.External, "lifetime", m.Lifetime, "err", err)
	}
	p.close()
}

// A keeper keeps one mapping.
type keeper struct {
	c     Config
	p     protocol
	port  uint16
	tell  func(Mapping)
	m     Mapping
	renew time.Time // zero: never
	ends  time.Time
	state state
	at    time.Time // of state
}

// have notes a mapping, and tells of it if it is news.
func (k *keeper) have(m Mapping) {
	now := time.Now()
	k.renew, k.ends = time.Time{}, time.Time{}
	if m.Lifetime > 0 {
		k.renew, k.ends = now.Add(m.Lifetime/2), now.Add(m.Lifetime)
	}
	if m.External != k.m.External {
		k.c.Log.Info("port mapping", "by", k.p.name(), "port", k.port, "external", m.External, "lifetime", m.Lifetime)
		k.tell(m)
	}
	k.m, k.state, k.at = m, m.state, now
}

// keep renews the mapping until ctx ends.
func (k *keeper) keep(ctx context.Context) {
	for {
		now := time.Now()
		next := now.Add(k.c.lookEvery)
		if !k.renew.IsZero() && k.renew.Before(next) {
			next = k.renew
		}
		select {
		case <-time.After(time.Until(next)):
		case <-ctx.Done():
			return
		}
		if k.look(ctx) || !k.renew.IsZero() && !time.Now().Before(k.renew) {
			k.again(ctx)
		}
	}
}

// look asks whether the router has forgotten us.
func (k *keeper) look(ctx context.Context) (forgot bool) {
	s, err := k.p.look(ctx)
	if err != nil {
		return false // it is asked again, and the mapping renewed in time
	}
	now := time.Now()
	forgot = k.state.forgot(s, now.Sub(k.at))
	k.state, k.at = s, now
	return forgot
}

// again renews the mapping, or makes it anew.
func (k *keeper) again(ctx context.Context) {
	m, err := k.p.add(ctx, k.port, k.m)
	switch {
	case err == nil:
		k.have(m)
	case ctx.Err() != nil:
	default:
		k.c.Log.Info("a port mapping is not renewed", "by", k.p.name(), "err", err)
		now := time.Now()
		if k.ends.IsZero() || !now.Before(k.ends) {
			if k.m.External.IsValid() {
				k.m.External = netip.AddrPort{}
				k.tell(Mapping{})
			}
			k.renew = now.Add(retryEvery)
			return
		}
		k.renew = now.Add(min(k.ends.Sub(now)/2+time.Second, retryEvery))
	}
}

func (k *keeper) release() { giveBack(k.c, k.p, k.port, k.m) }
