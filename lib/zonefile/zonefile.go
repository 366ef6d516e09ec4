// Package zonefile reads what a tracker shall know of the network from files:
// text and ALTO maps of package zone, and databases in the MaxMind format
// (MMDB) that know the AS or the ISP of an address.
//
// Kinds of files are told apart by what is in them. All maps together are one
// zone.Map. An address that it has no network for is looked up in the databases,
// in the order in which they were given: its zone is called AS and the number
// (AS64500), or as the ISP is, with a hyphen for all that names cannot hold. The
// map's costs and budgets apply to zones of that name.
package zonefile

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync"

	"github.com/xp2p/xp2p/lib/zone"
)

// maxFile bounds what is read of a file: databases of all ISPs have 20 to 100 MB.
const maxFile = 512 << 20

// Load reads files. An error of reading is an *fs.PathError, one of what was read
// begins with the file's name, and with its line where there is one.
func Load(paths ...string) (zone.Source, error) {
	type text struct {
		path string
		data []byte
	}
	var texts []text
	var dbs []*database
	for _, path := range paths {
		data, err := read(path)
		if err != nil {
			return nil, err
		}
		if !isDatabase(data) {
			texts = append(texts, text{path, data})
			continue
		}
		db, err := openDatabase(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		dbs = append(dbs, db)
	}
	b := zone.Builder{Foreign: len(dbs) > 0}
	for _, t := range texts {
		if err := b.Add(t.path, t.data); err != nil {
			return nil, err
		}
	}
	m, err := b.Build()
	if err != nil {
		return nil, err
	}
	if len(dbs) == 0 {
		return m, nil
	}
	return &atlas{Map: m, dbs: dbs, ids: map[string]zone.ID{}}, nil
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s: more than %d bytes", path, maxFile)
	}
	return data, err
}

// An atlas is a map with databases under it. Zones that only they name are
// numbered as they are met.
type atlas struct {
	*zone.Map
	dbs []*database

	mu    sync.Mutex
	names []string // of the zones behind the map's
	ids   map[string]zone.ID
}

// Lookup implements zone.Source.
func (a *atlas) Lookup(addr netip.Addr) zone.ID {
	if z := a.Map.Lookup(addr); z != 0 || !addr.IsValid() {
		return z
	}
	for _, db := range a.dbs {
		if name := db.lookup(addr.Unmap().WithZone("")); name != "" {
			return a.named(name)
		}
	}
	return 0
}

// named returns the zone of a name; 0 if there are too many.
func (a *atlas) named(name string) zone.ID {
	if z, ok := a.Map.Find(name); ok {
		return z
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if z, ok := a.ids[name]; ok {
		return z
	}
	if len(a.names) >= zone.MaxZones {
		return 0
	}
	a.names = append(a.names, name)
	z := zone.ID(a.Map.Len() + len(a.names))
	a.ids[name] = z
	return z
}

// Name implements zone.Source.
func (a *atlas) Name(z zone.ID) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := int64(z) - int64(a.Map.Len()) - 1; i >= 0 {
		if i < int64(len(a.names)) {
			return a.names[i]
		}
		return ""
	}
	return a.Map.Name(z)
}
