package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/netlab"
	"github.com/xp2p/xp2p/lib/tool"
)

const (
	matrixSeconds = 14      // of the stream
	matrixRate    = 800_000 // bit/s
	matrixJoin    = 2 * time.Second
	matrixApart   = 500 * time.Millisecond // between the two viewers
)

// A pairResult is what came of two viewers.
type pairResult struct {
	Type string `json:"type"` // "natlab-pair"
	A    string `json:"a"`
	B    string `json:"b"`
	Best string `json:"best"` // that the matrix says
	Run  int    `json:"run"`
	Good bool   `json:"good"`
	Why  string `json:"why,omitempty"` // it is not good
	// Of A, then of B.
	Exact       [2]bool    `json:"exact"` // every byte, none twice
	Path        [2]string  `json:"path"`  // to the other, as /stat says
	ConnectMS   [2]float64 `json:"connect_ms"`
	FirstByteMS [2]float64 `json:"first_byte_ms"` // since the program began
	PeerBytes   [2]int64   `json:"peer_bytes"`
	ServerBytes [2]int64   `json:"server_bytes"` // of seed and origin
	RelayBytes  [2]int64   `json:"relay_bytes"`
	StalledMS   [2]int64   `json:"stalled_ms"`
	WireBytes   int64      `json:"wire_bytes"` // from one network to the other, both ways
	Late        string     `json:"untrusted,omitempty"`
}

// isDirect reports whether a path leads from one network to the other.
func isDirect(path string) bool {
	switch path {
	case nat.Direct.String(), nat.Predicted.String(), nat.Birthday.String(), nat.OverTCP.String():
		return true
	}
	return false
}

// matrix lets two viewers of every pair of networks watch a stream together.
func (o *natlabOptions) matrix(ctx context.Context, t *tool.IO) error {
	pairs, err := labPairs(o.pairs)
	if err != nil {
		return err
	}
	clip := labClip(matrixSeconds, matrixRate, 7)
	const row = "%-9s %-9s %-9s %14s %14s %16s %16s %12s  %s"
	if err := o.head(t, fmt.Sprintf(row, "pair", "at best", "path", "connected, ms", "first byte, ms", "of peers, kB", "of servers, kB", "between, kB", "")); err != nil {
		return err
	}
	sum := newSummary("matrix", len(pairs)*o.runs)
	due := 4*o.rtt + 150*time.Millisecond
	err = eachLab(ctx, o.jobs, sum.Runs, func(ctx context.Context, i int) (*pairResult, error) {
		p := pairs[i/o.runs]
		r, err := o.watch(ctx, p, i%o.runs, clip)
		if err != nil && ctx.Err() == nil {
			r = &pairResult{Type: "natlab-pair", A: p.nets[0].Name, B: p.nets[1].Name, Best: p.best().String(), Run: i % o.runs}
			r.fault(err.Error())
			err = nil
		}
		return r, err
	}, func(i int, r *pairResult) error {
		sum.count(r.Good, isDirect(r.Path[0]))
		path := or(r.Path[0])
		if r.Path[1] != r.Path[0] {
			path += ", " + or(r.Path[1])
		}
		two := func(a, b int64) string { return fmt.Sprintf("%d, %d", a, b) }
		return o.say(t, r, fmt.Sprintf(row, pairs[i/o.runs], r.Best, path, two(int64(r.ConnectMS[0]), int64(r.ConnectMS[1])), two(int64(r.FirstByteMS[0]), int64(r.FirstByteMS[1])),
			two(r.PeerBytes[0]/1000, r.PeerBytes[1]/1000), two(r.ServerBytes[0]/1000, r.ServerBytes[1]/1000), fmt.Sprint(r.WireBytes/1000), wordOf(r.Good, r.Why, r.Late)))
	})
	return sum.end(o, t, err, fmt.Sprintf("%d of %d done in %.0f s, %d good, %d connected without a relay; a first byte is due %d ms after the start: two round trips until the tracker has answered, two more, and 150 ms",
		sum.Done, sum.Runs, time.Since(sum.began).Seconds(), sum.Good, sum.Direct, due.Milliseconds()))
}

// wordOf is the end of a line.
func wordOf(good bool, why, late string) string {
	word := "good"
	if !good {
		word = "NOT GOOD: " + why
	}
	if late != "" {
		word += " (times are not to be believed: " + late + ")"
	}
	return word
}

func or(path string) string {
	if path == "" {
		return "none"
	}
	return path
}

// watch lets two viewers watch together once.
func (o *natlabOptions) watch(ctx context.Context, p labPair, run int, clip []byte) (*pairResult, error) {
	m, err := o.meet(ctx, p.nets, uint64(run))
	if err != nil {
		return nil, err
	}
	defer m.close()
	r := &pairResult{Type: "natlab-pair", A: p.nets[0].Name, B: p.nets[1].Name, Best: p.best().String(), Run: run}
	media, slicerIn := io.Pipe()
	slices, slicerOut, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer slices.Close()
	_, err = m.start("server", media, slicerOut, "xp2p-slice", "-q")
	slicerOut.Close()
	if err != nil {
		return nil, err
	}
	if _, err := m.start("server", slices, nil, "xp2p-seed", m.serverArgs("--room", "match")...); err != nil {
		return nil, err
	}
	played := make(chan error, 1)
	began := time.Now()
	go func() {
		played <- play(m.ctx, clip, slicerIn)
		slicerIn.Close()
	}()
	defer media.Close()
	if _, err := m.file("ready"); err != nil {
		return nil, err
	}
	var viewers [2]*running
	var sinks [2]*sink
	for i := range viewers {
		select {
		case <-time.After(time.Until(began.Add(matrixJoin + time.Duration(i)*matrixApart))):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		sinks[i] = newSink()
		args := append([]string{"-q", "--stats", filepath.Join(m.dir, fmt.Sprint("stats", i))}, o.peerArgs...)
		if viewers[i], err = m.viewer(netlab.Sites[i].Client, sinks[i], args); err != nil {
			return nil, err
		}
	}
	if err := <-played; err != nil {
		return nil, err
	}
	r.Good = true
	for i, v := range viewers {
		if err := v.wait(ctx, 15*time.Second); err != nil {
			r.fault(fmt.Sprintf("%c: %v", 'A'+i, err))
		}
		c, other := m.readStats(fmt.Sprint("stats", i))
		r.Exact[i] = exact(sinks[i].bytes(), clip)
		r.Path[i], r.ConnectMS[i], r.FirstByteMS[i] = other.path, other.connectMS, float64(sinks[i].first.Microseconds())/1000
		r.PeerBytes[i], r.ServerBytes[i], r.RelayBytes[i], r.StalledMS[i] = c.PeerBytes, c.SeedBytes+c.OriginBytes, c.RelayBytes, c.StalledMS
	}
	r.WireBytes = m.between(p.nets)
	r.judge(p.best(), 4*o.rtt+150*time.Millisecond)
	if err := m.lab.Report().Trusted(); err != nil {
		r.Late = err.Error()
	}
	if !r.Good && m.words() != "" {
		r.fault(m.words())
	}
	return r, nil
}

// viewer starts one, who finds out about its NAT or is told.
func (m *meeting) viewer(host string, out io.Writer, args []string) (*running, error) {
	url := "http://" + labServers[0].String() + ":8080/match"
	if !m.o.told {
		return m.start(host, nil, out, "xp2p-peer", append(args, url)...)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	_, err = m.start(host, nil, w, "xp2p-natprobe", "--json", url)
	w.Close()
	if err != nil {
		return nil, err
	}
	return m.start(host, r, out, "xp2p-peer", append(args, "--nat", "-", url)...)
}

func (r *pairResult) fault(why string) {
	r.Good = false
	if r.Why != "" {
		r.Why += "; "
	}
	r.Why += why
}

// judge says what is not as it should be.
func (r *pairResult) judge(best nat.Way, due time.Duration) {
	for i := range r.Exact {
		if !r.Exact[i] {
			r.fault(fmt.Sprintf("%c's bytes are not the stream's", 'A'+i))
		}
		if r.FirstByteMS[i] > float64(due.Milliseconds()) {
			r.fault(fmt.Sprintf("%c's first byte after %.0f ms", 'A'+i, r.FirstByteMS[i]))
		}
		if best != nat.Relayed && !isDirect(r.Path[i]) {
			r.fault(fmt.Sprintf("%c found no direct way", 'A'+i))
		}
	}
	// The wire's word: headers and acknowledgements come on top of what peers gave,
	// and of those who do not meet, no more than their attempts.
	given := r.PeerBytes[0] + r.PeerBytes[1]
	switch {
	case isDirect(r.Path[0]) && r.WireBytes < given:
		r.fault(fmt.Sprintf("peers gave %d bytes, and only %d went from one to the other", given, r.WireBytes))
	case isDirect(r.Path[0]) && given == 0:
		r.fault("they are connected, and gave each other nothing")
	case !isDirect(r.Path[0]) && r.WireBytes > maxAttempts:
		r.fault(fmt.Sprintf("%d bytes went from one to the other, and they are not connected", r.WireBytes))
	}
}

// maxAttempts bounds what two send each other who find no way: 1024 probes each of
// which 100 bytes, a few times.
const maxAttempts = 600_000
