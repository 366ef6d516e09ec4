package wire

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
)

// A Manifest names the renditions of a room: streams that show the same at other
// bit rates, each a room and a swarm of its own. The room's key, which signs all
// of them, signs it too: nobody else can give one for another, or hide one.
// Signed is
//
//	"xp2p renditions 1" 0 room LF issued_unix_ms LF, then of each rendition
//	name TAB room TAB container TAB bitrate_bps LF
//
// with numbers in decimal. Of two the one that was issued later counts.
type Manifest struct {
	Room         string      `json:"room"` // that of the first rendition
	IssuedUnixMS int64       `json:"issued_unix_ms"`
	Renditions   []Rendition `json:"renditions"` // as the broadcaster gave them
	Signature    string      `json:"signature"`  // Ed25519, base64url without padding
}

// A Rendition is one of a room's streams.
type Rendition struct {
	Name       string `json:"name"` // a word for people: 720p
	Room       string `json:"room"`
	Container  string `json:"container"`             // flv or mp4
	BitrateBPS int64  `json:"bitrate_bps,omitempty"` // over ten seconds; absent before one was measured
}

// MaxRenditions bounds a manifest.
const MaxRenditions = 16

const manifestDomain = "xp2p renditions 1\x00"

// ErrManifest is returned for a manifest that the room's key did not sign.
var ErrManifest = errors.New("the list of renditions is not signed by the room's key")

// RenditionRoom is the room of the i-th rendition of a room: the first is the
// room itself, so that those who know nothing of renditions watch it.
func RenditionRoom(room string, i int, name string) string {
	if i == 0 {
		return room
	}
	return room + "." + name
}

func (m *Manifest) signed() []byte {
	b := append([]byte(manifestDomain), m.Room...)
	b = append(strconv.AppendInt(append(b, '\n'), m.IssuedUnixMS, 10), '\n')
	for _, r := range m.Renditions {
		b = append(append(b, r.Name...), '\t')
		b = append(append(b, r.Room...), '\t')
		b = append(append(b, r.Container...), '\t')
		b = append(strconv.AppendInt(b, r.BitrateBPS, 10), '\n')
	}
	return b
}

// Sign signs the manifest with the room's key.
func (m *Manifest) Sign(key ed25519.PrivateKey) {
	m.Signature = base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, m.signed()))
}

// Verify checks that the room's key signed the manifest.
func (m *Manifest) Verify(key ed25519.PublicKey) error {
	sig, err := base64.RawURLEncoding.Strict().DecodeString(m.Signature)
	if err != nil || len(sig) != ed25519.SignatureSize || len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, m.signed(), sig) {
		return ErrManifest
	}
	return nil
}

// Rendition returns the rendition called name.
func (m *Manifest) Rendition(name string) (*Rendition, bool) {
	for i := range m.Renditions {
		if m.Renditions[i].Name == name {
			return &m.Renditions[i], true
		}
	}
	return nil, false
}

// check bounds what came over the network; it does not verify.
func (m *Manifest) check() error {
	if !CheckRoomName(m.Room) || len(m.Renditions) == 0 || len(m.Renditions) > MaxRenditions || len(m.Signature) > 128 {
		return errors.New("renditions: no room, none, too many, or a signature that is none")
	}
	seen := map[string]bool{}
	for i := range m.Renditions {
		r := &m.Renditions[i]
		switch {
		case !CheckRoomName(r.Name), !CheckRoomName(r.Room), seen["name "+r.Name], seen["room "+r.Room]:
			return fmt.Errorf("renditions: %.70q in %.70q: no name, or one that was given before", r.Name, r.Room)
		case r.Container != "flv" && r.Container != "mp4":
			return fmt.Errorf("renditions: container %.20q", r.Container)
		case r.BitrateBPS < 0 || r.BitrateBPS > 1<<40:
			return fmt.Errorf("renditions: %d bits per second", r.BitrateBPS)
		}
		seen["name "+r.Name], seen["room "+r.Room] = true, true
	}
	return nil
}
