package main

import (
	"errors"
	"io/fs"

	"github.com/xp2p/xp2p/lib/tool"
	"github.com/xp2p/xp2p/lib/zone"
	"github.com/xp2p/xp2p/lib/zonefile"
)

// loadZones reads the files of --zones; nil without one.
func (o *options) loadZones() (zone.Source, error) {
	if len(o.zones) == 0 {
		return nil, nil
	}
	src, err := zonefile.Load(o.zones...)
	var unread *fs.PathError
	switch {
	case errors.As(err, &unread):
		return nil, tool.Usage("--zones: %w", err)
	case err != nil:
		return nil, tool.BadData("--zones: %w", err).Hint(
			"a text of lines such as: 203.0.113.0/24 isp-a; cost isp-a isp-b 10; default-cost 5; budget isp-b 20M. Or ALTO maps (RFC 7285), or an MMDB of ASes or ISPs")
	}
	return src, nil
}
