package store

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/xp2p/xp2p/lib/segment"
)

// A shelf is the part of a room that is on disk: closed segments, whole, in the
// order in which they were closed. Its catalogue is in memory; bodies are read
// when they are asked for.
type shelf struct {
	path   string
	header segment.Header
	dir    *DirWriter       // nil until something is written
	open   []segment.Record // records of the segment that has not closed yet
	lost   bool             // its beginning is missing
	size   int64            // of the catalogue's lines that have been read
	follow bool             // somebody else writes the directory

	mu      sync.Mutex
	segs    []shelved
	pending []segment.Hash   // inits since the last segment
	opening segment.Hash     // the newest that is not a copy
	ends    []segment.Record // index and end of a stream that nothing follows
	byKey   map[segmentKey]int
	names   map[string]int
	inits   map[segment.Hash]segment.Record // without bodies

	load   sync.Mutex // one reader of the disk at a time
	recent []loaded
	hashes map[segment.Hash]segment.ID // of all pieces; built when first asked for
	known  int                         // how many segments are in hashes
}

// A shelved segment stands on disk.
type shelved struct {
	seg     *segment.Segment
	inits   []segment.Hash // those that came between the segment before and its end
	opening segment.Hash   // the init that its stream began with
}

// loaded is a segment that was read lately.
type loaded struct {
	n    int
	recs []segment.Record
}

// maxLoaded is how many segments are kept after reading: peers that ask for a
// recording's pieces one by one ask for neighbours.
const maxLoaded = 8

// newShelf reads the catalogue of a room's directory, if there is one. The
// directory is made when there is something to write.
func newShelf(path string, h segment.Header) (*shelf, error) {
	s := emptyShelf(path, h)
	if err := s.read(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return s, nil
}

func emptyShelf(path string, h segment.Header) *shelf {
	return &shelf{path: path, header: h, byKey: map[segmentKey]int{}, names: map[string]int{}, inits: map[segment.Hash]segment.Record{}}
}

// read reads the catalogue. A last line without an end is being written.
func (s *shelf) read() error {
	f, err := os.Open(filepath.Join(s.path, listFile))
	if err != nil {
		return err
	}
	defer f.Close()
	for lines := bufio.NewReader(f); ; {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		rec, _, err := segment.ParseStored(line)
		if err == nil && rec.Kind == segment.KindIndex {
			if rec.Body, err = os.ReadFile(filepath.Join(s.path, indexFile)); err == nil {
				rec.Index, err = segment.ParseIndex(rec.Body)
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name(), err)
		}
		s.note(rec)
		s.size += int64(len(line))
	}
}

// append takes the next record of the room. Segments are written when they
// close; one whose beginning was missed is left out.
func (s *shelf) append(rec segment.Record) error {
	if s.follow {
		s.note(rec)
		return nil
	}
	switch rec.Kind {
	case segment.KindPiece:
		if rec.Piece.Index == 0 {
			s.open, s.lost = s.withoutPieces(), false
		}
	case segment.KindSegment:
		recs := append(s.open, rec)
		s.open = nil
		if s.lost || countPieces(recs) != rec.Segment.Pieces {
			return nil
		}
		return s.write(recs)
	case segment.KindIndex, segment.KindEnd:
		recs := append(s.withoutPieces(), rec)
		s.open = nil
		return s.write(recs)
	}
	s.open = append(s.open, rec)
	return nil
}

// withoutPieces returns what has waited since the last segment closed, less
// the pieces of one that never will.
func (s *shelf) withoutPieces() (recs []segment.Record) {
	for _, rec := range s.open {
		if rec.Kind != segment.KindPiece {
			recs = append(recs, rec)
		}
	}
	return recs
}

func countPieces(recs []segment.Record) (n int) {
	for i := range recs {
		if recs[i].Kind == segment.KindPiece {
			n++
		}
	}
	return n
}

func (s *shelf) write(recs []segment.Record) error {
	if s.dir == nil {
		dir, err := CreateDir(s.path, s.header)
		if err != nil {
			return err
		}
		s.dir = dir
	}
	for _, rec := range recs {
		if err := s.dir.Write(rec); err != nil {
			return err
		}
	}
	for _, rec := range recs {
		s.note(rec)
	}
	return nil
}

// note puts a stored record into the catalogue.
func (s *shelf) note(rec segment.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch rec.Kind {
	case segment.KindInit:
		rec.Body = nil
		s.inits[rec.Init.Hash] = rec
		if !slices.Contains(s.pending, rec.Init.Hash) {
			s.pending = append(s.pending, rec.Init.Hash)
		}
		s.ends = nil
		if !rec.Init.Copy {
			s.opening = rec.Init.Hash
		}
	case segment.KindSegment:
		n := len(s.segs)
		s.segs = append(s.segs, shelved{rec.Segment, s.pending, s.opening})
		s.pending, s.ends = nil, nil
		s.byKey[segmentKey{rec.Segment.Epoch, rec.Segment.Seq}] = n
		s.names[rec.Segment.Name()] = n
	case segment.KindIndex, segment.KindEnd:
		s.ends = append(s.ends, rec)
	}
}

// close ends the writing.
func (s *shelf) close() error {
	if s.dir == nil {
		return nil
	}
	return s.dir.Close()
}

// index returns the index record, if there is one.
func (s *shelf) index() *segment.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.ends {
		if s.ends[i].Kind == segment.KindIndex {
			return &s.ends[i]
		}
	}
	return nil
}

// over reports whether an end stands behind the last segment.
func (s *shelf) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ends) > 0 && s.ends[len(s.ends)-1].Kind == segment.KindEnd
}

// tail returns the records that stand behind the last segment.
func (s *shelf) tail() []segment.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ends
}

// cut says that the room goes on somewhere else.
func (s *shelf) cut() { s.open, s.lost = s.withoutPieces(), true }

func (s *shelf) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.segs)
}

func (s *shelf) at(n int) *segment.Segment { return s.entry(n).seg }

func (s *shelf) entry(n int) shelved {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.segs[n]
}

func (s *shelf) find(epoch, seq int64) (n int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok = s.byKey[segmentKey{epoch, seq}]
	return n, ok
}

// records returns the nth segment: its pieces in order, then its own record.
func (s *shelf) records(n int) ([]segment.Record, error) {
	s.load.Lock()
	defer s.load.Unlock()
	for i, l := range s.recent {
		if l.n == n {
			copy(s.recent[1:i+1], s.recent[:i])
			s.recent[0] = l
			return l.recs, nil
		}
	}
	recs, err := readSegment(s.path, s.at(n))
	if err != nil {
		return nil, err
	}
	if len(s.recent) == maxLoaded {
		s.recent = s.recent[:maxLoaded-1]
	}
	s.recent = append([]loaded{{n, recs}}, s.recent...)
	return recs, nil
}

// readSegment reads a segment's file and holds it against the catalogue, so
// that a disk which forgets is noticed here and not by a viewer.
func readSegment(dir string, seg *segment.Segment) (recs []segment.Record, err error) {
	b, err := os.ReadFile(filepath.Join(dir, segsDir, seg.Name()))
	if err != nil {
		return nil, err
	}
	var hashes []segment.Hash
	for rd := segment.NewReader(bytes.NewReader(b)); ; {
		rec, err := rd.Next()
		if err != nil {
			break // a segment's file has no end record
		}
		switch rec.Kind {
		default:
			continue
		case segment.KindSegment:
		case segment.KindPiece:
			if err := rec.Piece.Check(rec.Body); err != nil {
				return nil, fmt.Errorf("segment %s: %w", seg.Name(), err)
			}
			hashes = append(hashes, rec.Piece.SHA256)
		}
		recs = append(recs, rec)
	}
	if err := seg.Check(hashes); err != nil {
		return nil, fmt.Errorf("segment %s: %w", seg.Name(), err)
	}
	if len(recs) == len(hashes) {
		recs = append(recs, segment.Record{Kind: segment.KindSegment, Segment: seg})
	}
	return recs, nil
}

// piece returns a piece from disk.
func (s *shelf) piece(id segment.ID) (segment.Record, bool) {
	if s == nil {
		return segment.Record{}, false
	}
	n, ok := s.find(id.Epoch, id.Seq)
	if !ok {
		return segment.Record{}, false
	}
	recs, err := s.records(n)
	if err != nil {
		return segment.Record{}, false
	}
	for i := range recs {
		if p := recs[i].Piece; p != nil && p.ID == id {
			return recs[i], true
		}
	}
	return segment.Record{}, false
}

// pieceByHash returns a piece from disk. The first call reads all segments.
func (s *shelf) pieceByHash(h segment.Hash) (segment.Record, bool) {
	if s == nil {
		return segment.Record{}, false
	}
	s.load.Lock()
	if s.hashes == nil {
		s.hashes = map[segment.Hash]segment.ID{}
	}
	for n := s.count(); s.known < n; s.known++ {
		recs, err := readSegment(s.path, s.at(s.known))
		if err != nil {
			continue
		}
		for i := range recs {
			if p := recs[i].Piece; p != nil {
				s.hashes[p.SHA256] = p.ID
			}
		}
	}
	id, ok := s.hashes[h]
	s.load.Unlock()
	if !ok {
		return segment.Record{}, false
	}
	return s.piece(id)
}

// init returns an init from disk.
func (s *shelf) init(h segment.Hash) (segment.Record, bool) {
	if s == nil {
		return segment.Record{}, false
	}
	s.mu.Lock()
	rec, ok := s.inits[h]
	s.mu.Unlock()
	if !ok {
		return segment.Record{}, false
	}
	b, err := os.ReadFile(filepath.Join(s.path, initsDir, h.String()))
	if err != nil || sha256.Sum256(b) != h {
		return segment.Record{}, false
	}
	rec.Body = b
	return rec, true
}

// segment returns a whole segment from disk.
func (s *shelf) segment(name string) (*segment.Segment, []segment.Record, bool) {
	if s == nil {
		return nil, nil, false
	}
	s.mu.Lock()
	n, ok := s.names[name]
	s.mu.Unlock()
	if !ok {
		return nil, nil, false
	}
	recs, err := s.records(n)
	if err != nil {
		return nil, nil, false
	}
	var pieces []segment.Record
	for i := range recs {
		if recs[i].Piece != nil {
			pieces = append(pieces, recs[i])
		}
	}
	return s.at(n), pieces, true
}

// widen adds to a snapshot of the window what is on disk before it.
func (s *shelf) widen(snap *Snapshot, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.segs) == 0 {
		return
	}
	first, last := s.segs[0].seg, s.segs[len(s.segs)-1].seg
	if id := (segment.ID{Epoch: first.Epoch, Seq: first.Seq}); snap.Pieces == 0 || id.Compare(snap.Oldest) < 0 {
		snap.Oldest = id
	}
	if snap.Pieces == 0 {
		snap.Edge = segment.ID{Epoch: last.Epoch, Seq: last.Seq, Index: last.Pieces - 1}
		snap.EdgeDTS = last.EndDTS
	}
	snap.Pieces = max(snap.Pieces, 1)
	// Segments run from newest to oldest here.
	before := segmentKey{1<<63 - 1, 1<<63 - 1}
	if k := len(snap.Segments); k > 0 {
		before = segmentKey{snap.Segments[k-1].Epoch, snap.Segments[k-1].Seq}
	}
	for i := len(s.segs) - 1; i >= 0 && len(snap.Segments) < n; i-- {
		if seg := s.segs[i].seg; seg.Epoch < before.epoch || seg.Epoch == before.epoch && seg.Seq < before.seq {
			snap.Segments = append(snap.Segments, seg)
		}
	}
}
