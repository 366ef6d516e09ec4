// Package cmd_test runs the real binaries with real pipes, a real ffmpeg and
// real faults, and holds what comes out against what went in.
package cmd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// programs is where the binaries were built, once for all tests.
var programs string

func TestMain(m *testing.M) { os.Exit(build(m)) }

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "xp2p-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	programs = dir
	args := []string{"build", "-buildvcs=false"}
	if raceBuild {
		args = append(args, "-race") // go test -race ./cmd: the binaries are watched too
	}
	args = append(args, "-o", dir+"/", "./xp2p-slice", "./xp2p-seed", "./xp2p-peer", "./xp2p-natprobe", "./xp2p-abr")
	cmd := exec.Command("go", args...)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building the binaries:", err)
		return 1
	}
	return m.Run()
}

// A recording keeps what was written to it and when.
type recording struct {
	mu     sync.Mutex
	data   []byte
	writes []written
	gate   chan struct{} // while it is open, Write waits
	news   chan struct{} // closed and renewed with every write
}

// A written is one write: everything up to end had come by then.
type written struct {
	end int
	at  time.Time
}

func newRecording() *recording { return &recording{news: make(chan struct{})} }

func (r *recording) Write(p []byte) (int, error) {
	at := time.Now()
	r.mu.Lock()
	gate := r.gate
	r.mu.Unlock()
	if gate != nil {
		<-gate
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.data = append(r.data, p...)
	r.writes = append(r.writes, written{len(r.data), at})
	close(r.news)
	r.news = make(chan struct{})
	return len(p), nil
}

// hold makes writers wait until release is called.
func (r *recording) hold() (release func()) {
	gate := make(chan struct{})
	r.mu.Lock()
	r.gate = gate
	r.mu.Unlock()
	return sync.OnceFunc(func() {
		r.mu.Lock()
		r.gate = nil
		r.mu.Unlock()
		close(gate)
	})
}

func (r *recording) bytes() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Clone(r.data)
}

func (r *recording) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.data)
}

func (r *recording) String() string { return string(r.bytes()) }

// arrived says when the byte at offset had come.
func (r *recording) arrived(offset int) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.writes {
		if w.end > offset {
			return w.at, true
		}
	}
	return time.Time{}, false
}

// await waits until cond holds for what was written.
func (r *recording) await(t testing.TB, within time.Duration, what string, cond func(b []byte) bool) {
	t.Helper()
	deadline := time.After(within)
	for {
		r.mu.Lock()
		ok, news, n := cond(r.data), r.news, len(r.data)
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-news:
		case <-deadline:
			t.Fatalf("%s: not within %v (%d bytes came)", what, within, n)
		}
	}
}

// grow waits for n bytes more.
func (r *recording) grow(t testing.TB, within time.Duration, n int) {
	t.Helper()
	from := r.len()
	r.await(t, within, fmt.Sprintf("%d bytes more", n), func(b []byte) bool { return len(b) >= from+n })
}

// until waits until cond holds; it asks every few milliseconds.
func until(t testing.TB, within time.Duration, what string, cond func() bool) {
	t.Helper()
	if !eventually(t, within, cond) {
		t.Fatalf("%s: not within %v", what, within)
	}
}

func eventually(t testing.TB, within time.Duration, cond func() bool) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return cond()
		}
	}
	return true
}

// A process is a program under test, or one that helps.
type process struct {
	t     testing.TB
	name  string
	cmd   *exec.Cmd
	began time.Time
	out   *recording // stdout, unless it goes elsewhere
	errs  *recording // stderr
	ended chan struct{}
	ours  bool
}

// A launch says how a process is started.
type launch struct {
	in  io.Reader // an *os.File is passed on as it is
	out io.Writer // nil records
	// wrap makes the command, for processes in another network namespace.
	wrap func(name string, args ...string) *exec.Cmd
	dir  string
	// files are open in the process as 3 and what follows.
	files []*os.File
}

// run starts a program. One of ours goes by its name without xp2p-.
func run(t testing.TB, l launch, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, errs: newRecording(), ended: make(chan struct{})}
	path := name
	switch name {
	case "slice", "seed", "peer", "natprobe":
		path, p.ours = filepath.Join(programs, "xp2p-"+name), true
	default:
		if _, err := exec.LookPath(name); err != nil && !filepath.IsAbs(name) {
			t.Skipf("%s is not installed", name)
		}
	}
	if l.wrap == nil {
		l.wrap = exec.Command
	}
	p.cmd = l.wrap(path, args...)
	p.cmd.Dir = l.dir
	p.cmd.Stdin, p.cmd.Stderr, p.cmd.ExtraFiles = l.in, p.errs, l.files
	if p.cmd.Stdout = l.out; l.out == nil {
		p.out = newRecording()
		p.cmd.Stdout = p.out
	}
	p.cmd.WaitDelay = 5 * time.Second
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	go func() {
		p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(p.clean)
	return p
}

// clean ends the process, and shows what it said if the test has failed.
func (p *process) clean() {
	select {
	case <-p.ended:
	default:
		p.cmd.Process.Kill()
		<-p.ended
	}
	said := p.errs.String()
	if p.ours {
		for _, bad := range []string{"panic:", "BUG", "fatal error:", "DATA RACE"} {
			if strings.Contains(said, bad) {
				p.t.Errorf("%s said %q:\n%s", p.name, bad, last(said, 4000))
			}
		}
	}
	if p.t.Failed() && said != "" {
		p.t.Logf("%s %s (exit code %d):\n%s", p.name, strings.Join(p.cmd.Args[1:], " "), p.cmd.ProcessState.ExitCode(), last(said, 3000))
	}
}

func last(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// exit waits for the process and returns its exit code, -1 if a signal ended it.
func (p *process) exit(within time.Duration) int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(within):
		p.t.Fatalf("%s has not ended within %v", p.name, within)
	}
	return p.cmd.ProcessState.ExitCode()
}

// wantExit waits for the process and holds its exit code against code.
func (p *process) wantExit(within time.Duration, code int) {
	p.t.Helper()
	if got := p.exit(within); got != code {
		p.t.Errorf("%s ended with code %d, want %d: %s", p.name, got, code, last(p.errs.String(), 500))
	}
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatalf("%s: %v", p.name, err)
	}
}

// pipe is an operating system's pipe.
func pipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

// freePort is a TCP and UDP port of 127.0.0.1 that nobody used a moment ago.
func freePort(t testing.TB) string {
	t.Helper()
	for range 20 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := ln.Addr().String()
		u, err := net.ListenPacket("udp", addr)
		ln.Close()
		if err == nil {
			u.Close()
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

// A broadcast is a pipeline on the air: a source of media, the slicer, the seed.
type broadcast struct {
	t     testing.TB
	input *recording // what the slicer was given
	slice *process
	seed  *process
	url   string // of the seed's room
	base  string
}

// room is the name of the room in all tests.
const room = "match"

// onAir starts source | tee | xp2p-slice | xp2p-seed and waits until the room
// can be joined. The source is an argument list of ffmpeg, without the output.
func onAir(t testing.TB, source []string, seedArgs ...string) *broadcast {
	t.Helper()
	b, in := pipeline(t, launch{}, nil, seedArgs...)
	b.source(in, source).closes(in)
	b.ready()
	return b
}

// pipeline starts xp2p-slice | xp2p-seed; the media are written to in.
func pipeline(t testing.TB, l launch, sliceArgs []string, seedArgs ...string) (b *broadcast, in io.WriteCloser) {
	t.Helper()
	b = &broadcast{t: t, input: newRecording()}
	mediaOut, mediaIn := pipe(t)
	slicesOut, slicesIn := pipe(t)
	b.slice = run(t, launch{in: mediaOut, out: slicesIn}, "slice", append([]string{"-q"}, sliceArgs...)...)
	b.seed = seed(t, launch{in: slicesOut, wrap: l.wrap}, append([]string{"--room", room}, seedArgs...)...)
	for _, f := range []*os.File{mediaOut, slicesIn, slicesOut} {
		f.Close()
	}
	return b, &tee{mediaIn, b.input}
}

// A tee writes to a file and records it.
type tee struct {
	*os.File
	to *recording
}

func (w *tee) Write(p []byte) (int, error) {
	w.to.Write(p)
	return w.File.Write(p)
}

// ReadFrom hides that of the file, which would pass the recording by.
func (w *tee) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{w}, r)
}

// A feeder is a source that runs into a pipeline.
type feeder struct {
	ffmpeg *process
	done   chan struct{} // all it wrote was passed on
}

// source runs ffmpeg into a pipeline.
func (b *broadcast) source(in io.Writer, args []string) *feeder {
	b.t.Helper()
	r, w := pipe(b.t)
	f := &feeder{done: make(chan struct{})}
	f.ffmpeg = run(b.t, launch{out: w}, "ffmpeg", append(append([]string{"-nostdin", "-hide_banner", "-v", "error"}, args...), "-")...)
	w.Close()
	go func() {
		defer close(f.done)
		defer r.Close()
		io.Copy(in, r)
	}()
	return f
}

// closes ends the pipeline's input behind the source.
func (f *feeder) closes(in io.Closer) {
	go func() {
		<-f.done
		in.Close()
	}()
}

// seed starts a seed. Its ready file is in the environment of its arguments.
func seed(t testing.TB, l launch, args ...string) *process {
	t.Helper()
	listen := []string{"--listen", "127.0.0.1:0"}
	for _, a := range args {
		if a == "--listen" {
			listen = nil
		}
	}
	file := filepath.Join(t.TempDir(), "ready")
	args = append(append(append([]string{"-q", "--linger", "20s"}, listen...), args...), "--ready-file", file)
	p := run(t, l, "seed", args...)
	return p
}

// base waits until a seed can be joined and returns its URL.
func base(p *process) string {
	p.t.Helper()
	file := p.cmd.Args[len(p.cmd.Args)-1]
	var url string
	until(p.t, 15*time.Second, "the seed is ready", func() bool {
		if !p.running() {
			p.t.Fatalf("the seed ended with code %d: %s", p.cmd.ProcessState.ExitCode(), last(p.errs.String(), 2000))
		}
		b, err := os.ReadFile(file)
		url = strings.TrimSpace(string(b))
		return err == nil && strings.HasSuffix(string(b), "\n")
	})
	return url
}

func (b *broadcast) ready() {
	b.t.Helper()
	b.base = base(b.seed)
	b.url = b.base + "/" + room
}

// viewer starts a peer.
func viewer(t testing.TB, url string, args ...string) *process {
	t.Helper()
	return run(t, launch{}, "peer", append(append([]string{"-q", "--listen", "127.0.0.1:0"}, args...), url)...)
}

func number(n int) string { return strconv.Itoa(n) }
