package main

import (
	"context"
	_ "embed"
	"net/netip"
	"os"
	"runtime"
	"time"

	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/origin"
	"github.com/xp2p/xp2p/lib/playout"
	"github.com/xp2p/xp2p/lib/squeeze"
	"github.com/xp2p/xp2p/lib/tool"
)

//go:embed doc.go
var manual string

func main() {
	// A viewer does one small thing after another, hundreds of times a second. One
	// processor carries far more than any stream; for each of them to wake a second
	// one, which finds nothing to do, costs a fifth of all that it costs.
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
	tool.Main(command())
}

func command() *tool.Command {
	return commandWith(&options{start: "live", format: "media", latency: "off", catchUp: "fast", listen: "[::]:0", metered: "auto", window: localWindow, windowBytes: localWindowBytes, lonely: lonely})
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
			tool.String(&o.rendition, "rendition", "the `NAME` of the stream to watch, of those that the room has"),
			tool.Bool(&o.abr, "abr", "watch whichever rendition the links carry, and go over to another without a seam"),
			tool.Choice(&o.latency, "latency", "bring the player to the live edge, by other times in the stream", squeeze.Names...),
			tool.Choice(&o.catchUp, "catch-up", "with --latency, how a player that fell behind gets back", "fast", "skip"),
			tool.String(&o.http, "http", "serve the room to players on this machine at `ADDR`"),
			tool.String(&o.roomKey, "room-key", "the room's `KEY`, as behind # in the URL"),
			tool.String(&o.listen, "listen", "UDP `ADDR` to meet other viewers at"),
			tool.String(&o.nat, "nat", "what xp2p-natprobe --json said of this network, in `FILE`, instead of finding it out; - is stdin"),
			tool.Bool(&o.portMap, "port-map", "have the router pass that port on (PCP, NAT-PMP, UPnP), until the end"),
			tool.Rate(&o.maxUpload, "max-upload", "upload at most so much; 0 is no bound"),
			tool.Bool(&o.noUpload, "no-upload", "upload nothing"),
			tool.Size(&o.uploadQuota, "upload-quota", "upload at most so much in a calendar month; 0 is no bound"),
			tool.String(&o.quotaFile, "quota-file", "count what was uploaded in `FILE`, which peers may share; if not given, xp2p/quota.json among the user's settings"),
			tool.Float(&o.uploadRatio, "upload-ratio", "upload at most so many times what was received; 0 is no bound"),
			tool.Choice(&o.metered, "metered", "whether the link is paid for by the byte, so that nothing is uploaded; auto asks the system", "auto", "yes", "no", "1", "0"),
			tool.Bool(&o.background, "background", "mark what is sent as of less importance than other traffic (DSCP LE)"),
			tool.Rate(&o.uplink, "uplink", "what this machine can upload, as others may count on until it is measured; 0 is not known"),
			tool.Bool(&o.originOnly, "origin-only", "take part in no swarm: everything from the origin"),
			tool.String(&o.stats, "stats", "append counters to `FILE` as JSON lines, one each second and one at the end"),
			tool.String(&o.qlog, "qlog", "write a trace of each connection into `DIR`, as qvis reads it"),
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
	rendition, latency, catchUp, qlog, nat              string
	facts                                               nat.Facts // of the file --nat
	maxUpload, uplink                                   int64
	noUpload, originOnly, explain, background, abr      bool
	portMap                                             bool
	uploadQuota                                         int64 // bytes in a month
	uploadRatio                                         float64
	quotaFile, metered                                  string
	window                                              time.Duration // of what is kept for the output's reader
	windowBytes                                         int64
	lonely                                              time.Duration // before a viewer whom nobody lets begin gives up

	room origin.RoomURL
	from playout.Start

	nearness squeeze.Latency
	local    netip.AddrPort
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
	if o.nearness, err = squeeze.ParseLatency(o.latency); err != nil {
		return tool.Usage("--latency: %w", err)
	}
	switch {
	case o.nearness == squeeze.Off:
	case o.from.Mode != playout.Live:
		return tool.Usage("--latency and --start %s exclude each other", o.start).Hint("--latency is for those who want what is newest")
	case o.format != "media":
		return tool.Usage("--latency changes what a player reads; --format %s carries the broadcaster's bytes", o.format)
	}
	switch {
	case !o.abr:
	case o.rendition != "":
		return tool.Usage("--abr and --rendition exclude each other")
	case o.nearness != squeeze.Off, o.from.Mode != playout.Live, o.format != "media", o.http != "":
		return tool.Usage("--abr plays from some seconds before the live edge to stdout: without --latency, --start, --format and --http")
	}
	if o.local, err = netip.ParseAddrPort(o.listen); err != nil {
		return tool.Usage("--listen: %w", err).Hint("an address and a port: [::]:0 or 192.0.2.7:4000")
	}
	if err := o.checkNAT(); err != nil {
		return err
	}
	if o.noUpload && o.maxUpload > 0 {
		return tool.Usage("--no-upload and --max-upload exclude each other")
	}
	switch o.metered {
	case "1": // XP2P_METERED=1
		o.metered = "yes"
	case "0":
		o.metered = "no"
	}
	if o.uploadQuota > 0 && o.uploadQuota < minQuota {
		return tool.Usage("--upload-quota: want at least 16M, or 0 for no bound").Hint("--no-upload uploads nothing")
	}
	return nil
}

// minQuota is what a month must allow: with less, an uploader that had ceased
// would not begin again (swarm.Polite).
const minQuota = 16 << 20
