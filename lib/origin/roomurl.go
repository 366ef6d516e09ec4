package origin

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/xp2p/xp2p/lib/store"
)

// A RoomURL is what a viewer is given: where the origin is, which room, and, if
// the viewer is not to trust the server for it, the room's key.
type RoomURL struct {
	Base string // scheme, host and what stands before the room; no slash at the end
	Room string
	Key  ed25519.PublicKey // nil if the URL has none
}

// ParseRoomURL reads "http://host:8080/match" or "http://host:8080/match#key".
func ParseRoomURL(s string) (RoomURL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return RoomURL{}, err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return RoomURL{}, fmt.Errorf("%q: want http://host/room", s)
	}
	if u.RawQuery != "" {
		return RoomURL{}, fmt.Errorf("%q: a room has no query", s)
	}
	i := strings.LastIndexByte(u.Path, '/')
	if i < 0 {
		return RoomURL{}, fmt.Errorf("%q: want http://host/room", s)
	}
	r := RoomURL{Room: u.Path[i+1:]}
	if err := store.CheckName(r.Room); err != nil {
		return RoomURL{}, err
	}
	if u.Fragment != "" {
		if r.Key, err = ParseKey(u.Fragment); err != nil {
			return RoomURL{}, err
		}
	}
	base := url.URL{Scheme: u.Scheme, User: u.User, Host: u.Host, Path: u.Path[:i]}
	r.Base = base.String()
	return r, nil
}

// ParseKey reads a room key as slice streams and URLs write it: base64url
// without padding.
func ParseKey(s string) (ed25519.PublicKey, error) {
	k, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(k) != ed25519.PublicKeySize {
		return nil, errors.New("room key: want 43 characters of base64url")
	}
	return k, nil
}
