package wire

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"unicode/utf8"
)

// maxUplink bounds claims of speed: nobody has more than 100 Gbit/s at home.
const maxUplink = 100_000_000_000

// CheckAddr says whether a is an address that a peer may be sent to: a unicast
// address of IPv4 or IPv6 without a zone, and a port. Loopback passes: swarms on
// one machine are legal.
func CheckAddr(a netip.AddrPort) error {
	ip := a.Addr()
	switch {
	case !ip.IsValid():
		return errors.New("address: none")
	case a.Port() == 0:
		return fmt.Errorf("address %s: no port", a)
	case ip.Zone() != "":
		return fmt.Errorf("address: %s has a zone", ip.WithZone(""))
	case ip.Is4In6():
		return fmt.Errorf("address %s: IPv4 must be written as IPv4", a)
	case ip.IsUnspecified(), ip.IsMulticast(), ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return fmt.Errorf("address %s: not unicast", a)
	}
	return nil
}

func checkAddrs(addrs []netip.AddrPort) error {
	if len(addrs) > MaxSignalAddrs {
		return fmt.Errorf("%d addresses are more than %d", len(addrs), MaxSignalAddrs)
	}
	for _, a := range addrs {
		if err := CheckAddr(a); err != nil {
			return err
		}
	}
	return nil
}

func checkText(what, s string, limit int) error {
	if len(s) > limit {
		return fmt.Errorf("%s: longer than %d bytes", what, limit)
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%s: not UTF-8", what)
	}
	for _, r := range s {
		if r < ' ' || r == 0x7f {
			return fmt.Errorf("%s: has control characters", what)
		}
	}
	return nil
}

func checkUplink(bps int64) error {
	if bps < 0 || bps > maxUplink {
		return fmt.Errorf("uplink_bps: %d is out of range", bps)
	}
	return nil
}

func (r Role) check() error {
	if r != RolePeer && r != RoleSeed {
		return fmt.Errorf("role: %.32q is none", string(r))
	}
	return nil
}

func checkTokens(tokens []Token) error {
	if len(tokens) > MaxSignalAddrs {
		return fmt.Errorf("%d tokens are more than %d", len(tokens), MaxSignalAddrs)
	}
	for _, t := range tokens {
		if len(t) == 0 {
			return errors.New("token: empty")
		}
		if err := t.check(); err != nil {
			return err
		}
	}
	return nil
}

func (m *SignalHello) check() error {
	if m.Key == (Key{}) {
		return errors.New("key: none")
	}
	if err := checkTokens(m.Tokens); err != nil {
		return err
	}
	return cmp.Or(checkAddrs(m.Hosts), m.Role.check(), checkUplink(m.UplinkBPS), m.NAT.check(),
		checkText("name", m.Name, maxSignalName), checkText("resume", m.Resume, maxSignalName))
}

func (m *SignalReport) check() error {
	if len(m.Report) > MaxSignalReport {
		return fmt.Errorf("report: longer than %d bytes", MaxSignalReport)
	}
	if len(m.Report) == 0 || m.Report[0] != '{' || !json.Valid(m.Report) {
		return errors.New("report: not a JSON object")
	}
	if len(m.Receipts) > MaxSignalReceipts {
		return fmt.Errorf("%d receipts are more than %d", len(m.Receipts), MaxSignalReceipts)
	}
	if len(m.Unreached) > MaxSignalMembers {
		return fmt.Errorf("%d unreached are more than %d", len(m.Unreached), MaxSignalMembers)
	}
	for i := range m.Receipts {
		if err := m.Receipts[i].check(); err != nil {
			return err
		}
	}
	return nil
}

func (m *SignalBye) check() error { return nil }

func (m *SignalWelcome) check() error {
	if m.ID == 0 {
		return errors.New("id: none")
	}
	if m.TimeUnixMS < 0 {
		return errors.New("time_unix_ms: negative")
	}
	return checkText("resume", m.Resume, maxSignalName)
}

func (m *SignalMember) check() error {
	if m.ID == 0 || m.Key == (Key{}) {
		return errors.New("member: no id or no key")
	}
	if m.Tier < -1 || m.Tier > 1 {
		return fmt.Errorf("member: tier %d", m.Tier)
	}
	return cmp.Or(checkAddrs(m.Addrs), m.Token.check(), m.Role.check(), checkUplink(m.UplinkBPS), m.NAT.check())
}

func checkMembers(members []SignalMember) error {
	if len(members) > MaxSignalMembers {
		return fmt.Errorf("%d members are more than %d", len(members), MaxSignalMembers)
	}
	for i := range members {
		if err := members[i].check(); err != nil {
			return err
		}
		for j := range i {
			if members[j].ID == members[i].ID {
				return fmt.Errorf("member %s: twice", members[i].ID)
			}
		}
	}
	return nil
}

func (m *SignalNeighbours) check() error {
	if len(m.Left) > MaxSignalMembers {
		return fmt.Errorf("%d that left are more than %d", len(m.Left), MaxSignalMembers)
	}
	if len(m.Banned) > MaxSignalMembers {
		return fmt.Errorf("%d who are banned are more than %d", len(m.Banned), MaxSignalMembers)
	}
	return cmp.Or(checkText("topology", m.Topology, maxSignalName), checkUplink(m.UplinkBPS),
		checkMembers(m.Members))
}

func (m *SignalFeed) check() error {
	total := 0
	for i := range m.Groups {
		total += 1 + len(m.Groups[i].Members) // an empty group costs bytes too
		if total > 2*MaxSignalMembers {
			return fmt.Errorf("more than %d groups and members", 2*MaxSignalMembers)
		}
		if err := checkMembers(m.Groups[i].Members); err != nil {
			return fmt.Errorf("group %d: %w", m.Groups[i].Group, err)
		}
	}
	if total-len(m.Groups) > MaxSignalMembers {
		return fmt.Errorf("more than %d members", MaxSignalMembers)
	}
	return checkText("topology", m.Topology, maxSignalName)
}

func (m *SignalError) check() error {
	if m.Code == "" {
		return errors.New("code: none")
	}
	return cmp.Or(checkText("code", m.Code, maxSignalName), checkText("message", m.Message, maxSignalText))
}
