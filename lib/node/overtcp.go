package node

import (
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/wire"
	"github.com/xp2p/xp2p/lib/xntp"
)

// udpPatience is how long a seed may leave UDP unanswered before it is asked for
// over TCP: by then a classification calls UDP blocked, too.
const udpPatience = 1500 * time.Millisecond

// tcpOf is where a seed is reached over TCP; empty if nobody said so.
func (p *peer) tcpOf() string {
	for _, r := range p.seeds {
		for i := range r.cfg.Seeds {
			if s := &r.cfg.Seeds[i]; xntp.PublicKey(s.Key) == p.key {
				return s.TCP
			}
		}
	}
	return ""
}

// blocked says whether we know that no UDP of ours gets through.
func (n *Node) blocked() bool {
	return len(n.facts.Classes) > 0 && !slices.ContainsFunc(n.facts.Classes, func(c nat.Class) bool { return c != nat.UDPBlocked })
}

// overTCP has a seed connected to over TCP, if UDP does not get through to it, and
// reports whether it did.
func (n *Node) overTCP(now time.Time, p *peer) bool {
	url := p.tcpOf()
	if url == "" || n.cfg.Role == wire.RoleSeed || n.punch == nil {
		return false
	}
	if p.carrying {
		return true
	}
	if !n.blocked() && (p.tried.IsZero() || now.Before(p.tried.Add(udpPatience))) {
		return false
	}
	if !n.openSocket(OpenSocket{Kind: SocketTCP, Remote: p.addrs[0], URL: url}, 0) {
		return false
	}
	n.sockets.asks[n.sockets.ref] = ask{kind: SocketTCP, peer: p.id, to: p.addrs[0]}
	p.carrying = true
	n.tried(now, p)
	return true
}

// carried goes on with a seed's TCP connection.
func (n *Node) carried(now time.Time, a ask, socket machine.Socket, err error) {
	p := n.peer(a.peer)
	if p != nil {
		p.carrying = false
	}
	switch {
	case err != nil && p != nil:
		p.dialAt = now.Add(min(redialMin<<min(p.fails, 8), redialMax))
		p.fails++
		n.wakeDial(p.dialAt)
	case err != nil:
	case p == nil || len(p.named) == 0 || p.conn != nil && p.conn.up || !n.dialTo(now, p, socket, a.to):
		n.closeSocket(socket)
	}
}
