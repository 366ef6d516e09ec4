package origin

import "sync/atomic"

// Served counts what a Handler gave out; bodies only, not HTTP's own bytes. All
// of it is payload that did not come from a peer.
type Served struct {
	StartBytes   atomic.Int64 // /start: records with their headers
	LiveBytes    atomic.Int64 // /live
	PieceBytes   atomic.Int64 // /pieces
	SegmentBytes atomic.Int64 // /segments, lists of pieces included
	InitBytes    atomic.Int64 // /inits
	AtBytes      atomic.Int64 // /at
	OtherBytes   atomic.Int64 // documents, the page, errors

	Requests atomic.Int64
	Refused  atomic.Int64 // answered with a status of 400 or above
	Busy     atomic.Int64 // of these, because the uplink had no room
	Streams  atomic.Int64 // /start and /live answers that are open now
	Dropped  atomic.Int64 // streams cut off because their reader was too slow
}

// Bytes is the sum of all bytes given out.
func (s *Served) Bytes() int64 {
	sum := int64(0)
	for _, n := range []*atomic.Int64{&s.StartBytes, &s.LiveBytes, &s.PieceBytes, &s.SegmentBytes, &s.InitBytes, &s.AtBytes, &s.OtherBytes} {
		sum += n.Load()
	}
	return sum
}

// counter returns where a target's bytes are counted.
func (s *Served) counter(k targetKind) *atomic.Int64 {
	switch k {
	case startTarget:
		return &s.StartBytes
	case liveTarget:
		return &s.LiveBytes
	case pieceTarget:
		return &s.PieceBytes
	case segmentTarget, segmentPiecesTarget:
		return &s.SegmentBytes
	case initTarget:
		return &s.InitBytes
	case atTarget:
		return &s.AtBytes
	default:
		return &s.OtherBytes
	}
}
