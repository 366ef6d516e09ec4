package cmd_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/netlab"
)

// A tracker that has no room of its own takes in guests.
func guestTracker(t *testing.T, args ...string) (url string) {
	t.Helper()
	return base(seed(t, launch{}, append([]string{"--guest-rooms", "4"}, args...)...))
}

// A recording that only its owner's seed has is fetched through XNTP, resumed where
// it was cut off.
func TestARecordingIsFetchedFromASeedAtHome(t *testing.T) {
	t.Parallel()
	tracker := guestTracker(t)
	content := make([]byte, 24<<20+77)
	rand.NewChaCha8([32]byte{4}).Read(content)
	dir := t.TempDir()
	src, sliced := filepath.Join(dir, "src"), filepath.Join(dir, "sliced")
	if err := os.WriteFile(src, content, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, launch{}, "slice", "-q", "--vod", src, "-o", sliced).wantExit(20*time.Second, 0)
	home := seed(t, launch{}, "--tracker", tracker+"/film", "--max-upload", "80M", sliced)
	base(home)
	saved := filepath.Join(dir, "saved")
	first := run(t, launch{}, "peer", "-q", "-o", saved, tracker+"/film")
	until(t, 20*time.Second, "a part is saved", func() bool {
		info, err := os.Stat(saved)
		return err == nil && info.Size() >= 3<<20
	})
	first.cmd.Process.Kill()
	<-first.ended
	had := len(read(t, saved))
	second := run(t, launch{}, "peer", "-o", saved, tracker+"/film")
	second.wantExit(30*time.Second, 0)
	if got := read(t, saved); !bytes.Equal(got, content) {
		t.Errorf("%d bytes were saved, %d were sliced, or they differ", len(got), len(content))
	}
	if had < len(content) && !strings.Contains(second.errs.String(), "resuming") {
		t.Errorf("after %d bytes it was not resumed: %s", had, second.errs.String())
	}
	// The name is the announcer's.
	thief := run(t, launch{}, "seed", "--log-format", "text", "--listen", "127.0.0.1:0", "--tracker", tracker+"/film", sliced)
	thief.errs.await(t, 10*time.Second, "the tracker refuses", func(b []byte) bool { return bytes.Contains(b, []byte("another's room")) })
	home.signal(syscall.SIGTERM)
	home.wantExit(2*time.Second, 143)
	run(t, launch{}, "peer", "-q", "-o", saved+"2", tracker+"/film2").wantExit(15*time.Second, 5)
}

// A live room of a seed at home: what it gives counts as a seed's.
func TestALiveRoomIsWatchedFromASeedAtHome(t *testing.T) {
	t.Parallel()
	tracker := guestTracker(t)
	b := onAir(t, clip{seconds: 8}.live(t, asFLV), "--tracker", tracker+"/"+room)
	url := tracker + "/" + room
	stats := filepath.Join(t.TempDir(), "stats")
	peers := append(viewers(t, 1, url), viewer(t, url, "--stats", stats))
	b.wantAll(peers...)
	lines := strings.Split(strings.TrimSpace(string(read(t, stats))), "\n")
	var last counters
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		t.Fatal(err)
	}
	if *last.OriginBytes != 0 || *last.SeedBytes == 0 {
		t.Errorf("%d bytes of the origin, %d of seeds, %d of peers", *last.OriginBytes, *last.SeedBytes, *last.PeerBytes)
	}
}

// Real NATs stand between: a port-restricted cone before the seed, a symmetric one with
// sequential ports before the viewer. scripts/natlab home has all pairs.
func TestAFilePassesThroughTwoNATs(t *testing.T) {
	if err := netlab.Available(); err != nil {
		t.Skip(err)
	}
	zoo := netlab.Zoo()
	var hosts []netlab.Host
	for i, name := range []string{"port-restricted-cone", "symmetric-sequential"} {
		n := zoo[slices.IndexFunc(zoo, func(n netlab.Network) bool { return n.Name == name })]
		hosts = append(hosts, n.HostsAt(netlab.Sites[i], netlab.Link{}, netlab.Link{}, false)...)
	}
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	hosts = append(hosts, netlab.Host{Name: "server", Addr: a, More: []netip.Addr{b}})
	l, err := netlab.New(netlab.Config{Hosts: hosts, Delay: 5 * time.Millisecond, Hops: 12})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	at := func(host string) launch {
		return launch{wrap: func(name string, args ...string) *exec.Cmd { return l.Command(host, name, args...) }}
	}
	dir := t.TempDir()
	content := make([]byte, 6<<20+5)
	rand.NewChaCha8([32]byte{5}).Read(content)
	src, sliced, saved := filepath.Join(dir, "src"), filepath.Join(dir, "sliced"), filepath.Join(dir, "saved")
	if err := os.WriteFile(src, content, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, launch{}, "slice", "-q", "--vod", src, "-o", sliced).wantExit(20*time.Second, 0)
	base(seed(t, at("server"), "--guest-rooms", "4", "--listen", "192.0.2.1:8080", "--stun-listen", "192.0.2.1:3478", "--stun-listen", "192.0.2.2:3479"))
	base(seed(t, at(netlab.Sites[0].Client), "--tracker", "http://192.0.2.1:8080/film", "--udp", "0.0.0.0:8080", sliced))
	run(t, at(netlab.Sites[1].Client), "peer", "-q", "-o", saved, "http://192.0.2.1:8080/film").wantExit(30*time.Second, 0)
	if got := read(t, saved); !bytes.Equal(got, content) {
		t.Errorf("%d bytes were saved, %d were sliced, or they differ", len(got), len(content))
	}
	r, edges := l.Report(), [2]string{netlab.Sites[0].Router, netlab.Sites[1].Client}
	if direct := r.Between(edges[0], edges[1]); direct < uint64(len(content)) {
		t.Errorf("only %d bytes went from one NAT to the other", direct)
	}
}
