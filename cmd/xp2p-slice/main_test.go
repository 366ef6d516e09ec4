package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/tool"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"xp2p-slice": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Condition: func(cond string) (bool, error) {
			if cond == "ffmpeg" {
				_, err := exec.LookPath("ffmpeg")
				return err == nil, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"pipe": pipe,
			"code": code,
			"head": head,
		},
	})
}

// pipe runs a shell pipeline; it fails if any part of it does.
func pipe(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec("bash", "-o", "pipefail", "-c", strings.Join(args, " "))
	if (err != nil) != neg {
		ts.Fatalf("pipe: %v", err)
	}
}

// code N COMMAND… runs a command that must end with code N.
func code(ts *testscript.TestScript, _ bool, args []string) {
	script := fmt.Sprintf("%s; c=$?; [ $c = %s ] || { echo code $c >&2; exit 1; }", strings.Join(args[1:], " "), args[0])
	ts.Check(ts.Exec("bash", "-c", script))
}

// head N FROM TO copies N bytes.
func head(ts *testscript.TestScript, _ bool, args []string) {
	var n int
	fmt.Sscan(args[0], &n)
	b := ts.ReadFile(args[1])
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(b)[:n], 0o666))
}

func TestManualAndFlagsAgree(t *testing.T) {
	if err := tool.CheckManual(command()); err != nil {
		t.Error(err)
	}
}

// frames is a small FLV stream: video at 25 frames a second.
func frames(from, to int) []byte {
	b := []byte("FLV\x01\x01\x00\x00\x00\x09\x00\x00\x00\x00")
	for ts := from; ts < to; ts += 40 {
		first := byte(0x27)
		if ts%1000 == 0 {
			first = 0x17
		}
		b = append(b, 9, 0, 0, 9, byte(ts>>16), byte(ts>>8), byte(ts), byte(ts>>24), 0, 0, 0)
		b = append(b, first, 1, 0, 0, 0, byte(ts), 0, 0, byte(ts>>8), 0, 0, 0, 20)
	}
	return b
}

// run runs the command in this process.
func run(ctx context.Context, in io.Reader, out io.Writer, args ...string) (code int, stderr string) {
	var b bytes.Buffer
	code = tool.Run(ctx, command(), args, tool.Streams{In: in, Out: out, Err: &b})
	return code, b.String()
}

func TestAPieceLeavesWhenInputWouldHaveToBeWaitedFor(t *testing.T) {
	in, feed := io.Pipe()
	read, out := io.Pipe()
	done := make(chan int)
	go func() {
		code, _ := run(context.Background(), in, out)
		out.Close()
		done <- code
	}()
	r := segment.NewReader(read)
	stream := frames(0, 1000)
	go feed.Write(stream)
	var pieces, bytes int
	// 960 ms of frames: nine pieces of 120 ms have closed, no segment has.
	for pieces < 8 {
		rec, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if rec.Kind == segment.KindPiece {
			pieces++
			bytes += rec.Piece.Size
		}
		if rec.Kind == segment.KindSegment {
			t.Fatal("a segment closed, though no frame of the next has come")
		}
	}
	feed.Close()
	for {
		rec, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		bytes += len(rec.Body) * btoi(rec.Kind == segment.KindPiece && pieces >= 8)
	}
	if code := <-done; code != 0 {
		t.Errorf("code %d", code)
	}
	if want := len(stream) - 13; bytes != want {
		t.Errorf("%d bytes, want %d", bytes, want)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestASignalEndsTheStreamProperly(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(t.TempDir(), "xp2p-slice")
	if err := os.Symlink(exe, bin); err != nil {
		t.Skip("no symbolic links: ", err)
	}
	for _, test := range []struct {
		signal os.Signal
		code   int
	}{{os.Interrupt, 130}, {syscall.SIGTERM, 143}} {
		cmd := exec.Command(bin, "-q")
		cmd.WaitDelay = 10 * time.Second
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		stream := frames(0, 1500)
		if _, err := in.Write(stream); err != nil {
			t.Fatal(err)
		}
		r := segment.NewReader(out)
		var audit segment.Audit
		var got []byte
		var end *segment.End
		for {
			rec, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := audit.See(&rec); err != nil {
				t.Fatal(err)
			}
			got = append(got, rec.Body...)
			end = rec.End
			if rec.Kind == segment.KindSegment && rec.Segment.Seq == 0 {
				cmd.Process.Signal(test.signal)
			}
		}
		cmd.Wait()
		if end == nil || !bytes.Equal(got, stream) {
			t.Errorf("%v: %d bytes of %d, end %v", test.signal, len(got), len(stream), end)
		}
		if code := cmd.ProcessState.ExitCode(); code != test.code {
			t.Errorf("%v: code %d, want %d", test.signal, code, test.code)
		}
	}
}

func TestURLs(t *testing.T) {
	stream := frames(0, 3000)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/live.flv" {
			http.NotFound(w, r)
			return
		}
		w.Write(stream)
	}))
	defer s.Close()
	var out bytes.Buffer
	if code, msg := run(context.Background(), strings.NewReader(""), &out, s.URL+"/live.flv"); code != 0 {
		t.Fatal(code, msg)
	}
	var back bytes.Buffer
	if code, msg := run(context.Background(), &out, &back, "cat"); code != 0 || !bytes.Equal(back.Bytes(), stream) {
		t.Error(code, msg, back.Len())
	}
	for _, url := range []string{s.URL + "/other", "http://127.0.0.1:1/"} {
		out.Reset()
		if code, msg := run(context.Background(), strings.NewReader(""), &out, url); code != 5 || out.Len() > 0 {
			t.Errorf("%s: code %d, %d bytes, %s", url, code, out.Len(), msg)
		}
	}
}
