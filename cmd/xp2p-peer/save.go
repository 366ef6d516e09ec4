package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/xp2p/xp2p/lib/origin"
	"github.com/xp2p/xp2p/lib/playout"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/squeeze"
	"github.com/xp2p/xp2p/lib/tool"
)

// save writes a recording: to a file, going on behind the segments that it
// holds already, or to stdout. Each segment is verified against the signed
// index before it is written. long is how long an origin may be silent.
func save(ctx context.Context, t *tool.IO, o *options, client *origin.Client, long time.Duration) error {
	switch {
	case o.http != "":
		return tool.Usage("%s is a recording, and --http serves live rooms", o.room.Room).Hint("xp2p-peer -o FILE saves it; a player can open %s/live/%s", o.room.Base, o.room.Room)
	case o.nearness != squeeze.Off:
		return tool.Usage("%s is a recording, and --latency is for live rooms", o.room.Room)
	case o.format == "slices":
		out, err := t.Output(o.output)
		if err != nil {
			return err
		}
		return errors.Join(copySlices(ctx, client, out), out.Close())
	}
	index, err := patiently(ctx, long, func() (*segment.Index, error) { return client.Index(ctx) })
	if err != nil {
		return explainOrigin(err)
	}
	out, first, err := target(t, o, index)
	if err != nil {
		return err
	}
	defer out.Close()
	began, had := time.Now(), int64(first)*index.SegmentSize
	var skip, head int64
	if o.from.Mode == playout.Back {
		var timed bool
		if skip, head, timed = index.Seek(o.from.Back); !timed {
			return tool.Usage("--start: this recording has no times to start by")
		}
	}
	if first == 0 {
		first = int(skip / max(index.SegmentSize, 1))
		if skip > 0 {
			if err := copyHead(ctx, client, index, head, out, long); err != nil {
				return err
			}
		}
	}
	for seq := first; seq < len(index.Segments); seq++ {
		body, err := patiently(ctx, long, func() ([]byte, error) { return client.RecordingSegment(ctx, index, seq) })
		if err != nil {
			if o.output != "" && !tool.Interrupted(err) {
				return tool.Unreachable("segment %d of %d: %w", seq, len(index.Segments), err).Hint("what is written is right; run it again to resume")
			}
			return explainOrigin(err)
		}
		if at := int64(seq) * index.SegmentSize; at < skip {
			body = body[min(skip-at, int64(len(body))):]
		}
		if _, err := out.Write(body); err != nil {
			return err
		}
		showProgress(t, o.room.Room, int64(seq+1)*index.SegmentSize, index.Size, had, time.Since(began))
	}
	return out.Close()
}

// target opens the output and says which segment comes first.
func target(t *tool.IO, o *options, x *segment.Index) (io.WriteCloser, int, error) {
	if o.output == "" || o.output == "-" {
		out, err := t.Output(o.output)
		return out, 0, err
	}
	if o.from.Mode == playout.Back {
		out, err := os.Create(o.output)
		return out, 0, err
	}
	f, err := os.OpenFile(o.output, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, 0, err
	}
	n, err := held(f, x)
	if err == nil {
		err = f.Truncate(min(int64(n)*x.SegmentSize, x.Size))
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekEnd)
	}
	if err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("%s: %w", o.output, err)
	}
	if n > 0 {
		t.Milestone("resuming", "file", o.output, "segments", n, "of", len(x.Segments))
	}
	return f, n, nil
}

// held counts the segments of the recording that f begins with. A file that
// begins with something else is not touched.
func held(f *os.File, x *segment.Index) (int, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return 0, nil
	}
	body := make([]byte, x.SegmentSize)
	for seq := range x.Segments {
		n, err := io.ReadFull(f, body)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return 0, err
		}
		if origin.SameSegment(x, seq, body[:n]) {
			continue
		}
		if seq == 0 && int64(n) == min(x.SegmentSize, x.Size) {
			return 0, errors.New("it holds something else than the beginning of this recording")
		}
		return seq, nil
	}
	return len(x.Segments), nil
}

// copyHead writes the first n bytes of the recording: its init.
func copyHead(ctx context.Context, c *origin.Client, x *segment.Index, n int64, out io.Writer, long time.Duration) error {
	for seq := 0; n > 0 && seq < len(x.Segments); seq++ {
		body, err := patiently(ctx, long, func() ([]byte, error) { return c.RecordingSegment(ctx, x, seq) })
		if err != nil {
			return explainOrigin(err)
		}
		body = body[:min(n, int64(len(body)))]
		if _, err := out.Write(body); err != nil {
			return err
		}
		n -= int64(len(body))
	}
	return nil
}

// showProgress draws how far a recording has come.
func showProgress(t *tool.IO, room string, done, size, had int64, took time.Duration) {
	if !t.StatusShown() || size == 0 {
		return
	}
	const width = 30
	done = min(done, size)
	full := int(done * width / size)
	bar := make([]byte, width)
	for i := range bar {
		bar[i] = '.'
		if i < full {
			bar[i] = '#'
		}
	}
	rate := float64(done-had) / 1e6 / max(took.Seconds(), 1e-3)
	t.Status("%s  [%s] %d %%  %.1f of %.1f MB  %.1f MB/s", room, bar, done*100/size, float64(done)/1e6, float64(size)/1e6, rate)
}
