package wire

import (
	"crypto/ed25519"
	"errors"
	"testing"
)

func testManifest() *Manifest {
	return &Manifest{Room: "match", IssuedUnixMS: 1763782373000, Renditions: []Rendition{
		{Name: "720p", Room: "match", Container: "flv", BitrateBPS: 2_500_000},
		{Name: "360p", Room: "match.360p", Container: "flv"},
	}}
}

// Whoever changes a word of the list, or signs it himself, is found out.
func TestAManifestIsTheRoomKeysWord(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	public := key.Public().(ed25519.PublicKey)
	m := testManifest()
	m.Sign(key)
	if err := m.Verify(public); err != nil {
		t.Fatal(err)
	}
	if r, ok := m.Rendition("360p"); !ok || r.Room != RenditionRoom("match", 1, "360p") {
		t.Errorf("360p is %+v", r)
	}
	for name, change := range map[string]func(m *Manifest){
		"another room": func(m *Manifest) { m.Room = "other" },
		"an older one": func(m *Manifest) { m.IssuedUnixMS-- },
		"two changed places": func(m *Manifest) {
			m.Renditions[0].Room, m.Renditions[1].Room = m.Renditions[1].Room, m.Renditions[0].Room
		},
		"one is hidden":        func(m *Manifest) { m.Renditions = m.Renditions[:1] },
		"a bit rate":           func(m *Manifest) { m.Renditions[0].BitrateBPS++ },
		"a container":          func(m *Manifest) { m.Renditions[0].Container = "mp4" },
		"no signature":         func(m *Manifest) { m.Signature = "" },
		"a longer signature":   func(m *Manifest) { m.Signature += "AA" },
		"another's signature":  func(m *Manifest) { m.Sign(ed25519.NewKeyFromSeed([]byte("another seed of thirty-two bytes"))) },
		"a name with a column": func(m *Manifest) { m.Renditions[0].Name = "720p\tmatch" },
	} {
		m := testManifest()
		m.Sign(key)
		change(m)
		if err := m.Verify(public); !errors.Is(err, ErrManifest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := m.Verify(nil); !errors.Is(err, ErrManifest) {
		t.Errorf("without a key: %v", err)
	}
}

// A list that makes no sense is refused before anybody reads it.
func TestAManifestOfTheNetworkIsBounded(t *testing.T) {
	for name, change := range map[string]func(m *Manifest){
		"no renditions": func(m *Manifest) { m.Renditions = nil },
		"too many":      func(m *Manifest) { m.Renditions = make([]Rendition, MaxRenditions+1) },
		"no name":       func(m *Manifest) { m.Renditions[1].Name = "" },
		"one twice":     func(m *Manifest) { m.Renditions[1].Name = "720p" },
		"a room twice":  func(m *Manifest) { m.Renditions[1].Room = "match" },
		"a path":        func(m *Manifest) { m.Renditions[1].Room = "../etc" },
		"raw bytes":     func(m *Manifest) { m.Renditions[1].Container = "raw" },
		"a bit rate":    func(m *Manifest) { m.Renditions[1].BitrateBPS = -1 },
	} {
		d := testRoom()
		d.Renditions = testManifest()
		change(d.Renditions)
		if b, err := d.Append(nil); err == nil {
			t.Errorf("%s: %s", name, b)
		}
	}
	d := testRoom()
	d.Renditions = testManifest()
	b, err := d.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseRoomDocument(b)
	if err != nil || len(again.Renditions.Renditions) != 2 {
		t.Errorf("%s: %v", b, err)
	}
}
