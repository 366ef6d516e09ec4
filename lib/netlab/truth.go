package netlab

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/xp2p/xp2p/lib/nat"
)

// Truth finds out what a network does without STUN, by sending plain datagrams and
// looking where they come from and which come back: what a probe says is
// held against it. servers are two addresses of one host, which must have them;
// the lab must lose nothing. answerWithin is longer than a round trip.
func (l *Lab) Truth(client, server string, servers [2]netip.Addr, answerWithin time.Duration) (v nat.Verdict, err error) {
	t := truth{lab: l, client: client, wait: answerWithin}
	defer t.close()
	for _, a := range servers {
		for _, port := range []uint16{7001, 7002} {
			if err := t.listen(server, netip.AddrPortFrom(a, port)); err != nil {
				return v, err
			}
		}
	}
	mapped, err := t.mapping()
	if err != nil {
		return v, err
	}
	v.UDP = nat.TriOf(len(mapped) > 0)
	if v.TCP, err = t.tcp(server, servers[0]); err != nil || v.UDP == nat.No {
		return v, err
	}
	v.Mapping = nat.MappingOf(mapped)
	v.Translated = nat.TriOf(mapped[0].Mapped != t.local)
	v.Filtering, err = t.filtering()
	return v, err
}

type truth struct {
	lab    *Lab
	client string
	wait   time.Duration
	far    []*net.UDPConn // the first address's two ports, then the second's
	own    []*net.UDPConn
	local  netip.AddrPort // of the mapping's socket
}

func (t *truth) close() {
	for _, c := range append(t.far, t.own...) {
		c.Close()
	}
}

func (t *truth) listen(host string, at netip.AddrPort) error {
	return t.lab.Do(host, func() error {
		c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
		if err == nil {
			t.far = append(t.far, c)
		}
		return err
	})
}

// fresh opens a socket at the client.
func (t *truth) fresh() (c *net.UDPConn, err error) {
	err = t.lab.Do(t.client, func() (err error) {
		c, err = net.ListenUDP("udp4", &net.UDPAddr{IP: t.lab.Addr(t.client).AsSlice()})
		return err
	})
	if err == nil {
		t.own = append(t.own, c)
	}
	return c, err
}

func addrOfConn(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

// truthTries is how often a datagram is sent: a lab on a busy machine may lose one.
const truthTries = 3

// heard returns where a word came from; ok is false if it has not come by then.
func heard(c *net.UDPConn, word string, by time.Time) (from netip.AddrPort, ok bool) {
	c.SetReadDeadline(by)
	buf := make([]byte, 100)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return from, false
		}
		if string(buf[:n]) == word {
			return from, true
		}
	}
}

// mapping sends from one socket to all far ends.
func (t *truth) mapping() (seen []nat.Sighting, err error) {
	c, err := t.fresh()
	if err != nil {
		return nil, err
	}
	t.local = addrOfConn(c)
	got := make([]bool, len(t.far))
	for try := 0; try < truthTries && len(seen) < len(t.far); try++ {
		for i, f := range t.far {
			if !got[i] {
				c.WriteToUDPAddrPort([]byte("where from"), addrOfConn(f)) // a box may refuse it, which is silence too
			}
		}
		by := time.Now().Add(t.wait)
		for i, f := range t.far {
			if got[i] {
				continue
			}
			if from, ok := heard(f, "where from", by); ok {
				seen, got[i] = append(seen, nat.Sighting{Server: addrOfConn(f), Mapped: from}), true
			}
		}
	}
	if n := len(seen); n != 0 && n != len(t.far) {
		return nil, fmt.Errorf("netlab: only %d of %d far ends heard the client", n, len(t.far))
	}
	return seen, nil
}

// filtering sends from a fresh socket to one far end, and back from all: from the
// strangers first, while nothing has been answered yet.
func (t *truth) filtering() (nat.Behaviors, error) {
	c, err := t.fresh()
	if err != nil {
		return 0, err
	}
	var at netip.AddrPort
	for try, ok := 0, false; !ok; try++ {
		if try == truthTries {
			return 0, fmt.Errorf("netlab: the far end did not hear the client")
		}
		if _, err := c.WriteToUDPAddrPort([]byte("open"), addrOfConn(t.far[0])); err != nil {
			return 0, err
		}
		at, ok = heard(t.far[0], "open", time.Now().Add(t.wait))
	}
	came := map[netip.AddrPort]bool{}
	for range truthTries {
		for _, i := range []int{3, 2, 1, 0} {
			if _, err := t.far[i].WriteToUDPAddrPort([]byte("in"), at); err != nil {
				return 0, err
			}
		}
		for by := time.Now().Add(t.wait); len(came) < len(t.far); {
			from, ok := heard(c, "in", by)
			if !ok {
				break
			}
			came[from] = true
		}
	}
	var got [4]bool
	for i, f := range t.far {
		got[i] = came[addrOfConn(f)]
	}
	switch got {
	case [4]bool{true, true, true, true}:
		return nat.Only(nat.EndpointIndependent), nil
	case [4]bool{true, true, false, false}:
		return nat.Only(nat.AddressDependent), nil
	case [4]bool{true, false, false, false}:
		return nat.Only(nat.AddressAndPortDependent), nil
	}
	return 0, fmt.Errorf("netlab: a filter that RFC 4787 has no word for: %v", got)
}

// tcp connects once.
func (t *truth) tcp(server string, at netip.Addr) (nat.Tri, error) {
	var ln net.Listener
	err := t.lab.Do(server, func() (err error) {
		ln, err = net.Listen("tcp4", netip.AddrPortFrom(at, 7001).String())
		return err
	})
	if err != nil {
		return nat.Maybe, err
	}
	defer ln.Close()
	result := nat.No
	err = t.lab.Do(t.client, func() error {
		c, err := net.DialTimeout("tcp4", ln.Addr().String(), 20*t.wait)
		if err == nil {
			c.Close()
			result = nat.Yes
		}
		return nil
	})
	return result, err
}
