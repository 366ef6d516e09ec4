package zonefile

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/xp2p/xp2p/lib/zone"
)

// A database knows who announces an address.
type database struct{ r *maxminddb.Reader }

// The metadata of a database stand behind this mark, within the last 128 KiB
// (MaxMind DB format 2.0, "Metadata").
const (
	metadataMark = "\xab\xcd\xefMaxMind.com"
	metadataTail = 128 << 10
)

func isDatabase(data []byte) bool {
	return bytes.Contains(data[max(0, len(data)-metadataTail):], []byte(metadataMark))
}

// Where databases of the market hold the AS or the ISP, the surest first: a
// number is never spelled in two ways.
var fields = [][]any{
	{"autonomous_system_number"},
	{"traits", "autonomous_system_number"},
	{"asn"},
	{"isp"},
	{"traits", "isp"},
	{"autonomous_system_organization"},
}

// maxLook is how many networks of a database are looked at before it is said to
// know no AS: the first ones may be reserved.
const maxLook = 1000

func openDatabase(data []byte) (*database, error) {
	r, err := maxminddb.OpenBytes(data)
	if err != nil {
		return nil, fmt.Errorf("a MaxMind database that is broken: %w", err)
	}
	db := &database{r}
	looked := 0
	for result := range r.Networks() {
		if err := result.Err(); err != nil {
			return nil, fmt.Errorf("a MaxMind database that is broken: %w", err)
		}
		if nameIn(result) != "" {
			return db, nil
		}
		if looked++; looked == maxLook {
			break
		}
	}
	if looked == 0 {
		return nil, errors.New("a MaxMind database without a network")
	}
	return nil, fmt.Errorf("a MaxMind database of type %.64q, which has neither AS numbers nor ISPs", r.Metadata.DatabaseType)
}

// lookup returns the name of an address's zone; empty if there is none, or what
// there is cannot be read.
func (db *database) lookup(a netip.Addr) string { return nameIn(db.r.Lookup(a)) }

func nameIn(result maxminddb.Result) string {
	if !result.Found() {
		return ""
	}
	for _, path := range fields {
		var value any
		if err := result.DecodePath(&value, path...); err != nil {
			continue
		}
		switch v := value.(type) {
		case uint64:
			if v != 0 { // AS 0 is nobody's (RFC 7607)
				return "AS" + strconv.FormatUint(v, 10)
			}
		case string:
			if name := zoneName(v); name != "" {
				return name
			}
		}
	}
	return ""
}

// zoneName makes a name for a zone of what an ISP calls itself.
func zoneName(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch {
		case b.Len() == 64:
			return b.String()
		case zone.CheckName(s[i : i+1]):
			b.WriteByte(s[i])
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	return strings.TrimRight(b.String(), "-")
}
