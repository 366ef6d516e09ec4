package zone

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// addText reads the grammar of the package comment.
func (b *Builder) addText(text string) error {
	n := 0
	for line := range strings.Lines(text) {
		n++
		line, _, _ = strings.Cut(line, "#")
		if words := strings.Fields(line); len(words) > 0 {
			if err := b.addLine(b.here(n), words); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *Builder) addLine(at place, words []string) error {
	switch args := words[1:]; words[0] {
	case "cost":
		return b.costLine(at, args)
	case "default-cost":
		if len(args) != 1 {
			return b.errorf(at, "want: default-cost NUMBER")
		}
		c, err := parseCost(args[0])
		if err != nil {
			return b.errorf(at, "%w", err)
		}
		if b.other != nil && b.other.cost != c {
			return b.errorf(at, "the default cost is %d by %s", b.other.cost, b.where(b.other.at))
		}
		b.other = &price{c, at}
		return nil
	case "budget":
		return b.budgetLine(at, args)
	}
	if strings.Trim(words[0], "0123456789abcdefABCDEF.:/") != "" {
		return b.errorf(at, "%.80q is neither a network nor one of cost, default-cost and budget", words[0])
	}
	if len(words) != 2 {
		return b.errorf(at, "want: %.80s ZONE", words[0])
	}
	return b.addNetwork(at, words[0], words[1])
}

// costLine reads FROM [->] TO NUMBER.
func (b *Builder) costLine(at place, args []string) error {
	oneWay := len(args) == 4 && args[1] == "->"
	if oneWay {
		args = []string{args[0], args[2], args[3]}
	}
	if len(args) != 3 {
		return b.errorf(at, "want: cost ZONE ZONE NUMBER, or cost ZONE -> ZONE NUMBER")
	}
	from, err := b.zone(at, args[0])
	if err != nil {
		return err
	}
	to, err := b.zone(at, args[1])
	if err != nil {
		return err
	}
	c, err := parseCost(args[2])
	if err != nil {
		return b.errorf(at, "%w", err)
	}
	if from == to {
		return b.errorf(at, "within a zone it costs nothing")
	}
	if err := b.addCost(at, from, to, c); err != nil || oneWay {
		return err
	}
	return b.addCost(at, to, from, c)
}

func (b *Builder) budgetLine(at place, args []string) error {
	if len(args) != 2 {
		return b.errorf(at, "want: budget ZONE RATE")
	}
	z, err := b.zone(at, args[0])
	if err != nil {
		return err
	}
	bps, err := parseRate(args[1])
	if err != nil {
		return b.errorf(at, "%w", err)
	}
	if old, ok := b.budgets[z]; ok && old.bps != bps {
		return b.errorf(at, "the budget of %s is %d bit/s by %s", args[0], old.bps, b.where(old.at))
	}
	if b.budgets == nil {
		b.budgets = map[ID]budget{}
	}
	b.budgets[z] = budget{bps, at}
	return nil
}

func parseCost(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n > MaxCost {
		return 0, fmt.Errorf("%.80q is no cost: want a whole number from 0 to %d", s, MaxCost)
	}
	return uint32(n), nil
}

var errRate = errors.New("want bits per second such as 800k, 2.5M or 1G")

// parseRate reads bits per second, with powers of 1000 as everywhere in
// networking. None at all is not a budget: a zone needs one stream.
func parseRate(s string) (int64, error) {
	digits, factor := s, 1.0
	if i := strings.IndexAny(s, "kKmMgGtT"); i >= 0 && i == len(s)-1 {
		digits = s[:i]
		factor = math.Pow(1000, float64(1+strings.IndexByte("kmgt", s[i]|0x20)))
	}
	if digits == "" || strings.Trim(digits, "0123456789.") != "" {
		return 0, fmt.Errorf("%.80q is no rate: %w", s, errRate)
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || n*factor < 1 || n*factor > MaxBudget {
		return 0, fmt.Errorf("%.80q is no rate: %w", s, errRate)
	}
	return int64(math.Round(n * factor)), nil
}
