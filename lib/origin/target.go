package origin

import (
	"strings"

	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/store"
)

// A target is what a URL's path names. One path has one target and, where
// caches keep the answer, one target has one path: nothing is cleaned, folded
// or redirected.
type target struct {
	kind      targetKind
	room      string
	hash      segment.Hash    // pieces, inits
	name      string          // segments
	id        segment.ID      // at
	n         int             // at: how many pieces
	container media.Container // live
}

type targetKind uint8

const (
	noTarget targetKind = iota
	newestTarget
	startTarget
	indexTarget
	pieceTarget
	segmentTarget
	segmentPiecesTarget
	initTarget
	atTarget
	liveTarget
	pageTarget
	codecsTarget
)

// maxRun is how many pieces one /at may name.
const maxRun = 256

// parseTarget reads a path, already unescaped. bad reports that the path has
// the shape of one of ours but a name in it is malformed: a 400, not a 404.
func parseTarget(path string) (t target, bad bool) {
	if path == "/" {
		return target{kind: pageTarget}, false
	}
	e := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if len(e) < 2 || len(e) > 6 || path[0] != '/' {
		return target{}, false
	}
	switch e[0] {
	case "live":
		return liveName(e[1:])
	case "play":
		return pageName(e[1:])
	case "v1":
		if len(e) < 4 || e[1] != "rooms" {
			return target{}, false
		}
		if store.CheckName(e[2]) != nil {
			return target{}, true
		}
		t, bad = roomPath(e[3:])
		t.room = e[2]
		return t, bad
	}
	return target{}, false
}

func roomPath(e []string) (t target, bad bool) {
	switch {
	case len(e) == 1 && e[0] == "newest":
		t.kind = newestTarget
	case len(e) == 1 && e[0] == "start":
		t.kind = startTarget
	case len(e) == 1 && e[0] == "index":
		t.kind = indexTarget
	case len(e) == 2 && (e[0] == "pieces" || e[0] == "inits"):
		t.kind = pieceTarget
		if e[0] == "inits" {
			t.kind = initTarget
		}
		var err error
		t.hash, err = segment.ParseHash(e[1])
		return t, err != nil
	case len(e) == 2 && e[0] == "at":
		t.kind = atTarget
		var ok bool
		t.id, t.n, ok = parseRun(e[1])
		return t, !ok
	case e[0] == "segments" && (len(e) == 2 || len(e) == 3 && e[2] == "pieces"):
		t.kind = segmentTarget
		if len(e) == 3 {
			t.kind = segmentPiecesTarget
		}
		t.name = e[1]
		_, ok := segment.ParseName(e[1])
		return t, !ok
	}
	return t, false
}

// parseRun reads "epoch-seq-i" or "epoch-seq-i..j".
func parseRun(s string) (id segment.ID, n int, ok bool) {
	first, last, run := strings.Cut(s, "..")
	id, err := store.ParseID(first)
	if err != nil {
		return id, 0, false
	}
	if !run {
		return id, 1, true
	}
	end, err := store.ParseID("0-0-" + last)
	n = end.Index - id.Index + 1
	return id, n, err == nil && n > 1 && n <= maxRun // a run of one has its own spelling, so that caches have one key
}

// formatRun is the inverse of parseRun.
func formatRun(id segment.ID, n int) string {
	s := store.FormatID(id)
	if n > 1 {
		_, last, _ := strings.Cut(store.FormatID(segment.ID{Index: id.Index + n - 1}), "0-0-")
		s += ".." + last
	}
	return s
}

func liveName(e []string) (target, bool) {
	if len(e) != 1 {
		return target{}, false
	}
	room, ext, ok := cutLast(e[0])
	c, known := media.ParseContainer(ext)
	if !ok || !known || c == media.Raw {
		return target{}, false
	}
	return target{kind: liveTarget, room: room, container: c}, store.CheckName(room) != nil
}

func pageName(e []string) (target, bool) {
	if len(e) != 1 {
		return target{}, false
	}
	t := target{kind: pageTarget, room: e[0]}
	if room, ok := strings.CutSuffix(e[0], ".json"); ok {
		t = target{kind: codecsTarget, room: room}
	}
	return t, store.CheckName(t.room) != nil
}

// cutLast cuts s around its last dot.
func cutLast(s string) (name, ext string, ok bool) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}
