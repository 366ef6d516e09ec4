package store

import (
	"crypto/ed25519"
	"fmt"
	"sync"
	"time"

	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/segment"
)

// Bounds of a window that RoomConfig leaves open.
const (
	DefaultWindow      = 60 * time.Second
	DefaultWindowBytes = 256 << 20
)

// RoomConfig says what a room is. Name is checked with CheckName.
type RoomConfig struct {
	Name      string
	Key       ed25519.PublicKey
	Container media.Container
	VOD       bool

	// Window bounds the media time that is kept in memory, WindowBytes its
	// bytes; whichever is reached first. The newest piece always stays.
	Window      time.Duration // 0: DefaultWindow
	WindowBytes int64         // 0: DefaultWindowBytes

	// Dir, if set, is a directory of this room's own (made if missing) where
	// closed segments are kept; they are served from there when they have left
	// the window. One that holds an earlier life of the room is gone on with.
	Dir string
}

// A Room is the log of one stream: see the package comment. Its methods may be
// called from any goroutine, Append from one at a time.
type Room struct {
	cfg RoomConfig

	mu     sync.Mutex
	log    window
	shelf  *shelf // nil without a directory
	index  *segment.Record
	last   segment.ID // newest piece
	begun  bool       // last is valid
	link   segment.Link
	ended  bool // an end record stands behind the last piece
	closed bool
	past   bool          // it was over before it was opened
	wake   chan struct{} // closed when the log grows; nil while nobody waits
	full   error         // why the disk takes no more; the writer's own
}

// NewRoom returns an empty room, or, with a Dir that holds one, its
// continuation.
func NewRoom(c RoomConfig) (*Room, error) {
	if err := CheckName(c.Name); err != nil {
		return nil, err
	}
	if len(c.Key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("room %s: no room key", c.Name)
	}
	if c.Window <= 0 {
		c.Window = DefaultWindow
	}
	if c.WindowBytes <= 0 {
		c.WindowBytes = DefaultWindowBytes
	}
	r := &Room{cfg: c, log: newWindow(c.Window, c.WindowBytes)}
	if c.Dir != "" {
		var err error
		if r.shelf, err = newShelf(c.Dir, r.Header()); err != nil {
			return nil, fmt.Errorf("room %s: %w", c.Name, err)
		}
		if c.VOD && !r.shelf.over() {
			r.shelf = emptyShelf(c.Dir, r.Header()) // half a recording is begun anew
		}
		if n := r.shelf.count(); n > 0 {
			r.link = r.shelf.at(n - 1).Link()
			r.last = segment.ID{Epoch: r.link.Epoch, Seq: r.link.Seq, Index: r.link.Pieces - 1}
			r.begun = true
		}
		r.index = r.shelf.index()
	}
	return r, nil
}

// OpenRoom returns a room that is a directory and nothing else: a recording, or
// a live stream that is over. It is closed, and never writes. ErrUnfinished says
// that the directory has no end yet.
func OpenRoom(name, dir string) (*Room, error) {
	r, err := openRoom(name, dir, 0)
	if err != nil {
		return nil, err
	}
	if !r.shelf.over() {
		return nil, fmt.Errorf("room %s: %s: %w", name, dir, ErrUnfinished)
	}
	r.closed, r.past = true, true
	return r, nil
}

func openRoom(name, dir string, window time.Duration) (*Room, error) {
	d, err := OpenDir(dir)
	if err != nil {
		return nil, err
	}
	h := d.Header()
	if err := d.Close(); err != nil {
		return nil, err
	}
	return NewRoom(RoomConfig{Name: name, Key: h.Key, Container: h.Container, VOD: h.VOD, Dir: dir, Window: window})
}

// Name returns the room's name.
func (r *Room) Name() string { return r.cfg.Name }

// Key returns the public key that signs the room.
func (r *Room) Key() ed25519.PublicKey { return r.cfg.Key }

// Container returns the format that the stream is framed in.
func (r *Room) Container() media.Container { return r.cfg.Container }

// VOD reports whether the room is a recording.
func (r *Room) VOD() bool { return r.cfg.VOD }

// Append adds a record that has been verified against the room's key. Pieces
// must follow on each other; an epoch must begin above the last one. What has
// been appended is never changed again, by the room or by the caller.
//
// A piece that is already there gives ErrDuplicate, one that leaves something
// out ErrGap; the room is then as it was. A disk that fails does not stop the
// room from living in memory: the error is returned once.
func (r *Room) Append(rec segment.Record) error {
	if err := r.append(rec); err != nil || r.shelf == nil || rec.Kind == segment.KindHeader || r.full != nil {
		return err
	}
	// The disk is written when readers have been woken already, and without
	// their lock: only the broadcaster waits for it.
	if err := r.shelf.append(rec); err != nil {
		r.full = fmt.Errorf("room %s: store: %w", r.cfg.Name, err)
		return r.full
	}
	return nil
}

func (r *Room) append(rec segment.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return ErrEnded
	}
	switch rec.Kind {
	case segment.KindHeader:
		return r.same(rec.Header)
	case segment.KindIndex:
		r.index = &rec
	default:
		if err := r.follow(&rec); err != nil {
			return err
		}
	}
	r.log.append(rec)
	if r.wake != nil {
		close(r.wake)
		r.wake = nil
	}
	return nil
}

// same checks that a stream which begins belongs into this room.
func (r *Room) same(h *segment.Header) error {
	if !r.cfg.Key.Equal(h.Key) {
		return fmt.Errorf("room %s: the stream is signed with another key", r.cfg.Name)
	}
	if h.Container != r.cfg.Container || h.VOD != r.cfg.VOD {
		return fmt.Errorf("room %s is %s: the stream is %s", r.cfg.Name, describe(r.Header()), describe(*h))
	}
	return nil
}

func describe(h segment.Header) string {
	if h.VOD {
		return h.Container.String() + " vod"
	}
	return h.Container.String() + " live"
}

// follow checks that rec comes next, and takes note of it.
func (r *Room) follow(rec *segment.Record) error {
	switch rec.Kind {
	case segment.KindPiece:
		p := rec.Piece
		if err := r.next(p); err != nil {
			return err
		}
		r.last, r.begun, r.ended = p.ID, true, false
		r.link = segment.Link{Epoch: p.Epoch, Seq: p.Seq, Pieces: p.Index + 1}
	case segment.KindSegment:
		if s := rec.Segment; r.begun && (s.Epoch != r.last.Epoch || s.Seq != r.last.Seq || s.Pieces != r.last.Index+1) {
			return fmt.Errorf("%w: segment %s behind piece %s", ErrGap, s.Name(), FormatID(r.last))
		}
	case segment.KindEnd:
		r.ended = true
	}
	return nil
}

// next checks that p follows on the newest piece.
func (r *Room) next(p *segment.Piece) error {
	if !r.begun {
		return nil // a window may open anywhere
	}
	switch {
	case p.ID.Compare(r.last) <= 0:
		return fmt.Errorf("piece %s: %w (newest is %s)", FormatID(p.ID), ErrDuplicate, FormatID(r.last))
	case p.Epoch == r.last.Epoch && p.Seq == r.last.Seq:
		if p.Index == r.last.Index+1 {
			return nil
		}
	case p.Index != 0:
	case p.Prev == nil:
		// The first segment of a stream: the broadcaster has started again.
		if p.Epoch > r.last.Epoch {
			return nil
		}
	case *p.Prev == r.link:
		return nil
	}
	return fmt.Errorf("piece %s: %w (%s)", FormatID(p.ID), ErrGap, FormatID(r.last))
}

// Reset empties the window: every cursor is told that it fell behind, and the
// next piece may be any. Like Append it belongs to the writer. An edge does this when its upstream's window has left
// it behind. What is on disk stays.
func (r *Room) Reset() {
	if r.shelf != nil {
		r.shelf.cut()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log.clear()
	r.begun, r.ended = false, false
	if r.wake != nil {
		close(r.wake)
		r.wake = nil
	}
}

// Close says that nothing more will come; it belongs to the writer. What is there can still be read;
// cursors get ErrEnded behind it.
func (r *Room) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	if r.wake != nil {
		close(r.wake)
		r.wake = nil
	}
	if r.shelf != nil {
		return r.shelf.close()
	}
	return nil
}

// Ended reports whether the room was closed.
func (r *Room) Ended() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

// Header returns the version line of the room's slice stream.
func (r *Room) Header() segment.Header {
	return segment.Header{Key: r.cfg.Key, Container: r.cfg.Container, VOD: r.cfg.VOD}
}
