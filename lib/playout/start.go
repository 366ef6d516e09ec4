package playout

import (
	"fmt"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
)

// A Start says where a viewer enters the stream. The zero Start is the live
// edge: the newest keyframe.
type Start struct {
	Mode StartMode
	Back time.Duration // for Back: how long before the live edge
	At   segment.ID    // for At
}

// A StartMode is a way to choose the first keyframe.
type StartMode uint8

const (
	Live   StartMode = iota // the newest keyframe
	Oldest                  // the first thing that can be decoded
	Back                    // the newest keyframe at least Start.Back before the edge
	At                      // the first keyframe in the segment of Start.At, from that piece on
)

// maxBack bounds how far back a start may ask: a week.
const maxBack = 7 * 24 * time.Hour

// ParseStart reads "live", "oldest" or a time such as "90s".
func ParseStart(s string) (Start, error) {
	switch s {
	case "", "live":
		return Start{}, nil
	case "oldest":
		return Start{Mode: Oldest}, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > maxBack {
		return Start{}, fmt.Errorf("start %q: want live, oldest, or a time such as 90s", s)
	}
	return Start{Mode: Back, Back: d}, nil
}

// String returns the words that ParseStart reads.
func (s Start) String() string {
	switch s.Mode {
	case Oldest:
		return "oldest"
	case Back:
		return s.Back.String()
	case At:
		return fmt.Sprintf("%d-%d-%d", s.At.Epoch, s.At.Seq, s.At.Index)
	default:
		return "live"
	}
}
