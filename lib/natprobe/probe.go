package natprobe

import (
	"io"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

// A Test says what a Probe is to find out.
type Test uint8

const (
	TestMapping  Test = iota // how the first socket is seen
	TestReach                // a socket that asked one server only
	TestFilter               // CHANGE-REQUEST for another address and port
	TestPort                 // CHANGE-REQUEST for another port
	TestAssist               // a second responder sends to who never sent to it
	TestBurst                // how a burst of sockets is mapped
	TestHairpin              // from one socket to another's outside address
	TestIPv6                 // the other family
	TestMTU                  // a large packet that no router may cut
	TestLifetime             // an answer that comes late
	TestGateway              // the router's own word on its outside address (NAT-PMP)
)

// String returns the word of reports.
func (t Test) String() string {
	return [...]string{"mapping", "reach", "filter", "filter-port", "filter-assist", "burst", "hairpin", "ipv6", "mtu", "lifetime", "gateway"}[min(t, TestGateway)]
}

// An Outcome is what became of a Probe.
type Outcome uint8

const (
	Waiting     Outcome = iota
	Answered            // as was hoped for
	Unanswered          // all tries are spent, and time for their answers has passed
	Rejected            // the server does not do this, and says so
	Ignored             // the server answered as if it had not been asked for this
	Unsupported         // not tried to the end: the server has no second address
)

// String returns the word of reports.
func (o Outcome) String() string {
	return [...]string{"waiting", "answered", "silent", "rejected", "ignored", "unsupported"}[min(o, Unsupported)]
}

// Times of a probe. One lost packet in twenty each way leaves one of a hundred
// thousand without an answer to five tries.
const (
	probeTries = 5
	probeEvery = 50 * time.Millisecond
	// leastWait is how long an answer to the last try is waited for at least;
	// twice the round trip if that is longer.
	leastWait = 100 * time.Millisecond
	// blockedAfter is how long nobody must have answered at all.
	blockedAfter = 1500 * time.Millisecond
	// sideTries are enough for what the class does not rest on.
	sideTries = 3
)

// lateTries come after the first five, while nobody has answered.
var lateTries = [...]time.Duration{600 * time.Millisecond, time.Second}

// A Probe is one question of a Prober and what became of it.
type Probe struct {
	Test    Test
	Socket  machine.Socket
	To      netip.AddrPort
	Outcome Outcome
	Tries   int
	Start   time.Duration  // of the first try, since the Prober's
	RTT     time.Duration  // of the answer, from the try that it answers
	From    netip.AddrPort // where the answer came from
	Mapped  netip.AddrPort // what it says
	Size    int            // of a TestMTU: the IP packet's
	Idle    time.Duration  // of a TestLifetime
	Active  bool           // of a TestLifetime: packets had gone both ways for a while
	Code    int            // of Rejected
}

// A question is a Probe at work.
type question struct {
	Probe
	query   wire.STUNQuery
	ids     []wire.STUNTransaction
	sent    []time.Time
	came    time.Time // the answer
	due     time.Time // of the next try, or of the verdict
	max     int
	told    bool                 // TestAssist: the responder says that it sent
	packet  wire.STUNTransaction // TestAssist: of the packet that is to come
	through machine.Socket       // TestAssist, TestHairpin: where it is to come
	answer  answer
	heard   int // TestReach: how many of its tries were answered
}

// A socket that tests a filter asks plainly as often as it asks for answers from
// elsewhere. If too few plain ones are answered, silence of the others proves
// nothing (the network loses packets, or the server has had enough of us), and
// both go on for a while.
const (
	moreTries  = 5
	mostTries  = 15
	mostChance = 0.005 // of silence by loss alone
)

// certain says whether as many questions as this one has asked, at the loss that it
// has seen, would hardly ever all be lost.
func (q *question) certain() bool {
	n := float64(len(q.sent))
	return n > 0 && math.Pow(1-float64(q.heard)/(n+1), n) <= mostChance
}

// again says whether a plain question is asked although it has been answered.
func (q *question) again() bool {
	return q.Test == TestReach && q.Outcome == Answered && len(q.sent) < q.max
}

// An answer is what a server said beside the mapped address.
type answer struct {
	other     netip.AddrPort
	otherPort uint16
	own       bool
	help      wire.STUNHelp
	token     wire.Token
}

func (q *question) plain() bool {
	return q.Test == TestMapping || q.Test == TestReach || q.Test == TestBurst || q.Test == TestIPv6
}

// try returns the time of the next try, if there is one; quiet says that nobody
// has answered yet.
func (q *question) try(start time.Time, quiet bool) (at time.Time, ok bool) {
	n := len(q.sent)
	switch {
	case n == 0:
		return start, true
	case n < q.max:
		return q.sent[n-1].Add(probeEvery), true
	case q.Test == TestMapping && quiet && n-q.max < len(lateTries):
		return start.Add(lateTries[n-q.max]), true
	}
	return at, false
}

// send appends the next try.
func (q *question) send(now time.Time, entropy io.Reader, dst []byte) ([]byte, bool) {
	var id wire.STUNTransaction
	if _, err := io.ReadFull(entropy, id[:]); err != nil {
		return nil, false
	}
	q.ids, q.sent = append(q.ids, id), append(q.sent, now)
	q.Tries = len(q.sent)
	if q.Test == TestGateway {
		return wire.AppendNATPMPQuery(dst), true
	}
	return wire.AppendSTUNQuery(dst, id, q.query), true
}

// ownerOf returns the question that a transaction belongs to, and which try.
func ownerOf(list []*question, id wire.STUNTransaction) (q *question, try int) {
	for _, q := range list {
		if i := slices.Index(q.ids, id); i >= 0 {
			return q, i
		}
	}
	return nil, 0
}
