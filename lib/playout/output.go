package playout

import (
	"time"

	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/segment"
)

// Output is the next part of the exact stream: an init or a piece, of which a
// player is given Record.Body[Skip:], or one of the records that belong to the
// stream and have no bytes in it: a copy of an init that keyframes from here on
// need, the record of a segment whose last piece was put out (if it has come by
// then), the end.
//
// A player that may be stopped at any moment, and shall end on a unit border,
// holds back what lies behind Record.Piece.Border of the newest piece until the
// next one comes.
type Output struct {
	Record segment.Record
	// Skip is how many bytes of the body are not to be written: those before the
	// keyframe that playing starts at; and all of the copy of an init that comes
	// within a run, for whoever keeps records.
	Skip   int
	Source measure.Source
	// Ingest is when the seed took the piece in; zero if nobody said so.
	Ingest time.Time
	// Begin: the first piece or init of a run: what came before, if anything,
	// does not join up with it.
	Begin bool
	// Gap: the init of a run that begins behind a gap, of which a Gap event tells.
	Gap bool
}
