package main

import (
	"context"
	"errors"
	"net/netip"

	"github.com/xp2p/xp2p/lib/bench/transport"
	"github.com/xp2p/xp2p/lib/tool"
)

// runRemote measures against xp2p-bench serve on another machine.
func (o *transportOptions) runRemote(ctx context.Context, t *tool.IO, p *transport.Plan) error {
	p.Link = transport.Link{Kind: transport.Remote}
	if err := p.Check(); err != nil {
		return tool.Usage("%w", err)
	}
	var progress func(transport.Progress)
	if t.StatusShown() {
		progress = func(g transport.Progress) {
			t.Status("%s with %s: %s, run %d of %d", p.Workload, o.to, g.Transport, g.Round, g.Rounds)
		}
	}
	all, err := p.DoRemote(ctx, o.to, o.reverse, progress)
	t.Status("")
	if errors.Is(err, transport.ErrServer) {
		return tool.Unreachable("%s: %w", o.to, err).Hint("xp2p-bench serve --listen ADDR answers there; its TCP and UDP port, and the next one, must be open")
	}
	if err != nil && !tool.Interrupted(err) {
		return err
	}
	return errors.Join(o.report(t, p, all), err)
}

func serveCommand() *tool.Command {
	listen := ":5202"
	return &tool.Command{
		Name:    "serve",
		Summary: "be the other machine of transport --to",
		Flags: []tool.Flag{
			tool.String(&listen, "listen", "`ADDR` to serve at: TCP and UDP at its port, and TCP at the next one"),
		},
		Run: func(ctx context.Context, t *tool.IO, _ []string) error {
			s, err := transport.NewServer(listen)
			if err != nil {
				return tool.Failed("serve: %w", err)
			}
			t.Milestone("serving", "addr", s.Addr())
			return s.Run(ctx, func(from netip.AddrPort, what string, err error) {
				if err != nil {
					t.Log.Warn("no measurement", "from", from, "err", err)
					return
				}
				t.Milestone("measuring", "from", from, "transport", what)
			})
		},
	}
}
