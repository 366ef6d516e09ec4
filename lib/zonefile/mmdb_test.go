package zonefile

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// An mmdb is a database in the making (MaxMind DB format 2.0): a tree over the
// 128 bits of an address, of which IPv4 has the last 32, and records behind it.
type mmdb struct {
	nodes [][2]int // children: 0 is none, a node is positive, ^offset a record
	data  []byte
}

// put gives a network a record. Networks must not lie within each other.
func (m *mmdb) put(prefix string, record map[string]any) {
	p := netip.MustParsePrefix(prefix)
	a, bits := p.Addr().As16(), p.Bits()
	if p.Addr().Is4() {
		a, bits = [16]byte{}, bits+96
		copy(a[12:], p.Addr().AsSlice())
	}
	leaf := ^len(m.data)
	m.data = appendValue(m.data, record)
	if m.nodes == nil {
		m.nodes = [][2]int{{}}
	}
	at := 0
	for i := range bits {
		side := a[i/8] >> (7 - i%8) & 1
		switch child := m.nodes[at][side]; {
		case i == bits-1:
			m.nodes[at][side] = leaf
		case child == 0:
			m.nodes = append(m.nodes, [2]int{})
			m.nodes[at][side] = len(m.nodes) - 1
			fallthrough
		default:
			at = m.nodes[at][side]
		}
	}
}

// bytes returns the file, with records of 24 bits.
func (m *mmdb) bytes(kind string) (out []byte) {
	for _, n := range m.nodes {
		for _, child := range n {
			v := len(m.nodes) // nothing
			switch {
			case child > 0:
				v = child
			case child < 0:
				v += 16 + ^child
			}
			out = append(out, byte(v>>16), byte(v>>8), byte(v))
		}
	}
	out = append(out, make([]byte, 16)...)
	out = append(out, m.data...)
	out = append(out, metadataMark...)
	return appendValue(out, map[string]any{
		"binary_format_major_version": uint32(2), "binary_format_minor_version": uint32(0), "build_epoch": uint32(1_800_000_000),
		"database_type": kind, "ip_version": uint32(6), "node_count": uint32(len(m.nodes)), "record_size": uint32(24),
	})
}

// appendValue appends a map, a string or a number.
func appendValue(b []byte, v any) []byte {
	control := func(kind, size int) {
		if size < 29 {
			b = append(b, byte(kind<<5|size))
		} else {
			b = append(b, byte(kind<<5|29), byte(size-29))
		}
	}
	switch v := v.(type) {
	case string:
		control(2, len(v))
		b = append(b, v...)
	case uint32:
		control(6, 4)
		b = binary.BigEndian.AppendUint32(b, v)
	case map[string]any:
		control(7, len(v))
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			b = appendValue(appendValue(b, k), v[k])
		}
	default:
		panic("not a value of this writer")
	}
	return b
}
