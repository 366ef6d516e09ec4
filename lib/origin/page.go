package origin

import (
	_ "embed"
	"encoding/json"
	"html"
	"net/http"
	"strings"

	"github.com/xp2p/xp2p/lib/fmp4"
	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/store"
)

//go:embed page.html
var pageHTML string

//go:embed page.js
var pageScript string

// roomMark stands in the page where the room's name goes, scriptMark where the
// script goes.
const (
	roomMark   = "{{room}}"
	scriptMark = "{{script}}"
)

// Play is the document that the page asks for: what a browser must know to
// play a room.
type Play struct {
	Type      string `json:"type"` // "play"
	Room      string `json:"room"`
	Container string `json:"container"`
	URL       string `json:"url"`            // of the stream
	MIME      string `json:"mime,omitempty"` // with codecs; absent until the room has an init, and where the page cannot play
	Ended     bool   `json:"ended,omitempty"`
}

// PlayOf returns the document for a room.
func PlayOf(room *store.Room) *Play {
	c := room.Container()
	p := &Play{Type: "play", Room: room.Name(), Container: c.String(), URL: "/live/" + room.Name() + "." + c.String(), Ended: room.Ended()}
	rec, ok := room.Init(room.Snapshot(0).Init)
	if !ok || c != media.FMP4 {
		return p
	}
	tracks, err := fmp4.Tracks(rec.Body)
	if err != nil {
		return p
	}
	var codecs []string
	for _, t := range tracks {
		if t.Codec != "" {
			codecs = append(codecs, t.Codec)
		}
	}
	p.MIME = `video/mp4; codecs="` + strings.Join(codecs, ",") + `"`
	return p
}

func (h *Handler) codecs(w http.ResponseWriter, r *http.Request, room *store.Room) {
	body, err := json.Marshal(PlayOf(room))
	if err != nil {
		refuse(w, http.StatusInternalServerError, "cannot be written")
		return
	}
	document(w, r, "application/json", "no-store", append(body, '\n'))
}

// front answers "/": the room, if there is one only, else a list of them.
func (h *Handler) front(w http.ResponseWriter, r *http.Request) {
	rooms := h.store.Rooms()
	if len(rooms) == 1 {
		h.page(w, r, rooms[0])
		return
	}
	var b strings.Builder
	b.WriteString("<!doctype html>\n<meta charset=utf-8>\n<title>xp2p</title>\n<h1>xp2p</h1>\n<ul>\n")
	for _, room := range rooms {
		name := html.EscapeString(room.Name())
		b.WriteString("<li><a href=\"/play/" + name + "\">" + name + "</a>\n")
	}
	b.WriteString("</ul>\n")
	h.html(w, r, b.String())
}

func (h *Handler) page(w http.ResponseWriter, r *http.Request, room *store.Room) {
	h.html(w, r, strings.NewReplacer(roomMark, html.EscapeString(room.Name()), scriptMark, pageScript).Replace(pageHTML))
}

func (h *Handler) html(w http.ResponseWriter, r *http.Request, page string) {
	w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; media-src 'self' blob:")
	document(w, r, "text/html; charset=utf-8", "no-store", []byte(page))
}
