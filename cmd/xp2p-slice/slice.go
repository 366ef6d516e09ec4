package main

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"runtime/debug"
	"time"

	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/store"
	"github.com/xp2p/xp2p/lib/tool"
)

// memoryLimit is where the garbage collector begins to work harder. Ordinary
// streams stay below it; an MP4 of the largest boxes needs twice as much.
const memoryLimit = 24 << 20

// slice reads media, cuts it, and writes records to stdout or a directory.
func (o *options) slice(ctx context.Context, t *tool.IO, args []string) error {
	if err := o.check(args); err != nil {
		return err
	}
	widenPipes()
	debug.SetMemoryLimit(memoryLimit)
	debug.SetGCPercent(50)
	name := "-"
	if len(args) > 0 {
		name = args[0]
	}
	in, err := t.OpenSource(name, idleTimeout)
	if err != nil {
		return err
	}
	defer in.Close()
	if name == "-" {
		name = "stdin"
	}
	head, readErr := in.Begin()
	if readErr != nil && readErr != io.EOF {
		return readErr
	}
	container, err := o.detect(name, head)
	if err != nil {
		return err
	}
	key, made, err := tool.LoadKey(o.key)
	if err != nil {
		return err
	}
	h := segment.Header{Key: key.Public().(ed25519.PublicKey), Container: container, VOD: o.vod}
	out, err := o.openSink(t, h)
	if err != nil {
		return err
	}
	s := &slicer{io: t, out: out, name: name, sums: newHasher()}
	defer s.sums.close()
	cfg, err := o.config(container, key, out.epoch())
	if err != nil {
		return err
	}
	cfg.Hash = s.sums.hash
	s.cutter = segment.NewCutter(cfg)
	text := "room key"
	if made && o.key != "" {
		text = "new room key in " + o.key
	}
	t.Log.Info(text, "key", base64.RawURLEncoding.EncodeToString(h.Key), "container", container)
	err = s.run(in, head, readErr)
	return errors.Join(err, out.close())
}

func (o *options) config(c media.Container, key ed25519.PrivateKey, after int64) (segment.CutterConfig, error) {
	cfg := segment.CutterConfig{
		Container: c, VOD: o.vod, Key: key,
		Segment: o.duration, SegmentSize: o.segmentSize, PieceSize: int(o.piece),
	}
	if o.align == "key" {
		cfg.Align = segment.Key
	}
	switch o.clock {
	case "video":
		cfg.Clock = media.Video
	case "audio":
		cfg.Clock = media.Audio
	}
	if !o.vod { // a recording has one name, whenever it is sliced
		cfg.Epoch = max(time.Now().UnixMilli(), after+1)
	}
	if o.init != "" {
		b, err := os.ReadFile(o.init)
		if err != nil {
			return cfg, err
		}
		cfg.Init = b
	}
	return cfg, nil
}

// A slicer is one run.
type slicer struct {
	io     *tool.IO
	cutter *segment.Cutter
	sums   *hasher
	out    sink
	name   string
	bytes  int64
	end    *segment.End
	warned int
}

// run feeds the cutter until the input ends or the user says so, and ends the
// stream properly in either case.
func (s *slicer) run(in *tool.Input, head []byte, readErr error) error {
	p := head
	for {
		s.cutter.Feed(p)
		s.bytes += int64(len(p))
		if err := s.drain(); err != nil {
			return err
		}
		if s.cutter.Overflow() {
			return tool.Failed("%s: too many segments for one index", s.name).Hint("a larger --segment makes fewer")
		}
		if readErr != nil {
			break
		}
		for in.WouldWait() && s.cutter.SignOldest() {
			if err := errors.Join(s.drain(), s.out.flush()); err != nil {
				return err
			}
		}
		p, readErr = in.Next()
	}
	s.cutter.Finish()
	if err := errors.Join(s.drain(), s.out.flush()); err != nil {
		return err
	}
	switch {
	case readErr != io.EOF && (tool.Interrupted(readErr)):
		return readErr
	case readErr != io.EOF:
		return tool.Incomplete("%s: %w", s.name, readErr)
	case s.end.Truncated:
		return tool.Incomplete("%s: the input ends inside a tag or fragment (byte %d)", s.name, s.bytes)
	}
	return nil
}

// drain writes what is signed.
func (s *slicer) drain() error {
	for r, ok := s.cutter.Next(); ok; r, ok = s.cutter.Next() {
		if err := s.out.write(r); err != nil {
			return err
		}
		switch r.Kind {
		case segment.KindEnd:
			s.end = r.End
		case segment.KindSegment:
			if s.io.StatusShown() {
				s.io.Status("%d MB, segment %d, %d pieces", s.bytes>>20, r.Segment.Seq, r.Segment.Pieces)
			}
		}
	}
	for _, n := range s.cutter.Notes() {
		const most = 10 // the rest is for who asked
		s.warned++
		switch {
		case s.warned <= most:
			s.io.Log.Warn(n.Text, "byte", n.Offset)
		case s.warned == most+1:
			s.io.Log.Warn("more notes follow; -v shows them")
			fallthrough
		default:
			s.io.Log.Info(n.Text, "byte", n.Offset)
		}
	}
	return nil
}

// A sink is where records go: one of the two is set.
type sink struct {
	stream *segment.Writer
	dir    *store.DirWriter
	file   io.WriteCloser
}

func (o *options) openSink(t *tool.IO, h segment.Header) (sink, error) {
	if o.output != "" && o.output != "-" {
		dir, err := store.CreateDir(o.output, h)
		if errors.Is(err, store.ErrOtherRoom) {
			return sink{}, tool.Failed("%w", err).Hint("to continue a directory give the --key that it was begun with")
		}
		return sink{dir: dir}, err
	}
	w, err := t.Output(o.output)
	if err != nil {
		return sink{}, err
	}
	return sink{stream: segment.NewWriter(w, h), file: w}, nil
}

func (s sink) epoch() int64 {
	if s.dir != nil {
		return s.dir.Epoch()
	}
	return 0
}

func (s sink) write(r segment.Record) error {
	if s.dir != nil {
		return s.dir.Write(r)
	}
	return s.stream.Write(r)
}

func (s sink) flush() error {
	if s.dir != nil {
		return nil
	}
	return s.stream.Flush()
}

func (s sink) close() error {
	if s.dir != nil {
		return s.dir.Close()
	}
	return s.file.Close()
}
