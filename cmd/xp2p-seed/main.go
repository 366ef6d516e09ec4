package main

import (
	"context"
	"crypto/ed25519"
	_ "embed"
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/xp2p/xp2p/lib/origin"
	"github.com/xp2p/xp2p/lib/store"
	"github.com/xp2p/xp2p/lib/tool"
	"github.com/xp2p/xp2p/lib/wire"
)

//go:embed doc.go
var manual string

func main() { tool.Main(command()) }

func command() *tool.Command {
	o := &options{listen: ":8080", topology: "balanced", window: store.DefaultWindow, linger: 30 * time.Second}
	return &tool.Command{
		Name:           "xp2p-seed",
		Summary:        "serve rooms: origin, tracker, STUN, always-on peer, log",
		Args:           "[DIR…]",
		Manual:         manual,
		ReaderMayLeave: true,
		Flags: append([]tool.Flag{
			tool.String(&o.room, "room", "the name of the `ROOM` on stdin"),
			tool.Strings(&o.renditions, "rendition", "one of several streams of the room: `NAME=SOURCE`, a slice stream in a file or pipe (- is stdin), or a directory"),
			tool.String(&o.key, "key", "the room's signing key in `FILE`, as xp2p-slice --key has it: signs the list of renditions"),
			tool.Strings(&o.upstreams, "upstream", "pull the room at `URL` from another seed"),
			tool.String(&o.listen, "listen", "HTTP `ADDR`"),
			tool.String(&o.udp, "udp", "XNTP and STUN `ADDR`; by default that of --listen"),
			tool.Bool(&o.portMap, "port-map", "have the router pass the UDP port on (PCP, NAT-PMP, UPnP), until the end"),
			tool.String(&o.public, "public", "how viewers reach the HTTP address, if not as they did: a `URL`"),
			tool.String(&o.tracker, "tracker", "announce the rooms at the tracker at `URL`, or join its rooms, instead of being one"),
			tool.Int(&o.guestRooms, "guest-rooms", "how many rooms others may announce here"),
			tool.Strings(&o.allow, "allow-seed", "let the seed with this `KEY` (see --print-key) join the tracker"),
			tool.Strings(&o.stuns, "stun", "a STUN responder elsewhere: `ADDR` or ADDR#KEY"),
			tool.Strings(&o.stunListen, "stun-listen", "a further `IP:PORT` of the STUN responder here; two with different IP and port tell viewers all of their NAT"),
			tool.String(&o.log, "log", "where viewers POST their counters, if not here: the base `URL` of a seed"),
			tool.Strings(&o.only, "only", "serve only this `PART`: origin, tracker, stun, seed or log"),
			tool.Choice(&o.topology, "topology", "how viewers are arranged", "balanced", "mesh", "tree"),
			tool.Strings(&o.zones, "zones", "where viewers are and what the way between them costs: text, ALTO or MMDB in `FILE`"),
			tool.Duration(&o.window, "window", "keep so much of a live room in memory"),
			tool.String(&o.store, "store", "keep rooms on disk as well, in `DIR`/ROOM"),
			tool.Rate(&o.maxUpload, "max-upload", "give viewers over XNTP at most so much; 0 is no bound"),
			tool.Rate(&o.uplink, "uplink", "what this machine's uplink carries: origin and seed keep within it; 0 is no bound"),
			tool.Duration(&o.linger, "linger", "go on serving for so long after stdin has ended, or until every viewer has left"),
			tool.String(&o.identity, "identity", "`FILE` with the seed's secret keys; made if missing"),
			tool.Bool(&o.printKey, "print-key", "print the public keys of --identity and end"),
			tool.String(&o.qlog, "qlog", "write a trace of each connection into `DIR`, as qvis reads it"),
			tool.String(&o.readyFile, "ready-file", "write the base URL to `FILE` once rooms can be joined"),
		}, o.relayFlags()...),
		Run: func(ctx context.Context, io *tool.IO, args []string) error {
			if o.printKey {
				return o.printKeys(io)
			}
			if err := o.check(args, io); err != nil {
				return err
			}
			return run(ctx, io, o)
		},
	}
}

// The parts of a seed.
const (
	partOrigin  = "origin"
	partTracker = "tracker"
	partSTUN    = "stun"
	partSeed    = "seed"
	partLog     = "log"
)

var parts = []string{partOrigin, partTracker, partSTUN, partSeed, partLog}

type options struct {
	room, listen, udp, public, tracker, topology string
	store, identity, readyFile                   string
	log, qlog                                    string
	key                                          string
	upstreams, only, allow, stuns, zones         []string
	renditions                                   []string
	stunListen                                   []string
	window, linger                               time.Duration
	maxUpload, uplink                            int64
	printKey                                     bool
	relay                                        relayOptions
	guestRooms                                   int
	portMap                                      bool

	called    string            // the name of the one room, if --tracker says it
	names     map[string]string // of all rooms, and what flag names each
	dirs      []string
	sources   []source // of the room that is this seed's own
	pulls     []origin.RoomURL
	seedKeys  []wire.Key       // of --allow-seed
	stun      []string         // host:port of --stun
	stunAt    []netip.AddrPort // of --stun-listen
	tokenKeys []wire.Key       // of --stun
}

func (o *options) serves(part string) bool {
	if part == partTracker && o.tracker != "" {
		return false
	}
	return len(o.only) == 0 || slices.Contains(o.only, part)
}

// pullsRooms reports whether the rooms of --upstream are pulled. The log and the
// STUN responder need to know no more than their names.
func (o *options) pullsRooms() bool {
	return o.serves(partOrigin) || o.serves(partTracker) || o.serves(partSeed)
}

// printKeys says by which keys others know this seed.
func (o *options) printKeys(io *tool.IO) error {
	if o.identity == "" {
		return tool.Usage("--print-key without --identity: the keys are new at each start")
	}
	id, err := loadIdentity(o.identity)
	if err != nil {
		return err
	}
	token := base64.RawURLEncoding.EncodeToString(id.token.Public().(ed25519.PublicKey))
	_, err = fmt.Fprintf(io.Out, "seed %s\nstun %s\n", id.xntp.Public(), token)
	return err
}

// udpServed reports whether a UDP socket is needed.
func (o *options) udpServed() bool { return o.serves(partSeed) || o.serves(partSTUN) }

func (o *options) check(args []string, io *tool.IO) error {
	o.dirs = args
	if err := o.checkTracker(); err != nil {
		return err
	}
	for _, p := range o.only {
		if !slices.Contains(parts, p) {
			return tool.Usage("--only %s: there is no such part", p).Hint("origin, tracker, stun, seed or log")
		}
	}
	names := map[string]string{}
	o.names = names
	claim := func(name, by string) error {
		if err := store.CheckName(name); err != nil {
			return tool.Usage("%s: %w", by, err)
		}
		if other, taken := names[name]; taken {
			return tool.Usage("room %s: both %s and %s", name, other, by)
		}
		names[name] = by
		return nil
	}
	if err := o.checkRenditions(claim); err != nil {
		return err
	}
	if o.readsStdin() && io.InIsTerminal {
		return tool.Usage("--room reads a slice stream on stdin, and stdin is a terminal").Hint("ffmpeg … -f flv - | xp2p-slice | xp2p-seed --room %s", o.room)
	}
	for _, dir := range o.dirs {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return tool.Usage("%s: %w", dir, err)
		}
		if err := claim(o.nameOf(abs), dir); err != nil {
			return err
		}
	}
	for _, u := range o.upstreams {
		room, err := origin.ParseRoomURL(u)
		if err != nil {
			return tool.Usage("--upstream: %w", err)
		}
		if err := claim(room.Room, "--upstream"); err != nil {
			return err
		}
		o.pulls = append(o.pulls, room)
	}
	if o.portMap && !o.announces() {
		return tool.Usage("--port-map is for a seed that announces its rooms with --tracker").Hint("--public says how viewers reach this one")
	}
	if o.guestRooms < 0 || o.guestRooms > 0 && !o.serves(partTracker) {
		return tool.Usage("--guest-rooms: the tracker is not here, or the number is no number of rooms")
	}
	if len(names) == 0 && o.guestRooms == 0 && (o.pullsRooms() || o.serves(partLog)) {
		return tool.Usage("no room to serve").Hint("--room NAME with a slice stream on stdin, a directory, or --upstream URL")
	}
	if _, _, err := net.SplitHostPort(o.listen); err != nil {
		return tool.Usage("--listen: %w", err).Hint("an address and a port: :8080 or 127.0.0.1:8080")
	}
	if o.udp != "" {
		if _, err := netip.ParseAddrPort(o.udp); err != nil {
			return tool.Usage("--udp: %w", err).Hint("an IP address and a port: 0.0.0.0:8080 or [::]:8080")
		}
	}
	for _, f := range []struct {
		name  string
		value *string
	}{{"--public", &o.public}, {"--tracker", &o.tracker}, {"--log", &o.log}} {
		if *f.value == "" {
			continue
		}
		if u, err := url.Parse(*f.value); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return tool.Usage("%s: %q: want http://HOST:PORT", f.name, *f.value)
		}
		*f.value = strings.TrimSuffix(*f.value, "/")
	}
	if len(o.zones) > 0 && !o.serves(partTracker) {
		return tool.Usage("--zones: the tracker is not here").Hint("give the files to the seed that is the tracker")
	}
	if err := o.checkSTUN(); err != nil {
		return err
	}
	if err := o.checkRelay(); err != nil {
		return err
	}
	return o.checkKeys()
}

// checkKeys reads the flags that name parts elsewhere by their keys.
func (o *options) checkKeys() error {
	for _, text := range o.allow {
		key, err := parseKey(text)
		if err != nil {
			return tool.Usage("--allow-seed: %w", err).Hint("xp2p-seed --identity FILE --print-key prints it")
		}
		o.seedKeys = append(o.seedKeys, key)
	}
	for _, text := range o.stuns {
		addr, keyText, keyed := strings.Cut(text, "#")
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return tool.Usage("--stun: %w", err).Hint("HOST:PORT, or HOST:PORT#KEY with the stun key that --print-key prints there")
		}
		o.stun = append(o.stun, addr)
		if keyed {
			key, err := parseKey(keyText)
			if err != nil {
				return tool.Usage("--stun: %w", err)
			}
			o.tokenKeys = append(o.tokenKeys, key)
		}
	}
	return nil
}

func parseKey(text string) (key wire.Key, err error) {
	if err := key.UnmarshalText([]byte(text)); err != nil {
		return key, fmt.Errorf("%.50q is no key: %w", text, err)
	}
	return key, nil
}
