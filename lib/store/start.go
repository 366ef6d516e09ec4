package store

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
)

// maxBack bounds how far back a start may ask: a week of media time.
const maxBack = 7 * 24 * time.Hour

// A Start says where in a room a reader begins. The zero Start is the live
// edge: the newest keyframe.
type Start struct {
	kind startKind
	back time.Duration
	id   segment.ID
}

type startKind uint8

const (
	startLive startKind = iota
	startOldest
	startBack
	startAt
	startAfter
)

// Live starts at the newest keyframe; in a room that has none yet, at the next.
// A room that was over before it was opened (OpenRoom) has no live edge: it is
// watched from its beginning.
func Live() Start { return Start{} }

// Oldest starts with the first thing in the room that can be decoded: the
// stream's beginning, or the oldest keyframe of the window.
func Oldest() Start { return Start{kind: startOldest} }

// Back starts at the newest keyframe that lies at least d before the live edge,
// or as far back as the room reaches; on disk it looks for it by the segment. In
// a recording, which has no edge, d counts from its beginning.
func Back(d time.Duration) Start { return Start{kind: startBack, back: d} }

// At starts with the piece id, keyframe or not.
func At(id segment.ID) Start { return Start{kind: startAt, id: id} }

// After starts with what follows the piece id: how a reader whose connection
// broke goes on without gap or repeat.
func After(id segment.ID) Start { return Start{kind: startAfter, id: id} }

// ParseStart reads the words of --start and of the URL's from: "live",
// "oldest", a duration such as "90s", or a piece "epoch-seq-index".
func ParseStart(s string) (Start, error) {
	switch s {
	case "", "live":
		return Live(), nil
	case "oldest":
		return Oldest(), nil
	}
	if id, err := ParseID(s); err == nil {
		return At(id), nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > maxBack {
		return Start{}, fmt.Errorf("start %q: want live, oldest, or a time such as 90s", s)
	}
	return Back(d), nil
}

// String returns the word that ParseStart understands; After has none of its
// own and gives "after epoch-seq-index".
func (s Start) String() string {
	switch s.kind {
	case startOldest:
		return "oldest"
	case startBack:
		return s.back.String()
	case startAt:
		return FormatID(s.id)
	case startAfter:
		return "after " + FormatID(s.id)
	default:
		return "live"
	}
}

// FormatID writes a piece's ID as URLs do: epoch-seq-index.
func FormatID(id segment.ID) string {
	return strconv.FormatInt(id.Epoch, 10) + "-" + strconv.FormatInt(id.Seq, 10) + "-" + strconv.Itoa(id.Index)
}

// ParseID is the inverse of FormatID. There is one spelling for each ID, so
// that caches have one key.
func ParseID(s string) (segment.ID, error) {
	bad := fmt.Errorf("piece %q: want epoch-seq-index", s)
	// Epoch and sequence may be negative, so hyphens are counted from the end.
	i := strings.LastIndexByte(s, '-')
	if i < 1 {
		return segment.ID{}, bad
	}
	j := strings.LastIndexByte(s[:i], '-')
	if j > 0 && s[j-1] == '-' {
		j--
	}
	if j < 1 {
		return segment.ID{}, bad
	}
	epoch, err1 := strconv.ParseInt(s[:j], 10, 64)
	seq, err2 := strconv.ParseInt(s[j+1:i], 10, 64)
	index, err3 := strconv.ParseUint(s[i+1:], 10, 31)
	id := segment.ID{Epoch: epoch, Seq: seq, Index: int(index)}
	if err1 != nil || err2 != nil || err3 != nil || FormatID(id) != s {
		return segment.ID{}, bad
	}
	return id, nil
}

// AfterID returns the piece that an After start names.
func (s Start) AfterID() (segment.ID, bool) { return s.id, s.kind == startAfter }

// BackTime returns the time that a Back start names.
func (s Start) BackTime() (time.Duration, bool) { return s.back, s.kind == startBack }
