package store

import (
	"bufio"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/segment"
)

// A directory keeps a room in plain, immutable files that any web server can
// serve:
//
//	room.json          key, container, mode
//	index.jsonl        one line per record, appended: header, init, copy, segment, index, end
//	inits/<sha256>     the bytes of an init or a copy
//	segments/<name>    a slice stream of the segment's records
//	index.bin          of a recording: its signed index
//
// Files are written under a temporary name and renamed; a line is appended to
// index.jsonl when the file it names is in place. A slicer that is started
// again on a live directory continues it.

const (
	roomFile  = "room.json"
	listFile  = "index.jsonl"
	indexFile = "index.bin"
	initsDir  = "inits"
	segsDir   = "segments"
	tempName  = ".tmp-*"
)

// Errors of directories. Wrapped, so use errors.Is.
var (
	ErrOtherRoom = errors.New("the directory belongs to another stream")
	ErrRecorded  = errors.New("the directory already holds a whole recording")
	ErrNotSliced = errors.New("not a directory of xp2p-slice")
	// ErrUnfinished: a slicer is still writing it, or was killed.
	ErrUnfinished = errors.New("the directory has no end yet")
)

type roomDocument struct {
	Key       string `json:"key"`
	Container string `json:"container"`
	Mode      string `json:"mode"`
}

func describeRoom(h segment.Header) roomDocument {
	mode := "live"
	if h.VOD {
		mode = "vod"
	}
	return roomDocument{base64.RawURLEncoding.EncodeToString(h.Key), h.Container.String(), mode}
}

func (d roomDocument) header() (segment.Header, error) {
	key, err := base64.RawURLEncoding.DecodeString(d.Key)
	c, ok := media.ParseContainer(d.Container)
	if err != nil || len(key) != ed25519.PublicKeySize || !ok || d.Mode != "live" && d.Mode != "vod" {
		return segment.Header{}, fmt.Errorf("%w: bad %s", ErrNotSliced, roomFile)
	}
	return segment.Header{Key: key, Container: c, VOD: d.Mode == "vod"}, nil
}

// A DirWriter writes records into a directory. It has one owner.
type DirWriter struct {
	dir    string
	header segment.Header
	list   *os.File
	epoch  int64            // newest that the directory holds
	temp   *os.File         // open segment
	out    *segment.Writer  // of temp, if there is one
	early  []segment.Record // copies that came before the segment that needs them
	line   []byte
	temps  int // temporary files made
}

// CreateDir makes the directory, or continues the one that is there: it must
// be of the same key, container and mode.
func CreateDir(dir string, h segment.Header) (*DirWriter, error) {
	for _, d := range []string{dir, filepath.Join(dir, initsDir), filepath.Join(dir, segsDir)} {
		if err := os.MkdirAll(d, 0o777); err != nil {
			return nil, err
		}
	}
	w := &DirWriter{dir: dir, header: h}
	want := describeRoom(h)
	switch b, err := os.ReadFile(filepath.Join(dir, roomFile)); {
	case errors.Is(err, fs.ErrNotExist):
		b, err := json.Marshal(want)
		if err != nil {
			return nil, err
		}
		if err := w.replace(roomFile, append(b, '\n')); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	default:
		var have roomDocument
		if err := json.Unmarshal(b, &have); err != nil {
			return nil, fmt.Errorf("%s: %w: bad %s", dir, ErrNotSliced, roomFile)
		}
		switch {
		case have.Container != want.Container || have.Mode != want.Mode:
			return nil, fmt.Errorf("%s: %w: it is %s %s, not %s %s", dir, ErrOtherRoom, have.Mode, have.Container, want.Mode, want.Container)
		case have.Key != want.Key:
			return nil, fmt.Errorf("%s: %w: it is signed with another key", dir, ErrOtherRoom)
		}
	}
	// What a slicer that was killed left behind is nobody's.
	for _, d := range []string{"", initsDir, segsDir} {
		stale, _ := filepath.Glob(filepath.Join(dir, d, tempName))
		for _, name := range stale {
			os.Remove(name)
		}
	}
	if err := w.openList(); err != nil {
		return nil, err
	}
	return w, w.append(&segment.Record{Kind: segment.KindHeader, Header: &h}, "")
}

// openList opens index.jsonl to append, without a last line that was cut off.
func (w *DirWriter) openList() error {
	f, err := os.OpenFile(filepath.Join(w.dir, listFile), os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	var good int64
	ended := false
	r := bufio.NewReaderSize(f, 256<<10)
	for {
		line, err := r.ReadBytes('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			f.Close()
			return err
		}
		good += int64(len(line))
		rec, _, err := segment.ParseStored(line)
		if err != nil {
			f.Close()
			return fmt.Errorf("%s: line before byte %d: %w", listFile, good, err)
		}
		switch rec.Kind {
		case segment.KindSegment:
			w.epoch = max(w.epoch, rec.Segment.Epoch)
		case segment.KindEnd:
			ended = true
		}
	}
	if w.header.VOD {
		if ended {
			f.Close()
			return fmt.Errorf("%s: %w", w.dir, ErrRecorded)
		}
		good = 0 // a recording is always sliced from its beginning
	}
	if err = f.Truncate(good); err == nil {
		_, err = f.Seek(good, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return err
	}
	w.list = f
	return nil
}

// Epoch returns the newest epoch in the directory. One that continues it must
// be greater.
func (w *DirWriter) Epoch() int64 { return w.epoch }

// Write takes the next record. The body is not kept.
func (w *DirWriter) Write(r segment.Record) error {
	switch r.Kind {
	case segment.KindHeader:
		if d := describeRoom(*r.Header); d != describeRoom(w.header) {
			return fmt.Errorf("%s: %w", w.dir, ErrOtherRoom)
		}
		return nil
	case segment.KindInit:
		name := filepath.Join(initsDir, r.Init.Hash.String())
		if err := w.replace(name, r.Body); err != nil {
			return err
		}
		if r.Init.Copy {
			if w.temp != nil {
				if err := w.out.Write(r); err != nil {
					return err
				}
			} else {
				r.Body = append([]byte(nil), r.Body...)
				w.early = append(w.early, r)
			}
		}
		return w.append(&r, name)
	case segment.KindPiece:
		if w.temp == nil {
			if err := w.openSegment(); err != nil {
				return err
			}
		}
		return w.out.Write(r)
	case segment.KindSegment:
		if w.temp == nil {
			return fmt.Errorf("segment %d has no pieces", r.Segment.Seq)
		}
		if err := errors.Join(w.out.Write(r), w.out.Flush()); err != nil {
			return err
		}
		name := filepath.Join(segsDir, r.Segment.Name())
		temp := w.temp
		w.temp = nil
		if err := w.settle(temp, name); err != nil {
			return err
		}
		w.epoch = max(w.epoch, r.Segment.Epoch)
		return w.append(&r, name)
	case segment.KindIndex:
		if err := w.replace(indexFile, r.Body); err != nil {
			return err
		}
		return w.append(&r, indexFile)
	case segment.KindEnd:
		return w.append(&r, "")
	}
	return nil
}

func (w *DirWriter) openSegment() error {
	f, err := w.create(segsDir)
	if err != nil {
		return err
	}
	w.temp = f
	if w.out == nil {
		w.out = segment.NewWriter(f, w.header)
	} else {
		w.out.Reset(f, w.header)
	}
	for _, r := range w.early {
		if err := w.out.Write(r); err != nil {
			return err
		}
	}
	w.early = nil
	return nil
}

// append adds a line to index.jsonl in one write.
func (w *DirWriter) append(r *segment.Record, file string) error {
	w.line = segment.AppendStored(w.line[:0], r, filepath.ToSlash(file))
	_, err := w.list.Write(w.line)
	return err
}

// replace writes a file at once.
func (w *DirWriter) replace(name string, p []byte) error {
	f, err := w.create(filepath.Dir(name))
	if err != nil {
		return err
	}
	if _, err = f.Write(p); err != nil {
		f.Close()
		os.Remove(f.Name())
		return err
	}
	return w.settle(f, name)
}

// create opens a temporary file, with the permissions that the final one is
// to have: a web server is another user.
func (w *DirWriter) create(dir string) (*os.File, error) {
	w.temps++
	name := strings.Replace(tempName, "*", strconv.Itoa(w.temps), 1)
	return os.OpenFile(filepath.Join(w.dir, dir, name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
}

// settle closes a temporary file and gives it its name.
func (w *DirWriter) settle(f *os.File, name string) error {
	err := f.Close()
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(w.dir, name))
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// Close ends the writing. A segment that has not closed is dropped.
func (w *DirWriter) Close() error {
	if w.temp != nil {
		w.temp.Close()
		os.Remove(w.temp.Name())
		w.temp = nil
	}
	return w.list.Close()
}

// A DirReader reads a directory's records as a slice stream would have them.
type DirReader struct {
	dir    string
	header segment.Header
	list   *os.File
	lines  *bufio.Reader
	part   []byte // of a line that is being written
	seg    *segment.Reader
	file   *os.File
}

// OpenDir opens a directory that a DirWriter wrote, or is writing.
func OpenDir(dir string) (*DirReader, error) {
	b, err := os.ReadFile(filepath.Join(dir, roomFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w: it has no %s", dir, ErrNotSliced, roomFile)
	}
	if err != nil {
		return nil, err
	}
	var d roomDocument
	if err := json.Unmarshal(b, &d); err != nil {
		return nil, fmt.Errorf("%s: %w: bad %s", dir, ErrNotSliced, roomFile)
	}
	h, err := d.header()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	f, err := os.Open(filepath.Join(dir, listFile))
	if err != nil {
		return nil, err
	}
	return &DirReader{dir: dir, header: h, list: f, lines: bufio.NewReaderSize(f, 256<<10)}, nil
}

// Header returns what room.json says.
func (d *DirReader) Header() segment.Header { return d.header }

// Next returns the next record; a header record stands where a slicer was
// started. At the end of what has been written it returns io.EOF; while a
// slicer goes on writing it may be asked again.
func (d *DirReader) Next() (segment.Record, error) {
	for {
		if d.seg != nil {
			r, err := d.seg.Next()
			switch {
			case err == nil && r.Kind == segment.KindHeader:
				continue // of the file
			case err == nil:
				if r.Kind == segment.KindSegment {
					d.closeSegment()
				}
				return r, nil
			}
			name := d.file.Name()
			d.closeSegment()
			return segment.Record{}, fmt.Errorf("%s: %w", name, err)
		}
		line, err := d.lines.ReadBytes('\n')
		d.part = append(d.part, line...)
		if err != nil {
			return segment.Record{}, err
		}
		line, d.part = d.part, nil
		r, file, err := segment.ParseStored(line)
		if err != nil {
			return segment.Record{}, fmt.Errorf("%s: %w", listFile, err)
		}
		switch r.Kind {
		case segment.KindHeader:
			h := d.header
			r.Header = &h
			return r, nil
		case segment.KindInit:
			if r.Init.Copy {
				continue // it is in the file of the segment that needs it
			}
			r.Body, err = d.read(file)
			return r, err
		case segment.KindIndex:
			if r.Body, err = d.read(file); err == nil {
				r.Index, err = segment.ParseIndex(r.Body)
			}
			return r, err
		case segment.KindSegment:
			name, err := d.inside(file)
			if err != nil {
				return segment.Record{}, err
			}
			if d.file, err = os.Open(name); err != nil {
				return segment.Record{}, err
			}
			d.seg = segment.NewReader(d.file)
		case segment.KindEnd:
			return r, nil
		}
	}
}

// inside returns the path of a file that index.jsonl names, which must not
// lead out of the directory.
func (d *DirReader) inside(name string) (string, error) {
	if !filepath.IsLocal(filepath.FromSlash(name)) || strings.Count(name, "/") > 1 {
		return "", fmt.Errorf("%s: bad file name %q", listFile, name)
	}
	return filepath.Join(d.dir, filepath.FromSlash(name)), nil
}

func (d *DirReader) read(file string) ([]byte, error) {
	name, err := d.inside(file)
	if err != nil {
		return nil, err
	}
	i, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if i.Size() > segment.MaxInit {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, segment.MaxInit)
	}
	return os.ReadFile(name)
}

func (d *DirReader) closeSegment() {
	d.file.Close()
	d.seg, d.file = nil, nil
}

// Close closes the files.
func (d *DirReader) Close() error {
	if d.file != nil {
		d.closeSegment()
	}
	return d.list.Close()
}
