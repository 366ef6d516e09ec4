package netlab

import (
	"fmt"
	"time"

	"github.com/xp2p/xp2p/lib/internal/link"
)

// A Report is what an emulator measured about itself and its links.
type Report struct {
	// Lateness is how long after its time a packet was written. A measurement
	// with more than 1 ms at the 99th percentile is not to be believed.
	Packets                     uint64
	LateP50, LateP99, LateWorst time.Duration
	Strays                      uint64 // packets for nobody, or not IPv4
	Expired                     uint64 // packets with too low a TTL
	Hosts                       []HostReport
	// Flows are what went from one access link to another, in whole IP packets that
	// reached the second.
	Flows []Flow
	CPU   time.Duration // of the emulator's thread
}

// A HostReport counts the packets of one host's access link. Bytes are of
// whole IP packets.
type HostReport struct {
	Name     string
	Up, Down LinkReport
	// Overrun counts packets that the kernel dropped because the emulator did
	// not fetch them in time: with any, a measurement is not to be believed.
	Overrun uint64
}

// A Flow counts what went from a host to another; both have an access link.
type Flow struct {
	From, To int // as in Hosts
	Packets  uint64
	Bytes    uint64
}

// Between is how many bytes went from one host to another, one way.
func (r Report) Between(from, to string) (bytes uint64) {
	for _, f := range r.Flows {
		if r.Hosts[f.From].Name == from && r.Hosts[f.To].Name == to {
			bytes += f.Bytes
		}
	}
	return bytes
}

// A LinkReport counts the packets of one direction of a link.
type LinkReport = link.Count

// Trusted says whether the emulator kept up well enough to measure with, and
// if not, why.
func (r Report) Trusted() error {
	if r.LateP99 > time.Millisecond {
		return fmt.Errorf("netlab: the emulator was %v late at the 99th percentile", r.LateP99)
	}
	for _, h := range r.Hosts {
		if h.Overrun > 0 {
			return fmt.Errorf("netlab: the kernel dropped %d packets of %s", h.Overrun, h.Name)
		}
	}
	return nil
}
