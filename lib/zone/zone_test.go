package zone

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

const twoISPs = `
# The house stands in isp-a.
203.0.113.0/24 isp-a
2001:db8::/32	isp-b   # and so on
198.51.100.7   isp-b
198.51.0.0/16  isp-c
cost isp-a isp-b 10
cost isp-a -> isp-c 20
cost isp-c -> isp-a 2
default-cost 5
budget isp-b 20M
budget isp-c 2.5k
`

func mustParse(t testing.TB, text string) *Map {
	t.Helper()
	m, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *Map) at(addr string) string { return m.Name(m.Lookup(netip.MustParseAddr(addr))) }

func TestAMapSaysWhereAnAddressIsAndWhatTheWayCosts(t *testing.T) {
	m := mustParse(t, twoISPs)
	for addr, want := range map[string]string{
		"203.0.113.0": "isp-a", "203.0.113.255": "isp-a", "203.0.114.0": "", "203.0.112.255": "",
		"2001:db8::1": "isp-b", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff": "isp-b", "2001:db9::": "",
		"198.51.100.7": "isp-b", "198.51.100.8": "isp-c", "198.51.100.6": "isp-c", "198.51.0.0": "isp-c",
		"::ffff:203.0.113.9": "isp-a", "fe80::1%eth0": "", "0.0.0.0": "", "::": "", "255.255.255.255": "",
	} {
		if got := m.at(addr); got != want {
			t.Errorf("%s is in %q, want %q", addr, got, want)
		}
	}
	if m.Lookup(netip.Addr{}) != 0 {
		t.Error("no address has a zone")
	}
	z := func(name string) ID {
		id, ok := m.Find(name)
		if !ok || id == 0 || m.Name(id) != name {
			t.Fatalf("%s is %d", name, id)
		}
		return id
	}
	a, b, c := z("isp-a"), z("isp-b"), z("isp-c")
	for _, way := range []struct {
		from, to ID
		want     uint32
	}{
		{a, b, 10}, {b, a, 10}, {a, c, 20}, {c, a, 2}, {b, c, 5}, {c, b, 5}, {a, a, 0},
		{0, a, 5}, {a, 0, 5}, {0, 0, 0}, {a, 99, 5}, {99, 99, 0},
	} {
		if got := m.Cost(way.from, way.to); got != way.want {
			t.Errorf("from %q to %q costs %d, want %d", m.Name(way.from), m.Name(way.to), got, way.want)
		}
	}
	if m.Budget(a) != 0 || m.Budget(b) != 20_000_000 || m.Budget(c) != 2500 || m.Budget(0) != 0 || m.Budget(99) != 0 {
		t.Errorf("budgets %d %d %d", m.Budget(a), m.Budget(b), m.Budget(c))
	}
	if m.Len() != 3 || m.Name(0) != "" || m.Name(4) != "" {
		t.Errorf("%d zones", m.Len())
	}
}

func TestWhatNobodyRatedIsNotPreferred(t *testing.T) {
	for text, want := range map[string]uint32{
		"10.0.0.0/8 a\n11.0.0.0/8 b\n12.0.0.0/8 c":                                  1,
		"10.0.0.0/8 a\n11.0.0.0/8 b\n12.0.0.0/8 c\ncost a b 7":                      7,
		"10.0.0.0/8 a\n11.0.0.0/8 b\n12.0.0.0/8 c\ncost a b 7\ndefault-cost 0":      0,
		"10.0.0.0/8 a\n11.0.0.0/8 b\n12.0.0.0/8 c\ncost a b 0":                      1,
		"\ufeff10.0.0.0/8 a\r\n11.0.0.0/8 b\r\n12.0.0.0/8 c\r\ndefault-cost 3\r\n#": 3,
	} {
		m := mustParse(t, text)
		b, _ := m.Find("b")
		c, _ := m.Find("c")
		if got := m.Cost(b, c); got != want {
			t.Errorf("%q: from b to c costs %d, want %d", text, got, want)
		}
	}
}

func TestTheLongestPrefixCountsWhereverItStands(t *testing.T) {
	m := mustParse(t, `
0.0.0.0/0 world
10.0.0.0/8 a
10.0.0.0/9 b
10.64.0.0/10 c
10.127.255.255 d
10.128.0.0/9 e
255.255.255.255 f
::/0 six
ffff::/16 g
`)
	for addr, want := range map[string]string{
		"0.0.0.0": "world", "9.255.255.255": "world", "10.0.0.0": "b", "10.63.255.255": "b", "10.64.0.0": "c", "10.127.255.254": "c",
		"10.127.255.255": "d", "10.128.0.0": "e", "10.255.255.255": "e", "11.0.0.0": "world", "255.255.255.254": "world",
		"255.255.255.255": "f", "::": "six", "fffe::": "six", "ffff::1": "g",
	} {
		if got := m.at(addr); got != want {
			t.Errorf("%s is in %q, want %q", addr, got, want)
		}
	}
}

// slowLookup is what the table must agree with.
func slowLookup(networks []network, a netip.Addr) (z ID) {
	best := -1
	for _, n := range networks {
		if n.prefix.Contains(a) && n.prefix.Bits() > best {
			best, z = n.prefix.Bits(), n.zone
		}
	}
	return z
}

func TestATableAgreesWithALookAtEveryNetwork(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	// Few bits, so that networks lie within each other and at each other's ends.
	addr := func() netip.Addr {
		high := byte(rng.IntN(4) * 85)
		if rng.IntN(2) == 0 {
			return netip.AddrFrom4([4]byte{high, byte(rng.IntN(3) * 127), byte(rng.IntN(2) * 255), byte(rng.Uint32())})
		}
		b := [16]byte{high, byte(rng.IntN(3) * 127), 15: byte(rng.Uint32())}
		if rng.IntN(2) == 0 {
			for i := 2; i < 15; i++ {
				b[i] = 255
			}
		}
		return netip.AddrFrom16(b)
	}
	for range 200 {
		var networks []network
		for range rng.IntN(30) {
			a := addr()
			p := netip.PrefixFrom(a, rng.IntN(a.BitLen()+1)).Masked()
			networks = append(networks, network{prefix: p, zone: ID(1 + rng.IntN(3))})
		}
		slices.SortStableFunc(networks, byPrefix)
		networks = slices.CompactFunc(networks, func(x, y network) bool { return x.prefix == y.prefix })
		table := newTable(networks)
		if len(table) > 2*len(networks)+2 || !slices.IsSortedFunc(table, func(a, b span) int { return a.first.Compare(b.first) }) {
			t.Fatalf("%v became %v", networks, table)
		}
		tries := []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
		for range 20 {
			tries = append(tries, addr())
		}
		for _, n := range networks {
			end := last(n.prefix)
			tries = append(tries, n.prefix.Addr(), end, n.prefix.Addr().Prev(), end.Next())
		}
		for _, a := range tries {
			if !a.IsValid() || a.Is4In6() { // which counts as IPv4
				continue
			}
			if got, want := table.lookup(a), slowLookup(networks, a); got != want {
				t.Fatalf("%s is in %d, want %d: %v", a, got, want, networks)
			}
		}
	}
}

func TestAMistakeInATextIsFoundByItsLine(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.0/8":                             "zones:1: want: 10.0.0.0/8 ZONE",
		"10.0.0.0/8 a b":                         "zones:1: want: 10.0.0.0/8 ZONE",
		"\n10.0.0.0/33 a":                        `zones:2: "10.0.0.0/33" is no network`,
		"10.0.0.1/8 a":                           "zones:1: 10.0.0.1/8 has bits behind its length: 10.0.0.0/8 holds it",
		"::ffff:10.0.0.0/104 a":                  "zones:1: ::ffff:10.0.0.0/104: write IPv4 as IPv4",
		"10.0.0.0/8 a,b":                         `zones:1: "a,b" is no name of a zone`,
		"10.0.0.0/8 " + strings.Repeat("a", 65):  "is no name of a zone",
		"costs a b 1":                            `zones:1: "costs" is neither a network nor one of`,
		"cost a b":                               "zones:1: want: cost ZONE ZONE NUMBER",
		"cost a => b 5":                          "zones:1: want: cost ZONE ZONE NUMBER",
		"cost a b -5":                            `zones:1: "-5" is no cost`,
		"cost a b 1000001":                       `zones:1: "1000001" is no cost`,
		"cost a a 1":                             "zones:1: within a zone it costs nothing",
		"cost a b 1":                             "zones:1: a is the zone of no network",
		"10.0.0.0/8 a\nbudget b 1M":              "zones:2: b is the zone of no network",
		"10.0.0.0/8 a\nbudget a":                 "zones:2: want: budget ZONE RATE",
		"10.0.0.0/8 a\nbudget a 0":               `zones:2: "0" is no rate`,
		"10.0.0.0/8 a\nbudget a 20Mbit":          `zones:2: "20Mbit" is no rate`,
		"10.0.0.0/8 a\nbudget a 1e9":             `zones:2: "1e9" is no rate`,
		"10.0.0.0/8 a\nbudget a 1M\nbudget a 2M": "zones:3: the budget of a is 1000000 bit/s by zones:2",
		"default-cost":                           "zones:1: want: default-cost NUMBER",
		"default-cost 1\ndefault-cost 2":         "zones:2: the default cost is 1 by zones:1",
		"10.0.0.0/8 a\n10.0.0.0/8 b":             "zones:2: 10.0.0.0/8 is in b, and by zones:1 in a",
		"10.0.0.0/8 a\n11.0.0.0/8 b\ncost a b 1\ncost b -> a 2": "zones:4: from b to a it costs 1 by zones:3",
	} {
		m, err := Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %v, %v; want %s", text, m, err, want)
		}
	}
	// Said twice in the same words is no contradiction.
	mustParse(t, "10.0.0.0/8 a\n10.0.0.0/8 a\n11.0.0.0/8 b\ncost a b 1\ncost b a 1\ndefault-cost 1\ndefault-cost 1\nbudget a 1M\nbudget a 1000k")
}

func TestSeveralFilesAreOneMap(t *testing.T) {
	var b Builder
	for name, text := range map[string]string{"a.txt": "10.0.0.0/8 a", "b.txt": "11.0.0.0/8 b\ncost a b 3"} {
		if err := b.Add(name, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	m, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	if c := m.Cost(m.Lookup(netip.MustParseAddr("10.1.1.1")), m.Lookup(netip.MustParseAddr("11.1.1.1"))); c != 3 {
		t.Errorf("it costs %d", c)
	}
	b = Builder{}
	for _, name := range []string{"a.txt", "b.txt"} {
		if err := b.Add(name, []byte("10.0.0.0/8 "+name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Build(); err == nil || err.Error() != "b.txt:1: 10.0.0.0/8 is in b.txt, and by a.txt:1 in a.txt" {
		t.Errorf("a contradiction between files: %v", err)
	}
}

func TestMapsAreBounded(t *testing.T) {
	var b Builder
	b.files = []string{"zones"}
	b.networks = make([]network, MaxNetworks)
	if err := b.addNetwork(b.here(1), "10.0.0.0/8", "a"); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a network too many: %v", err)
	}
	b = Builder{files: []string{"zones"}, zones: make([]mention, MaxZones)}
	if _, err := b.zone(b.here(1), "a"); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a zone too many: %v", err)
	}
	if err := b.Add("book", make([]byte, MaxText+1)); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a book: %v", err)
	}
}

func FuzzText(f *testing.F) {
	f.Add(twoISPs)
	f.Add("0.0.0.0/0 a\n::/0 b\n255.255.255.255 c\ncost a->b 1\nbudget c 1.5T")
	f.Add("cost cost cost 1\n# nothing\n1.2.3.4/0 x")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse(text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "zones:") {
				t.Fatalf("no line in %v", err)
			}
			return
		}
		checkMap(t, m)
	})
}

// checkMap holds what is true of any map.
func checkMap(t *testing.T, m *Map) {
	t.Helper()
	for z := ID(1); z <= ID(m.Len()); z++ {
		if got, ok := m.Find(m.Name(z)); !ok || got != z || !CheckName(m.Name(z)) {
			t.Fatalf("zone %d is called %q, which is %d", z, m.Name(z), got)
		}
		if m.Cost(z, z) != 0 || m.Cost(0, z) > MaxCost || m.Cost(z, 1) > MaxCost || m.Budget(z) < 0 || m.Budget(z) > MaxBudget {
			t.Fatalf("zone %d costs %d from outside and has a budget of %d", z, m.Cost(0, z), m.Budget(z))
		}
	}
	for i, s := range m.table {
		if z := m.Lookup(s.first); z != m.table[i].zone && !s.first.Is4In6() || int(z) > m.Len() {
			t.Fatalf("%s is in %d, want %d", s.first, z, m.table[i].zone)
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	var text strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&text, "%d.%d.%d.0/24 z%d\n", i>>16+1, i>>8&255, i&255, i%100)
	}
	m := mustParse(b, text.String())
	a := netip.MustParseAddr("1.128.3.4")
	b.ReportAllocs()
	for b.Loop() {
		if m.Lookup(a) == 0 {
			b.Fatal("nowhere")
		}
	}
}
