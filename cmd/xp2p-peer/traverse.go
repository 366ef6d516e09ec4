package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/discovery"
	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/tool"
)

// lookEvery is how often this machine's addresses are compared with those before.
const lookEvery = time.Second

// maxNATReport bounds what --nat reads.
const maxNATReport = 1 << 20

// errNoSuchSocket says that a kind of socket is none that this program opens.
var errNoSuchSocket = errors.New("no such kind of socket")

// openSocket opens a socket that the node asks for, where socket 0 listens. On the
// loop.
func (s *viewer) openSocket(o node.OpenSocket) {
	if o.Kind != node.SocketUDP {
		s.carry(o)
		return
	}
	at := o.Local
	if !at.IsValid() {
		at = netip.AddrPortFrom(s.o.local.Addr(), 0)
	}
	id, err := s.ep.OpenSocket(at)
	// Hundreds take tens of milliseconds, and what is to be sent from them begins then.
	s.node.Opened(time.Now(), o.Ref, id, s.ep.SocketAddr(id), err)
}

// observeTCP asks a server of the room over TCP how it sees us, and tells the node. On
// the loop, and then not.
func (s *viewer) observeTCP(ref uint64) {
	servers := s.stun
	s.work.Go(func() {
		local, token, err := discovery.ObserveTCP(s.ctx, servers)
		if err != nil {
			s.io.Log.Info("no server sees us over TCP", "err", err)
		}
		s.do(func(now time.Time) { s.node.ObservedTCP(now, ref, local, token, err) })
	})
}

// knowNAT has the node know what NAT it is behind: it was told, or it is found out
// beside everything else. When this machine's addresses change, it is found out anew.
func (s *viewer) knowNAT(ctx context.Context, stun []netip.AddrPort) error {
	if s.o.nat == "-" {
		f, err := readNAT(tool.NewInput(ctx, s.io.In))
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return tool.BadData("--nat -: %w", err).Hint("xp2p-natprobe --json URL | xp2p-peer --nat - URL")
		}
		s.do(func(now time.Time) { s.node.SetNAT(now, f) })
	} else if s.o.nat == "" && len(stun) > 0 {
		s.discover(ctx, stun)
	}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for before := discovery.LocalAddrs(); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
		if now := discovery.LocalAddrs(); !slices.Equal(now, before) {
			before = now
			s.io.Log.Info("the network has changed", "addresses", now)
			s.do(func(now time.Time) { s.node.NetworkChanged(now, s.ep.Hosts(0)) })
			s.discover(ctx, stun)
		}
	}
}

// discover asks the servers what NAT this machine is behind.
func (s *viewer) discover(ctx context.Context, stun []netip.AddrPort) {
	f, err := discovery.Run(ctx, discovery.Config{Servers: stun, Reached: true, Log: s.io.Log})
	if err != nil {
		if ctx.Err() == nil {
			s.io.Log.Warn("cannot find out about the network", "err", err)
		}
		return
	}
	s.io.Log.Info("the network", "class", f.Report.Class, "candidates", f.Report.Candidates, "mapping", f.Report.Mapping,
		"filtering", f.Report.Filtering, "allocation", f.Report.Allocation, "took_ms", f.Report.TookMS)
	s.do(func(now time.Time) { s.node.SetNAT(now, nat.FactsOf(f.Report)) })
}

// checkNAT reads --nat, if it is a file.
func (o *options) checkNAT() error {
	if o.nat == "" || o.nat == "-" {
		return nil
	}
	f, err := os.Open(o.nat)
	if err != nil {
		return tool.Usage("--nat: %w", err)
	}
	defer f.Close()
	if o.facts, err = readNAT(f); err != nil {
		return tool.BadData("--nat %s: %w", o.nat, err).Hint("xp2p-natprobe --json URL > %s", o.nat)
	}
	return nil
}

// readNAT reads what xp2p-natprobe --json wrote: its last line.
func readNAT(r io.Reader) (nat.Facts, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxNATReport))
	if err != nil {
		return nat.Facts{}, err
	}
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	var report nat.Report
	if err := json.Unmarshal(lines[len(lines)-1], &report); err != nil {
		return nat.Facts{}, fmt.Errorf("not a report of xp2p-natprobe: %w", err)
	}
	f := nat.FactsOf(report)
	if report.Type != "nat" || len(f.Classes) == 0 {
		return nat.Facts{}, errors.New("not a report of xp2p-natprobe")
	}
	return f, nil
}
