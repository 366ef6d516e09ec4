package transport

import (
	"errors"
	"fmt"
	"time"

	"github.com/xp2p/xp2p/lib/internal/link"
)

// The kinds of links.
const (
	UDP  = "udp"  // an emulated link between UDP sockets, in this process
	TUN  = "tun"  // an emulated link between two network namespaces: root, Linux
	None = "none" // loopback
	// Remote is what lies between two machines: nothing is known of it.
	Remote = "remote"
)

// A Link is what a measurement runs over. Both directions are alike; what the
// dialed end sends goes through the bottleneck that is reported.
type Link struct {
	Kind  string
	Rate  int64         // bit/s of IP packets; 0 is unlimited
	RTT   time.Duration // without queues
	RTT2  time.Duration // of the second group of a fairness run; 0 is RTT
	Queue int           // bytes; 0 is a bandwidth-delay product, and at least 16 packets
	// Loss is the share of packets lost at random, each way; BurstLoss is lost
	// in bursts of BurstLength packets on average.
	Loss        float64
	BurstLoss   float64
	BurstLength float64
	Jitter      time.Duration // added to the delay, evenly up to so much; order is kept
	Steps       []Step
	Seed        uint64
}

// A Step is a rate from a time on.
type Step struct {
	At   time.Duration
	Rate int64
}

// MinQueue is the least that a queue is by default: a burst of sixteen packets.
const MinQueue = 16 * 1500

// BDP is the bandwidth-delay product in bytes.
func (l *Link) BDP() int { return int(float64(l.Rate) / 8 * l.RTT.Seconds()) }

// QueueBytes is the size of the queue.
func (l *Link) QueueBytes() int {
	if l.Queue > 0 {
		return l.Queue
	}
	return max(MinQueue, l.BDP())
}

// Check says what cannot be.
func (l *Link) Check() error {
	switch {
	case l.Kind != UDP && l.Kind != TUN && l.Kind != None && l.Kind != Remote:
		return fmt.Errorf("link %q: want %s, %s, %s or %s", l.Kind, UDP, TUN, None, Remote)
	case !l.Emulated() && l.emulates():
		return errors.New("only an emulated link has a rate, delay or loss of its own")
	case l.Rate < 0 || l.Rate > 10e9:
		return fmt.Errorf("rate %d: want at most 10 Gbit/s", l.Rate)
	case l.RTT < 0 || l.RTT > 10*time.Second || l.RTT2 < 0 || l.RTT2 > 10*time.Second:
		return errors.New("round trip: want at most 10s")
	case l.Queue < 0 || l.Queue > 1<<30:
		return errors.New("queue: want at most 1 GiB")
	case l.Loss < 0 || l.Loss >= 1 || l.BurstLoss < 0 || l.BurstLoss >= 1:
		return errors.New("loss: want 0 to less than 100 %")
	case l.BurstLoss > 0 && l.BurstLength < 1:
		return errors.New("bursts: want a length of 1 packet or more")
	case l.Jitter < 0 || l.Jitter > time.Second:
		return errors.New("jitter: want at most 1s")
	case len(l.Steps) > 0 && l.Rate == 0:
		return errors.New("steps: want a rate to begin with")
	}
	for i, s := range l.Steps {
		if s.Rate <= 0 || s.At < 0 || i > 0 && s.At <= l.Steps[i-1].At {
			return errors.New("steps: want rates above 0, in the order of time")
		}
	}
	return nil
}

// Emulated says whether there is an emulator.
func (l *Link) Emulated() bool { return l.Kind == UDP || l.Kind == TUN }

func (l *Link) emulates() bool {
	return l.Rate != 0 || l.RTT != 0 || l.Queue != 0 || l.Loss != 0 || l.BurstLoss != 0 || l.Jitter != 0 || len(l.Steps) > 0
}

// bottleneck is one direction of the link, without the delay of the path.
func (l *Link) bottleneck() link.Link {
	b := link.Link{Rate: link.Rate(l.Rate), Queue: l.QueueBytes(), Jitter: l.Jitter, Loss: l.Loss}
	if l.BurstLoss > 0 {
		leave := 1 / l.BurstLength
		b.Burst = link.Burst{Enter: min(1, leave*l.BurstLoss/(1-l.BurstLoss)), Leave: leave, Loss: 1}
	}
	for _, s := range l.Steps {
		b.Steps = append(b.Steps, link.Step{At: s.At, Rate: link.Rate(s.Rate)})
	}
	return b
}

// rtt is the round trip of a group.
func (l *Link) rtt(group int) time.Duration {
	if group == 1 && l.RTT2 > 0 {
		return l.RTT2
	}
	return l.RTT
}

// capacity is what the link carries in a time, in bit/s on average; 0 is
// unlimited.
func (l *Link) capacity(over time.Duration) float64 {
	if len(l.Steps) == 0 || over <= 0 {
		return float64(l.Rate)
	}
	var bits float64
	at, rate := time.Duration(0), l.Rate
	for _, s := range l.Steps {
		until := min(max(s.At, 0), over)
		bits += float64(rate) * (until - at).Seconds()
		at, rate = until, s.Rate
	}
	bits += float64(rate) * (over - at).Seconds()
	return bits / over.Seconds()
}

// wireOverhead is what IP, UDP and a transport's own headers add to bytes in
// full packets: 1500 over 1452 (facts: the least that a packet of 1500 bytes
// needs for a tag of 16 bytes and a few of header).
const wireOverhead = 1.033

// Limit is the physical limit: the least time in which a transport that needs
// one round trip can bring an object of size bytes. A link without a rate has
// its round trip; loopback has none.
func (l *Link) Limit(size int64) time.Duration {
	if l.Rate == 0 {
		return l.RTT
	}
	return l.RTT + time.Duration(float64(size)*8*wireOverhead/float64(l.Rate)*1e9)
}

// String describes the link in a line.
func (l *Link) String() string {
	switch l.Kind {
	case None:
		return "loopback, no link"
	case Remote:
		return "to another machine"
	}
	s := fmt.Sprintf("%s link, %s, %s", l.Kind, rateText(l.Rate), durationText(l.RTT))
	if l.RTT2 > 0 {
		s += " against " + durationText(l.RTT2)
	}
	if l.Rate > 0 {
		s += fmt.Sprintf(", queue %s", bytesText(l.QueueBytes()))
		if bdp := l.BDP(); bdp > 0 {
			s += fmt.Sprintf(" (%.3g BDP)", float64(l.QueueBytes())/float64(bdp))
		}
	}
	if l.Loss > 0 {
		s += fmt.Sprintf(", %.3g %% loss", 100*l.Loss)
	}
	if l.BurstLoss > 0 {
		s += fmt.Sprintf(", %.3g %% loss in bursts of %.3g", 100*l.BurstLoss, l.BurstLength)
	}
	if l.Jitter > 0 {
		s += ", jitter " + durationText(l.Jitter)
	}
	for _, p := range l.Steps {
		s += fmt.Sprintf(", %s at %s", rateText(p.Rate), durationText(p.At))
	}
	return s
}

func rateText(r int64) string {
	switch {
	case r == 0:
		return "no rate"
	case r >= 1e9:
		return fmt.Sprintf("%.4g Gbit/s", float64(r)/1e9)
	case r >= 1e6:
		return fmt.Sprintf("%.4g Mbit/s", float64(r)/1e6)
	}
	return fmt.Sprintf("%.4g kbit/s", float64(r)/1e3)
}

func durationText(d time.Duration) string {
	if d >= time.Second {
		return fmt.Sprintf("%.4g s", d.Seconds())
	}
	return fmt.Sprintf("%.4g ms", float64(d)/1e6)
}

func bytesText(n int) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.4g MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.4g KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d bytes", n)
}
