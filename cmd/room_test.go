package cmd_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// thin is an FLV stream of minutes in few bytes: ten frames a second, a keyframe
// every two.
func thin(minutes int) []byte {
	b := []byte("FLV\x01\x01\x00\x00\x00\x09\x00\x00\x00\x00")
	for n := range minutes * 600 {
		ts := n * 100
		first := byte(0x27)
		if n%20 == 0 {
			first = 0x17
		}
		b = append(b, 9, 0, 0, 13, byte(ts>>16), byte(ts>>8), byte(ts), byte(ts>>24), 0, 0, 0)
		b = binary.BigEndian.AppendUint64(append(b, first, 1, 0, 0, 0), uint64(n))
		b = append(b, 0, 0, 0, 24)
	}
	return b
}

// sliced runs xp2p-slice on content into a new directory called name.
func sliced(t *testing.T, name string, content []byte, args ...string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), name)
	run(t, launch{in: bytes.NewReader(content)}, "slice", append([]string{"-q", "-o", dir}, args...)...).wantExit(20*time.Second, 0)
	return dir
}

// A slicer writes a directory, a seed serves it meanwhile, and both end with it.
func TestADirectoryIsLiveWhileItIsWritten(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), room)
	out, in := pipe(t)
	slicer := run(t, launch{in: out}, "slice", "-q", "-o", dir)
	out.Close()
	input := newRecording()
	b := &broadcast{t: t, input: input}
	f := b.source(&tee{in, input}, clip{seconds: 8}.live(t, asFLV))
	f.closes(in)
	until(t, 10*time.Second, "a segment is there", func() bool {
		list, _ := filepath.Glob(filepath.Join(dir, "segments", "[0-9]*"))
		return len(list) > 0
	})
	b.url = base(seed(t, launch{}, dir)) + "/" + room
	v := viewers(t, 2, b.url)
	b.wantAll(v...)
	slicer.wantExit(5*time.Second, 0)
}

// A stream that is over is watched from its beginning, whatever --start says,
// and as slowly as the player likes: ten minutes of it do not fit what a viewer
// keeps.
func TestAFinishedDirectoryIsPlayedFromItsBeginning(t *testing.T) {
	t.Parallel()
	content := thin(10)
	url := base(seed(t, launch{}, sliced(t, room, content))) + "/" + room
	for _, start := range []string{"live", "oldest"} {
		out := newRecording()
		release := out.hold()
		p := run(t, launch{out: out}, "peer", "-q", "--listen", "127.0.0.1:0", "--start", start, "--stats", filepath.Join(t.TempDir(), "stats"), url)
		until(t, 10*time.Second, "the viewer has some of it", func() bool {
			b, _ := os.ReadFile(p.cmd.Args[len(p.cmd.Args)-2])
			return bytes.Contains(b, []byte(`"startup_ms"`))
		})
		release()
		p.wantExit(30*time.Second, 0)
		if got := out.bytes(); !bytes.Equal(got, content) {
			t.Errorf("--start %s: %d of %d bytes, or they differ", start, len(got), len(content))
		}
	}
	if got := get(t, strings.Replace(url, "/"+room, "/live/"+room+".flv", 1)); !bytes.Equal(got, content) {
		t.Errorf("an ordinary player: %d of %d bytes, or they differ", len(got), len(content))
	}
}

// A recording comes out of a pipe into the store, and an edge has it from there.
func TestARecordingGoesFromAPipeToAnEdge(t *testing.T) {
	t.Parallel()
	content := read(t, clip{seconds: 6}.file(t))
	kept, edge := t.TempDir(), t.TempDir()
	slices := run(t, launch{in: bytes.NewReader(content)}, "slice", "-q", "--vod", "--segment", "64k")
	slices.wantExit(20*time.Second, 0)
	pass := slices.out.bytes()

	run(t, launch{in: bytes.NewReader(pass)}, "seed", "-q", "--room", room, "--listen", "127.0.0.1:0").wantExit(5*time.Second, 2)
	run(t, launch{in: bytes.NewReader(pass)}, "seed", "-q", "--room", room, "--listen", "127.0.0.1:0", "--linger", "0s", "--store", kept).wantExit(20*time.Second, 0)
	run(t, launch{in: bytes.NewReader(pass)}, "seed", "-q", "--room", room, "--listen", "127.0.0.1:0", "--store", kept).wantExit(5*time.Second, 1)

	up := seed(t, launch{}, filepath.Join(kept, room))
	counting := &counter{to: base(up)}
	at := counting.serve(t)
	run(t, launch{}, "seed", "-q", "--upstream", at+"/"+room, "--listen", "127.0.0.1:0").wantExit(5*time.Second, 2)
	url := base(seed(t, launch{}, "--upstream", at+"/"+room, "--store", edge)) + "/" + room
	var peers []*process
	for range 3 {
		peers = append(peers, run(t, launch{}, "peer", "-q", url))
	}
	for _, p := range peers {
		p.wantExit(20*time.Second, 0)
		if got := p.out.bytes(); !bytes.Equal(got, content) {
			t.Errorf("through the edge: %d of %d bytes, or they differ", len(got), len(content))
		}
	}
	// Ten segments and the way they are described: each once, by the copy, and
	// perhaps once more for those who came before it.
	if n := counting.bytes.Load(); n > int64(5*len(content)/2) {
		t.Errorf("the upstream has sent %d bytes for three viewers of %d", n, len(content))
	}
	until(t, 10*time.Second, "the edge has a whole copy", func() bool {
		_, err := os.Stat(filepath.Join(edge, room, "index.bin"))
		return err == nil
	})
	// As slices, it is the recording again.
	p := run(t, launch{}, "peer", "-q", "--format", "slices", url)
	p.wantExit(20*time.Second, 0)
	if !bytes.Equal(p.out.bytes(), pass) {
		t.Errorf("%d bytes of slices came out, %d went in, or they differ", p.out.len(), len(pass))
	}
	run(t, launch{}, "peer", "-q", "--http", "127.0.0.1:0", url).wantExit(5*time.Second, 2)
}

// A counter passes requests on and counts the bytes of the answers.
type counter struct {
	to    string
	bytes atomic.Int64
}

func (c *counter) serve(t *testing.T) (base string) {
	t.Helper()
	addr := freePort(t)
	s := &http.Server{Addr: addr, Handler: c}
	go s.ListenAndServe()
	t.Cleanup(func() { s.Close() })
	until(t, 5*time.Second, "the counter listens", func() bool { return get(t, "http://"+addr+"/healthz") != nil })
	return "http://" + addr
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	resp, err := http.Get(c.to + r.URL.RequestURI())
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	w.WriteHeader(resp.StatusCode)
	n, _ := io.Copy(w, resp.Body)
	c.bytes.Add(n)
}

// From the middle of a recording come its init and what follows the keyframe at
// that time, and ffmpeg has nothing to say about it.
func TestARecordingIsPlayedFromATime(t *testing.T) {
	t.Parallel()
	source := clip{seconds: 8, gop: 50}.file(t)
	for _, c := range []struct {
		name  string
		muxer []string
	}{{"flv", asFLV}, {"mp4", asGOP}, {"mp4", asFrame}} {
		file := filepath.Join(t.TempDir(), "film."+c.name)
		args := append([]string{"-nostdin", "-v", "error", "-i", source, "-c", "copy"}, c.muxer...)
		if out, err := exec.CommandContext(t.Context(), "ffmpeg", append(args, file)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		film := walk(read(t, file))
		url := base(seed(t, launch{}, sliced(t, room, film.bytes, "--vod", "--segment", "64k"))) + "/" + room
		for start, key := range map[string]int{"0s": 0, "5s": 2, "4100ms": 2, "1h": len(film.keys) - 1} {
			p := run(t, launch{}, "peer", "-q", "--start", start, url)
			p.wantExit(20*time.Second, 0)
			got := p.out.bytes()
			from, ok := film.run(t, c.name+" from "+start, got)
			want := film.keys[key]
			if start == "0s" {
				want = film.init
			}
			if ok && (from != want || film.init+len(film.bytes)-want != len(got)) {
				t.Errorf("%s from %s: %d bytes from %d, want %d", c.name, start, len(got), from, want)
			}
			cut := filepath.Join(t.TempDir(), "cut."+c.name)
			if err := os.WriteFile(cut, got, 0o600); err != nil {
				t.Fatal(err)
			}
			if says := ffmpegSays(t, cut); says != "" {
				t.Errorf("%s from %s: ffmpeg says %s", c.name, start, says)
			}
			live := get(t, strings.Replace(url, "/"+room, fmt.Sprintf("/live/%s.%s?from=%s", room, c.name, start), 1))
			if !bytes.Equal(live, got) {
				t.Errorf("%s from %s: an ordinary player gets %d bytes, a viewer %d, or they differ", c.name, start, len(live), len(got))
			}
		}
	}
}

// What a disk has changed is refused: nobody gets a wrong byte.
func TestADamagedFileIsRefused(t *testing.T) {
	t.Parallel()
	content := thin(4)
	dir := sliced(t, room, content, "--vod", "--segment", "64k")
	list, err := filepath.Glob(filepath.Join(dir, "segments", "0-1-*"))
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	b := read(t, list[0])
	b[len(b)/2] ^= 1
	if err := os.WriteFile(list[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	s := seed(t, launch{}, dir)
	url := base(s) + "/" + room
	file := filepath.Join(t.TempDir(), "saved")
	run(t, launch{}, "peer", "-q", "-o", file, url).wantExit(10*time.Second, 5)
	if got := read(t, file); len(got) != 64<<10 || !bytes.Equal(got, content[:64<<10]) {
		t.Errorf("%d bytes were saved, want the one segment before the damage", len(got))
	}
	if got := get(t, base(s)+"/live/"+room+".flv"); got != nil {
		t.Errorf("an ordinary player takes %d bytes for the whole", len(got))
	}
}

// A viewer that came in the middle writes slices that stand every check.
func TestSlicesOfAViewerAreComplete(t *testing.T) {
	t.Parallel()
	b := onAir(t, clip{seconds: 8}.live(t, asFLV))
	b.input.grow(t, 10*time.Second, 400_000)
	others := viewers(t, 3, b.url)
	playing(t, others...)
	p := run(t, launch{}, "peer", "-q", "--format", "slices", b.url)
	p.wantExit(30*time.Second, 0)
	check := run(t, launch{in: bytes.NewReader(p.out.bytes())}, "slice", "verify")
	check.wantExit(10*time.Second, 0)
	cat := run(t, launch{in: bytes.NewReader(p.out.bytes())}, "slice", "cat")
	cat.wantExit(10*time.Second, 0)
	if got := cat.out.bytes(); !bytes.HasSuffix(b.input.bytes(), got[len(got)/2:]) {
		t.Error("the bodies are not the input's last bytes")
	}
	b.wantAll(others...)
}
