package main

import (
	"context"
	_ "embed"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/origin"
	"github.com/xp2p/xp2p/lib/store"
	"github.com/xp2p/xp2p/lib/tool"
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
		Flags: []tool.Flag{
			tool.String(&o.room, "room", "the name of the `ROOM` on stdin"),
			tool.Strings(&o.upstreams, "upstream", "pull the room at `URL` from another seed"),
			tool.String(&o.listen, "listen", "HTTP `ADDR`"),
			tool.String(&o.udp, "udp", "XNTP and STUN `ADDR`; by default that of --listen"),
			tool.String(&o.public, "public", "how viewers reach the HTTP address, if not as they did: a `URL`"),
			tool.String(&o.tracker, "tracker", "join the rooms of the tracker at `URL` instead of being one"),
			tool.Strings(&o.only, "only", "serve only this `PART`: origin, tracker, stun, seed or log"),
			tool.Choice(&o.topology, "topology", "how viewers are arranged", "balanced", "mesh"),
			tool.Duration(&o.window, "window", "keep so much of a live room in memory"),
			tool.String(&o.store, "store", "keep rooms on disk as well, in `DIR`/ROOM"),
			tool.Rate(&o.maxUpload, "max-upload", "give viewers over XNTP at most so much; 0 is no bound"),
			tool.Duration(&o.linger, "linger", "go on serving for so long after stdin has ended, or until every viewer has left"),
			tool.String(&o.identity, "identity", "`FILE` with the seed's secret keys; made if missing"),
			tool.String(&o.readyFile, "ready-file", "write the base URL to `FILE` once rooms can be joined"),
		},
		Run: func(ctx context.Context, io *tool.IO, args []string) error {
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
	upstreams, only                              []string
	window, linger                               time.Duration
	maxUpload                                    int64

	dirs  []string
	pulls []origin.RoomURL
}

func (o *options) serves(part string) bool {
	if part == partTracker && o.tracker != "" {
		return false
	}
	return len(o.only) == 0 || slices.Contains(o.only, part)
}

// udpServed reports whether a UDP socket is needed.
func (o *options) udpServed() bool { return o.serves(partSeed) || o.serves(partSTUN) }

func (o *options) check(args []string, io *tool.IO) error {
	o.dirs = args
	for _, p := range o.only {
		if !slices.Contains(parts, p) {
			return tool.Usage("--only %s: there is no such part", p).Hint("origin, tracker, stun, seed or log")
		}
	}
	names := map[string]string{}
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
	if o.room != "" {
		if err := claim(o.room, "--room"); err != nil {
			return err
		}
		if io.InIsTerminal {
			return tool.Usage("--room reads a slice stream on stdin, and stdin is a terminal").Hint("ffmpeg … -f flv - | xp2p-slice | xp2p-seed --room %s", o.room)
		}
	}
	for _, dir := range o.dirs {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return tool.Usage("%s: %w", dir, err)
		}
		if err := claim(filepath.Base(abs), dir); err != nil {
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
	if len(names) == 0 && (o.serves(partOrigin) || o.serves(partSeed) || o.serves(partTracker)) {
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
	for flag, v := range map[string]*string{"--public": &o.public, "--tracker": &o.tracker} {
		if *v == "" {
			continue
		}
		if u, err := url.Parse(*v); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return tool.Usage("%s: %q: want http://HOST:PORT", flag, *v)
		}
	}
	return nil
}
