package main

import (
	"net/netip"
	"strings"
	"testing"
)

func TestRelayFlagsThatMakeSenseTogether(t *testing.T) {
	at, secure := []string{"192.0.2.1:3478"}, []string{"192.0.2.1:443"}
	for _, c := range []struct {
		name string
		r    relayOptions
		only []string
		ip   string // of relayed addresses
		want string // of the error; "" is none
	}{
		{name: "none"},
		{name: "UDP and TCP", r: relayOptions{listen: at}, ip: "192.0.2.1"},
		{name: "TLS alone", r: relayOptions{secure: secure}, ip: "192.0.2.1"},
		{name: "behind a router", r: relayOptions{listen: []string{"10.0.0.5:3478"}, public: "192.0.2.9"}, ip: "192.0.2.9"},
		{name: "IPv6 with IPv4", r: relayOptions{listen: []string{"[2001:db8::1]:3478"}, public: "192.0.2.9"}, ip: "192.0.2.9"},
		{name: "IPv6 alone", r: relayOptions{listen: []string{"[2001:db8::1]:3478"}}, want: "IPv4's"},
		{name: "everywhere", r: relayOptions{listen: []string{"0.0.0.0:3478"}}, want: "an address of this machine"},
		{name: "no port", r: relayOptions{secure: []string{"192.0.2.1:0"}}, want: "an address of this machine"},
		{name: "ports", r: relayOptions{listen: at, portsIn: "50000-50099"}, ip: "192.0.2.1"},
		{name: "ports backwards", r: relayOptions{listen: at, portsIn: "50099-50000"}, want: "two ports"},
		{name: "one port", r: relayOptions{listen: at, portsIn: "50000"}, want: "two ports"},
		{name: "a certificate without a key", r: relayOptions{secure: secure, cert: "x.pem"}, want: "go together"},
		{name: "a name for an address", r: relayOptions{listen: at, public: "relay.example"}, want: "IPv4 address"},
		{name: "a rate for nothing", r: relayOptions{rate: 1}, want: "no --relay"},
		{name: "the tracker elsewhere", r: relayOptions{listen: at}, only: []string{"origin"}, want: "tracker is not here"},
	} {
		o := options{relay: c.r, only: c.only}
		err := o.checkRelay()
		switch {
		case (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		case err == nil && c.ip != "" && o.relay.ip != netip.MustParseAddr(c.ip):
			t.Errorf("%s: relayed addresses are of %v, want %s", c.name, o.relay.ip, c.ip)
		}
	}
}
