package main

import (
	"context"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/discovery"
	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/natprobe"
	"github.com/xp2p/xp2p/lib/tool"
)

// A finding is what one probe found.
type finding struct {
	report  nat.Report
	probes  []natprobe.Probe
	refused bool // TCP: the host says that nobody listens
}

// find runs one probe on sockets of its own.
func (o *options) find(ctx context.Context, t *tool.IO, names []string) (*finding, error) {
	servers, tracked, err := serversOf(ctx, names)
	if err != nil {
		return nil, err
	}
	defer t.Status("")
	f, err := discovery.Run(ctx, discovery.Config{
		Servers: servers, Reached: tracked, Lifetime: o.lifetime, MTU: o.mtu, Plain: o.plain, Log: t.Log,
		Late: func(r nat.Report, since time.Duration) {
			t.Status("%s; waiting for late answers, %v of 5m", r.Class, since.Round(time.Second))
		},
	})
	if err != nil {
		return nil, err
	}
	return &finding{f.Report, f.Probes, f.Refused}, nil
}

// waitForChange returns when this machine has other addresses, or after a while.
func waitForChange(ctx context.Context, d time.Duration) error {
	before := discovery.LocalAddrs()
	look := time.NewTicker(500 * time.Millisecond)
	defer look.Stop()
	end := time.After(d)
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-end:
			return nil
		case <-look.C:
			if !slices.Equal(discovery.LocalAddrs(), before) {
				return nil
			}
		}
	}
}
