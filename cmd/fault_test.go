package cmd_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

func read(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// playing waits until a viewer writes.
func playing(t testing.TB, peers ...*process) {
	t.Helper()
	for i, p := range peers {
		p.out.await(t, 10*time.Second, fmt.Sprintf("viewer %d plays", i), func(out []byte) bool { return len(out) > 20_000 })
	}
}

func viewers(t testing.TB, n int, url string, args ...string) (all []*process) {
	t.Helper()
	for range n {
		all = append(all, viewer(t, url, args...))
	}
	return all
}

// wantAll demands that all viewers end by themselves with the whole stream.
func (b *broadcast) wantAll(peers ...*process) {
	b.t.Helper()
	for _, p := range peers {
		p.wantExit(40*time.Second, 0)
	}
	film := walk(b.input.bytes())
	for i, p := range peers {
		film.wantEnd(b.t, fmt.Sprintf("viewer %d", i), p.out.bytes())
	}
}

func TestAKilledViewerHurtsNobody(t *testing.T) {
	b := onAir(t, clip{seconds: 10}.live(t, asFLV))
	peers := viewers(t, 5, b.url)
	playing(t, peers...)
	b.input.grow(t, 10*time.Second, 250_000)
	peers[2].signal(syscall.SIGKILL)
	b.wantAll(append(peers[:2:2], peers[3:]...)...)
	walk(b.input.bytes()).run(t, "the killed one", peers[2].out.bytes())
}

func TestAnEdgeIsStartedAgainUnderItsViewers(t *testing.T) {
	b := onAir(t, clip{seconds: 14}.live(t, asFLV))
	at, identity := freePort(t), filepath.Join(t.TempDir(), "identity")
	start := func() *process {
		p := seed(t, launch{}, "--upstream", b.url, "--listen", at, "--identity", identity)
		base(p)
		return p
	}
	edge := start()
	peers := viewers(t, 3, "http://"+at+"/"+room)
	playing(t, peers...)
	b.input.grow(t, 10*time.Second, 250_000)
	edge.signal(syscall.SIGKILL)
	<-edge.ended
	b.input.grow(t, 10*time.Second, 150_000) // a good second without it
	start()
	late := viewer(t, "http://"+at+"/"+room)
	b.wantAll(append(peers, late)...)
}

func TestTheTrackerIsGoneForTenSeconds(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes 18 s of real time")
	}
	trackerAt, seedAt := freePort(t), freePort(t)
	b, in := pipeline(t, launch{}, nil, "--listen", seedAt, "--tracker", "http://"+trackerAt)
	b.source(in, clip{seconds: 18}.live(t, asFLV)).closes(in)
	b.ready()
	start := func() *process {
		p := seed(t, launch{}, "--only", "tracker", "--listen", trackerAt, "--upstream", b.url)
		base(p)
		return p
	}
	tracker := start()
	peers := viewers(t, 3, "http://"+trackerAt+"/"+room)
	playing(t, peers...)
	tracker.signal(syscall.SIGKILL)
	<-tracker.ended
	gone := time.Now()
	lengths := make([]int, len(peers))
	until(t, 15*time.Second, "ten seconds", func() bool { return time.Since(gone) > 10*time.Second })
	for i, p := range peers {
		lengths[i] = p.out.len()
	}
	start()
	late := viewer(t, "http://"+trackerAt+"/"+room)
	b.wantAll(append(peers, late)...)
	for i, n := range lengths {
		if n < 1_000_000 {
			t.Errorf("viewer %d had written %d bytes when the tracker came back", i, n)
		}
	}
}

// The broadcaster's ffmpeg is started again and counts from 0. Either the
// slicer goes on, or a second one with the same key comes behind it; viewers
// who are there play on.
func TestTheBroadcasterStartsAgain(t *testing.T) {
	t.Parallel()
	one, two := clip{seconds: 6}, clip{seconds: 6, rest: "another"}

	check := func(t *testing.T, b *broadcast, cut int, peers []*process, late *process) {
		t.Helper()
		for _, p := range append(peers, late) {
			p.wantExit(40*time.Second, 0)
		}
		all := b.input.bytes()
		second := walk(all[cut:])
		// The header of an FLV file is not repeated inside a stream.
		joined := walk(append(bytes.Clone(all[:cut]), all[cut+flvHeader:]...))
		for i, p := range peers {
			joined.wantEnd(t, fmt.Sprintf("viewer %d", i), p.out.bytes())
		}
		second.wantEnd(t, "who came later", late.out.bytes())
	}

	t.Run("within one slicer", func(t *testing.T) {
		b, in := pipeline(t, launch{}, nil)
		first := b.source(in, one.live(t, asFLV))
		b.ready()
		peers := viewers(t, 3, b.url)
		playing(t, peers...)
		<-first.done
		cut := b.input.len()
		b.source(in, two.live(t, asFLV)).closes(in)
		b.input.grow(t, 10*time.Second, 250_000)
		late := viewer(t, b.url)
		check(t, b, cut, peers, late)
	})

	t.Run("two slicers with one key", func(t *testing.T) {
		key := filepath.Join(t.TempDir(), "key")
		slicesOut, slicesIn := pipe(t)
		b := &broadcast{t: t, input: newRecording()}
		b.seed = seed(t, launch{in: slicesOut}, "--room", room)
		slicesOut.Close()
		slicer := func(c clip) *feeder {
			mediaOut, mediaIn := pipe(t)
			run(t, launch{in: mediaOut, out: slicesIn}, "slice", "-q", "--key", key)
			mediaOut.Close()
			in := &tee{mediaIn, b.input}
			f := b.source(in, c.live(t, asFLV))
			f.closes(in)
			return f
		}
		first := slicer(one)
		b.ready()
		peers := viewers(t, 3, b.url)
		playing(t, peers...)
		<-first.done
		cut := b.input.len()
		slicer(two)
		slicesIn.Close()
		b.input.grow(t, 10*time.Second, 250_000)
		late := viewer(t, b.url)
		check(t, b, cut, peers, late)
	})
}

// flvHeader is the size of an FLV header with the first PreviousTagSize.
const flvHeader = 9 + 4

func TestAViewerWhosePlayerStopsReadingHurtsNobody(t *testing.T) {
	b := onAir(t, clip{seconds: 12}.live(t, asFLV))
	peers := viewers(t, 4, b.url)
	playing(t, peers...)
	release := peers[1].out.hold()
	defer release()
	before := b.input.len()
	held := peers[1].out.len()
	// The others go on for five seconds and more than a pipe holds.
	peers[3].out.grow(t, 12*time.Second, 640_000)
	if n := b.input.len() - before; n < 640_000 {
		t.Errorf("the broadcaster has sent %d bytes only", n)
	}
	if n := peers[1].out.len() - held; n > 100_000 {
		t.Errorf("the player that does not read has got %d bytes", n)
	}
	release()
	b.wantAll(peers...)
}

func TestRandomDatagramsAreDropped(t *testing.T) {
	b := onAir(t, clip{seconds: 12}.live(t, asFLV))
	at := freePort(t)
	victim := run(t, launch{}, "peer", "-q", "--listen", at, b.url)
	other := viewer(t, b.url)
	playing(t, victim, other)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, to := range []string{strings.TrimPrefix(b.base, "http://"), at} {
		c, err := net.Dial("udp", to)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		// 10,000 in about two seconds: more would be a test of the kernel.
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		buf := make([]byte, 1500)
		for range 1000 {
			<-tick.C
			for range 10 {
				n := 1 + rng.IntN(1400)
				for i := range n {
					buf[i] = byte(rng.Uint32())
				}
				switch rng.IntN(4) { // towards each of the parsers
				case 0:
					buf[0] &= 3
				case 1:
					buf[0] = 64 | buf[0]&63
				case 2:
					buf[0] |= 192
				}
				c.Write(buf[:n])
			}
		}
	}
	b.wantAll(victim, other)
	b.seed.wantExit(25*time.Second, 0)
}

func TestBadRequestsAreRefused(t *testing.T) {
	b := onAir(t, clip{seconds: 10}.live(t, asFLV))
	p := viewer(t, b.url)
	playing(t, p)
	rng := rand.New(rand.NewPCG(3, 4))
	noise := func(n int) string {
		s := make([]byte, n)
		for i := range s {
			s[i] = byte(rng.Uint32())
		}
		return string(s)
	}
	kinds := []func() string{
		func() string { return noise(1 + rng.IntN(2000)) },
		func() string {
			return "GET /v1/rooms/" + room + "/pieces/" + noise(32) + " HTTP/1.1\r\nHost: x\r\n\r\n"
		},
		func() string {
			return fmt.Sprintf("GET /v1/rooms/%s/pieces/%064x HTTP/1.1\r\nHost: x\r\n\r\n", room, rng.Uint64())
		},
		func() string {
			return "GET /v1/rooms/" + room + "/segments/../../../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n"
		},
		func() string { return "GET /v1/rooms/%2e%2e%2f%2e%2e%2fetc/newest HTTP/1.1\r\nHost: x\r\n\r\n" },
		func() string {
			return "GET /v1/rooms/" + room + "/start?from=" + fmt.Sprintf("x%x", noise(5)) + " HTTP/1.1\r\nHost: x\r\n\r\n"
		},
		func() string {
			return "GET /v1/rooms/" + room + "/start?from=-99999999999999999999s HTTP/1.1\r\nHost: x\r\n\r\n"
		},
		func() string {
			return "GET /v1/rooms/" + room + "/at/9223372036854775808-0-0 HTTP/1.1\r\nHost: x\r\n\r\n"
		},
		func() string { return "GET /live/" + room + ".mp4 HTTP/1.1\r\nHost: x\r\n\r\n" },
		func() string { return "GET /live/nosuch.flv HTTP/1.1\r\nHost: x\r\n\r\n" },
		func() string {
			return "GET /v1/rooms/" + room + "/signal HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 7\r\n\r\n"
		},
		func() string {
			return "POST /v1/rooms/" + room + "/log HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n{\"a\":" + noise(7)
		},
		func() string {
			return "POST /v1/rooms/" + room + "/log HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n{"
		},
		func() string { return "DELETE /v1/rooms/" + room + " HTTP/1.1\r\nHost: x\r\n\r\n" },
		func() string { return "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("y", 2<<20) + "\r\n\r\n" },
		func() string { return "GET /v1/rooms/" + room + "/ne" }, // and never the rest
	}
	var requests []string
	for range 1000 {
		requests = append(requests, kinds[rng.IntN(len(kinds))]())
	}
	var refused atomic.Int64
	ask := func(i int) {
		c, err := net.Dial("tcp", strings.TrimPrefix(b.base, "http://"))
		if err != nil {
			t.Errorf("request %d: %v", i, err)
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(300 * time.Millisecond)) // some never get an answer
		io.WriteString(c, requests[i])
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return
		}
		defer resp.Body.Close()
		switch {
		case resp.StatusCode >= 400 && resp.StatusCode < 500:
			refused.Add(1)
		case resp.StatusCode < 300 || resp.StatusCode >= 500:
			t.Errorf("%.80q: %s", requests[i], resp.Status)
		}
	}
	var work errgroup.Group
	work.SetLimit(20)
	for i := range requests {
		work.Go(func() error { ask(i); return nil })
	}
	work.Wait()
	t.Logf("of 1000 bad requests %d were refused, the others redirected or cut off", refused.Load())
	b.wantAll(p)
}

// A slicer that dies without an end record: what came is served, and the seed
// says that it was not all.
func TestATruncatedSliceStreamIsServedAsFarAsItWent(t *testing.T) {
	t.Parallel()
	file := clip{seconds: 4}.file(t)
	slices := run(t, launch{}, "slice", "-q", file)
	slices.wantExit(10*time.Second, 0)
	whole := slices.out.bytes()
	cut := whole[:len(whole)*3/4]

	r, w := pipe(t)
	s := seed(t, launch{in: r}, "--room", room)
	r.Close()
	if _, err := w.Write(cut[:len(cut)/2]); err != nil {
		t.Fatal(err)
	}
	url := base(s) + "/" + room
	p := viewer(t, url)
	playing(t, p)
	if _, err := w.Write(cut[len(cut)/2:]); err != nil {
		t.Fatal(err)
	}
	w.Close()
	p.wantExit(10*time.Second, 0)
	s.wantExit(10*time.Second, 4)
	film := walk(read(t, file))
	out := p.out.bytes()
	film.run(t, "viewer", out)
	if len(out) < len(film.bytes)/4 {
		t.Errorf("the viewer has %d bytes of %d", len(out), len(film.bytes))
	}
}
