package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/xp2p/xp2p/lib/natprobe"
	"github.com/xp2p/xp2p/lib/tool"
)

// asked says what a question was, in words.
var asked = map[natprobe.Test]string{
	natprobe.TestMapping:  "how do you see this socket?",
	natprobe.TestReach:    "how do you see a socket that asks nobody else?",
	natprobe.TestFilter:   "to that socket: answer from another address and port",
	natprobe.TestPort:     "to that socket: answer from another port",
	natprobe.TestAssist:   "send to a socket that has asked another server only",
	natprobe.TestBurst:    "how do you see one of ten sockets at once?",
	natprobe.TestHairpin:  "from one socket here to another's public address",
	natprobe.TestIPv6:     "how do you see us over IPv6?",
	natprobe.TestMTU:      "a packet that may not be cut",
	natprobe.TestLifetime: "answer late",
	natprobe.TestGateway:  "router, what is your outside address? (NAT-PMP)",
}

// explain writes every question, and what follows.
func explain(w io.Writer, s tool.Styles, f *finding) error {
	b := new(strings.Builder)
	fmt.Fprintf(b, "%s\n", s.Title("Asked"))
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, p := range f.probes {
		fmt.Fprintf(t, "%d ms\tsocket %d\t%s\t%s\t%s\n", p.Start.Milliseconds(), p.Socket, p.To, question(p), outcome(p))
	}
	t.Flush()
	fmt.Fprintf(b, "\n%s\n", s.Title("Proved"))
	for _, line := range proofs(f) {
		fmt.Fprintf(b, "- %s\n", line)
	}
	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func question(p natprobe.Probe) string {
	text := asked[p.Test]
	switch p.Test {
	case natprobe.TestMTU:
		text += fmt.Sprintf(": %d bytes", p.Size)
	case natprobe.TestLifetime:
		text += fmt.Sprintf(": after %v", p.Idle)
		if p.Active {
			text += ", active before"
		}
	}
	return text
}

func outcome(p natprobe.Probe) string {
	tries := ""
	if p.Tries > 1 {
		tries = fmt.Sprintf(" after %d tries", p.Tries)
		if p.Test == natprobe.TestReach && p.Outcome == natprobe.Answered { // goes on, to see what is lost
			tries = fmt.Sprintf(" (asked %d times)", p.Tries)
		}
	}
	switch p.Outcome {
	case natprobe.Answered:
		text := "answered"
		if p.From != p.To {
			text += " from " + p.From.String()
		}
		if p.RTT > 0 {
			text += fmt.Sprintf(" in %.1f ms", float64(p.RTT.Microseconds())/1000)
		}
		if p.Mapped.IsValid() {
			text += ": " + p.Mapped.String()
		}
		return text + tries
	case natprobe.Unanswered:
		return "silence" + tries
	case natprobe.Rejected:
		return fmt.Sprintf("the server refuses (%d)", p.Code)
	case natprobe.Ignored:
		return "answered from the address that was asked: proves nothing"
	case natprobe.Unsupported:
		return "given up: the server cannot do this"
	}
	return p.Outcome.String()
}

// proofs says what follows from the questions.
func proofs(f *finding) (lines []string) {
	r := f.report
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	seen, addrs := 0, map[string]bool{}
	count := map[natprobe.Test]map[natprobe.Outcome]int{}
	for _, p := range f.probes {
		if count[p.Test] == nil {
			count[p.Test] = map[natprobe.Outcome]int{}
		}
		count[p.Test][p.Outcome]++
		if p.Test == natprobe.TestMapping && p.Outcome == natprobe.Answered {
			seen++
			addrs[p.Mapped.String()] = true
		}
	}
	if seen == 0 {
		say("no server answered any of %d tries in 1.5 s: UDP is blocked, or the servers are not there", tries(f))
		say("TCP: %s", works(r.TCP))
		return lines
	}
	switch {
	case r.Translated != nil && !*r.Translated:
		say("the servers see the socket's own address: there is no NAT")
	case len(addrs) == 1 && seen > 1:
		say("%d server addresses see one socket at the same address: mapping %s", seen, known(r.Mapping))
	case len(addrs) == 1:
		say("one server address has seen the socket, and nothing tells whether others see the same: mapping unknown")
	default:
		say("%d server addresses see one socket at %d addresses: mapping %s", seen, len(addrs), known(r.Mapping))
	}
	switch c := count[natprobe.TestFilter]; {
	case c[natprobe.Answered] > 0:
		say("a packet came in from where nothing had been sent: filtering endpoint-independent")
	case c[natprobe.Unanswered] > 0:
		say("nothing came from another address, which is alive: a filter looks at addresses")
	case count[natprobe.TestAssist][natprobe.Answered] > 0:
		say("a second server's packet came in: filtering endpoint-independent")
	case count[natprobe.TestAssist][natprobe.Unanswered] > 0:
		say("a second server sent, and nothing came: a filter looks at addresses")
	default:
		say("no server sent from another address, as was asked for: whether a filter looks at addresses is unknown")
	}
	switch c := count[natprobe.TestPort]; {
	case c[natprobe.Answered] > 0:
		say("a packet came in from another port of a server that had been asked: the filter does not look at ports")
	case c[natprobe.Unanswered] > 0:
		say("nothing came from another port, which is alive: the filter looks at ports")
	}
	return lines
}

func tries(f *finding) (n int) {
	for _, p := range f.probes {
		n += p.Tries
	}
	return n
}

// A probeJSON is a question as a line of JSON.
type probeJSON struct {
	Type    string  `json:"type"` // "probe"
	Test    string  `json:"test"`
	Socket  int     `json:"socket"`
	To      string  `json:"to"`
	StartMS float64 `json:"start_ms"`
	Tries   int     `json:"tries"`
	Outcome string  `json:"outcome"`
	From    string  `json:"from,omitempty"`
	Mapped  string  `json:"mapped,omitempty"`
	RTTms   float64 `json:"rtt_ms,omitempty"`
	Code    int     `json:"code,omitempty"`
}

func probeLine(p natprobe.Probe) probeJSON {
	l := probeJSON{
		Type: "probe", Test: p.Test.String(), Socket: int(p.Socket), To: p.To.String(), StartMS: ms(p.Start), Tries: p.Tries,
		Outcome: p.Outcome.String(), RTTms: ms(p.RTT), Code: p.Code,
	}
	if p.From.IsValid() {
		l.From = p.From.String()
	}
	if p.Mapped.IsValid() {
		l.Mapped = p.Mapped.String()
	}
	return l
}

func ms(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond)) / float64(time.Millisecond)
}
