package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/netlab"
	"github.com/xp2p/xp2p/lib/tool"
)

// A homeResult is what came of a file that one passed to another.
type homeResult struct {
	Type      string  `json:"type"` // "natlab-home"
	A         string  `json:"a"`    // has the file
	B         string  `json:"b"`    // fetches it
	Best      string  `json:"best"`
	Good      bool    `json:"good"`
	Why       string  `json:"why,omitempty"`
	Bytes     int64   `json:"bytes"`
	Resumed   int64   `json:"resumed_at_bytes"` // what was there when it was killed
	RateBPS   float64 `json:"rate_bps"`
	WireBytes int64   `json:"wire_bytes"` // from one network to the other, both ways
}

func (r *homeResult) fault(why string) {
	r.Good = false
	if r.Why != "" {
		r.Why += "; "
	}
	r.Why += why
}

// home passes a file between the two networks of every pair.
func (o *natlabOptions) home(ctx context.Context, t *tool.IO) error {
	pairs, err := labPairs(o.pairs)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "natlab-file")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	hash, err := o.recording(ctx, dir)
	if err != nil {
		return err
	}
	const row = "%-9s %-9s %10s %14s %8s %12s  %s"
	if err := o.head(t, fmt.Sprintf(row, "from/to", "at best", "file, MB", "killed at, MB", "Mbit/s", "between, MB", "")); err != nil {
		return err
	}
	sum := newSummary("home", len(pairs)*o.runs)
	err = eachLab(ctx, o.jobs, sum.Runs, func(ctx context.Context, i int) (*homeResult, error) {
		p := pairs[i/o.runs]
		r, err := o.pass(ctx, p, uint64(i%o.runs), filepath.Join(dir, "film"), hash)
		if err != nil && ctx.Err() == nil {
			r = &homeResult{Type: "natlab-home", A: p.nets[0].Name, B: p.nets[1].Name, Best: p.best().String()}
			r.fault(err.Error())
			err = nil
		}
		return r, err
	}, func(i int, r *homeResult) error {
		sum.count(r.Good, r.WireBytes >= o.size)
		mb := func(n int64) string { return fmt.Sprintf("%.1f", float64(n)/1e6) }
		return o.say(t, r, fmt.Sprintf(row, pairs[i/o.runs], r.Best, mb(r.Bytes), mb(r.Resumed), fmt.Sprintf("%.0f", r.RateBPS/1e6), mb(r.WireBytes), wordOf(r.Good, r.Why, "")))
	})
	return sum.end(o, t, err, fmt.Sprintf("%d of %d done in %.0f s, %d good, %d without a relay", sum.Done, sum.Runs, time.Since(sum.began).Seconds(), sum.Good, sum.Direct))
}

// recording makes the file, and slices it; it returns its hash.
func (o *natlabOptions) recording(ctx context.Context, dir string) (sum [sha256.Size]byte, err error) {
	f, err := os.Create(filepath.Join(dir, "file"))
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err = io.CopyN(io.MultiWriter(f, h), rand.NewChaCha8([32]byte{9}), o.size); err != nil {
		return sum, err
	}
	c := exec.CommandContext(ctx, o.program("xp2p-slice"), "-q", "--vod", "-o", filepath.Join(dir, "film"), f.Name())
	if out, err := c.CombinedOutput(); err != nil {
		return sum, fmt.Errorf("xp2p-slice: %w: %s", err, out)
	}
	return [sha256.Size]byte(h.Sum(nil)), os.Remove(f.Name())
}

// pass passes the file once: it is fetched by half, the fetcher killed, and the
// rest fetched.
func (o *natlabOptions) pass(ctx context.Context, p labPair, seed uint64, film string, sum [sha256.Size]byte) (*homeResult, error) {
	m, err := o.meet(ctx, p.nets, seed)
	if err != nil {
		return nil, err
	}
	defer m.close()
	r := &homeResult{Type: "natlab-home", A: p.nets[0].Name, B: p.nets[1].Name, Best: p.best().String(), Good: true}
	if _, err := m.start("server", nil, nil, "xp2p-seed", m.serverArgs("--guest-rooms", "4")...); err != nil {
		return nil, err
	}
	if _, err := m.file("ready"); err != nil {
		return nil, err
	}
	url := "http://" + labServers[0].String() + ":8080/film"
	args := append([]string{"-q", "--tracker", url, "--listen", "127.0.0.1:8080", "--udp", "0.0.0.0:8080", "--ready-file", filepath.Join(m.dir, "announced")}, o.homeArgs...)
	if _, err := m.start(netlab.Sites[0].Client, nil, nil, "xp2p-seed", append(args, film)...); err != nil {
		return nil, err
	}
	if _, err := m.file("announced"); err != nil {
		return nil, err
	}
	file := filepath.Join(m.dir, "saved")
	began := time.Now()
	for part := range 2 {
		peer, err := m.start(netlab.Sites[1].Client, nil, nil, "xp2p-peer", append(append([]string{"-q", "-o", file}, o.peerArgs...), url)...)
		if err != nil {
			return nil, err
		}
		until := int64(-1) // its end
		if part == 0 {
			until = o.size / 2
		}
		if err := m.grow(peer, file, until); err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			r.fault(err.Error())
			break
		}
		if part == 0 {
			peer.Process.Kill()
			<-peer.ended
			r.Resumed = size(file)
		}
	}
	r.Bytes, r.RateBPS = size(file), 8*float64(size(file))/time.Since(began).Seconds()
	f, err := os.Open(file)
	if err == nil {
		h := sha256.New()
		_, err = io.Copy(h, f)
		f.Close()
		if err == nil && [sha256.Size]byte(h.Sum(nil)) != sum {
			err = errors.New("the file is not what was passed")
		}
	}
	if err != nil {
		r.fault(err.Error())
	}
	if r.Resumed >= o.size {
		r.fault("it was whole before it could be killed: a larger --size")
	}
	r.WireBytes = m.between(p.nets)
	switch direct := r.WireBytes >= o.size; {
	case direct && p.best() == nat.Relayed:
		r.fault("it went from one to the other, and the matrix says that it cannot")
	case !direct && p.best() != nat.Relayed && r.Good:
		r.fault("it did not go from one to the other")
	}
	if !r.Good && m.words() != "" {
		r.fault(m.words())
	}
	return r, nil
}

func size(file string) int64 {
	info, err := os.Stat(file)
	if err != nil {
		return 0
	}
	return info.Size()
}

// homeSilence is how long nothing may come.
const homeSilence = 40 * time.Second

// grow waits until a file has so many bytes, or with -1 until its writer has ended
// well.
func (m *meeting) grow(r *running, file string, until int64) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	last, at := size(file), time.Now()
	for {
		n := size(file)
		if n > last {
			last, at = n, time.Now()
		}
		switch {
		case until >= 0 && n >= until:
			return nil
		case time.Since(at) > homeSilence:
			r.Process.Kill()
			return fmt.Errorf("nothing came for %v at byte %d", homeSilence, n)
		}
		select {
		case <-r.ended:
			if code := r.ProcessState.ExitCode(); code != 0 {
				return fmt.Errorf("exit code %d", code)
			}
			return nil
		case <-tick.C:
		case <-m.ctx.Done():
			return context.Cause(m.ctx)
		}
	}
}
