package main

import (
	"context"
	_ "embed"
	"net/netip"
	"time"

	"github.com/xp2p/xp2p/lib/origin"
	"github.com/xp2p/xp2p/lib/playout"
	"github.com/xp2p/xp2p/lib/tool"
)

//go:embed doc.go
var manual string

func main() { tool.Main(command()) }

func command() *tool.Command {
	return commandWith(&options{start: "live", format: "media", listen: "[::]:0", window: localWindow, windowBytes: localWindowBytes})
}

func commandWith(o *options) *tool.Command {
	return &tool.Command{
		Name:           "xp2p-peer",
		Summary:        "watch or save a room, and pass on what you have",
		Args:           "URL",
		Manual:         manual,
		ReaderMayLeave: true,
		Flags: []tool.Flag{
			tool.String(&o.start, "start", "where to begin: live, oldest or a `TIME` before the live edge or into a recording (90s)"),
			tool.String(&o.output, "output", "write to `FILE`; a recording is resumed where it ends").Short("o"),
			tool.Choice(&o.format, "format", "what to write", "media", "slices"),
			tool.String(&o.http, "http", "serve the room to players on this machine at `ADDR`"),
			tool.String(&o.roomKey, "room-key", "the room's `KEY`, as behind # in the URL"),
			tool.String(&o.listen, "listen", "UDP `ADDR` to meet other viewers at"),
			tool.Rate(&o.maxUpload, "max-upload", "upload at most so much; 0 is no bound"),
			tool.Bool(&o.noUpload, "no-upload", "upload nothing"),
			tool.Rate(&o.uplink, "uplink", "what this machine can upload, as others may count on; 0 is not known"),
			tool.Bool(&o.originOnly, "origin-only", "take part in no swarm: everything from the origin"),
			tool.String(&o.stats, "stats", "append counters to `FILE` as JSON lines, one each second"),
			tool.Bool(&o.explain, "explain", "a line on stderr for every piece: from whom, and why"),
		},
		Run: func(ctx context.Context, io *tool.IO, args []string) error {
			if err := o.check(args); err != nil {
				return err
			}
			return run(ctx, io, o)
		},
	}
}

type options struct {
	start, output, format, http, roomKey, listen, stats string
	maxUpload, uplink                                   int64
	noUpload, originOnly, explain                       bool
	window                                              time.Duration // of what is kept for the output's reader
	windowBytes                                         int64

	room  origin.RoomURL
	from  playout.Start
	local netip.AddrPort
}

func (o *options) check(args []string) (err error) {
	if len(args) != 1 {
		return tool.Usage("want one URL, got %d", len(args)).Hint("xp2p-peer http://seed.example:8080/match")
	}
	if o.room, err = origin.ParseRoomURL(args[0]); err != nil {
		return tool.Usage("%w", err)
	}
	if o.roomKey != "" {
		key, err := origin.ParseKey(o.roomKey)
		if err != nil {
			return tool.Usage("--room-key: %w", err)
		}
		if o.room.Key != nil && !o.room.Key.Equal(key) {
			return tool.Usage("--room-key and the key in the URL are not the same")
		}
		o.room.Key = key
	}
	if o.from, err = playout.ParseStart(o.start); err != nil {
		return tool.Usage("--start: %w", err).Hint("live, oldest, or a time such as 90s")
	}
	if o.local, err = netip.ParseAddrPort(o.listen); err != nil {
		return tool.Usage("--listen: %w", err).Hint("an address and a port: [::]:0 or 192.0.2.7:4000")
	}
	if o.noUpload && o.maxUpload > 0 {
		return tool.Usage("--no-upload and --max-upload exclude each other")
	}
	return nil
}
