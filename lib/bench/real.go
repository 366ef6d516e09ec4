package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// RealOptions say how real processes are run.
type RealOptions struct {
	// Bin is the directory of xp2p-slice, xp2p-seed and xp2p-peer. Empty is that
	// of the running program, or else wherever PATH finds them.
	Bin string
	// Place is where they run: PlaceLoopback (also if empty) or PlaceNetns.
	Place string
	// Plain has the viewers read /live/ROOM.flv of the same seed with curl: what
	// plain HTTP-FLV costs. There is no swarm then, and no baseline.
	Plain bool
}

// The places where real processes run.
const (
	PlaceLoopback = "loopback" // this machine's own: uplinks are what peers hold themselves to
	PlaceNetns    = "netns"    // each in a network namespace behind an emulated access link: needs root
)

// Real is what only a run of real processes has.
type Real struct {
	Place   string
	Viewers int // that were started
	Exact   int // whose output is the init and one run of the broadcast up to its end, by SHA-256
	Gaps    int // places at which an output went on later

	// CPU time of processes, from their start to their end. The seed also feeds
	// the one viewer who is the baseline.
	SliceCPU, SeedCPU, ViewerCPU time.Duration // of all viewers together
	WatchedSeconds               float64       // of all viewers together
	DeliveredBytes               int64         // that viewers put out
	PeakViewerRSS, PeakSeedRSS   int64         // bytes; 0: not known

	// Lag without a pair: from the broadcaster's writing of a piece's last byte to
	// a viewer's output of it, and the same for the baseline, which is on the seed's
	// own host. Milliseconds.
	LagP50MS, LagP95MS           int64
	BaselineP50MS, BaselineP95MS int64

	// How far this run is to be believed.
	BroadcastLateMS float64 // how late frames were written, 99th percentile
	EmulatorLateMS  float64 // how late packets were, 99th percentile; netns only
	MachineBusy     float64 // of all processors, 0 to 1; 0: not known
	MachineStolen   float64 // the same of what a virtual machine's host gave to others
	Doubts          []string
	Failures        []string // processes that did not end as they should, at most maxFailures
}

const (
	// maxFailures bounds what is told of a run in which everything goes wrong.
	maxFailures = 10
	// maxReal bounds how many processes a run starts: beyond, two cores measure
	// themselves.
	maxReal = 500
	// grace is how long viewers may take to the end of a broadcast that is over: a
	// viewer far behind has 10 s in its player's buffer at the most.
	grace = 15 * time.Second
	// readyWithin is how long the seed may take to open the room.
	readyWithin = 15 * time.Second
	// A frame later than one frame's time, or processors that never rest: what was
	// measured then is the machine.
	lateFrameMS = 1000.0 / reelFPS
	busyMachine = 0.9
)

// RunReal carries a scenario out with the real programs: xp2p-slice |
// xp2p-seed, fed in real time with a synthetic broadcast, and as many xp2p-peer
// as Draw says, whose outputs are read, timed and checked here. Everything it
// starts has ended when it returns.
//
// All times are of one clock, that of this process. Added lag is paired, piece
// by piece, with one more viewer of the same broadcast on the seed's own host,
// who takes everything from the origin (--origin-only): the difference of the
// two moments at which the piece's last byte was read. In PlaceNetns the way that
// the baseline has not is taken off: half a round trip from the server to this
// viewer, and the piece's bytes at his downlink's rate. So the baseline is that
// of an origin without bound, even where the room's servers have one. A piece
// counts if it was written after the viewer's start and the baseline's first
// byte.
//
// A scenario that asks for what cannot be had of real processes (polluters, NAT
// classes, zones, failing servers) is an error.
func RunReal(ctx context.Context, sc *Scenario, topology string, seed uint64, opt RealOptions) (*Run, error) {
	began := time.Now()
	viewers := Draw(sc, seed)
	if err := feasible(sc, len(viewers)); err != nil {
		return nil, err
	}
	tools, err := findTools(&opt)
	if err != nil {
		return nil, err
	}
	r, err := newReel(sc, seed)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "xp2p-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	at, err := openPlace(opt.Place, sc, viewers)
	if err != nil {
		return nil, err
	}
	defer at.close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &show{sc: sc, seed: seed, topology: topology, opt: opt, tools: tools, reel: r, place: at, dir: dir, viewers: viewers, ctx: ctx}
	err = s.play()
	// Whatever happened, nothing may go on running.
	cancel()
	s.wait()
	if err != nil {
		return nil, err
	}
	run := s.result()
	run.WallSeconds = time.Since(began).Seconds()
	return run, nil
}

// feasible says what real processes cannot be made to do.
func feasible(sc *Scenario, viewers int) error {
	not := func(what string) error {
		return fmt.Errorf("scenario %q with real processes: %s: only the simulator can", sc.Name, what)
	}
	switch {
	case viewers == 0:
		return fmt.Errorf("scenario %q: nobody watches", sc.Name)
	case viewers > maxReal:
		return not(fmt.Sprintf("%d viewers, at most %d", viewers, maxReal))
	case sc.Polluters > 0:
		return not("polluters")
	case sc.Unconnectable > 0:
		return not("viewers who cannot connect")
	case sc.Zones > 1:
		return not("zones")
	}
	for _, e := range sc.Events {
		if e.Kind != "leave" {
			return not("event " + e.Kind)
		}
	}
	return nil
}

// tools are the paths of the programs.
type tools struct{ slice, seed, peer, curl string }

func findTools(opt *RealOptions) (t tools, err error) {
	dirs := []string{opt.Bin}
	if opt.Bin == "" {
		dirs = nil
		if exe, err := os.Executable(); err == nil {
			dirs = append(dirs, filepath.Dir(exe))
		}
	}
	find := func(name string) string {
		for _, d := range dirs {
			if p, e := exec.LookPath(filepath.Join(d, name)); e == nil {
				return p
			}
		}
		if opt.Bin == "" {
			if p, e := exec.LookPath(name); e == nil {
				return p
			}
		}
		err = cmp.Or(err, fmt.Errorf("%s is not in %s: go build -o DIR ./cmd/... makes it", name, cmp.Or(opt.Bin, "this program's directory and not in PATH")))
		return ""
	}
	t.slice, t.seed = find("xp2p-slice"), find("xp2p-seed")
	if !opt.Plain {
		t.peer = find("xp2p-peer")
	} else if t.curl, _ = exec.LookPath("curl"); t.curl == "" {
		err = cmp.Or(err, errors.New("curl, which is the plain viewer, is not in PATH"))
	}
	return t, err
}
