package origin

import (
	"context"
	"fmt"

	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/segment"
)

// Header returns what the room's slice stream begins with, as the newest
// document tells it.
func (c *Client) Header(ctx context.Context) (segment.Header, error) {
	n, err := c.Newest(ctx)
	if err != nil {
		return segment.Header{}, err
	}
	container, ok := media.ParseContainer(n.Container)
	if !ok {
		return segment.Header{}, fmt.Errorf("%w: %s: container %.20q", ErrBadData, c.url("newest"), n.Container)
	}
	return segment.Header{Key: c.Key(), Container: container, VOD: n.Mode == mode(true)}, nil
}
