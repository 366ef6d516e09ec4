package zone

import (
	"strings"
	"testing"
)

// The PIDs of a small provider, in the shape of RFC 7285's documents.
const altoNetworks = `{
  "meta": {"vtag": {"resource-id": "default-network-map", "tag": "v1"}},
  "network-map": {
    "east": {"ipv4": ["192.0.2.0/24", "198.51.100.0/25"], "ipv6": ["2001:db8:1::/48"], "other": ["x"]},
    "west": {"ipv4": ["198.51.100.128/25"]},
    "rest": {"ipv4": ["0.0.0.0/0"], "ipv6": ["::/0"]},
    "none": {}
  }
}
`

const altoCosts = `{
  "meta": {
    "dependent-vtags": [{"resource-id": "default-network-map", "tag": "v1"}],
    "cost-type": {"cost-mode": "numerical", "cost-metric": "routingcost"}
  },
  "cost-map": {
    "east": {"east": 1, "west": 5, "rest": 9.25},
    "west": {"east": 6, "west": 1}
  }
}
`

func TestALTOMapsAreRead(t *testing.T) {
	both := `{"meta":{"vtag":{"resource-id":"m","tag":"1"},"dependent-vtags":[{"resource-id":"m","tag":"1"}],
		"cost-type":{"cost-mode":"numerical","cost-metric":"hopcount"}},
		"network-map":{"east":{"ipv4":["192.0.2.0/24"]},"west":{"ipv4":["198.51.100.128/25"]},"rest":{"ipv4":["0.0.0.0/0"],"ipv6":["::/0"]}},
		"cost-map":{"east":{"west":5,"rest":10},"west":{"east":6}}}`
	for name, files := range map[string][]string{
		"two files":            {altoNetworks, altoCosts},
		"costs first":          {altoCosts, altoNetworks},
		"one behind the other": {altoNetworks + altoCosts},
		"in one object":        {both},
	} {
		var b Builder
		for _, f := range files {
			if err := b.Add(name, []byte(f)); err != nil {
				t.Fatal(err)
			}
		}
		m, err := b.Build()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		east, _ := m.Find("east")
		west, _ := m.Find("west")
		rest, _ := m.Find("rest")
		if m.at("192.0.2.9") != "east" || m.at("198.51.100.200") != "west" || m.at("203.0.113.1") != "rest" || m.at("2001:db9::") != "rest" {
			t.Errorf("%s: the networks are wrong", name)
		}
		for _, way := range []struct {
			from, to ID
			want     uint32
		}{{east, west, 5}, {west, east, 6}, {east, rest, 10}, {west, rest, 10}, {east, east, 0}} {
			if got := m.Cost(way.from, way.to); got != way.want {
				t.Errorf("%s: from %s to %s costs %d, want %d", name, m.Name(way.from), m.Name(way.to), got, way.want)
			}
		}
	}
}

func TestTextAndALTOAreOneMap(t *testing.T) {
	var b Builder
	for _, f := range []string{altoNetworks, altoCosts, "203.0.113.0/24 lab\ncost lab rest 2\nbudget west 5M\n"} {
		if err := b.Add("zones", []byte(f)); err != nil {
			t.Fatal(err)
		}
	}
	m, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	west, _ := m.Find("west")
	if m.at("203.0.113.1") != "lab" || m.at("203.0.114.1") != "rest" || m.Budget(west) != 5_000_000 {
		t.Error("a line of text in an ALTO map has no effect")
	}
}

func TestAMistakeInALTOIsFound(t *testing.T) {
	change := func(s, old, new string) string {
		if !strings.Contains(s, old) {
			t.Fatalf("no %q", old)
		}
		return strings.Replace(s, old, new, 1)
	}
	for name, c := range map[string]struct{ text, want string }{
		"another version":       {altoNetworks + change(altoCosts, `"v1"`, `"v2"`), `zones:10: ALTO cost map: it depends on the network map "default-network-map" at "v2", and the one at zones:1 is`},
		"another resource":      {altoNetworks + change(altoCosts, "default-network-map", "other"), "it depends on the network map"},
		"costs alone":           {altoCosts, "zones:1: ALTO cost map: it depends on the network map \"default-network-map\" at \"v1\", which is in no file"},
		"no vtag":               {change(altoNetworks, `"vtag"`, `"tag"`), "zones:1: ALTO network map: meta has no vtag"},
		"no dependency":         {altoNetworks + change(altoCosts, "dependent-vtags", "x"), "meta has no dependent-vtags"},
		"ranks":                 {altoNetworks + change(altoCosts, "numerical", "ordinal"), `cost-mode is "ordinal"`},
		"the higher the better": {altoNetworks + change(altoCosts, "routingcost", "bw-available"), `cost-metric is "bw-available"`},
		"a negative cost":       {altoNetworks + change(altoCosts, "9.25", "-1"), "from east to rest it costs -1"},
		"a cost in words":       {altoNetworks + change(altoCosts, "9.25", `"9"`), `"east": "rest": json`},
		"a stranger":            {altoNetworks + change(altoCosts, `"rest": 9.25`, `"mars": 9.25`), "zones:10: mars is the zone of no network"},
		"a PID twice":           {change(altoNetworks, `"west"`, `"east"`), `"east" comes twice`},
		"a bad name":            {change(altoNetworks, `"west"`, `"we st"`), `"we st" is no name`},
		"a bad network":         {change(altoNetworks, "192.0.2.0/24", "192.0.2.1/24"), "zones:1: 192.0.2.1/24 has bits behind its length"},
		"a network twice":       {change(altoNetworks, `"none": {}`, `"none": {"ipv4": ["192.0.2.0/24"]}`), "192.0.2.0/24 is in none, and by zones:1 in east"},
		"two network maps":      {altoNetworks + altoNetworks, "zones:10: ALTO network map: there is one at zones:1 already"},
		"neither":               {"\n{}", "zones:2: ALTO: neither a network-map nor a cost-map"},
		"a missing comma": {change(altoNetworks, `]},
    "west"`, `]}
    "west"`), "zones:5: invalid character"},
		"in the second document": {altoNetworks + change(altoCosts, "6,", "6"), "zones:17: invalid character"},
		"cut off":                {altoNetworks[:len(altoNetworks)-4], "zones:8: unexpected EOF"},
		"text behind it":         {altoNetworks + "10.0.0.0/8 a", "zones:10: "},
		"a list":                 {`{"network-map":[]}`, "not an object"},
		"nothing":                {`{"network-map":null}`, "neither"},
	} {
		m, err := Parse(c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "zones:") {
			t.Errorf("%s: %v, %v; want %s", name, m, err, c.want)
		}
	}
}

func FuzzALTO(f *testing.F) {
	f.Add([]byte(altoNetworks + altoCosts))
	f.Add([]byte(`{"network-map":{"a":{"ipv4":["0.0.0.0/0"]}},"cost-map":{"a":{"a":1e300}}}`))
	f.Add([]byte(`{"meta":{"vtag":{"resource-id":"m","tag":"1"}},"network-map":{"a":{"ipv6":["::/0","ffff::/16"]},"a":{}}} `))
	f.Fuzz(func(t *testing.T, data []byte) {
		var b Builder
		b.files = []string{"zones"}
		err := b.addALTO(data)
		var m *Map
		if err == nil {
			m, err = b.Build()
		}
		if err != nil {
			if !strings.HasPrefix(err.Error(), "zones:") {
				t.Fatalf("no line in %v", err)
			}
			return
		}
		checkMap(t, m)
	})
}
