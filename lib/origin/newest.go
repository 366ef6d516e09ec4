package origin

import (
	"encoding/base64"
	"encoding/json"
	"net/http"

	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/store"
)

// newestSegments is how many segments the newest document names.
const newestSegments = 16

// Newest is the document that says what a room's newest things are called.
// Times are milliseconds on the stream's own timeline.
type Newest struct {
	Type      string          `json:"type"` // "newest"
	Room      string          `json:"room"`
	RoomKey   string          `json:"room_key"` // base64url, without padding
	Container string          `json:"container"`
	Mode      string          `json:"mode"` // live or vod
	Init      string          `json:"init,omitempty"`
	Oldest    *Position       `json:"oldest,omitempty"`
	Edge      *Position       `json:"edge,omitempty"`
	Keyframe  *Entry          `json:"keyframe,omitempty"`
	Segments  []NewestSegment `json:"segments,omitempty"` // closed ones, oldest first
	Ended     bool            `json:"ended,omitempty"`
}

// A Position is a piece's place in the stream.
type Position struct {
	Epoch int64 `json:"epoch"`
	Seq   int64 `json:"seq"`
	Index int   `json:"index"`
	DTS   int64 `json:"dts_ms,omitempty"`
}

// ID returns the piece's ID.
func (p *Position) ID() segment.ID { return segment.ID{Epoch: p.Epoch, Seq: p.Seq, Index: p.Index} }

func position(id segment.ID) *Position {
	return &Position{Epoch: id.Epoch, Seq: id.Seq, Index: id.Index}
}

// An Entry is a keyframe: where it stands and which init it needs.
type Entry struct {
	Position
	Offset int    `json:"offset"` // in the piece
	PTS    int64  `json:"pts_ms"`
	Init   string `json:"init"`
}

// A NewestSegment names a closed segment.
type NewestSegment struct {
	Name      string         `json:"name"`
	Epoch     int64          `json:"epoch"`
	Seq       int64          `json:"seq"`
	Pieces    int            `json:"pieces"`
	Size      int64          `json:"size_bytes"`
	SHA256    string         `json:"sha256"`
	DTS       int64          `json:"dts_ms"`
	EndDTS    int64          `json:"end_dts_ms"`
	Keyframes []SegmentEntry `json:"keyframes,omitempty"`
}

// A SegmentEntry is a keyframe within a segment.
type SegmentEntry struct {
	Offset int64  `json:"offset"`
	DTS    int64  `json:"dts_ms"`
	PTS    int64  `json:"pts_ms"`
	Init   string `json:"init"`
}

// NewestOf returns the document for a room.
func NewestOf(room *store.Room) *Newest {
	s := room.Snapshot(newestSegments)
	n := &Newest{
		Type: "newest", Room: room.Name(), Container: room.Container().String(), Mode: mode(room.VOD()),
		RoomKey: base64.RawURLEncoding.EncodeToString(room.Key()), Ended: s.Ended,
	}
	if !s.Init.IsZero() {
		n.Init = s.Init.String()
	}
	if s.Pieces > 0 {
		n.Oldest, n.Edge = position(s.Oldest), position(s.Edge)
		n.Edge.DTS = s.EdgeDTS
	}
	if k := s.Keyframe; k != nil {
		n.Keyframe = &Entry{Position: *position(s.KeyframeID), Offset: k.Offset, PTS: k.PTS, Init: k.Init.String()}
		n.Keyframe.DTS = k.DTS
	}
	for _, seg := range s.Segments {
		doc := NewestSegment{
			Name: seg.Name(), Epoch: seg.Epoch, Seq: seg.Seq, Pieces: seg.Pieces, Size: seg.Size,
			SHA256: seg.SHA256.String(), DTS: seg.DTS, EndDTS: seg.EndDTS,
		}
		for _, k := range seg.Keyframes {
			doc.Keyframes = append(doc.Keyframes, SegmentEntry{k.Offset, k.DTS, k.PTS, k.Init.String()})
		}
		n.Segments = append(n.Segments, doc)
	}
	return n
}

func mode(vod bool) string {
	if vod {
		return "vod"
	}
	return "live"
}

func (h *Handler) newest(w http.ResponseWriter, r *http.Request, room *store.Room) {
	body, err := json.Marshal(NewestOf(room))
	if err != nil {
		refuse(w, http.StatusInternalServerError, "cannot be written")
		return
	}
	document(w, r, "application/json", "public, max-age=1", append(body, '\n'))
}

// index answers with a recording's signed index, as the slice stream holds it.
func (h *Handler) index(w http.ResponseWriter, r *http.Request, room *store.Room) {
	rec, ok := room.Index()
	if !ok {
		var err error
		rec.Index, err = upstream(h, room, func(c *Client) (*segment.Index, error) { return c.Index(r.Context()) })
		if err != nil {
			missing(w, err, "no index: the room is live, or its recording has no end yet")
			return
		}
	}
	document(w, r, octets, "public, max-age=60", segment.AppendIndex(nil, rec.Index))
}

// document answers with a short text that may change.
func document(w http.ResponseWriter, r *http.Request, kind, cache string, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", cache)
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(body) // a client that has left needs no answer
}

// playable reports whether players can stream the container.
func playable(c media.Container) bool { return c == media.FLV || c == media.FMP4 }
