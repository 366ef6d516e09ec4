package origin

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/store"
)

// A RoomURL is what a viewer is given: where the origin is, which room, and, if
// the viewer is not to trust the server for it, the room's key.
type RoomURL struct {
	Base string // scheme, host and what stands before the room; no slash at the end
	Room string
	Key  ed25519.PublicKey // nil if the URL has none
}

// ParseRoomURL reads what a person copies: http://host/match, the room's document
// http://host/v1/rooms/match, or what a player is given,
// http://host/live/match.flv; each with #key if the viewer pins the room's key.
func ParseRoomURL(s string) (RoomURL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return RoomURL{}, err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return RoomURL{}, fmt.Errorf("%.200q: want http://host/room", s)
	}
	if u.RawQuery != "" {
		return RoomURL{}, fmt.Errorf("%.200q: a room has no query", s)
	}
	path := strings.TrimSuffix(u.Path, "/")
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return RoomURL{}, fmt.Errorf("%.200q: want http://host/room", s)
	}
	base, room := path[:i], path[i+1:]
	if of, ok := strings.CutSuffix(base, "/v1/rooms"); ok {
		base = of
	} else if of, ok := strings.CutSuffix(base, "/live"); ok {
		base = of
		if name, ext, ok := cutLast(room); ok && (ext == media.FLV.String() || ext == media.FMP4.String()) {
			room = name
		}
	}
	r := RoomURL{Room: room}
	if err := store.CheckName(r.Room); err != nil {
		return RoomURL{}, err
	}
	if u.Fragment != "" {
		if r.Key, err = ParseKey(u.Fragment); err != nil {
			return RoomURL{}, err
		}
	}
	origin := url.URL{Scheme: u.Scheme, User: u.User, Host: u.Host, Path: base}
	r.Base = origin.String()
	return r, nil
}

// Document is the URL of the room document, where the tracker is the origin.
func (r RoomURL) Document() string { return r.Base + "/v1/rooms/" + r.Room }

// ParseKey reads a room key as slice streams and URLs write it: base64url
// without padding.
func ParseKey(s string) (ed25519.PublicKey, error) {
	k, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(k) != ed25519.PublicKeySize {
		return nil, errors.New("room key: want 43 characters of base64url")
	}
	return k, nil
}
