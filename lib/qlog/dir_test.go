package qlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/simnet"
	"github.com/xp2p/xp2p/lib/xntp"
)

// A talker is an endpoint in a virtual network whose traces are written.
type talker struct {
	*xntp.Endpoint
	p    *simnet.Process
	dir  *Dir
	conn xntp.ConnID
}

func newTalker(t *testing.T, w *simnet.World, dir, name, addr string, l simnet.Link) *talker {
	t.Helper()
	seed := [32]byte{}
	copy(seed[:], name)
	entropy := rand.NewChaCha8(seed)
	key, err := xntp.GenerateKey(entropy)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	x := &talker{dir: d}
	x.Endpoint = xntp.New(xntp.Config{Key: key, Rand: rand.New(rand.NewPCG(1, 2)), Entropy: entropy, Trace: 1000, KeyLife: 150})
	h := w.AddHost(simnet.HostConfig{Addr: netip.MustParseAddr(addr), Up: l})
	x.p = h.Run(x.Endpoint, 4000, func(time.Time) {
		for {
			ev, ok := x.NextEvent()
			if !ok {
				break
			}
			if ev.Kind == xntp.EventConnected {
				x.conn = ev.Conn
			}
		}
		for {
			r, ok := x.NextTrace()
			if !ok {
				break
			}
			d.Write(r)
		}
	})
	return x
}

// A record is an event as a reader sees it.
type record struct {
	Time float64
	Name string
	Data struct {
		Header struct {
			Type   string `json:"packet_type"`
			Number uint64 `json:"packet_number"`
		}
		Raw    struct{ Length int }
		Frames []struct {
			Type   string     `json:"frame_type"`
			Acked  [][]uint64 `json:"acked_ranges"`
			ID     uint64     `json:"stream_id"`
			Offset uint64
			Length int
		}
		SRTT float64 `json:"smoothed_rtt"`
		Cwnd int     `json:"congestion_window"`
	}
}

// read reads a file as qvis does: JSON texts behind record separators.
func read(t *testing.T, path string) (h header, records []record) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range bytes.Split(b, []byte{0x1e}) {
		switch {
		case i == 0:
			if len(text) != 0 {
				t.Errorf("%s begins with %q", path, text)
			}
			continue
		case !bytes.HasSuffix(text, []byte("\n")) || bytes.Count(text, []byte("\n")) != 1:
			t.Fatalf("%s: record %d is %q", path, i, text)
		case i == 1:
			if err := json.Unmarshal(text, &h); err != nil {
				t.Fatal(err)
			}
			continue
		}
		var r record
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatalf("%s: %v in %q", path, err, text)
		}
		records = append(records, r)
	}
	return h, records
}

func TestATransferCanBeReadFromBothEndsFiles(t *testing.T) {
	dir := t.TempDir()
	w := simnet.New(1)
	l := simnet.Link{Rate: 5 * simnet.Mbps, Delay: 20 * time.Millisecond, Loss: 0.02}
	a, b := newTalker(t, w, dir, "viewer", "192.0.2.1", l), newTalker(t, w, dir, "seed", "192.0.2.2", l)
	a.p.Do(func(now time.Time) {
		if _, err := a.Dial(now, xntp.DialOptions{Remote: b.Public(), Addr: b.p.Addr(0)}); err != nil {
			t.Fatal(err)
		}
	})
	w.RunFor(time.Second)
	for range 30 {
		b.p.Do(func(now time.Time) {
			if _, err := b.Send(now, b.conn, xntp.Object{Data: [][]byte{make([]byte, 16384)}}); err != nil {
				t.Error(err)
			}
		})
		w.RunFor(100 * time.Millisecond)
	}
	a.p.Host().SetAddr(netip.MustParseAddr("198.51.100.1"))
	a.p.Do(func(now time.Time) { a.Probe(now) })
	w.RunFor(time.Second)
	stats, _ := b.Stats(b.conn)
	a.p.Do(func(now time.Time) { a.Close(now, a.conn, 7) })
	w.RunFor(5 * time.Second)
	for _, x := range []*talker{a, b} {
		if err := x.dir.Close(); err != nil || len(x.dir.files) != 0 {
			t.Error(err)
		}
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(files) != 2 || !strings.HasSuffix(files[0], "_client.sqlog") || !strings.HasSuffix(files[1], "_server.sqlog") ||
		filepath.Base(files[0])[:8] != filepath.Base(files[1])[:8] {
		t.Fatalf("files %v", files)
	}
	count := map[string]map[string]int{}
	sent, bytes, parts := map[string]map[string]int{}, 0, map[string]bool{}
	for i, path := range files {
		side := []string{"client", "server"}[i]
		h, records := read(t, path)
		if h.Version != "0.3" || h.Format != "JSON-SEQ" || h.Trace.Vantage.Type != side || h.Trace.Common.TimeFormat != "relative" ||
			h.Trace.Common.ODCID != filepath.Base(path)[:8] ||
			h.Trace.Common.ReferenceTime < float64(simnet.Epoch.UnixMilli()) || h.Trace.Common.ReferenceTime > float64(simnet.Epoch.UnixMilli())+100 {
			t.Errorf("%s: %+v", side, h)
		}
		count[side], sent[side] = map[string]int{}, map[string]int{}
		last := 0.0
		for _, r := range records {
			if r.Time < last {
				t.Errorf("%s: %v at %v after %v", side, r.Name, r.Time, last)
			}
			last = r.Time
			count[side][r.Name]++
			switch r.Name {
			case "transport:packet_sent":
				sent[side][fmt.Sprint(r.Data.Header.Type, r.Data.Header.Number)] = r.Data.Raw.Length
				if side == "server" && r.Data.Header.Type == "1RTT" {
					bytes += r.Data.Raw.Length
				}
				for _, f := range r.Data.Frames {
					if f.Type == "stream" && side == "server" {
						parts[fmt.Sprint(f.ID, f.Offset, f.Length)] = true
					}
				}
			case "recovery:metrics_updated":
				if r.Data.SRTT < 40 || r.Data.SRTT > 500 || r.Data.Cwnd < 2400 {
					t.Errorf("%s: srtt %v ms, window %d", side, r.Data.SRTT, r.Data.Cwnd)
				}
			}
		}
	}
	// What one end received, the other had sent, byte for byte as large.
	for i, path := range files {
		other := []string{"server", "client"}[i]
		_, records := read(t, path)
		for _, r := range records {
			if r.Name != "transport:packet_received" {
				continue
			}
			if n, ok := sent[other][fmt.Sprint(r.Data.Header.Type, r.Data.Header.Number)]; !ok || n != r.Data.Raw.Length {
				t.Errorf("a packet %+v of %d bytes came, and %d were sent", r.Data.Header, r.Data.Raw.Length, n)
			}
			for _, f := range r.Data.Frames {
				if f.Type == "stream" && other == "server" && !parts[fmt.Sprint(f.ID, f.Offset, f.Length)] {
					t.Errorf("a part %+v came that was not sent", f)
				}
			}
		}
	}
	c, s := count["client"], count["server"]
	if int64(s["transport:packet_sent"]) < stats.SentPackets || int64(bytes) < stats.ObjectBytes || int64(s["recovery:packet_lost"]) < stats.LostPackets/2 {
		t.Errorf("the server's file has %v, its statistics %+v", s, stats)
	}
	for _, name := range []string{"connectivity:connection_started", "connectivity:connection_state_updated", "connectivity:connection_closed"} {
		if c[name] != 1 || s[name] != 1 {
			t.Errorf("%s: %d and %d times", name, c[name], s[name])
		}
	}
	if s["connectivity:migration_state_updated"] != 1 || c["recovery:packet_recovered"] == 0 || s["security:key_updated"] == 0 || s["security:key_updated"] != c["security:key_updated"] || s["recovery:mtu_updated"] == 0 {
		t.Errorf("client %v, server %v", c, s)
	}
}

func TestADirectoryThatCannotBeIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, "x"); err == nil {
		t.Error("a file was taken for a directory")
	}
	d, err := Open(filepath.Join(path+"s", "deep"), "x")
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxFiles + 10 {
		d.Write(xntp.Trace{Kind: xntp.TraceStarted, Conn: xntp.ConnID(i), CID: [4]byte{byte(i), byte(i >> 8)}})
		d.Write(xntp.Trace{Kind: xntp.TraceMTU, Conn: xntp.ConnID(i), Missed: 3})
	}
	if len(d.files) != maxFiles {
		t.Errorf("%d files are open", len(d.files))
	}
	os.RemoveAll(d.dir)
	d.Write(xntp.Trace{Kind: xntp.TraceGone, Conn: 0})
	d.Write(xntp.Trace{Kind: xntp.TraceStarted, Conn: 1000})
	if err := d.Close(); err == nil {
		t.Error("a directory that is gone is no error")
	}
}
