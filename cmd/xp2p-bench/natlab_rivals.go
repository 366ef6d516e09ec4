package main

import (
	"context"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/netlab"
)

// rivalLimit is how long another tool may take.
const rivalLimit = 60 * time.Second

// rivalTools are commands that say mapping and filtering, against coturn.
var rivalTools = []struct {
	name string
	args []string
}{
	{"turnutils_natdiscovery", []string{"-m", "-f", labServers[2].String()}},
	{"stun-nat-behaviour", []string{"-server", labServers[2].String() + ":3478"}},
}

// askRivals runs the tools that are installed, once each.
func (o *natlabOptions) askRivals(ctx context.Context, l *netlab.Lab, n netlab.Network) (list []otherTool) {
	for _, tool := range rivalTools {
		path, err := exec.LookPath(tool.name)
		if err != nil {
			if path = o.program(tool.name); !isFile(path) {
				continue
			}
		}
		ctx, cancel := context.WithTimeout(ctx, rivalLimit)
		began := time.Now()
		out, _ := l.CommandContext(ctx, netlab.Client, path, tool.args...).CombinedOutput()
		took := time.Since(began)
		cancel()
		said, right := readRival(string(out), n)
		list = append(list, otherTool{Tool: tool.name, Right: right, Said: said, MS: float64(took.Milliseconds())})
	}
	return list
}

var (
	rivalMapping   = regexp.MustCompile(`(?i)(endpoint independent|address dependent|address and port dependent) mapping|mapping behavior: *(endpoint independent|address dependent|address and port dependent|inconclusive[^\n]*)`)
	rivalFiltering = regexp.MustCompile(`(?i)(endpoint independent|address dependent|address and port dependent) filtering|filtering behavior: *(endpoint independent|address dependent|address and port dependent|inconclusive[^\n]*)`)
	rivalNoNAT     = regexp.MustCompile(`(?i)no nat|not behind a nat|no nat:`)
)

// readRival reads what a tool printed. It is right if it says the pair; that these
// tools have no names for classes is not held against them.
func readRival(out string, n netlab.Network) (said string, right bool) {
	pick := func(re *regexp.Regexp) string {
		m := re.FindStringSubmatch(out)
		for _, g := range m[min(1, len(m)):] {
			if g != "" {
				return strings.ReplaceAll(strings.ToLower(g), " ", "-")
			}
		}
		return ""
	}
	m, f := pick(rivalMapping), pick(rivalFiltering)
	none := rivalNoNAT.MatchString(out)
	switch {
	case m == "" && f == "" && none:
		said = "no NAT"
	case m == "" && f == "":
		said = "nothing"
	default:
		said = strings.Trim(m+" / "+f, " /")
		if none {
			said += ", no NAT"
		}
	}
	switch n.Class {
	case nat.UDPBlocked:
		return said, false // none of them has a word for it
	}
	return said, m == n.Mapping.String() && f == n.Filtering.String()
}
