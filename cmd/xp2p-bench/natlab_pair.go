package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/netlab"
	"github.com/xp2p/xp2p/lib/tool"
)

// labKinds are the eight rows of nat.Matrix, and the networks of the zoo that stand
// for them.
var labKinds = [...]struct{ short, network string }{
	nat.KindPublic:         {"pub", "public"},
	nat.KindFirewall:       {"sfw", "symmetric-firewall"},
	nat.KindFullCone:       {"fc", "full-cone"},
	nat.KindRestricted:     {"rc", "restricted-cone"},
	nat.KindPortRestricted: {"prc", "port-restricted-cone"},
	nat.KindSequential:     {"seq", "symmetric-sequential"},
	nat.KindRandom:         {"rand", "symmetric-random"},
	nat.KindBlocked:        {"blk", "udp-blocked"},
}

// A labPair is two networks that meet.
type labPair struct {
	a, b nat.Kind
	nets [2]netlab.Network
}

func (p labPair) String() string { return labKinds[p.a].short + "/" + labKinds[p.b].short }

// best is how the two are connected at best.
func (p labPair) best() nat.Way { return nat.WayBetween(p.a, p.b) }

// labPairs returns the pairs that are named, such as prc/rand; all 36 if none is.
func labPairs(names []string) (list []labPair, err error) {
	zoo := netlab.Zoo()
	network := func(k nat.Kind) netlab.Network {
		return zoo[slices.IndexFunc(zoo, func(n netlab.Network) bool { return n.Name == labKinds[k].network })]
	}
	add := func(a, b nat.Kind) {
		list = append(list, labPair{a, b, [2]netlab.Network{network(a), network(b)}})
	}
	if len(names) == 0 {
		for _, a := range nat.Kinds() {
			for _, b := range nat.Kinds()[a:] {
				add(a, b)
			}
		}
	}
	kind := func(s string) nat.Kind {
		return nat.Kind(slices.IndexFunc(labKinds[:], func(k struct{ short, network string }) bool { return k.short == s || k.network == s }))
	}
	for _, name := range names {
		for _, one := range strings.Split(name, ",") {
			x, y, _ := strings.Cut(one, "/")
			a, b := kind(x), kind(y)
			if int(a) >= len(labKinds) || int(b) >= len(labKinds) {
				return nil, tool.Usage("--pairs %s: want two of pub, sfw, fc, rc, prc, seq, rand, blk with a slash between", one)
			}
			add(a, b)
		}
	}
	return list, nil
}

// labHops is how many routers stand between two networks: what is meant to die on
// the way does.
const labHops = 12

// A meeting is a lab of two networks and a server between them, and what runs
// there.
type meeting struct {
	o     *natlabOptions
	lab   *netlab.Lab
	dir   string
	ctx   context.Context
	stop  context.CancelFunc
	procs sync.WaitGroup
	said  strings.Builder // of all processes, for who asks why
	saidM sync.Mutex
}

func (o *natlabOptions) meet(ctx context.Context, nets [2]netlab.Network, seed uint64) (*meeting, error) {
	var hosts []netlab.Host
	for i, n := range nets {
		hosts = append(hosts, n.HostsAt(netlab.Sites[i], netlab.Link{}, netlab.Link{}, false)...)
	}
	hosts = append(hosts, netlab.Host{Name: "server", Addr: labServers[0], More: labServers[1:2]})
	l, err := netlab.New(netlab.Config{Hosts: hosts, Delay: o.rtt / 2, Seed: seed, Realtime: true, Hops: labHops})
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "natlab")
	if err != nil {
		l.Close()
		return nil, err
	}
	for i, n := range nets {
		l.SetLinks(n.Edge(netlab.Sites[i]), netlab.Link{Loss: o.loss}, netlab.Link{Loss: o.loss})
	}
	m := &meeting{o: o, lab: l, dir: dir}
	m.ctx, m.stop = context.WithCancel(ctx)
	return m, nil
}

func (m *meeting) close() {
	m.stop()
	m.procs.Wait()
	m.lab.Close()
	os.RemoveAll(m.dir)
}

// Write takes what processes say on stderr.
func (m *meeting) Write(p []byte) (int, error) {
	m.saidM.Lock()
	defer m.saidM.Unlock()
	if m.said.Len() < 64<<10 {
		m.said.Write(p)
	}
	return len(p), nil
}

func (m *meeting) words() string {
	m.saidM.Lock()
	defer m.saidM.Unlock()
	return strings.TrimSpace(m.said.String())
}

// A running is a process in the lab.
type running struct {
	*exec.Cmd
	ended chan struct{}
}

// start starts one of ours in a host.
func (m *meeting) start(host string, in io.Reader, out io.Writer, name string, args ...string) (*running, error) {
	c := m.lab.CommandContext(m.ctx, host, m.o.program(name), args...)
	c.Stdin, c.Stdout, c.Stderr = in, out, m
	c.WaitDelay = time.Second
	c.Env = append(os.Environ(), "HOME="+m.dir)
	if err := c.Start(); err != nil {
		return nil, err
	}
	r := &running{c, make(chan struct{})}
	m.procs.Go(func() {
		c.Wait()
		close(r.ended)
	})
	return r, nil
}

// wait waits for a process, and says how it ended.
func (r *running) wait(ctx context.Context, within time.Duration) error {
	select {
	case <-r.ended:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(within):
		return fmt.Errorf("%s does not end", filepath.Base(r.Args[len(r.Args)-1]))
	}
	if code := r.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("exit code %d", code)
	}
	return nil
}

// file waits until a file of the lab's directory is there.
func (m *meeting) file(name string) (string, error) {
	path := filepath.Join(m.dir, name)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if isFile(path) {
			return path, nil
		}
		select {
		case <-tick.C:
		case <-m.ctx.Done():
			return "", context.Cause(m.ctx)
		}
	}
	return "", fmt.Errorf("%s was not written: %s", name, m.words())
}

// serverArgs are those of the seed in the open: tracker, STUN, and what else there
// is for those behind NATs.
func (m *meeting) serverArgs(more ...string) []string {
	args := []string{
		"-q", "--listen", labServers[0].String() + ":8080", "--ready-file", filepath.Join(m.dir, "ready"),
		"--stun-listen", netip.AddrPortFrom(labServers[0], 3478).String(), "--stun-listen", netip.AddrPortFrom(labServers[1], 3479).String(),
		"--relay", netip.AddrPortFrom(labServers[0], 3480).String(),
	}
	return append(append(args, m.o.seedArgs...), more...)
}

// between is how many bytes went from either network to the other without the
// server.
func (m *meeting) between(nets [2]netlab.Network) int64 {
	r := m.lab.Report()
	a, b := nets[0].Edge(netlab.Sites[0]), nets[1].Edge(netlab.Sites[1])
	return int64(r.Between(a, b) + r.Between(b, a))
}

// A sink keeps what a process writes, and when the first of it came.
type sink struct {
	mu    sync.Mutex
	began time.Time
	first time.Duration
	data  []byte
}

func newSink() *sink { return &sink{began: time.Now()} }

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first == 0 && len(p) > 0 {
		s.first = time.Since(s.began)
	}
	s.data = append(s.data, p...)
	return len(p), nil
}

func (s *sink) bytes() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data
}

// exact reports whether out is an init of clip and then a run of it up to its end:
// nothing lost, nothing twice.
func exact(out, clip []byte) bool {
	head, tail := 0, 0
	for head < min(len(out), len(clip)) && out[head] == clip[head] {
		head++
	}
	for tail < min(len(out), len(clip)) && out[len(out)-1-tail] == clip[len(clip)-1-tail] {
		tail++
	}
	return len(out) > 0 && tail > 0 && head+tail >= len(out)
}

// labClip is a video of so many seconds that nothing but its framing is true of:
// FLV, a keyframe each second, noise for pictures.
func labClip(seconds, bps int, seed uint64) []byte {
	const fps = 25
	noise := rand.New(rand.NewPCG(seed, 1))
	clip := []byte("FLV\x01\x01\x00\x00\x00\x09\x00\x00\x00\x00")
	tag := func(ms int, body []byte) {
		n := len(body)
		clip = append(clip, 9, byte(n>>16), byte(n>>8), byte(n), byte(ms>>16), byte(ms>>8), byte(ms), byte(ms>>24), 0, 0, 0)
		clip = append(clip, body...)
		clip = binary.BigEndian.AppendUint32(clip, uint32(n+11))
	}
	tag(0, []byte{0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 4, 0x67, 0x64, 0, 0x1f, 1, 0, 1, 0x68})
	unit := bps / 8 / (fps + 7) // a keyframe has eight
	for i := range seconds * fps {
		body := []byte{0x27, 1, 0, 0, 0}
		size := unit
		if i%fps == 0 {
			body[0], size = 0x17, 8*unit
		}
		for len(body) < size {
			body = binary.LittleEndian.AppendUint64(body, noise.Uint64())
		}
		tag(i*1000/fps, body)
	}
	return clip
}

// play writes an FLV file as an encoder would: each tag at its time.
func play(ctx context.Context, clip []byte, w io.Writer) error {
	began := time.Now()
	for at := 13; ; {
		end := 13
		if at > 13 || len(clip) > 13 {
			if at+11 > len(clip) {
				return nil
			}
			t := clip[at:]
			ms := int(t[7])<<24 | int(t[4])<<16 | int(t[5])<<8 | int(t[6])
			end = at + 15 + (int(t[1])<<16 | int(t[2])<<8 | int(t[3]))
			select {
			case <-time.After(time.Until(began.Add(time.Duration(ms) * time.Millisecond))):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		from := at
		if at == 13 {
			from = 0
		}
		if _, err := w.Write(clip[from:min(end, len(clip))]); err != nil {
			return err
		}
		at = end
	}
}

// counters are what a viewer says of itself, in --stats.
type counters struct {
	PeerBytes   int64 `json:"peer_bytes"`
	SeedBytes   int64 `json:"seed_bytes"`
	OriginBytes int64 `json:"origin_bytes"`
	RelayBytes  int64 `json:"relay_bytes"`
	StalledMS   int64 `json:"stalled_ms"`
	Neighbours  []struct {
		Role      string  `json:"role"`
		Path      string  `json:"path"`
		ConnectMS float64 `json:"connect_ms"`
		PunchMS   float64 `json:"punch_ms"`
		Rounds    int     `json:"punch_rounds"`
		Sockets   int     `json:"punch_sockets"`
		Probes    int     `json:"punch_probes"`
		Received  int64   `json:"received_bytes"`
	} `json:"neighbours"`
}

// An acquaintance is what a viewer says of its way to another.
type acquaintance struct {
	path      string
	connectMS float64 // since it was to be met
	punchMS   float64 // since both had exchanged addresses; 0: they did not need to
	rounds    int
	sockets   int
	probes    int
}

// readStats returns a viewer's last counters, and what it last said of another
// viewer.
func (m *meeting) readStats(name string) (last counters, other acquaintance) {
	text, err := os.ReadFile(filepath.Join(m.dir, name))
	if err != nil {
		return last, other
	}
	for _, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		var c counters
		if json.Unmarshal(line, &c) != nil {
			continue
		}
		last = c
		for _, n := range c.Neighbours {
			if n.Role == "peer" {
				other.path = n.Path
				other.connectMS, other.punchMS = cmp.Or(n.ConnectMS, other.connectMS), cmp.Or(n.PunchMS, other.punchMS)
				other.rounds, other.sockets, other.probes = cmp.Or(n.Rounds, other.rounds), cmp.Or(n.Sockets, other.sockets), cmp.Or(n.Probes, other.probes)
			}
		}
	}
	return last, other
}
