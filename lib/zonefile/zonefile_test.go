package zonefile

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xp2p/xp2p/lib/zone"
)

func write(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// asDatabase is what a database of AS numbers looks like.
func asDatabase() []byte {
	var m mmdb
	m.put("192.0.2.0/24", map[string]any{"autonomous_system_number": uint32(64500), "autonomous_system_organization": "Anna & Bert Ltd."})
	m.put("198.51.100.0/25", map[string]any{"autonomous_system_number": uint32(64501)})
	m.put("198.51.100.128/25", map[string]any{"autonomous_system_number": uint32(0)})
	m.put("2001:db8:1::/48", map[string]any{"autonomous_system_number": uint32(64500)})
	return m.bytes("Test-ASN")
}

func TestADatabaseKnowsTheASAndTheTextWhatItCosts(t *testing.T) {
	text := write(t, "costs.txt", []byte("cost AS64500 AS64501 10\nbudget AS64500 20M\n192.0.2.128/25 house\ncost house AS64500 1\n"))
	db := write(t, "isp.bin", asDatabase()) // told by what is in it, and not by its name
	for _, order := range [][]string{{text, db}, {db, text}} {
		src, err := Load(order...)
		if err != nil {
			t.Fatal(err)
		}
		at := func(addr string) zone.ID { return src.Lookup(netip.MustParseAddr(addr)) }
		for addr, want := range map[string]string{
			"192.0.2.1": "AS64500", "192.0.2.200": "house", "198.51.100.1": "AS64501", "198.51.100.200": "", "203.0.113.1": "",
			"2001:db8:1::5": "AS64500", "2001:db8:2::": "", "::ffff:192.0.2.7": "AS64500", "fe80::1%eth0": "",
		} {
			if got := src.Name(at(addr)); got != want {
				t.Errorf("%s is in %q, want %q", addr, got, want)
			}
		}
		a, b, house := at("192.0.2.1"), at("198.51.100.1"), at("192.0.2.200")
		if src.Cost(a, b) != 10 || src.Cost(b, a) != 10 || src.Cost(house, a) != 1 || src.Cost(a, a) != 0 || src.Cost(house, b) != 10 {
			t.Errorf("it costs %d, %d, %d, %d", src.Cost(a, b), src.Cost(house, a), src.Cost(a, a), src.Cost(house, b))
		}
		if src.Budget(a) != 20_000_000 || src.Budget(b) != 0 {
			t.Errorf("budgets of %d and %d", src.Budget(a), src.Budget(b))
		}
		if src.Lookup(netip.Addr{}) != 0 || src.Name(1<<31) != "" || src.Name(0) != "" {
			t.Error("nobody is somewhere")
		}
	}
}

func TestZonesOfADatabaseAreNumberedAsTheyAreMet(t *testing.T) {
	src, err := Load(write(t, "isp.mmdb", asDatabase()))
	if err != nil {
		t.Fatal(err)
	}
	b, a := src.Lookup(netip.MustParseAddr("198.51.100.1")), src.Lookup(netip.MustParseAddr("192.0.2.1"))
	if b != 1 || a != 2 || src.Lookup(netip.MustParseAddr("2001:db8:1::")) != a || src.Cost(a, b) != 1 || src.Name(a) != "AS64500" || src.Name(3) != "" {
		t.Errorf("%d is %s, %d is %s, and it costs %d", a, src.Name(a), b, src.Name(b), src.Cost(a, b))
	}
}

func TestWhatDatabasesCallAnISP(t *testing.T) {
	for want, record := range map[string]map[string]any{
		"AS64500":               {"autonomous_system_number": uint32(64500), "isp": "Anna"},
		"AS64501":               {"asn": "AS64501", "name": "Bert"},
		"AS64502":               {"asn": uint32(64502)},
		"Anna-Bert-Ltd.":        {"isp": "Anna & Bert Ltd. "},
		"AS64503":               {"traits": map[string]any{"autonomous_system_number": uint32(64503)}},
		"Carl":                  {"traits": map[string]any{"isp": "  Carl"}},
		"Dora":                  {"autonomous_system_organization": "Dora", "autonomous_system_number": uint32(0)},
		strings.Repeat("x", 64): {"isp": strings.Repeat("x", 100)},
	} {
		var m mmdb
		m.put("192.0.2.0/24", record)
		src, err := Load(write(t, "isp.mmdb", m.bytes("Test")))
		if err != nil {
			t.Errorf("%v: %v", record, err)
			continue
		}
		if got := src.Name(src.Lookup(netip.MustParseAddr("192.0.2.1"))); got != want || !zone.CheckName(got) {
			t.Errorf("%v is called %q, want %q", record, got, want)
		}
	}
}

func TestTheFirstDatabaseThatKnowsCounts(t *testing.T) {
	var m mmdb
	m.put("192.0.2.0/24", map[string]any{"isp": "Late"})
	m.put("203.0.113.0/24", map[string]any{"isp": "Later"})
	src, err := Load(write(t, "a.mmdb", asDatabase()), write(t, "b.mmdb", m.bytes("Test-ISP")))
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{"192.0.2.1": "AS64500", "203.0.113.1": "Later"} {
		if got := src.Name(src.Lookup(netip.MustParseAddr(addr))); got != want {
			t.Errorf("%s is in %q, want %q", addr, got, want)
		}
	}
}

func TestFilesThatAreNoneSaySo(t *testing.T) {
	var city, empty mmdb
	city.put("192.0.2.0/24", map[string]any{"city": map[string]any{"names": map[string]any{"en": "Paris"}}})
	empty.nodes = [][2]int{{}}
	good := asDatabase()
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"a.txt":       {[]byte("10.0.0.0/8 a\n11.0.0.0/8\n"), "a.txt:2: want: 11.0.0.0/8 ZONE"},
		"a.json":      {[]byte("{\n}\n\n{]"), "a.json:1: ALTO: neither"},
		"city.mmdb":   {city.bytes("Test-City"), `city.mmdb: a MaxMind database of type "Test-City", which has neither AS numbers nor ISPs`},
		"empty.mmdb":  {empty.bytes("Test"), "empty.mmdb: a MaxMind database without a network"},
		"half.mmdb":   {good[len(good)/2:], "half.mmdb: a MaxMind database that is broken"},
		"mark.mmdb":   {[]byte(metadataMark), "mark.mmdb: a MaxMind database that is broken"},
		"cut.mmdb":    {good[:len(good)/2], "cut.mmdb:1: "},
		"costs.txt":   {[]byte("cost AS1 AS2 5"), "costs.txt:1: AS1 is the zone of no network"},
		"picture.png": {[]byte("\x89PNG\r\n"), `picture.png:1: "\x89PNG" is neither a network nor one of`},
	} {
		path := write(t, name, c.data)
		src, err := Load(path)
		if err == nil || !strings.HasPrefix(err.Error(), filepath.Join(filepath.Dir(path), c.want)) {
			t.Errorf("%s: %v, %v; want %s", name, src, err, c.want)
		}
	}
	var missing *fs.PathError
	if _, err := Load(filepath.Join(t.TempDir(), "none")); !errors.As(err, &missing) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := Load(t.TempDir()); !errors.As(err, &missing) {
		t.Errorf("a directory: %v", err)
	}
}

// FuzzDatabase: whatever stands in a file, it is refused or knows addresses.
func FuzzDatabase(f *testing.F) {
	good := asDatabase()
	f.Add(0, byte(0xff))
	f.Add(len(good)-20, byte(0x80))
	f.Fuzz(func(t *testing.T, at int, flip byte) {
		bad := append([]byte(nil), good...)
		bad[uint(at)%uint(len(bad))] ^= flip
		tryDatabase(bad)
	})
}

func tryDatabase(data []byte) {
	db, err := openDatabase(data)
	if err != nil {
		return
	}
	for _, a := range []string{"192.0.2.1", "198.51.100.1", "255.255.255.255", "2001:db8:1::", "ffff::"} {
		db.lookup(netip.MustParseAddr(a))
	}
}

func TestABrokenDatabaseHarmsNobody(t *testing.T) {
	good := asDatabase()
	for at := range good {
		for _, flip := range []byte{1, 0x20, 0x80, 0xff} {
			bad := append([]byte(nil), good...)
			bad[at] ^= flip
			tryDatabase(bad)
		}
	}
	for n := range good {
		tryDatabase(good[:n])
	}
}
