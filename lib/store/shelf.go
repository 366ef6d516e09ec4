package store

import "github.com/xp2p/xp2p/lib/segment"

type shelf struct{}
type diskCursor struct{}

func newShelf(c RoomConfig) (*shelf, error) { return &shelf{}, nil }

func (s *shelf) append(rec segment.Record) error                             { return nil }
func (s *shelf) cut()                                                        {}
func (s *shelf) close() error                                                { return nil }
func (s *shelf) start(from Start, w *window) *diskCursor                     { return nil }
func (s *shelf) seek(from Start) *diskCursor                                 { return nil }
func (s *shelf) piece(id segment.ID) (segment.Record, bool)                  { return segment.Record{}, false }
func (s *shelf) pieceByHash(h segment.Hash) (segment.Record, bool)           { return segment.Record{}, false }
func (s *shelf) init(h segment.Hash) (segment.Record, bool)                  { return segment.Record{}, false }
func (s *shelf) segment(n string) (*segment.Segment, []segment.Record, bool) { return nil, nil, false }
func (s *shelf) widen(*Snapshot, int)                                        {}
func (d *diskCursor) next() (segment.Record, bool, error)                    { return segment.Record{}, false, nil }
func (c *Cursor) leaveDisk() (bool, error)                                   { return false, nil }
