package cmd_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The main job: what peers write is what ffmpeg wrote, up to the end.
func TestViewersWriteWhatTheBroadcasterWrote(t *testing.T) {
	traces := t.TempDir()
	b := onAir(t, clip{seconds: 6}.live(t, asFLV), "--qlog", traces)
	first := viewer(t, b.url, "--qlog", traces)
	second := viewer(t, b.url)
	first.out.await(t, 10*time.Second, "the first viewer has two seconds", func(out []byte) bool { return len(out) > 250_000 })
	third := viewer(t, b.url)
	for _, p := range []*process{first, second, third} {
		p.wantExit(20*time.Second, 0)
	}
	b.seed.wantExit(25*time.Second, 0)
	b.slice.wantExit(time.Second, 0)
	film := walk(b.input.bytes())
	film.wantEnd(t, "first", first.out.bytes())
	film.wantEnd(t, "second", second.out.bytes())
	film.wantEnd(t, "third", third.out.bytes())
	// And both ends of a connection wrote down what they did. One of two that
	// opened a connection to each other at once is replaced before it has sent.
	talked := 0
	clients, _ := filepath.Glob(filepath.Join(traces, "*_client.sqlog"))
	for _, client := range clients {
		server, err := os.ReadFile(strings.TrimSuffix(client, "client.sqlog") + "server.sqlog")
		if err != nil {
			continue // the other end was a viewer without --qlog
		}
		b, err := os.ReadFile(client)
		if err != nil {
			t.Fatal(err)
		}
		sent := 0
		for _, text := range []string{string(b), string(server)} {
			if strings.Contains(text, "packet_sent") {
				sent++
			} else if !strings.Contains(text, `"reason":"replaced"`) {
				t.Errorf("%s: an end sent nothing and was not replaced: %q", client, last(text, 300))
			}
			if !strings.HasPrefix(text, "\x1e{\"qlog_version\":\"0.3\"") || !strings.HasSuffix(text, "}\n") {
				t.Errorf("%s: %d bytes, the end is %q", client, len(text), last(text, 300))
			}
		}
		if sent == 2 {
			talked++
		}
	}
	if talked == 0 {
		t.Errorf("%d traces of viewers, none of the seed's connection to one", len(clients))
	}
}

// Twenty viewers join at random moments, some are interrupted: a real ffmpeg
// reads each output without a word.
func TestAnOutputFromAnyMomentPlaysWithoutAWarning(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		muxer   []string
		viewers int
	}{
		{"FLV", asFLV, 20},
		{"fMP4 by frame", asFrame, 6},
		{"fMP4 by GOP", asGOP, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() {
				c.viewers = 3
			}
			watchAtRandom(t, c.muxer, c.viewers)
		})
	}
}

func watchAtRandom(t *testing.T, muxer []string, viewers int) {
	rng := rand.New(rand.NewPCG(7, uint64(viewers)))
	b := onAir(t, clip{seconds: 12}.live(t, muxer))
	began := time.Now()
	type plan struct {
		at, interrupt time.Duration
	}
	plans := make([]plan, viewers)
	for i := range plans {
		plans[i].at = time.Duration(rng.Int64N(int64(8 * time.Second)))
		if i%3 == 2 {
			plans[i].interrupt = time.Second + time.Duration(rng.Int64N(int64(2*time.Second)))
		}
	}
	peers := make([]*process, viewers)
	stopped := make([]bool, viewers)
	until(t, 25*time.Second, "every viewer has come and some have gone", func() bool {
		now, todo := time.Since(began), 0
		for i, p := range plans {
			switch {
			case peers[i] == nil && now >= p.at:
				peers[i] = viewer(t, b.url)
				todo++
			case peers[i] == nil:
				todo++
			case p.interrupt > 0 && !stopped[i]:
				todo++
				if now >= p.at+p.interrupt && peers[i].out.len() > 0 {
					peers[i].signal(os.Interrupt)
					stopped[i] = true
				}
			}
		}
		return todo == 0
	})
	for i, p := range peers {
		if stopped[i] {
			p.wantExit(5*time.Second, 130)
		} else {
			p.wantExit(25*time.Second, 0)
		}
	}
	film := walk(b.input.bytes())
	good := 0
	dir := t.TempDir()
	for i, p := range peers {
		out := p.out.bytes()
		who := fmt.Sprintf("viewer %d, joined after %v", i, plans[i].at.Round(time.Millisecond))
		if stopped[i] {
			who += " and interrupted"
			film.wantBorder(t, who, out)
		} else {
			film.wantEnd(t, who, out)
		}
		file := filepath.Join(dir, number(i))
		if err := os.WriteFile(file, out, 0o600); err != nil {
			t.Fatal(err)
		}
		if said := ffmpegSays(t, file); said != "" {
			t.Errorf("%s: ffmpeg says:\n%s", who, last(said, 600))
		} else {
			good++
		}
		os.Remove(file)
	}
	t.Logf("%d of %d outputs play without a warning", good, viewers)
}

// ffmpegSays plays a file and returns all that ffmpeg says of it.
func ffmpegSays(t *testing.T, input string, args ...string) string {
	t.Helper()
	p := run(t, launch{}, "ffmpeg", append(append([]string{"-nostdin", "-v", "warning", "-i", input}, args...), "-f", "null", "-")...)
	if code := p.exit(30 * time.Second); code != 0 {
		return fmt.Sprintf("exit code %d: %s", code, p.errs)
	}
	return strings.TrimSpace(p.errs.String())
}

// A viewer is a member of the pipe: it ends when its reader does, and when it
// is told to, and says which it was.
func TestHowAViewerEnds(t *testing.T) {
	t.Parallel()
	b := onAir(t, clip{seconds: 12}.live(t, asFLV))
	for _, c := range []struct {
		name string
		sig  os.Signal
		code int
	}{{"SIGINT", os.Interrupt, 130}, {"SIGTERM", syscall.SIGTERM, 143}} {
		p := viewer(t, b.url)
		p.out.await(t, 10*time.Second, c.name+": output", func(out []byte) bool { return len(out) > 50_000 })
		p.signal(c.sig)
		p.wantExit(3*time.Second, c.code)
		walk(b.input.bytes()).wantBorder(t, c.name, p.out.bytes())
	}

	// The first keyframe is written as it comes: whoever interrupts then still
	// gets the whole of it.
	for i := range 10 {
		p := viewer(t, b.url)
		p.out.await(t, 10*time.Second, "the first byte", func(out []byte) bool { return len(out) > 0 })
		p.signal(os.Interrupt)
		p.wantExit(3*time.Second, 130)
		if out := p.out.bytes(); len(out) > walk(b.input.bytes()).init {
			walk(b.input.bytes()).wantBorder(t, fmt.Sprintf("interrupted at once, number %d", i), out)
		}
	}

	r, w := pipe(t)
	p := run(t, launch{out: w}, "peer", "-q", b.url)
	w.Close()
	if _, err := r.Read(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	r.Close()
	p.wantExit(5*time.Second, 0)

	run(t, launch{}, "peer", "-q", b.base+"/nosuch").wantExit(10*time.Second, 5)
	run(t, launch{}, "peer", "-q", "http://"+freePort(t)+"/match").wantExit(10*time.Second, 5)
	wrong := "#AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	p = run(t, launch{}, "peer", "-q", b.url+wrong)
	p.wantExit(10*time.Second, 4)
	if n := p.out.len(); n > 0 {
		t.Errorf("%d bytes came out in spite of the wrong key", n)
	}
	run(t, launch{}, "peer", "-q").wantExit(5*time.Second, 2)

	b.seed.signal(syscall.SIGTERM)
	b.seed.wantExit(5*time.Second, 143)
}

// A seed ends with its input, and when it is told to.
func TestHowASeedEnds(t *testing.T) {
	t.Parallel()
	b, in := pipeline(t, launch{}, nil)
	f := b.source(in, clip{seconds: 6}.live(t, asFLV))
	b.ready()
	b.input.grow(t, 5*time.Second, 50_000)
	b.seed.signal(os.Interrupt)
	b.seed.wantExit(5*time.Second, 130)
	_, _ = f, in

	run(t, launch{in: strings.NewReader("no slices at all\n")}, "seed", "--room", room, "--listen", "127.0.0.1:0", "-q").wantExit(5*time.Second, 4)
	run(t, launch{}, "seed", "--room", "live", "--listen", "127.0.0.1:0").wantExit(5*time.Second, 2)
	run(t, launch{}, "seed", "--upstream", "http://"+freePort(t)+"/match", "--listen", "127.0.0.1:0", "-q").wantExit(15*time.Second, 5)
}
