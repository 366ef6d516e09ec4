package wire

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
)

// SignalAnnounce opens a room of the announcer's own at a tracker that takes in
// guests: it is said before the hello. The room is the announcer's for as long as
// it stays, and a little longer. Whoever has a later announcement of the same
// announcer for the same room takes its place; nobody else does.
//
// The signature is the announcer's over
//
//	"xp2p announce" 0 (14) the room's name, mode and container, each with a 0 behind it,
//	room key (32) seed key (32) time (8, big-endian Unix ms)
type SignalAnnounce struct {
	Mode      string    `json:"mode"`      // live or vod
	Container string    `json:"container"` // flv, mp4 or raw
	RoomKey   Key       `json:"room_key"`  // Ed25519: signs the pieces
	Seed      Key       `json:"seed"`      // the XNTP key of the seed that has the room
	Announcer Key       `json:"announcer"` // Ed25519: whose room it is
	TimeMS    int64     `json:"time_unix_ms"`
	Signature Signature `json:"signature"`
}

const announceDomain = "xp2p announce\x00"

// signed is what the signature is over.
func (m *SignalAnnounce) signed(room string) []byte {
	b := []byte(announceDomain + room + "\x00" + m.Mode + "\x00" + m.Container + "\x00")
	b = append(b, m.RoomKey[:]...)
	b = append(b, m.Seed[:]...)
	for i := 56; i >= 0; i -= 8 {
		b = append(b, byte(m.TimeMS>>i))
	}
	return b
}

// Sign signs the announcement of a room with the announcer's key.
func (m *SignalAnnounce) Sign(key ed25519.PrivateKey, room string) {
	m.Announcer = Key(key.Public().(ed25519.PublicKey))
	copy(m.Signature[:], ed25519.Sign(key, m.signed(room)))
}

// Verify says whether the announcer signed this for the room.
func (m *SignalAnnounce) Verify(room string) bool {
	return ed25519.Verify(m.Announcer[:], m.signed(room), m.Signature[:])
}

func (m *SignalAnnounce) check() error {
	switch {
	case m.RoomKey == Key{} || m.Seed == Key{} || m.Announcer == Key{}:
		return errors.New("a key is missing")
	case m.TimeMS < 0:
		return errors.New("time_unix_ms: negative")
	}
	return checkStream(m.Mode, m.Container)
}

// checkStream checks what a room is said to hold.
func checkStream(mode, container string) error {
	switch {
	case mode != "live" && mode != "vod":
		return fmt.Errorf("mode: %.20q is neither live nor vod", mode)
	case container != "flv" && container != "mp4" && container != "raw":
		return fmt.Errorf("container: %.20q is not known", container)
	}
	return nil
}

// A Signature is Ed25519's. As text it is base64url without padding.
type Signature [ed25519.SignatureSize]byte

// MarshalText implements encoding.TextMarshaler.
func (s Signature) MarshalText() ([]byte, error) {
	return base64.RawURLEncoding.AppendEncode(nil, s[:]), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Signature) UnmarshalText(text []byte) error {
	if len(text) != base64.RawURLEncoding.EncodedLen(len(s)) {
		return fmt.Errorf("signature: not %d bytes of base64url", len(s))
	}
	_, err := base64.RawURLEncoding.Strict().Decode(s[:], text)
	return err
}
