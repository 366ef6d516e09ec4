package playout

import (
	"time"

	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/segment"
)

// Output is the next part of the exact stream: an init, or a piece. Write
// Record.Body[Skip:].
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
}
