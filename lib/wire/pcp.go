package wire

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// Of PCP (RFC 6887), what a host needs that wants a port: ANNOUNCE, which asks for
// a sign of life, and MAP. It is spoken at NATPMPPort.
const (
	pcpVersion  = 2
	pcpAnnounce = 0
	pcpMap      = 1
	pcpAnswer   = 0x80
	pcpHeader   = 24
	pcpMapSize  = pcpHeader + 36
	protocolUDP = 17
)

// MaxPCP is the size of the largest message (RFC 6887 §7).
const MaxPCP = 1100

// ErrPCP says that a datagram is no answer of PCP.
var ErrPCP = errors.New("pcp: not an answer")

// A PCPMap asks for a mapping of a UDP port, or says which was given. The same
// Nonce names it in every message; a Lifetime of 0 ends it.
type PCPMap struct {
	Nonce    [12]byte
	Client   netip.Addr // who asks; not in answers
	Internal uint16
	External netip.AddrPort // asked for, or given; no address and 0 are any
	Lifetime uint32         // seconds
}

// A PCPAnswer is the part that all answers have.
type PCPAnswer struct {
	Result   uint8  // 0 is success (RFC 6887 §7.4)
	Lifetime uint32 // of the mapping, or of the error
	Epoch    uint32 // seconds since the router forgot all mappings
	Map      *PCPMap
}

func appendPCPHeader(b []byte, op byte, lifetime uint32, client netip.Addr) []byte {
	b = append(b, pcpVersion, op, 0, 0)
	b = binary.BigEndian.AppendUint32(b, lifetime)
	a := client.As16()
	return append(b, a[:]...)
}

// AppendPCPAnnounce appends a request for a sign of life.
func AppendPCPAnnounce(b []byte, client netip.Addr) []byte {
	return appendPCPHeader(b, pcpAnnounce, 0, client)
}

// AppendPCPMap appends a request for a mapping.
func AppendPCPMap(b []byte, m *PCPMap) []byte {
	b = appendPCPHeader(b, pcpMap, m.Lifetime, m.Client)
	return appendPCPMap(b, m)
}

func appendPCPMap(b []byte, m *PCPMap) []byte {
	b = append(b, m.Nonce[:]...)
	b = append(b, protocolUDP, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, m.Internal)
	b = binary.BigEndian.AppendUint16(b, m.External.Port())
	external := m.External.Addr()
	if !external.IsValid() { // any, of the client's family (RFC 6887 §11.1)
		external = netip.IPv6Unspecified()
		if m.Client.Unmap().Is4() {
			external = netip.IPv4Unspecified()
		}
	}
	a := external.As16()
	return append(b, a[:]...)
}

// AppendPCPAnswer appends an answer: that of a router, in tests.
func AppendPCPAnswer(b []byte, a *PCPAnswer) []byte {
	op := byte(pcpAnnounce)
	if a.Map != nil {
		op = pcpMap
	}
	b = append(b, pcpVersion, op|pcpAnswer, 0, a.Result)
	b = binary.BigEndian.AppendUint32(b, a.Lifetime)
	b = binary.BigEndian.AppendUint32(b, a.Epoch)
	b = append(b, make([]byte, 12)...)
	if a.Map == nil {
		return b
	}
	return appendPCPMap(b, a.Map)
}

// ParsePCP reads an answer. Options behind it are passed over.
func ParsePCP(b []byte) (a PCPAnswer, err error) {
	if len(b) < pcpHeader || len(b) > MaxPCP || len(b)%4 != 0 || b[0] != pcpVersion || b[1]&pcpAnswer == 0 {
		return a, ErrPCP
	}
	a = PCPAnswer{Result: b[3], Lifetime: binary.BigEndian.Uint32(b[4:]), Epoch: binary.BigEndian.Uint32(b[8:])}
	switch b[1] &^ pcpAnswer {
	case pcpAnnounce:
		return a, nil
	case pcpMap:
	default:
		return PCPAnswer{}, ErrPCP
	}
	m, err := parsePCPMap(b[pcpHeader:])
	if err != nil {
		return PCPAnswer{}, err
	}
	m.Lifetime = a.Lifetime
	a.Map = m
	return a, nil
}

func parsePCPMap(p []byte) (*PCPMap, error) {
	if len(p) < pcpMapSize-pcpHeader || p[12] != protocolUDP {
		return nil, ErrPCP
	}
	m := &PCPMap{Nonce: [12]byte(p), Internal: binary.BigEndian.Uint16(p[16:])}
	addr := netip.AddrFrom16([16]byte(p[20:36])).Unmap()
	m.External = netip.AddrPortFrom(addr, binary.BigEndian.Uint16(p[18:]))
	return m, nil
}

// ParsePCPRequest reads a request: it is for routers, in tests. m is nil for an
// ANNOUNCE.
func ParsePCPRequest(b []byte) (client netip.Addr, m *PCPMap, err error) {
	if len(b) < pcpHeader || b[0] != pcpVersion || b[1] > pcpMap {
		return client, nil, ErrPCP
	}
	client = netip.AddrFrom16([16]byte(b[8:24])).Unmap()
	if b[1] == pcpAnnounce {
		return client, nil, nil
	}
	if m, err = parsePCPMap(b[pcpHeader:]); err != nil {
		return client, nil, err
	}
	m.Client, m.Lifetime = client, binary.BigEndian.Uint32(b[4:])
	return client, m, nil
}
