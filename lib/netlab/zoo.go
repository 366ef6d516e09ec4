package netlab

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/xp2p/xp2p/lib/nat"
)

// Client is the name of the host of a network of the zoo that a viewer would sit
// at.
const Client = "client"

// A Site is where a network of the zoo is built: the names of its hosts, and its
// addresses.
type Site struct {
	Client, Router string
	Public         netip.Addr // of the outermost box, or of the client in the open
	Inside         netip.Addr // of the client behind a box
	Second         netip.Addr // of a home router behind a carrier's NAT
}

// Sites are for labs with one network, or with two.
var Sites = [...]Site{
	{Client, "router", netip.MustParseAddr("203.0.113.5"), netip.MustParseAddr("192.168.1.7"), netip.MustParseAddr("100.64.7.1")},
	{"other", "other-router", netip.MustParseAddr("203.0.113.69"), netip.MustParseAddr("192.168.2.8"), netip.MustParseAddr("100.64.9.1")},
}

// Edge is the name of the host that stands at the lab's access link.
func (n Network) Edge(s Site) string {
	if !n.Kernel || n.open {
		return s.Client
	}
	return s.Router
}

// A Network is a specimen of nat.Zoo as hosts of a lab. Kernel says that Linux's own
// NAT and packet filter do what the specimen's tables say; else the tables
// themselves do, in the emulator.
type Network struct {
	nat.Specimen
	Kernel bool
	rules  string // of nftables; %s: see hosts
	open   bool   // the rules are the client's own
}

// Zoo returns every specimen, made by a kernel where kernels can.
func Zoo() (all []Network) {
	for _, z := range nat.Zoo() {
		n, ok := kernelBoxes[z.Name]
		n.Specimen, n.Kernel = z, ok || len(z.Boxes) == 0
		n.open = n.open || len(z.Boxes) == 0
		all = append(all, n)
	}
	return all
}

// kernelBoxes are rules of nftables for what Linux can do. PUBLIC and INSIDE
// stand for addresses. A router that answers strangers itself, or lets their
// packets in to itself, would spoil the client's mappings, so it drops them.
var kernelBoxes = map[string]Network{
	"udp-blocked": {rules: masquerade("masquerade", "meta l4proto udp drop;")},
	"symmetric-firewall": {open: true, rules: `table ip lab {
	chain coming { type filter hook input priority 0; iifname "lab0" meta l4proto udp ct state new drop; }
}`},
	"restricted-firewall": {open: true, rules: `table ip lab {
	set sent { type ipv4_addr . inet_service; flags dynamic,timeout; timeout 2m; size 65535; }
	chain going { type filter hook output priority 0; meta l4proto udp update @sent { ip daddr . udp sport }; }
	chain coming { type filter hook input priority 0; iifname "lab0" meta l4proto udp ip saddr . udp dport @sent accept; iifname "lab0" meta l4proto udp drop; }
}`},
	"full-cone": {rules: `table ip lab {
	chain before { type nat hook prerouting priority -100; iifname "lab0" udp dport 1024-65535 dnat to INSIDE; }
	chain after { type nat hook postrouting priority 100; oifname "lab0" snat to PUBLIC; }
}`},
	"restricted-cone": {rules: `table ip lab {
	set sent { type ipv4_addr . inet_service; flags dynamic,timeout; timeout 2m; size 65535; }
	chain before { type nat hook prerouting priority -100; iifname "lab0" ip saddr . udp dport @sent dnat to INSIDE; }
	chain passing { type filter hook forward priority 0; oifname "lab0" meta l4proto udp update @sent { ip daddr . udp sport }; }
	chain coming { type filter hook input priority 0; iifname "lab0" drop; }
	chain after { type nat hook postrouting priority 100; oifname "lab0" snat to PUBLIC; }
}`},
	"port-restricted-cone": {rules: masquerade("masquerade", "")},
	"short-lived":          {rules: masquerade("masquerade", "")},
	"symmetric-random":     {rules: masquerade("masquerade fully-random", "")},
	"carrier":              {rules: masquerade("masquerade", "")}, // the router at home; the carrier's box is a table
}

// masquerade is a router that hides what is behind it and lets in only answers. It
// drops the packets that a rule says as well.
func masquerade(how, drop string) string {
	return fmt.Sprintf(`table ip lab {
	chain passing { type filter hook forward priority 0; %s iifname "lab0" ct state established,related accept; iifname "lab0" drop; }
	chain coming { type filter hook input priority 0; iifname "lab0" ct state established,related accept; iifname "lab0" drop; }
	chain after { type nat hook postrouting priority 100; oifname "lab0" %s; }
}`, drop, how)
}

// Hosts returns the network's hosts; one of them is called Client. The links are
// those of the whole network. tables wants no kernel's NAT but the tables.
func (n Network) Hosts(up, down Link, tables bool) []Host {
	return n.HostsAt(Sites[0], up, down, tables)
}

// HostsAt is Hosts at one of several sites.
func (n Network) HostsAt(s Site, up, down Link, tables bool) []Host {
	switch {
	case !n.Kernel || tables:
		h := Host{Name: s.Client, Addr: s.Inside, Up: up, Down: down, Boxes: n.Build(s.Public)}
		if len(n.Boxes) == 0 || n.Addrs[0] == 0 {
			h.Addr = s.Public
		}
		return []Host{h}
	case n.open:
		return []Host{{Name: s.Client, Addr: s.Public, Up: up, Down: down, Rules: n.rules}}
	}
	router := Host{Name: s.Router, Addr: s.Public, Up: up, Down: down, Sysctls: map[string]string{"net.ipv4.ip_forward": "1"}}
	if len(n.Boxes) > 1 {
		router.Addr = s.Second
		router.Boxes = n.Build(s.Public)[1:]
	}
	router.Rules = strings.NewReplacer("PUBLIC", router.Addr.String(), "INSIDE", s.Inside.String()).Replace(n.rules)
	if life := n.Boxes[0].Lifetime; life > 0 {
		s := fmt.Sprint(int(life.Seconds()))
		router.Sysctls["net.netfilter.nf_conntrack_udp_timeout"], router.Sysctls["net.netfilter.nf_conntrack_udp_timeout_stream"] = s, s
	}
	return []Host{router, {Name: s.Client, Addr: s.Inside, Behind: router.Name}}
}

// Clashing is a port-restricted cone whose kernel lets strangers' packets in to
// itself, as many home routers do: one that comes before ours leaves makes an entry
// that our flow clashes with, and the flow is given another port. It is not in the
// zoo, for until a stranger sends it is named like any other.
func Clashing() Network {
	for _, n := range Zoo() {
		if n.Class == nat.PortRestrictedCone && n.Kernel {
			n.Name = "tuple-clash"
			n.rules = `table ip lab {
	chain passing { type filter hook forward priority 0; iifname "lab0" ct state established,related accept; iifname "lab0" drop; }
	chain after { type nat hook postrouting priority 100; oifname "lab0" masquerade; }
}`
			return n
		}
	}
	panic("netlab: the zoo has no port-restricted cone")
}
