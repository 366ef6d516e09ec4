package main

import (
	_ "embed"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/tool"
)

func main() { tool.Main(command()) }

//go:embed doc.go
var manual string

func command() *tool.Command {
	o := &options{piece: segment.DefaultPiece, align: "grid", clock: "auto", format: "auto"}
	records := recordOptions{}
	return &tool.Command{
		Name:    "xp2p-slice",
		Summary: "cut a media stream into signed segments and pieces without changing a byte",
		Args:    "[FILE|URL]",
		Manual:  manual,
		Flags: []tool.Flag{
			tool.String(&o.segment, "segment", "duration of a segment (1s if not given), with --vod its `SIZE` in bytes (1M)"),
			tool.Size(&o.piece, "piece", "size of a piece"),
			tool.Choice(&o.align, "align", "start segments at any sample or only at keyframes", "grid", "key"),
			tool.Choice(&o.clock, "clock", "the reference track", "auto", "video", "audio"),
			tool.Bool(&o.vod, "vod", "cut by offset; any file will do"),
			tool.String(&o.key, "key", "the room's signing key, a `FILE` made on first use"),
			tool.String(&o.output, "output", "write a directory `DIR` instead of stdout").Short("o"),
			tool.Choice(&o.format, "format", "what the input is, if it does not begin with a header", "auto", "flv", "mp4", "raw"),
			tool.String(&o.init, "init", "`FILE` with ftyp and moov of an MP4 that was joined mid-stream"),
		},
		Run: o.slice,
		Verbs: []*tool.Command{
			{Name: "cat", Summary: "write the original bytes", Args: "[FILE|DIR]", Run: records.cat, Flags: []tool.Flag{
				tool.String(&records.output, "output", "write `FILE`; \"-\" is stdout even if that is a terminal").Short("o"),
			}},
			{Name: "verify", Summary: "check hashes, signatures, order and end", Args: "[FILE|DIR]", Run: records.verify, Flags: []tool.Flag{
				tool.String(&records.key, "room-key", "the `KEY` that must have signed"),
			}},
			{Name: "inspect", Summary: "print the records", Args: "[FILE|DIR]", Run: records.inspect, Flags: []tool.Flag{
				tool.Bool(&records.json, "json", "JSON Lines instead of a table"),
			}},
		},
	}
}

type options struct {
	segment       string
	piece         int64
	align, clock  string
	vod           bool
	key           string
	output        string
	format, init  string
	duration      time.Duration
	segmentSize   int64
	container     media.Container
	containerSaid bool
}

// check holds the rules that a single flag cannot.
func (o *options) check(args []string) error {
	if len(args) > 1 {
		return tool.Usage("one input at most, got %d", len(args))
	}
	if o.piece < 1024 || o.piece > segment.MaxPiece {
		return tool.Usage("--piece %d: want 1k to %d", o.piece, segment.MaxPiece)
	}
	o.container, o.containerSaid = media.ParseContainer(o.format)
	switch {
	case o.vod && (o.align != "grid" || o.clock != "auto"):
		return tool.Usage("--vod cuts by offset: --align and --clock have no meaning with it")
	case o.containerSaid && o.container == media.Raw && !o.vod:
		return tool.Usage("--format raw has no times to cut by").Hint("--vod cuts by offset")
	case o.init != "" && o.container != media.FMP4:
		return tool.Usage("--init is for --format mp4")
	}
	if o.segment == "" {
		return nil
	}
	if o.vod {
		n, err := parseSize(o.segment)
		if err != nil || n < o.piece || n > 1<<30 {
			return tool.Usage("--segment %s: want a size such as 1M, at least a piece (%d) and at most 1G, with --vod", o.segment, o.piece)
		}
		o.segmentSize = n
		return nil
	}
	d, err := time.ParseDuration(o.segment)
	if err != nil || d < 10*time.Millisecond || d > time.Hour || d%time.Millisecond != 0 {
		return tool.Usage("--segment %s: want a duration from 10ms to 1h, in whole milliseconds", o.segment).Hint("a size in bytes needs --vod")
	}
	o.duration = d
	return nil
}

// parseSize reads bytes with an optional k, M or G, as the other flags do, or
// KiB, MiB, GiB.
func parseSize(s string) (int64, error) {
	t := strings.TrimSuffix(s, "iB")
	shift := 0
	if n := len(t); n > 0 {
		if i := strings.IndexByte("kmg", t[n-1]|0x20); i >= 0 {
			shift, t = 10*(i+1), t[:n-1]
		}
	}
	n, err := strconv.ParseInt(t, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64>>shift {
		return 0, fmt.Errorf("bad size %q", s)
	}
	return n << shift, nil
}
