package transport

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xp2p/xp2p/lib/bench/rival"
)

// The workloads.
const (
	Cold     = "cold"     // dial, ask for an object, have its last byte
	Bulk     = "bulk"     // as much as gets through
	Live     = "live"     // messages at a bitrate, each with a deadline
	Fair     = "fair"     // flows of one transport against flows of another
	CPU      = "cpu"      // what a bitrate costs
	Loopback = "loopback" // as much as the machine can do, and what it costs
)

// Workloads are all of them.
var Workloads = []string{Cold, Bulk, Live, Fair, CPU, Loopback}

// A Plan says what is measured.
type Plan struct {
	Link     Link
	Workload string
	Only     []string      // names of transports, in the order of the report
	Size     int64         // of a cold object
	Duration time.Duration // of every other workload
	Bitrate  int64         // live and cpu
	Latency  time.Duration // live: what SRT and deadlines are given from write to read
	Hint     int64         // bit/s that XNTP's ends know of their links, and a token for the address; 0 is nothing
	Parallel int           // bulk: flows at once
	Flows    int           // fair: of the transport that is measured
	Against  string        // fair: the other one
	Others   int           // fair: flows of the other one
	Runs     int           // that count
	// Attempts bounds the runs of a transport, those that were rejected
	// included; 0 is three times Runs.
	Attempts int
	// Timeout is when a run is given up: the time that is taken for a cold object
	// that did not come.
	Timeout time.Duration
}

// messageBytes is the size of a live message: seven packets of an MPEG transport
// stream, SRT's own.
const messageBytes = 1316

// maxRuns is far more than an interval gets narrower by.
const maxRuns = 1000

// Check says what cannot be.
func (p *Plan) Check() error {
	if err := p.Link.Check(); err != nil {
		return err
	}
	needsLink := p.Workload != Loopback && p.Workload != CPU
	switch {
	case !slices.Contains(Workloads, p.Workload):
		return fmt.Errorf("workload %q: want %s", p.Workload, strings.Join(Workloads, ", "))
	case p.Link.Kind == Remote && p.Workload != Cold && p.Workload != Bulk:
		return fmt.Errorf("%s between two machines: want %s or %s", p.Workload, Cold, Bulk) // live has no clock that both have
	case p.Workload == Loopback && p.Link.Kind != None:
		return errors.New("loopback has no link")
	case p.Workload == CPU && p.Link.Kind == UDP:
		return errors.New("cpu: the relay of a udp link costs CPU in the same process: want a tun link, or none")
	case needsLink && p.Link.Kind == None:
		return fmt.Errorf("%s needs a link", p.Workload)
	case p.Hint < 0 || p.Hint > maxRate:
		return errors.New("hint: want at most 100 Gbit/s")
	case p.Runs < 1 || p.Runs > maxRuns:
		return fmt.Errorf("runs %d: want 1 to %d", p.Runs, maxRuns)
	case p.Attempts != 0 && p.Attempts < p.Runs:
		return errors.New("attempts: want as many as runs, or more")
	case p.Workload == Cold && (p.Size < 1 || p.Size > maxObject):
		return fmt.Errorf("size %d: want 1 byte to 64 GiB", p.Size)
	case p.Workload != Cold && (p.Duration < tenth || p.Duration > time.Hour):
		return errors.New("duration: want 100ms to 1h")
	case (p.Workload == Live || p.Workload == CPU) && (p.Bitrate < 1000 || p.Bitrate > maxRate):
		return errors.New("bitrate: want 1k or more")
	case p.Workload == Live && (p.Latency < 20*time.Millisecond || p.Latency > time.Minute):
		return errors.New("latency: want 20ms to 1m") // SRT's own least
	case p.Workload == Bulk && (p.Parallel < 1 || p.Parallel > maxFlows):
		return fmt.Errorf("parallel: want 1 to %d", maxFlows)
	case p.Workload == Fair && (p.Flows < 1 || p.Others < 0 || p.Flows+p.Others > maxFlows || p.Flows+p.Others < 2):
		return fmt.Errorf("fair: want 2 to %d flows", maxFlows)
	case p.Timeout <= 0:
		return errors.New("timeout: want more than 0")
	case len(p.Only) == 0:
		return errors.New("no transports")
	}
	for _, name := range p.Only {
		if _, err := rival.Find(name); err != nil {
			return err
		}
	}
	if p.Workload == Fair && p.Others > 0 {
		if _, err := rival.Find(p.Against); err != nil {
			return err
		}
	}
	return nil
}

// maxFlows bounds the flows of a run.
const maxFlows = 128

func (p *Plan) attempts() int {
	if p.Attempts > 0 {
		return p.Attempts
	}
	return 3 * p.Runs
}

// Lacks says why a transport cannot be measured, or nil.
func (p *Plan) Lacks(s rival.Spec) error {
	switch {
	case !s.UDP && p.Link.Kind == UDP:
		return errors.New("kernel TCP cannot pass a relay of datagrams: use --link tun (root)")
	case s.LiveOnly && p.Workload != Live:
		return errors.New("it has live messages only")
	}
	if err := s.Missing(); err != nil {
		return err
	}
	if p.Workload == Fair && p.Others > 0 {
		o, err := rival.Find(p.Against)
		if err != nil {
			return err
		}
		if err := o.Missing(); err != nil {
			return err
		}
		if !o.UDP && p.Link.Kind == UDP || o.LiveOnly {
			return fmt.Errorf("%s cannot be measured against here", p.Against)
		}
	}
	return nil
}

// options are what the transports are opened with.
func (p *Plan) options() rival.Options {
	o := rival.Options{Hint: p.Hint}
	switch p.Workload {
	case Cold:
		o.Expect = int(p.Size)
	case Live:
		o.Live, o.MessageBytes = p.Latency, messageBytes
	}
	return o
}
