package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/xp2p/xp2p/lib/bench/transport"
	"github.com/xp2p/xp2p/lib/tool"
)

// linkOptions are the flags that describe an emulated link.
type linkOptions struct {
	kind                   string
	rate                   int64
	rtt, rtt2, jitter      time.Duration
	queue, loss, burst, at string
	seed                   uint64
}

func (o *linkOptions) flags() []tool.Flag {
	return []tool.Flag{
		tool.Choice(&o.kind, "link", "emulated link: in this process, or between two network namespaces (root, Linux)", transport.UDP, transport.TUN),
		tool.Rate(&o.rate, "rate", "`RATE` of the link, in IP packets"),
		tool.Duration(&o.rtt, "rtt", "round trip without queues"),
		tool.Duration(&o.rtt2, "rtt2", "round trip of the other side of a fair workload, if it differs"),
		tool.String(&o.queue, "queue", "`BYTES|Nbdp` of the queue: bytes, or times rate and round trip"),
		tool.String(&o.loss, "loss", "`SHARE` of packets lost at random, each way: 1% or 0.01"),
		tool.String(&o.burst, "burst-loss", "`SHARE,LENGTH` of packets lost in bursts: 1%,8"),
		tool.Duration(&o.jitter, "jitter", "added to the delay each way, evenly up to so much"),
		tool.String(&o.at, "step", "`RATE@TIME,…` of the link from times on: 50M@0,10M@5s"),
		tool.Uint64(&o.seed, "seed", "seed of loss and jitter"),
	}
}

// link puts the flags together.
func (o *linkOptions) link() (l transport.Link, err error) {
	l = transport.Link{Kind: o.kind, Rate: o.rate, RTT: o.rtt, RTT2: o.rtt2, Jitter: o.jitter, Seed: o.seed}
	if l.Steps, err = parseSteps(o.at); err != nil {
		return l, err
	}
	if len(l.Steps) > 0 && l.Steps[0].At == 0 {
		l.Rate, l.Steps = l.Steps[0].Rate, l.Steps[1:]
	}
	if l.Queue, err = parseQueue(o.queue, &l); err != nil {
		return l, err
	}
	if l.Loss, err = parseShare(o.loss); err != nil {
		return l, tool.Usage("--loss %s: %w", o.loss, err)
	}
	if o.burst != "" {
		share, length, ok := strings.Cut(o.burst, ",")
		l.BurstLoss, err = parseShare(share)
		var e error
		l.BurstLength, e = strconv.ParseFloat(length, 64)
		if !ok || err != nil || e != nil || !(l.BurstLength >= 1) {
			return l, tool.Usage("--burst-loss %s: want a share and a length of 1 or more, such as 1%%,8", o.burst)
		}
	}
	if err := l.Check(); err != nil {
		return l, tool.Usage("%w", err)
	}
	return l, nil
}

// parseSteps reads 50M@0,10M@5s.
func parseSteps(s string) (steps []transport.Step, err error) {
	if s == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(s, ",") {
		rate, at, ok := strings.Cut(part, "@")
		r, err := tool.ParseRate(rate)
		d := time.Duration(0)
		var e error
		if at != "0" {
			d, e = time.ParseDuration(at)
		}
		if !ok || err != nil || e != nil || r == 0 || d < 0 {
			return nil, tool.Usage("--step %s: want rates and times such as 50M@0,10M@5s", s)
		}
		steps = append(steps, transport.Step{At: d, Rate: r})
	}
	return steps, nil
}

// parseQueue reads bytes, or times the bandwidth-delay product.
func parseQueue(s string, l *transport.Link) (int, error) {
	if times, ok := strings.CutSuffix(strings.ToLower(s), "bdp"); ok {
		n, err := strconv.ParseFloat(times, 64)
		if err != nil || !(n > 0 && n <= 1000) {
			return 0, tool.Usage("--queue %s: want bytes, or 0.5bdp, 1bdp, 4bdp", s)
		}
		return max(transport.MinQueue, int(n*float64(l.BDP()))), nil
	}
	n, err := tool.ParseSize(s)
	if err != nil || n < 1 || n > 1<<30 {
		return 0, tool.Usage("--queue %s: want bytes up to 1G, or 0.5bdp, 1bdp, 4bdp", s)
	}
	return int(n), nil
}

// parseShare reads 1% or 0.01.
func parseShare(s string) (float64, error) {
	number, percent := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(number, 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v >= 0 && v < 1) {
		return 0, tool.Usage("want a share such as 1%% or 0.01")
	}
	return v, nil
}
