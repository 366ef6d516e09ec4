package signal

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/wire"
)

// serveDocument answers GET /v1/rooms/{room}.
func (s *Server) serveDocument(w http.ResponseWriter, r *http.Request) {
	room := r.PathValue("room")
	if !wire.CheckRoomName(room) || s.cfg.Document == nil {
		s.refuse(w, http.StatusNotFound, "no such room")
		return
	}
	d, ok := s.cfg.Document(r, room)
	if !ok {
		d, ok = s.guestDocument(r, room)
	}
	if !ok {
		s.refuse(w, http.StatusNotFound, "no such room")
		return
	}
	doc := *d
	doc.Room, doc.TimeUnixMS = room, time.Now().UnixMilli()
	s.mu.Lock()
	topology := s.tracker.Topology(room)
	doc.Seeds = slices.Concat(doc.Seeds, s.tracker.Seeds(room))
	s.mu.Unlock()
	if topology != "" {
		doc.Topology = topology
		if doc.Signal == "" {
			doc.Signal = "/v1/rooms/" + url.PathEscape(room) + "/signal"
		}
	}
	b, err := doc.Append(nil)
	if err != nil {
		s.log.Error("room document", "room", room, "err", err)
		s.refuse(w, http.StatusInternalServerError, "the room cannot be described")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store") // it holds the time, and short-lived credentials
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(append(b, '\n'))
}

// httpError answers with a JSON object that says why.
func httpError(w http.ResponseWriter, status int, why string) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"type": "error", "message": why})
}
