package wire

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// SignalNAT says what a peer knows of its NAT, in the words of package nat; what
// it does not know is absent. It is the peer's own word: who lies is not met.
type SignalNAT struct {
	Classes    []string `json:"classes,omitempty"` // those that are possible
	Mapping    string   `json:"mapping,omitempty"`
	Filtering  string   `json:"filtering,omitempty"`
	Allocation string   `json:"allocation,omitempty"`
	Delta      int      `json:"delta,omitempty"` // between the ports of successive mappings
	Low        uint16   `json:"low,omitempty"`   // the range of ports that was seen
	High       uint16   `json:"high,omitempty"`
	Block      int      `json:"block,omitempty"` // at least so many ports, if they come from a block
}

// PunchRounds is how often two peers try to find a way before they give up for a
// while.
const PunchRounds = 3

// SignalPunch carries what two peers tell each other so as to begin at one time:
// an offer, and its answer. A peer sends it to the tracker with Peer naming the
// other, Tokens, Hosts and Relayed; the tracker passes it on with Peer naming the
// sender, Addrs and MAC. It passes on no other address than those that tokens
// prove, those of relays, and private ones among peers at one public address.
type SignalPunch struct {
	Peer    PeerID    `json:"peer"`
	Session uint64    `json:"session,string"` // drawn by whoever offered first
	Round   uint8     `json:"round"`          // 1 to PunchRounds
	Answer  bool      `json:"answer,omitempty"`
	Relay   bool      `json:"relay,omitempty"` // through a relay, although the NATs may let more pass
	NAT     SignalNAT `json:"nat"`
	// RTTms is how long a server's answer takes the sender: the tracker's word
	// comes as much later.
	RTTms uint16 `json:"rtt_ms,omitempty"`

	Tokens  []Token          `json:"addr_tokens,omitempty"`
	Hosts   []netip.AddrPort `json:"hosts,omitempty"`
	Relayed []netip.AddrPort `json:"relayed,omitempty"` // where relays take packets for the sender

	// Addrs is where the receiver may send to, the newest of those observed first;
	// from the first, ports are foretold.
	Addrs []netip.AddrPort `json:"addrs,omitempty"`
	// MAC is the key that authenticates what the two send each other: both get the
	// same for one session, and nobody else does.
	MAC Key `json:"mac_key,omitzero"`
}

// maxPortBlock is more than any carrier gives to a customer.
const maxPortBlock = 1 << 16

func (n *SignalNAT) check() error {
	if n == nil {
		return nil
	}
	if len(n.Classes) > MaxSignalAddrs {
		return fmt.Errorf("nat: %d classes", len(n.Classes))
	}
	for _, c := range n.Classes {
		if err := checkText("nat: class", c, maxSignalWord); err != nil {
			return err
		}
	}
	if n.Delta <= -maxPortBlock || n.Delta >= maxPortBlock || n.Block < 0 || n.Block > maxPortBlock || n.Low > n.High {
		return errors.New("nat: ports out of range")
	}
	return cmp.Or(checkText("nat: mapping", n.Mapping, maxSignalWord), checkText("nat: filtering", n.Filtering, maxSignalWord),
		checkText("nat: allocation", n.Allocation, maxSignalWord))
}

// Equal says whether both say the same; nil says nothing.
func (n *SignalNAT) Equal(o *SignalNAT) bool {
	if n == nil || o == nil {
		return n == o
	}
	return slices.Equal(n.Classes, o.Classes) && n.Mapping == o.Mapping && n.Filtering == o.Filtering && n.Allocation == o.Allocation &&
		n.Delta == o.Delta && n.Low == o.Low && n.High == o.High && n.Block == o.Block
}

// maxSignalWord is longer than any word of package nat.
const maxSignalWord = 32

func (m *SignalPunch) check() error {
	switch {
	case m.Peer == 0:
		return errors.New("peer: none")
	case m.Session == 0:
		return errors.New("session: none")
	case m.Round == 0 || m.Round > PunchRounds:
		return fmt.Errorf("round: %d", m.Round)
	}
	return cmp.Or(checkTokens(m.Tokens), checkAddrs(m.Hosts), checkAddrs(m.Relayed), checkAddrs(m.Addrs), m.NAT.check())
}
