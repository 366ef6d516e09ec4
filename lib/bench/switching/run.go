package switching

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A Result is one switch.
type Result struct {
	Type    string   `json:"type"` // "abr_switch"
	Cell    Cell     `json:"cell"`
	Switch  string   `json:"switch"` // --switch
	AskedMS int64    `json:"asked_ms"`
	AtMS    int64    `json:"at_ms"`
	Mode    string   `json:"mode"` // how it was made
	Frames  int      `json:"frames"`
	DipDB   float64  `json:"dip_db"`   // how much worse than the worse rendition the worst picture is
	DriftMS float64  `json:"drift_ms"` // of sound against picture
	Wall    float64  `json:"wall_s"`
	Encoder int64    `json:"encoder_cpu_ms,omitempty"` // of a bridge
	Players []string `json:"players,omitempty"`        // that played it, too
	Wrong   []string `json:"wrong,omitempty"`
	Path    string   `json:"-"`
}

// A Bench runs cells.
type Bench struct {
	Program   string // xp2p-abr
	Dir       string // where films are kept, which may be many a Bench's
	Out       string // where what comes out is written, which is its own; "" is Dir
	MPEGTS    string // a file with mpegts.js, which plays FLV in browsers; "" is none
	known     map[string][]float64
	lossless  [][]byte // of the source that was held against last
	source    string   // its file
	times     map[string][2]packets
	browser   *browser
	noBrowser bool
}

// originals are the pictures of a source.
func (b *Bench) originals(ctx context.Context, source string) (err error) {
	if b.source != source {
		b.source = source
		b.lossless, err = all(ctx, source)
	}
	return err
}

// like is the likeness of a rendition of the source, each file once: for each picture of
// the source, or the one before it if there is none.
func (b *Bench) like(ctx context.Context, path string, half bool) ([]float64, error) {
	if l, ok := b.known[path]; ok {
		return l, nil
	}
	step := 1
	if half {
		step = 2
	}
	var which []int
	for i := 0; i < len(b.lossless); i += step {
		which = append(which, i)
	}
	is, _, err := likeness(ctx, b.lossless, which, path)
	if err != nil {
		return nil, err
	}
	if len(is) != len(which) {
		return nil, fmt.Errorf("%s: %d pictures of %d", path, len(is), len(which))
	}
	var l []float64
	for i := range b.lossless {
		l = append(l, is[i/step])
	}
	if b.known == nil {
		b.known = map[string][]float64{}
	}
	b.known[path] = l
	return l, nil
}

// timing is probe, each file once.
func (b *Bench) timing(ctx context.Context, path string) ([2]packets, error) {
	if p, ok := b.times[path]; ok {
		return p, nil
	}
	p, err := probe(ctx, path)
	if b.times == nil {
		b.times = map[string][2]packets{}
	}
	b.times[path] = p
	return p, err
}

// Moments are n random ones at which a cell is switched, in milliseconds.
func Moments(c Cell, n int, seed uint64) (all []int64) {
	r := rand.New(rand.NewPCG(seed, uint64(len(c.String()))))
	last := 8.0 // the last IDR of all cells, less some
	if !c.Aligned {
		last -= phase * float64(c.GOP)
	}
	for range n {
		all = append(all, int64(1000+r.Float64()*(last-1.5)*1000))
	}
	return all
}

// Run switches once and holds the outcome against the source.
func (b *Bench) Run(ctx context.Context, c Cell, at int64, mode string) (r Result, err error) {
	r = Result{Type: "abr_switch", Cell: c, Switch: mode, AskedMS: at}
	old, err := rendition(ctx, b.Dir, c, !c.Up, false)
	if err != nil {
		return r, err
	}
	fresh, err := rendition(ctx, b.Dir, c, c.Up, true)
	if err != nil {
		return r, err
	}
	source, err := original(ctx, b.Dir, c.FPS)
	if err != nil {
		return r, err
	}
	out := b.Out
	if out == "" {
		out = b.Dir
	}
	r.Path = filepath.Join(out, fmt.Sprintf("out%s", filepath.Ext(old)))
	events := filepath.Join(out, "events.jsonl")
	cmd := exec.CommandContext(ctx, b.Program, "old="+old, "new="+fresh, "--plan", fmt.Sprintf("at=%dms:new", at), "--switch", mode,
		"--events", events, "-o", r.Path)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		r.Wrong = append(r.Wrong, fmt.Sprintf("xp2p-abr: %v: %s", err, tail(errs.String())))
	}
	r.Wall = time.Since(begin).Seconds()
	if err := r.readEvents(events); err != nil {
		return r, err
	}
	which, err := b.hold(ctx, &r, source, old)
	if err != nil {
		return r, err
	}
	return r, b.pictures(ctx, &r, source, old, fresh, which)
}

func (r *Result) fail(format string, args ...any) {
	r.Wrong = append(r.Wrong, fmt.Sprintf(format, args...))
}

func (r *Result) readEvents(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	n := 0
	for s := bufio.NewScanner(f); s.Scan(); n++ {
		var e struct {
			Asked int64  `json:"asked_ms"`
			At    int64  `json:"at_ms"`
			Mode  string `json:"mode"`
			Type  string `json:"type"`
			CPU   int64  `json:"cpu_ms"`
		}
		if err := json.Unmarshal(s.Bytes(), &e); err != nil {
			return err
		}
		if e.Type == "bridge" {
			r.Encoder = e.CPU
			n--
			continue
		}
		r.AtMS, r.Mode = e.At, e.Mode
	}
	if n != 1 {
		r.fail("%d switches, want 1", n)
	}
	if r.Switch == "now" && n == 1 && max(r.AtMS-r.AskedMS, r.AskedMS-r.AtMS) > 100 {
		r.fail("it comes %d ms from the asked moment", r.AtMS-r.AskedMS)
	}
	return nil
}

// hold compares the times of pictures and sound. It returns which pictures of the
// source there should be.
func (b *Bench) hold(ctx context.Context, r *Result, source, old string) (which []int, err error) {
	wanted, err := b.timing(ctx, source)
	if err != nil {
		return nil, err
	}
	was, err := b.timing(ctx, old)
	if err != nil {
		return nil, err
	}
	is, err := probe(ctx, r.Path)
	if err != nil {
		return nil, err
	}
	var want []float64
	for i, at := range slices.Sorted(slices.Values(wanted[0].pts)) {
		fresh := 1000*(at-wanted[0].pts[0]) > float64(r.AtMS)-2 && r.Mode != ""
		if i%2 == 0 || !r.Cell.halved(r.Cell.Up == fresh) {
			want, which = append(want, at), append(which, i)
		}
	}
	got, sound, heard := is[0], was[1], is[1]
	r.Frames = len(got.pts)
	for _, p := range []packets{got, heard} {
		for i := 1; i < len(p.dts); i++ {
			if p.dts[i] <= p.dts[i-1] {
				r.fail("DTS %.3f behind %.3f", p.dts[i], p.dts[i-1])
				break
			}
		}
	}
	v := holdTimes("pictures", got.pts, want, &r.Wrong)
	a := holdTimes("sound", heard.pts, sound.pts, &r.Wrong)
	r.DriftMS = math.Round(1e4*((v.most-v.least)+(a.most-a.least))) / 10
	// Timescales round: FLV's and the 1 kHz one's by half a millisecond either way.
	if r.DriftMS > 1.05 {
		r.fail("sound and picture move by %.1f ms against each other", r.DriftMS)
	}
	return which, nil
}

func (b *Bench) pictures(ctx context.Context, r *Result, source, old, fresh string, which []int) error {
	if err := b.originals(ctx, source); err != nil {
		return err
	}
	was, err := b.like(ctx, old, r.Cell.halved(!r.Cell.Up))
	if err != nil {
		return err
	}
	will, err := b.like(ctx, fresh, r.Cell.halved(r.Cell.Up))
	if err != nil {
		return err
	}
	is, say, err := likeness(ctx, b.lossless, which, r.Path)
	if err != nil {
		return err
	}
	// ffmpeg may say of a second moov that it skips it.
	moov := false
	for line := range strings.Lines(say) {
		line = strings.TrimSpace(line)
		if known := strings.Contains(line, "duplicated MOOV") || moov && strings.HasPrefix(line, "Last message repeated"); line != "" && !known {
			r.fail("ffmpeg says: %s", line)
			break
		}
		moov = true
	}
	if len(is) != len(which) {
		r.fail("%d pictures come out of the decoder, of the source there are %d", len(is), len(which))
	}
	r.DipDB = -99
	for n, i := range which[:min(len(is), len(which))] {
		if d := min(was[i], will[i]) - is[n]; d > r.DipDB {
			r.DipDB = math.Round(d*100) / 100
			if d > 1 {
				r.fail("picture %d has %.1f dB, the renditions %.1f and %.1f", i, is[n], was[i], will[i])
			}
		}
	}
	return nil
}
