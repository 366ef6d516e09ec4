package bench

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"strconv"
	"time"

	"github.com/xp2p/xp2p/lib/netlab"
)

// A place is where processes run, and how far apart they are there.
type place interface {
	// command makes a process of a host.
	command(ctx context.Context, host, name string, args ...string) *exec.Cmd
	addr(host string) netip.Addr
	// What the place's links do not hold a viewer to, these flags do.
	viewerLimits(v Viewer) []string
	// path is how long a viewer would have waited more than the baseline did for so
	// many bytes, from an origin whose own link is nobody's bottleneck.
	path(v Viewer, bytes int) time.Duration
	report() *netlab.Report // nil where nothing is emulated
	close()
}

// seedHost is where the servers and the baseline are. The others are called by
// the viewers' numbers.
const seedHost = "seed"

func openPlace(name string, sc *Scenario, vs []Viewer) (place, error) {
	switch name {
	case PlaceLoopback, "":
		return loopback{sc}, nil
	case PlaceNetns:
		return openLab(sc, vs)
	}
	return nil, fmt.Errorf("place %q: want %s or %s", name, PlaceLoopback, PlaceNetns)
}

// serverRate is what origin and seed can send together, in bit/s; 0 is no bound.
func serverRate(sc *Scenario) int64 {
	return max(0, int64(cmp.Or(sc.ServerStreams, 20)*float64(streamRate(sc))))
}

func streamRate(sc *Scenario) int64 { return cmp.Or(sc.RateBPS, 2_000_000) }

// loopback is this machine's own network, which is nobody's bottleneck.
type loopback struct{ sc *Scenario }

func (loopback) command(ctx context.Context, _, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, name, args...)
}

func (loopback) addr(string) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, 1}) }

func (loopback) viewerLimits(v Viewer) []string {
	if v.NoUpload || v.Carries() <= 0 {
		return nil
	}
	return []string{"--max-upload", strconv.FormatInt(v.Carries(), 10)}
}

func (loopback) path(Viewer, int) time.Duration { return 0 }
func (loopback) report() *netlab.Report         { return nil }
func (loopback) close()                         {}

// lab is a namespace for each process.
type lab struct {
	*netlab.Lab
	server time.Duration // access delay
}

func openLab(sc *Scenario, vs []Viewer) (place, error) {
	link := func(rate int64, delay time.Duration) netlab.Link {
		return netlab.Link{Rate: netlab.Rate(rate), Delay: delay, Loss: sc.Loss}
	}
	l := &lab{server: ServerDelay(sc)}
	hosts := []netlab.Host{{Name: seedHost, Up: link(serverRate(sc), l.server), Down: link(0, l.server)}}
	for i, v := range vs {
		hosts = append(hosts, netlab.Host{Name: strconv.Itoa(i), Up: link(v.Carries(), v.AccessDelay), Down: link(v.DownlinkBPS, v.AccessDelay)})
	}
	var err error
	if l.Lab, err = netlab.New(netlab.Config{Hosts: hosts, Seed: 1, Realtime: true}); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *lab) command(ctx context.Context, host, name string, args ...string) *exec.Cmd {
	return l.CommandContext(ctx, host, name, args...)
}

func (l *lab) addr(host string) netip.Addr  { return l.Addr(host) }
func (l *lab) viewerLimits(Viewer) []string { return nil }
func (l *lab) close()                       { l.Close() }

// The baseline is on the seed's own host: the way to a viewer is half a round
// trip, and the bytes through his downlink.
func (l *lab) path(v Viewer, bytes int) time.Duration {
	d := l.server + v.AccessDelay
	if v.DownlinkBPS > 0 {
		d += time.Duration(float64(bytes) * 8 / float64(v.DownlinkBPS) * float64(time.Second))
	}
	return d
}

func (l *lab) report() *netlab.Report {
	r := l.Report()
	return &r
}
