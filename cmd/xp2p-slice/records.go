package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/store"
	"github.com/xp2p/xp2p/lib/tool"
)

type recordOptions struct {
	key    string
	json   bool
	output string
}

// records reads a slice stream or a directory.
type records struct {
	name   string
	stream *segment.Reader
	dir    *store.DirReader
	file   io.Closer
}

func openRecords(t *tool.IO, args []string) (*records, error) {
	if len(args) > 1 {
		return nil, tool.Usage("one input at most, got %d", len(args))
	}
	name := ""
	if len(args) > 0 {
		name = args[0]
	}
	if i, err := os.Stat(name); err == nil && i.IsDir() {
		d, err := store.OpenDir(name)
		if errors.Is(err, store.ErrNotSliced) {
			return nil, tool.BadData("%w", err)
		}
		return &records{name: name, dir: d, file: d}, err
	}
	in, err := t.Open(name)
	if err != nil {
		return nil, err
	}
	if name == "" || name == "-" {
		name = "stdin"
	}
	return &records{name: name, stream: segment.NewReader(in), file: in}, nil
}

// next returns io.EOF at the end; other errors have their class.
func (r *records) next() (rec segment.Record, err error) {
	if r.dir != nil {
		rec, err = r.dir.Next()
	} else {
		rec, err = r.stream.Next()
	}
	var path *os.PathError
	switch {
	case err == nil, err == io.EOF, tool.Interrupted(err), errors.As(err, &path):
		return rec, err
	}
	return rec, tool.BadData("%s: %w", r.name, err)
}

// cat writes the original bytes. Bytes that do not match their hash, or stand
// in the wrong place, are not written.
func (o *recordOptions) cat(_ context.Context, t *tool.IO, args []string) error {
	in, err := openRecords(t, args)
	if err != nil {
		return err
	}
	defer in.file.Close()
	out, err := t.Output(o.output)
	if err != nil {
		return err
	}
	var audit segment.Audit
	for {
		r, err := in.next()
		if err == io.EOF {
			return out.Close()
		}
		if err != nil {
			return err
		}
		if r.Kind == segment.KindPiece {
			err = r.Piece.Check(r.Body)
		} else if r.Kind == segment.KindInit {
			err = r.Init.Check(r.Body)
		}
		if err = errors.Join(err, audit.See(&r)); err != nil {
			return tool.BadData("%s: %w", in.name, err)
		}
		if r.Kind == segment.KindPiece || r.Kind == segment.KindInit && !r.Init.Copy {
			if _, err := out.Write(r.Body); err != nil {
				return err
			}
		}
	}
}

// verify checks everything that can be checked and says what there is.
func (o *recordOptions) verify(_ context.Context, t *tool.IO, args []string) error {
	in, err := openRecords(t, args)
	if err != nil {
		return err
	}
	defer in.file.Close()
	var (
		audit                  segment.Audit
		check                  *segment.Verifier
		pieces, segments, size int64
		key                    string
		truncated              bool
	)
	for {
		r, err := in.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if r.Kind == segment.KindHeader {
			key = base64.RawURLEncoding.EncodeToString(r.Header.Key)
			if o.key != "" && o.key != key {
				return tool.BadData("%s: signed by %s, not by the given key", in.name, key)
			}
			check = segment.NewVerifier(r.Header.Key)
		}
		if err := errors.Join(check.Verify(&r), audit.See(&r)); err != nil {
			return tool.BadData("%s: %w", in.name, err)
		}
		switch r.Kind {
		case segment.KindPiece:
			pieces, size = pieces+1, size+int64(r.Piece.Size)
		case segment.KindInit:
			if !r.Init.Copy {
				size += int64(r.Init.Size)
			}
		case segment.KindSegment:
			segments++
		case segment.KindEnd:
			truncated = truncated || r.End.Truncated
		}
	}
	if !t.Quiet {
		fmt.Fprintf(t.Out, "good: %d bytes, %d pieces, %d segments, signed by %s\n", size, pieces, segments, key)
	}
	switch {
	case !audit.Ended():
		return tool.Incomplete("%s: it has no end record", in.name).Hint("a slicer may still be writing it")
	case truncated:
		return tool.Incomplete("%s: the input ended inside a tag or fragment", in.name)
	}
	return nil
}

// inspect prints the records.
func (o *recordOptions) inspect(_ context.Context, t *tool.IO, args []string) error {
	in, err := openRecords(t, args)
	if err != nil {
		return err
	}
	defer in.file.Close()
	table := tabwriter.NewWriter(t.Out, 0, 0, 2, ' ', 0)
	defer table.Flush()
	if !o.json {
		fmt.Fprintln(table, "type\tepoch\tseq\tindex\tdts ms\tbytes\tsha256\t")
	}
	var line []byte
	for rows := 0; ; rows++ {
		r, err := in.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if o.json {
			line = append(segment.AppendDescription(line[:0], &r), '\n')
			if _, err := t.Out.Write(line); err != nil {
				return err
			}
			continue
		}
		row(table, &r)
		if rows%64 == 63 { // columns settle by the page, so that a live stream is seen as it comes
			if err := table.Flush(); err != nil {
				return err
			}
		}
	}
}

func row(w io.Writer, r *segment.Record) {
	var words []string
	say := func(on bool, format string, args ...any) {
		if on {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	switch r.Kind {
	case segment.KindHeader:
		mode := "live"
		if r.Header.VOD {
			mode = "vod"
		}
		fmt.Fprintf(w, "stream\t\t\t\t\t\t\t%s %s, key %s\n", mode, r.Header.Container, base64.RawURLEncoding.EncodeToString(r.Header.Key))
	case segment.KindInit:
		name := "init"
		if r.Init.Copy {
			name = "copy"
		}
		fmt.Fprintf(w, "%s\t\t\t\t\t%d\t%.16s\t\n", name, r.Init.Size, r.Init.Hash)
	case segment.KindPiece:
		p := r.Piece
		for _, k := range p.Keyframes {
			say(true, "key at %d, pts %d", k.Offset, k.PTS)
		}
		say(p.Disc, "jump")
		say(p.Partial, "partial")
		fmt.Fprintf(w, "piece\t%d\t%d\t%d\t%d\t%d\t%.16s\t%s\n", p.Epoch, p.Seq, p.Index, p.DTS, p.Size, p.SHA256, strings.Join(words, ", "))
	case segment.KindSegment:
		s := r.Segment
		say(true, "%d pieces", s.Pieces)
		say(len(s.Keyframes) > 0, "%d keyframes", len(s.Keyframes))
		say(s.Disc, "jump")
		say(s.Partial, "partial")
		fmt.Fprintf(w, "segment\t%d\t%d\t\t%d\t%d\t%.16s\t%s\n", s.Epoch, s.Seq, s.DTS, s.Size, s.SHA256, strings.Join(words, ", "))
	case segment.KindIndex:
		x := r.Index
		fmt.Fprintf(w, "index\t%d\t\t\t\t%d\t\t%d segments of %d, %d keyframes\n", x.Epoch, x.Size, len(x.Segments), x.SegmentSize, len(x.Keyframes))
	case segment.KindEnd:
		say(true, "%d pieces, %d segments", r.End.Pieces, r.End.Segments)
		say(r.End.Truncated, "input truncated")
		fmt.Fprintf(w, "end\t\t\t\t\t\t\t%s\n", strings.Join(words, ", "))
	}
}
