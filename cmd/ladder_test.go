package cmd_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/netlab"
)

// A turn is a line of --stats about a switch.
type turn struct {
	Type   string    `json:"type"`
	From   string    `json:"from"`
	To     string    `json:"to"`
	At     int64     `json:"at_ms"`
	Time   time.Time `json:"time"`
	Reason string    `json:"reason"`
	Bytes  int64     `json:"first_second_bytes"`
	Peers  int64     `json:"first_second_peer_bytes"`
}

func turns(t testing.TB, file string) (list []turn) {
	t.Helper()
	text, _ := os.ReadFile(file) // there is none before the first line
	for _, line := range bytes.Split(text, []byte("\n")) {
		var x turn
		if json.Unmarshal(line, &x) == nil && x.Type == "switch" {
			list = append(list, x)
		}
	}
	return list
}

// A viewer whose link goes from 8 to 1.5 Mbit/s and back watches on without a
// stall: it goes down before its buffer is empty, and up again within ten
// seconds, once each; and other viewers bring it the new rendition.
func TestALadderFollowsTheLink(t *testing.T) {
	if os.Getenv("XP2P_LADDER") == "" {
		t.Skip("takes a minute of real time: XP2P_LADDER=1 runs it")
	}
	if err := netlab.Available(); err != nil {
		t.Skip(err)
	}
	fast, slow := netlab.Link{Rate: 8 * netlab.Mbps}, netlab.Link{Rate: 1500 * netlab.Kbps}
	lab, err := netlab.New(netlab.Config{
		Hosts:    []netlab.Host{{Name: "seed"}, {Name: "others"}, {Name: "viewer", Up: fast, Down: fast}},
		Delay:    10 * time.Millisecond,
		Realtime: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer lab.Close()
	at := func(host string) launch {
		return launch{wrap: func(name string, args ...string) *exec.Cmd { return lab.Command(host, name, args...) }}
	}
	high, low := clip{seconds: 60, gop: 50, rate: "2800k"}, clip{seconds: 60, gop: 50, rate: "700k"}
	l := renditions(t, at("seed"), high.live(t, asFLV), low.live(t, asFLV), "--listen", lab.Addr("seed").String()+":8080")
	url := base(l.seed) + "/" + room
	for _, name := range []string{"720p", "360p"} {
		for range 2 {
			run(t, at("others"), "peer", "-q", "--listen", lab.Addr("others").String()+":0", "--rendition", name, url)
		}
	}
	l.high.grow(t, 20*time.Second, 2_800_000)
	stats := filepath.Join(t.TempDir(), "stats")
	v := run(t, at("viewer"), "peer", "-v", "--abr", "--listen", lab.Addr("viewer").String()+":0", "--stats", stats, url)
	wait := func(d time.Duration) { // of the link as it is
		select {
		case <-time.After(d):
		case <-v.ended:
			t.Fatal("the viewer has left")
		}
	}
	until(t, 15*time.Second, "the viewer has gone up", func() bool { return len(turns(t, stats)) == 1 })
	wait(4 * time.Second)
	lab.SetLinks("viewer", slow, slow)
	down := time.Now()
	wait(14 * time.Second)
	lab.SetLinks("viewer", fast, fast)
	up := time.Now()
	wait(14 * time.Second)
	v.signal(os.Interrupt)
	v.exit(5 * time.Second)

	all := turns(t, stats)
	t.Logf("%+v", all)
	if len(all) != 3 || all[1].To != "360p" || all[2].To != "720p" {
		t.Fatalf("%d switches", len(all))
	}
	for _, x := range all[1:] {
		share := float64(x.Peers) / float64(x.Bytes)
		t.Logf("to %s: at %d ms of the stream, %v after the link went down, %v after it came back; %.0f %% of the first second from viewers",
			x.To, x.At, x.Time.Sub(down), x.Time.Sub(up), 100*share)
		if share < 0.7 {
			t.Errorf("to %s: %d of %d bytes of the first second came from other viewers", x.To, x.Peers, x.Bytes)
		}
	}
	if d := all[2].Time.Sub(up); d > 10*time.Second {
		t.Errorf("up again only after %v", d)
	}
	stalled, shown := time.Duration(0), time.Time{}
	var before int64
	for i, x := range pictures(t, v.out.bytes()) {
		came, _ := v.out.arrived(x.end - 1)
		if i == 0 {
			shown = came.Add(time.Second)
		} else {
			shown = shown.Add(time.Duration(x.dts-before) * time.Millisecond)
		}
		before = x.dts
		if late := came.Sub(shown); late > 0 {
			stalled += late
			shown = came
		}
	}
	if t.Logf("stalled for %v", stalled); stalled > 0 {
		t.Errorf("the picture stood for %v", stalled)
	}
	file := filepath.Join(t.TempDir(), "out.flv")
	if err := os.WriteFile(file, v.out.bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if said := decoderSays(t, file); said != "" {
		t.Errorf("ffmpeg says:\n%s", last(said, 600))
	}
	if t.Failed() {
		t.Logf("%s", v.errs.String())
	}
}
