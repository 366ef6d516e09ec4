package qlog

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/xp2p/xp2p/lib/xntp"
)

// maxFiles bounds the connections that are traced at a time; what others do is
// left out.
const maxFiles = 256

// A Dir is a directory of qlog files. It is not safe for concurrent use.
type Dir struct {
	dir   string
	title string
	files map[xntp.ConnID]*file
	err   error // the first
}

// file is the trace of one connection.
type file struct {
	f     *os.File
	w     *bufio.Writer
	start time.Time
}

// Open makes the directory, if there is none. title names the program in every
// file.
func Open(dir, title string) (*Dir, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("qlog: %w", err)
	}
	return &Dir{dir: dir, title: title, files: map[xntp.ConnID]*file{}}, nil
}

// Records is how many records a machine should keep until they are written: what
// a gigabit brings within a turn.
const Records = 1 << 12

// Drain writes all that there is; with a nil Dir it does nothing.
func (d *Dir) Drain(next func() (xntp.Trace, bool)) {
	if d == nil {
		return
	}
	for t, ok := next(); ok; t, ok = next() {
		d.Write(t)
	}
}

// header is the first record of a file.
type header struct {
	Version string `json:"qlog_version"`
	Format  string `json:"qlog_format"`
	Title   string `json:"title"`
	Trace   trace  `json:"trace"`
}

type trace struct {
	Vantage vantage `json:"vantage_point"`
	Common  common  `json:"common_fields"`
}

type vantage struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

type common struct {
	ODCID         string   `json:"ODCID"`
	TimeFormat    string   `json:"time_format"`
	ReferenceTime float64  `json:"reference_time"` // Unix ms
	Protocol      []string `json:"protocol_type"`
}

// Write adds a record to the file of its connection, and opens or closes that. A
// file that cannot be written is given up; Err says why.
func (d *Dir) Write(t xntp.Trace) {
	f := d.files[t.Conn]
	if t.Kind == xntp.TraceStarted {
		f = d.begin(t)
	}
	if f == nil {
		return
	}
	if t.Missed > 0 && !t.At.IsZero() {
		d.put(t.Conn, f, event{f.ms(t.At), "loglevel:warning", map[string]any{"message": fmt.Sprintf("%d events are missing here", t.Missed)}})
	}
	if name, data := describe(&t); name != "" {
		d.put(t.Conn, f, event{f.ms(t.At), name, data})
	}
	if t.Kind == xntp.TraceGone {
		d.end(t.Conn, f)
	}
}

func (d *Dir) begin(t xntp.Trace) *file {
	if old := d.files[t.Conn]; old != nil {
		d.end(t.Conn, old) // a dial became the answer to the peer's
	}
	if len(d.files) >= maxFiles {
		return nil
	}
	side := "server"
	if t.Initiator {
		side = "client"
	}
	cid := fmt.Sprintf("%x", t.CID[:])
	o, err := os.Create(filepath.Join(d.dir, cid+"_"+side+".sqlog"))
	if err != nil {
		d.fail(err)
		return nil
	}
	f := &file{f: o, w: bufio.NewWriter(o), start: t.At}
	d.files[t.Conn] = f
	d.put(t.Conn, f, header{
		Version: "0.3", Format: "JSON-SEQ", Title: d.title,
		Trace: trace{
			Vantage: vantage{d.title, side},
			Common:  common{cid, "relative", float64(t.At.UnixMicro()) / 1000, []string{"XNTP"}},
		},
	})
	return f
}

// ms is the time of an event.
func (f *file) ms(at time.Time) float64 { return float64(at.Sub(f.start).Microseconds()) / 1000 }

// put writes a record as RFC 7464 has it: a record separator, JSON, a newline.
func (d *Dir) put(id xntp.ConnID, f *file, record any) {
	b, err := json.Marshal(record)
	if err == nil {
		f.w.WriteByte(0x1e)
		f.w.Write(b)
		err = f.w.WriteByte('\n')
	}
	if err != nil {
		d.fail(err)
		f.f.Close()
		delete(d.files, id)
	}
}

func (d *Dir) end(id xntp.ConnID, f *file) {
	if err := errors.Join(f.w.Flush(), f.f.Close()); err != nil {
		d.fail(err)
	}
	delete(d.files, id)
}

func (d *Dir) fail(err error) {
	if d.err == nil {
		d.err = fmt.Errorf("qlog: %w", err)
	}
}

// Err returns the first error.
func (d *Dir) Err() error { return d.err }

// Close ends all files and returns the first error of all.
func (d *Dir) Close() error {
	if d == nil {
		return nil
	}
	for id, f := range d.files {
		d.end(id, f)
	}
	return d.err
}
