package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/xp2p/xp2p/lib/netlab"
)

// A show is a broadcast in real time and those who watch it.
type show struct {
	sc       *Scenario
	seed     uint64
	topology string
	opt      RealOptions
	tools    tools
	reel     *reel
	place    place
	dir      string
	viewers  []Viewer
	ctx      context.Context

	began    time.Time // the clock's zero: the first frame is due
	wrote    []time.Duration
	slice    *process
	server   *process
	url      string // of the seed
	baseline *watcher
	watchers []*watcher // in the viewers' order
	left     sync.WaitGroup

	busy      busyness
	busyRatio float64
	stolen    float64
	emulated  *netlab.Report // nil where nothing is
}

// realRoom is what the room is called.
const realRoom = "bench"

// play runs the show to its end.
func (s *show) play() error {
	in, err := s.open()
	if err != nil {
		return err
	}
	defer in.Close()
	for i, v := range s.viewers {
		s.watchers = append(s.watchers, &watcher{show: s, Viewer: v, name: "viewer " + strconv.Itoa(i), host: strconv.Itoa(i)})
	}
	crowd, gone := context.WithCancel(s.ctx)
	defer gone()
	s.busy = readBusyness()
	s.began = time.Now()
	if !s.opt.Plain {
		stays := Viewer{StayS: s.reel.length.Seconds()}
		s.baseline = &watcher{show: s, Viewer: stays, name: "baseline", host: seedHost, originOnly: true}
		s.left.Go(func() { s.baseline.attend(crowd) })
	}
	for _, w := range s.watchers {
		s.left.Go(func() { w.attend(crowd) })
	}
	for i, e := range s.sc.Events {
		s.left.Go(func() { s.leave(crowd, i, e) })
	}
	if err := s.roll(in); err != nil {
		return err
	}
	s.busyRatio, s.stolen = s.busy.since()
	s.weigh()
	in.Close()
	// The last pieces are on their way.
	late := time.AfterFunc(grace, gone)
	defer late.Stop()
	s.left.Wait()
	s.emulated = s.place.report()
	await(s.ctx, endWithin, func() bool { return !s.server.running() })
	return context.Cause(s.ctx)
}

// open starts xp2p-slice | xp2p-seed and shows them the first frame, so that the
// room opens. What is written to in is broadcast.
func (s *show) open() (in *os.File, err error) {
	ready := filepath.Join(s.dir, "ready")
	mediaOut, mediaIn, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	slicesOut, slicesIn, err := os.Pipe()
	if err != nil {
		mediaOut.Close()
		mediaIn.Close()
		return nil, err
	}
	defer func() {
		for _, f := range []*os.File{mediaOut, slicesIn, slicesOut} {
			f.Close()
		}
		if err != nil {
			mediaIn.Close()
		}
	}()
	port := uint16(0)
	if s.opt.Place == PlaceNetns {
		port = 8080
	}
	args := []string{"-q", "--room", realRoom, "--topology", s.topology, "--listen", netip.AddrPortFrom(s.place.addr(seedHost), port).String(),
		"--linger", grace.String(), "--ready-file", ready}
	if r := serverRate(s.sc); r > 0 && !s.opt.Plain {
		// What the baseline takes does not leave the host.
		args = append(args, "--uplink", strconv.FormatInt(r+streamRate(s.sc), 10))
	}
	s.slice = &process{name: "xp2p-slice", cmd: s.place.command(s.ctx, seedHost, s.tools.slice, "-q")}
	s.slice.cmd.Stdin, s.slice.cmd.Stdout = mediaOut, slicesIn
	s.server = &process{name: "xp2p-seed", cmd: s.place.command(s.ctx, seedHost, s.tools.seed, args...)}
	s.server.cmd.Stdin = slicesOut
	if err := s.slice.start(nil); err != nil {
		return nil, err
	}
	if err := s.server.start(nil); err != nil {
		return nil, err
	}
	if _, err := mediaIn.Write(s.reel.frame(0)); err != nil {
		return nil, fmt.Errorf("xp2p-slice does not take the broadcast: %w", err)
	}
	s.wrote = append(s.wrote, 0)
	if !await(s.ctx, readyWithin, func() bool {
		b, err := os.ReadFile(ready)
		s.url = strings.TrimSpace(string(b))
		return err == nil && strings.HasSuffix(string(b), "\n") || !s.server.running()
	}) || s.url == "" {
		if err := context.Cause(s.ctx); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("xp2p-seed has not opened the room within %v: %s %s", readyWithin, s.server.said.String(), s.slice.said.String())
	}
	return mediaIn, nil
}

// roll writes every frame when it is due.
func (s *show) roll(in *os.File) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := 1; i < len(s.reel.frames); i++ {
		timer.Reset(time.Until(s.began.Add(s.reel.due(i))))
		select {
		case <-timer.C:
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		}
		s.wrote = append(s.wrote, time.Since(s.began))
		if _, err := in.Write(s.reel.frame(i)); err != nil {
			return fmt.Errorf("xp2p-slice | xp2p-seed broke off at frame %d: %w: %s %s", i, err, s.slice.said.String(), s.server.said.String())
		}
	}
	return nil
}

// weigh notes how much memory everybody has had, while they are still there.
func (s *show) weigh() {
	s.server.rss = peakRSS(s.server.cmd.Process.Pid)
	for _, w := range s.watchers {
		if p := w.process(); p != nil {
			p.rss = peakRSS(p.cmd.Process.Pid)
		}
	}
}

// leave has a part of those who are there leave at once.
func (s *show) leave(ctx context.Context, nth int, e Event) {
	if !s.sleepUntil(ctx, e.AtS) {
		return
	}
	r := rand.New(rand.NewPCG(s.seed, uint64(1<<32+nth)))
	for _, w := range s.watchers {
		if r.Float64() < e.Ratio {
			w.depart()
		}
	}
}

// sleepUntil waits for a moment of the broadcast, in seconds.
func (s *show) sleepUntil(ctx context.Context, at float64) bool {
	t := time.NewTimer(time.Until(s.began.Add(time.Duration(at * float64(time.Second)))))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// wait waits for the end of every process, which the context's end has killed.
func (s *show) wait() {
	s.left.Wait()
	for _, p := range []*process{s.slice, s.server} {
		if p != nil && p.ended != nil {
			<-p.ended
		}
	}
}
