package origin

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/xp2p/xp2p/lib/store"
)

// upstream asks the room's upstream, if it has one, for what the room does not
// hold. All who ask at the same time cost the upstream one request.
func upstream[T any](h *Handler, room *store.Room, ask func(*Client) (T, error)) (got T, err error) {
	if h.cfg.Upstream != nil {
		if c := h.cfg.Upstream(room.Name()); c != nil {
			return ask(c)
		}
	}
	return got, fmt.Errorf("room %s: %w", room.Name(), ErrNotFound)
}

// missing answers for what neither the room nor its upstream gave.
func missing(w http.ResponseWriter, err error, why string) {
	if errors.Is(err, ErrNotFound) || errors.Is(err, store.ErrGone) {
		refuse(w, http.StatusNotFound, why)
		return
	}
	if errors.Is(err, ErrBusy) {
		busy(w, "the upstream has no room just now")
		return
	}
	refuse(w, http.StatusBadGateway, "the upstream does not give it")
}
