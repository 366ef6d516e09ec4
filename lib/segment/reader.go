package segment

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"crypto/ed25519"

	"github.com/xp2p/xp2p/lib/media"
)

// Reading errors. Wrapped, so use errors.Is.
var (
	ErrNotSlices = errors.New("not a slice stream")
	ErrTruncated = errors.New("slice stream is truncated: no end record")
)

const version = "xp2p-slice/1"

// AppendHeader appends the version line.
func AppendHeader(b []byte, h Header) []byte {
	b = append(b, version...)
	b = append(b, ' ')
	b = base64.RawURLEncoding.AppendEncode(b, h.Key)
	b = append(b, ' ')
	b = append(b, h.Container.String()...)
	if h.VOD {
		return append(b, " vod\n"...)
	}
	return append(b, " live\n"...)
}

// ParseHeader parses a version line, without or with its end of line. Words
// behind those it knows are ignored.
func ParseHeader(line string) (Header, error) {
	f := strings.Fields(line)
	if len(f) == 0 || f[0] != version {
		return Header{}, ErrNotSlices
	}
	bad := fmt.Errorf("%w: bad version line", ErrNotSlices)
	if len(f) < 4 {
		return Header{}, bad
	}
	key, err := base64.RawURLEncoding.Strict().DecodeString(f[1])
	if err != nil || len(key) != ed25519.PublicKeySize {
		return Header{}, bad
	}
	c, ok := media.ParseContainer(f[2])
	if !ok || f[3] != "live" && f[3] != "vod" {
		return Header{}, bad
	}
	return Header{key, c, f[3] == "vod"}, nil
}

// A Reader reads a slice stream, or several in a row.
type Reader struct {
	r      *bufio.Reader
	header Header
	begun  bool  // a version line was read
	ended  bool  // an end record was read since
	first  bool  // the first header was read by Header and not yet by Next
	offset int64 // of the record being read
	err    error
}

// NewReader returns a Reader. It reads nothing before Header or Next is called.
func NewReader(r io.Reader) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, MaxHeader)}
}

// Header returns the newest version line; if none was read yet it reads the
// first. Next returns it all the same.
func (r *Reader) Header() (Header, error) {
	if !r.begun && r.err == nil {
		r.err = r.readVersion()
		r.first = r.err == nil
	}
	if !r.begun {
		return Header{}, r.err
	}
	return r.header, nil
}

// Offset returns how many bytes of the stream the records so far took.
func (r *Reader) Offset() int64 { return r.offset }

func (r *Reader) readVersion() error {
	line, err := r.line()
	if err == io.EOF && len(line) == 0 {
		return fmt.Errorf("%w: it is empty", ErrNotSlices)
	}
	if err != nil {
		return ErrNotSlices
	}
	return r.start(line)
}

func (r *Reader) start(line []byte) (err error) {
	if r.header, err = ParseHeader(string(line)); err != nil {
		return err
	}
	r.begun, r.ended = true, false
	return nil
}

// line reads one line, which the Reader's buffer holds.
func (r *Reader) line() ([]byte, error) {
	line, err := r.r.ReadSlice('\n')
	r.offset += int64(len(line))
	if err == bufio.ErrBufferFull {
		return nil, fmt.Errorf("record at byte %d: its header is longer than %d bytes", r.offset-int64(len(line)), MaxHeader)
	}
	return line, err
}

// Next returns the next record. A header record stands where each stream
// begins. The caller owns the record and its body; neither was verified. At
// the end of the input it returns io.EOF behind an end record, else an error
// that is ErrTruncated.
func (r *Reader) Next() (Record, error) {
	if r.err != nil {
		return Record{}, r.err
	}
	rec, err := r.next()
	r.err = err
	return rec, err
}

func (r *Reader) next() (Record, error) {
	if !r.begun {
		if err := r.readVersion(); err != nil {
			return Record{}, err
		}
		r.first = true
	}
	if r.first {
		r.first = false
		h := r.header
		return Record{Kind: KindHeader, Header: &h}, nil
	}
	for {
		at := r.offset
		line, err := r.line()
		switch {
		case err == io.EOF && len(line) == 0 && r.ended:
			return Record{}, io.EOF
		case err == io.EOF:
			return Record{}, fmt.Errorf("%w (byte %d)", ErrTruncated, r.offset)
		case err != nil:
			return Record{}, err
		}
		if line[0] != '{' {
			if err := r.start(line); err != nil {
				return Record{}, fmt.Errorf("record at byte %d: %w", at, err)
			}
			h := r.header
			return Record{Kind: KindHeader, Header: &h}, nil
		}
		rec, size, err := parseRecord(line)
		if err != nil {
			return Record{}, fmt.Errorf("record at byte %d: %w", at, err)
		}
		if rec.Kind == 0 { // a type from the future
			n, err := io.CopyN(io.Discard, r.r, size)
			r.offset += n
			if err != nil {
				return Record{}, r.cut(err)
			}
			continue
		}
		if size > 0 {
			rec.Body = make([]byte, size)
			n, err := io.ReadFull(r.r, rec.Body)
			r.offset += int64(n)
			if err != nil {
				return Record{}, r.cut(err)
			}
		}
		switch rec.Kind {
		case KindEnd:
			r.ended = true
		case KindIndex:
			if rec.Index, err = ParseIndex(rec.Body); err != nil {
				return Record{}, fmt.Errorf("index at byte %d: %w", at, err)
			}
		}
		return rec, nil
	}
}

// cut says what the end of the input inside a body means.
func (r *Reader) cut(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w (byte %d)", ErrTruncated, r.offset)
	}
	return err
}

// A Writer writes a slice stream. It writes through a buffer: call Flush.
type Writer struct {
	w       *bufio.Writer
	scratch []byte
}

// NewWriter returns a Writer whose stream begins with h.
func NewWriter(w io.Writer, h Header) *Writer {
	sw := &Writer{w: bufio.NewWriterSize(w, 256<<10)}
	sw.Reset(w, h)
	return sw
}

// Reset begins a stream on another writer. What was not flushed is forgotten.
func (w *Writer) Reset(to io.Writer, h Header) {
	w.w.Reset(to)
	w.scratch = AppendHeader(w.scratch[:0], h)
	w.w.Write(w.scratch) // an error stays with the buffer
}

// Write writes one record; a header record starts a new stream.
func (w *Writer) Write(r Record) error {
	if r.Kind == KindHeader {
		w.scratch = AppendHeader(w.scratch[:0], *r.Header)
	} else {
		w.scratch = AppendRecord(w.scratch[:0], &r)
	}
	if _, err := w.w.Write(w.scratch); err != nil {
		return err
	}
	_, err := w.w.Write(r.Body)
	return err
}

// Flush writes what is buffered.
func (w *Writer) Flush() error { return w.w.Flush() }
