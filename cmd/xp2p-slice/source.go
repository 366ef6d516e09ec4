package main

import (
	"errors"
	"time"

	"github.com/xp2p/xp2p/lib/flv"
	"github.com/xp2p/xp2p/lib/fmp4"
	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/tool"
)

// idleTimeout is how long a live stream may say nothing before it counts as dead.
const idleTimeout = 30 * time.Second

var errNotMedia = errors.New("neither FLV nor MP4")

// detect says what the input is.
func (o *options) detect(name string, head []byte) (media.Container, error) {
	switch {
	case o.containerSaid:
		return o.container, nil
	case flv.Detect(head):
		return media.FLV, nil
	case fmp4.Detect(head):
		return media.FMP4, nil
	case o.vod:
		return media.Raw, nil
	case len(head) == 0:
		return media.Raw, tool.BadData("%s: empty", name)
	}
	return media.Raw, tool.BadData("%s: %w: begins with %q", name, errNotMedia, head[:min(len(head), 12)]).
		Hint("a stream joined mid-way needs --format flv or mp4; --vod takes any file")
}
