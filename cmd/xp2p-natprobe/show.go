package main

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"text/tabwriter"

	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/tool"
)

func words(list []string, between string) string { return strings.Join(list, between) }

// hostOf is an address without its port.
func hostOf(addr string) string {
	if a, err := netip.ParseAddrPort(addr); err == nil {
		return a.Addr().String()
	}
	return addr
}

// meaning says what a class is, for one who does not know the field.
var meaning = map[nat.Class]string{
	nat.Public:             "This machine has a public address, and everybody can send to it.",
	nat.UDPBlocked:         "UDP does not leave this network; TCP does. Video comes over TCP only.",
	nat.SymmetricFirewall:  "This machine has a public address; a firewall lets in only answers to what it has sent.",
	nat.FullCone:           "A router gives this machine one public address for everybody, and lets everybody send to it.",
	nat.RestrictedCone:     "A router gives this machine one public address for everybody, and lets in whom it has sent to.",
	nat.PortRestrictedCone: "A router gives this machine one public address for everybody, and lets in only answers. Most home routers do.",
	nat.Symmetric:          "A router gives this machine another public address for each destination. Many mobile and company networks do.",
	nat.Offline:            "Nothing answers: not over UDP, not over TCP.",
}

// show writes the report for people.
func show(w io.Writer, s tool.Styles, r nat.Report) error {
	b := new(strings.Builder)
	class := classOf(r)
	switch {
	case class != nat.Unclassified:
		fmt.Fprintf(b, "%s  (confidence: %s)\n%s\n\n", s.Title(strings.ReplaceAll(r.Class, "-", " ")), r.Confidence, meaning[class])
	case r.UDP == nil || !*r.UDP:
		fmt.Fprintf(b, "%s\nNo server answered over UDP, and TCP proves nothing: %s.\n\n", s.Warn("nobody answered"), words(r.Candidates, " or "))
	default:
		fmt.Fprintf(b, "%s\nOne of: %s.\nTo decide: %s.\n\n", s.Warn("inconclusive"), words(spaced(r.Candidates), ", "), words(r.Undecided, "; "))
	}
	if inside(r) {
		fmt.Fprintf(b, "%s\n\n", s.Warn("The servers are in a private network: this says nothing about the way to the internet."))
	}
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	udp := r.UDP != nil && *r.UDP
	if len(r.PublicAddrs) > 0 {
		row("public address", "%s", words(r.PublicAddrs, ", "))
	}
	if len(r.LocalAddrs) > 0 {
		row("this machine", "%s", words(r.LocalAddrs, ", "))
	}
	if udp {
		row("mapping", "%s", known(r.Mapping))
		row("filtering", "%s", known(r.Filtering))
	}
	if r.Allocation != "" {
		text := r.Allocation
		switch {
		case r.AllocationDelta != nil:
			text += fmt.Sprintf(", step %+d", *r.AllocationDelta)
		case r.AllocationBlock > 0:
			text += fmt.Sprintf(" of about %d", r.AllocationBlock)
		}
		if len(r.AllocationRange) == 2 && r.Allocation != nat.PortPreserving.String() {
			text += fmt.Sprintf(" (%d to %d)", r.AllocationRange[0], r.AllocationRange[1])
		}
		row("outside ports", "%s", text)
	}
	if r.Hairpin != nil {
		row("hairpin", "%s", yes(*r.Hairpin, "neighbours reach each other by public address", "neighbours reach each other only by private address"))
	}
	if r.CGNAT != nil {
		row("carrier NAT", "%s", yes(*r.CGNAT, words(r.CGNATEvidence, "; "), noCarrier(r)))
	}
	row("UDP, TCP, IPv6", "%s, %s, %s", works(r.UDP), works(r.TCP), works(r.IPv6))
	for _, srv := range r.Servers {
		switch {
		case srv.RTTms == 0:
			row("server "+srv.Addr, "no answer over UDP")
		case len(srv.Can) == 0:
			row("server "+srv.Addr, "%.1f ms", srv.RTTms)
		default:
			row("server "+srv.Addr, "%.1f ms, told %s", srv.RTTms, words(srv.Can, ", "))
		}
	}
	if r.MTUBytes > 0 {
		row("largest packet", "%d bytes", r.MTUBytes)
	}
	for _, l := range r.Lifetimes {
		row("lifetime, "+strings.ReplaceAll(l.Traffic, "-", " "), "%s", lifetime(l))
	}
	row("took", "%.0f ms", r.TookMS)
	t.Flush()
	reaches(b, s, r)
	_, err := io.WriteString(w, b.String())
	return err
}

func noCarrier(r nat.Report) string {
	if r.Translated != nil && *r.Translated {
		return "the router has the public address"
	}
	return "there is no NAT"
}

// inside says whether no server saw us at a public address.
func inside(r nat.Report) bool {
	for _, a := range r.PublicAddrs {
		if ap, err := netip.ParseAddrPort(a); err == nil && nat.ReachOf(ap.Addr()) >= nat.Carrier {
			return false
		}
	}
	return len(r.PublicAddrs) > 0
}

// reaches says whom a viewer here can be connected to.
func reaches(b *strings.Builder, s tool.Styles, r nat.Report) {
	allocation := nat.Random
	if r.Allocation == nat.Sequential.String() {
		allocation = nat.Sequential
	}
	me, ok := nat.KindOf(classOf(r), allocation)
	if !ok {
		return
	}
	fmt.Fprintf(b, "\n%s\n", s.Title("Peer to peer, this machine reaches"))
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	var by [nat.Relayed + 1][]string
	for _, k := range nat.Kinds() {
		way := nat.WayBetween(me, k)
		by[way] = append(by[way], k.String())
	}
	for way, label := range [...]string{"directly", "by guessing ports", "by many tries", "over TCP only", "through a relay only"} {
		if len(by[way]) == len(nat.Kinds()) {
			by[way] = []string{"everybody"}
		}
		if len(by[way]) > 0 {
			fmt.Fprintf(t, "%s\t%s\n", label, words(by[way], "; "))
		}
	}
	t.Flush()
}

func lifetime(l nat.Lifetime) string {
	switch {
	case l.DiedS == 0:
		return fmt.Sprintf("at least %.0f s", l.LivedS)
	case l.LivedS == 0:
		return fmt.Sprintf("less than %.0f s", l.DiedS)
	}
	return fmt.Sprintf("between %.0f and %.0f s", l.LivedS, l.DiedS)
}

func spaced(list []string) (out []string) {
	for _, s := range list {
		out = append(out, strings.ReplaceAll(s, "-", " "))
	}
	return out
}

func known(s string) string {
	if s == "" {
		return "unknown"
	}
	return strings.ReplaceAll(s, "-", " ")
}

func yes(b bool, yes, no string) string {
	if b {
		return "yes: " + yes
	}
	return "no: " + no
}

func works(b *bool) string {
	switch {
	case b == nil:
		return "unknown"
	case *b:
		return "yes"
	}
	return "no"
}
