package wire

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
)

// A RoomDocument is the answer to GET /v1/rooms/{room}: all that a peer needs to
// know to join. URLs in it may be relative to the document's own.
type RoomDocument struct {
	Room      string `json:"room"`
	Mode      string `json:"mode"`      // live or vod
	Container string `json:"container"` // flv, mp4 or raw
	RoomKey   Key    `json:"room_key"`  // Ed25519: signs the pieces
	// Newest is what the origin's newest document says at this moment; it is
	// absent before the first piece.
	Newest  json.RawMessage `json:"newest,omitempty"`
	Origins []string        `json:"origins"`         // base URLs, best first
	Seeds   []RoomSeed      `json:"seeds,omitempty"` // always-on XNTP seeds
	// AtHome says that no origin can be reached: each seed is one, over a tunnel
	// through XNTP, and stands behind a NAT, perhaps.
	AtHome     bool        `json:"at_home,omitempty"`
	STUN       []string    `json:"stun,omitempty"` // host:port
	Relays     []RoomRelay `json:"relay,omitempty"`
	Log        string      `json:"log,omitempty"`    // URL to POST reports to
	Signal     string      `json:"signal,omitempty"` // URL of the WebSocket (ws, wss)
	TokenKey   *Key        `json:"token_key,omitempty"`
	Topology   string      `json:"topology"`
	Renditions *Manifest   `json:"renditions,omitempty"` // of a room that has several
	TimeUnixMS int64       `json:"time_unix_ms"`
}

// A RoomSeed is a seed that anybody may dial without asking the tracker first.
type RoomSeed struct {
	Key   Key              `json:"key"`
	Addrs []netip.AddrPort `json:"addrs"`
	// TCP is a URL where a GET is upgraded to datagrams over TCP, for those who have
	// no UDP.
	TCP string `json:"tcp,omitempty"`
	// NAT is what the seed knows of the NAT that it is behind, if it is at home.
	NAT *SignalNAT `json:"nat,omitempty"`
}

// A RoomRelay is a TURN server with short-lived credentials.
type RoomRelay struct {
	URL        string `json:"url"` // turn: or turns: (RFC 7065)
	Username   string `json:"username,omitempty"`
	Credential string `json:"credential,omitempty"`
	// CertSHA256 is the SHA-256 of the server's certificate, in hexadecimal, where no
	// authority vouches for it.
	CertSHA256 string `json:"cert_sha256,omitempty"`
}

// Bounds of a room document.
const (
	MaxRoomDocument = 64 << 10
	maxRoomList     = 16
	maxRoomURL      = 2048
)

// ParseRoomDocument reads and checks a room document.
func ParseRoomDocument(b []byte) (*RoomDocument, error) {
	if len(b) > MaxRoomDocument {
		return nil, fmt.Errorf("room document: %d bytes are more than %d", len(b), MaxRoomDocument)
	}
	d := new(RoomDocument)
	if err := json.Unmarshal(b, d); err != nil {
		return nil, fmt.Errorf("room document: %w", err)
	}
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("room document: %w", err)
	}
	return d, nil
}

// Append appends the JSON of d. It refuses what ParseRoomDocument would.
func (d *RoomDocument) Append(b []byte) ([]byte, error) {
	if err := d.check(); err != nil {
		return b, fmt.Errorf("room document: %w", err)
	}
	p, err := json.Marshal(d)
	if err != nil {
		return b, fmt.Errorf("room document: %w", err)
	}
	if len(p) > MaxRoomDocument {
		return b, fmt.Errorf("room document: %d bytes are more than %d", len(p), MaxRoomDocument)
	}
	return append(b, p...), nil
}

func (d *RoomDocument) check() error {
	switch {
	case !CheckRoomName(d.Room):
		return fmt.Errorf("room: %.70q is no name", d.Room)
	case checkStream(d.Mode, d.Container) != nil:
		return checkStream(d.Mode, d.Container)
	case d.RoomKey == Key{}:
		return errors.New("room_key: none")
	case len(d.Origins) > maxRoomList || len(d.Seeds) > maxRoomList || len(d.STUN) > maxRoomList || len(d.Relays) > maxRoomList:
		return fmt.Errorf("a list is longer than %d", maxRoomList)
	}
	if d.Renditions != nil {
		if err := d.Renditions.check(); err != nil {
			return err
		}
	}
	for _, o := range d.Origins {
		if err := checkURL(o, "http", "https"); err != nil {
			return fmt.Errorf("origins: %w", err)
		}
	}
	if d.Log != "" {
		if err := checkURL(d.Log, "http", "https"); err != nil {
			return fmt.Errorf("log: %w", err)
		}
	}
	if d.Signal != "" {
		if err := checkURL(d.Signal, "ws", "wss", "http", "https"); err != nil {
			return fmt.Errorf("signal: %w", err)
		}
	}
	for i := range d.Seeds {
		if d.Seeds[i].Key == (Key{}) {
			return errors.New("seeds: no key")
		}
		if err := cmp.Or(checkAddrs(d.Seeds[i].Addrs), d.Seeds[i].NAT.check()); err != nil {
			return fmt.Errorf("seeds: %w", err)
		}
		if tcp := d.Seeds[i].TCP; tcp != "" {
			if err := checkURL(tcp, "http", "https"); err != nil {
				return fmt.Errorf("seeds: %w", err)
			}
		}
	}
	for _, s := range d.STUN {
		if err := checkText("stun", s, maxRoomURL); err != nil {
			return err
		}
	}
	for _, r := range d.Relays {
		if err := cmp.Or(checkText("relay", r.URL, maxRoomURL), checkText("relay", r.Username, maxSignalText),
			checkText("relay", r.Credential, maxSignalText), checkText("relay", r.CertSHA256, maxSignalText)); err != nil {
			return err
		}
	}
	return checkText("topology", d.Topology, maxSignalName)
}

func checkURL(s string, schemes ...string) error {
	if err := checkText("url", s, maxRoomURL); err != nil {
		return err
	}
	u, err := url.Parse(s)
	if err != nil {
		return errors.New("not a URL")
	}
	if u.Scheme == "" || u.Host != "" && slices.Contains(schemes, u.Scheme) {
		return nil
	}
	return fmt.Errorf("%.100q: not a URL of scheme %s", s, schemes[0])
}

// CheckRoomName says whether s may name a room: a letter or digit, then at most
// 63 letters, digits, dots, underscores and hyphens, and none of the words that
// URLs need.
func CheckRoomName(s string) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		alnum := '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
		if !alnum && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	switch s {
	case "live", "v1", "metrics", "healthz", "stat":
		return false
	}
	return true
}
