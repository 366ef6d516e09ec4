package portmap

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/huin/goupnp"
	"github.com/huin/goupnp/dcps/internetgateway2"
	"github.com/huin/goupnp/soap"
)

// An igd is one of the services of an Internet Gateway Device that map ports: of
// version 1, of version 2, or that for PPP. They say the same with other words.
type igd interface {
	AddPortMappingCtx(ctx context.Context, host string, external uint16, protocol string, internal uint16, client string, on bool, about string, lease uint32) error
	DeletePortMappingCtx(ctx context.Context, host string, external uint16, protocol string) error
	GetExternalIPAddressCtx(ctx context.Context) (string, error)
	GetServiceClient() *goupnp.ServiceClient
}

// igdKinds are the services, the best first.
var igdKinds = []struct {
	urn string
	of  func(goupnp.ServiceClient) igd
}{
	{internetgateway2.URN_WANIPConnection_2, func(c goupnp.ServiceClient) igd { return &internetgateway2.WANIPConnection2{ServiceClient: c} }},
	{internetgateway2.URN_WANIPConnection_1, func(c goupnp.ServiceClient) igd { return &internetgateway2.WANIPConnection1{ServiceClient: c} }},
	{internetgateway2.URN_WANPPPConnection_1, func(c goupnp.ServiceClient) igd { return &internetgateway2.WANPPPConnection1{ServiceClient: c} }},
}

// A upnp is a router that is an Internet Gateway Device.
type upnp struct {
	igd
	local netip.Addr // ours, as it sees us
}

// upnpLimit is for the search, which listens for two seconds whatever comes, and for
// what devices then say of themselves.
const upnpLimit = 2 * askLimit

func openUPnP(ctx context.Context, c Config) (protocol, error) {
	ctx, cancel := context.WithTimeout(ctx, upnpLimit)
	defer cancel()
	found := make([]*upnp, len(igdKinds))
	var wg sync.WaitGroup
	for i, kind := range igdKinds { // at once: each listens until its end
		wg.Go(func() {
			for _, client := range searchIGD(ctx, c.IGD, kind.urn) {
				p := &upnp{igd: kind.of(client)}
				if p.reach() == nil && p.connected(ctx) {
					found[i] = p
					return
				}
			}
		})
	}
	wg.Wait()
	for _, p := range found {
		if p != nil {
			return p, nil
		}
	}
	return nil, errors.New("upnp: no gateway device")
}

func searchIGD(ctx context.Context, at *url.URL, urn string) (clients []goupnp.ServiceClient) {
	if at != nil {
		clients, _ = goupnp.NewServiceClientsByURLCtx(ctx, at, urn)
		return clients
	}
	clients, _, _ = goupnp.NewServiceClientsCtx(ctx, urn)
	return clients
}

// reach finds out which of our addresses faces the device.
func (p *upnp) reach() error {
	host := p.GetServiceClient().Location.Host
	if !strings.Contains(host, ":") {
		host += ":80"
	}
	conn, err := net.Dial("udp", host) // sends nothing
	if err != nil {
		return err
	}
	defer conn.Close()
	p.local = conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	return nil
}

// connected says whether the service has an address outside: devices list some that
// have none.
func (p *upnp) connected(ctx context.Context) bool {
	_, err := p.look(ctx)
	return err == nil
}

func (p *upnp) name() string { return "upnp" }
func (p *upnp) close()       {}

func (p *upnp) look(ctx context.Context) (state, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	text, err := p.GetExternalIPAddressCtx(ctx)
	if err != nil {
		return state{}, fmt.Errorf("upnp: %w", err)
	}
	a, err := netip.ParseAddr(strings.TrimSpace(text))
	if err != nil || a.IsUnspecified() {
		return state{}, fmt.Errorf("upnp: %q is no address", text)
	}
	return state{external: a}, nil
}

// upnpTries is how many outside ports are tried, where others have them.
const upnpTries = 4

func (p *upnp) add(ctx context.Context, port uint16, before Mapping) (Mapping, error) {
	s, err := p.look(ctx)
	if err != nil {
		return Mapping{}, err
	}
	want := before.External.Port()
	if want == 0 {
		want = port
	}
	for try := 0; ; try++ {
		life := lifetime
		err := p.ask(ctx, port, want, life)
		if upnpCode(err) == 725 { // OnlyPermanentLeasesSupported
			life = 0
			err = p.ask(ctx, port, want, 0)
		}
		switch {
		case err == nil:
			return Mapping{By: p.name(), External: netip.AddrPortFrom(s.external, want), Lifetime: life, state: s}, nil
		case upnpCode(err) != 718 || try == upnpTries: // ConflictInMappingEntry
			return Mapping{}, fmt.Errorf("upnp: %w", err)
		}
		want = uint16(1024 + rand.N(64512))
	}
}

func (p *upnp) ask(ctx context.Context, port, external uint16, life time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	return p.AddPortMappingCtx(ctx, "", external, "UDP", port, p.local.String(), true, "xp2p", uint32(life.Seconds()))
}

// upnpCode is the code by which a device refused (UPnP WANIPConnection:2 §2.5); 0 if
// it did not.
func upnpCode(err error) int {
	var fault *soap.SOAPFaultError
	if !errors.As(err, &fault) {
		return 0
	}
	return fault.Detail.UPnPError.Errorcode
}

func (p *upnp) remove(ctx context.Context, _ uint16, m Mapping) error {
	if m.External.Port() == 0 {
		return nil
	}
	return p.DeletePortMappingCtx(ctx, "", m.External.Port(), "UDP")
}
