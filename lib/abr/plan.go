package abr

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxSteps bounds a plan.
const maxSteps = 10_000

// ParsePlan reads "at=TIME:NAME,at=TIME:NAME": times are Go durations in
// ascending order, names are those of renditions.
func ParsePlan(text string, names []string) ([]Step, error) {
	var steps []Step
	for text != "" {
		part, rest, more := strings.Cut(text, ",at=")
		if text = rest; more {
			text = "at=" + rest
		}
		at, ok := strings.CutPrefix(part, "at=")
		when, name, named := strings.Cut(at, ":")
		if !ok || !named {
			return nil, fmt.Errorf("%q: want at=TIME:NAME, such as at=12s:720p", part)
		}
		t, err := time.ParseDuration(when)
		if err != nil || t < 0 {
			return nil, fmt.Errorf("%q: want a time such as 12s or 1m30s", when)
		}
		to, err := find(name, names)
		switch {
		case err != nil:
			return nil, err
		case len(steps) > 0 && int64(t) <= steps[len(steps)-1].At:
			return nil, fmt.Errorf("at=%s: not after the step before it", when)
		case len(steps) == maxSteps:
			return nil, fmt.Errorf("more than %d steps", maxSteps)
		}
		steps = append(steps, Step{int64(t), to})
	}
	return steps, nil
}

// A Command is what somebody asks for while a stream is written.
type Command struct {
	To   int  // of the renditions
	Mode Mode // "" if not said
}

// ParseCommand reads "switch NAME", "switch NAME now" or "switch NAME keyframe".
func ParseCommand(line string, names []string) (c Command, err error) {
	f := strings.Fields(line)
	if len(f) < 2 || len(f) > 3 || f[0] != "switch" {
		return c, fmt.Errorf("%q: want switch NAME, with now or keyframe behind it or not", line)
	}
	if c.To, err = find(f[1], names); err != nil {
		return c, err
	}
	if len(f) == 3 {
		if c.Mode, err = ParseMode(f[2]); err != nil {
			return c, err
		}
	}
	return c, nil
}

// ParseMode reads the words that people use for modes.
func ParseMode(word string) (Mode, error) {
	switch word {
	case "keyframe":
		return Keyframe, nil
	case "now":
		return Bridge, nil
	}
	return "", fmt.Errorf("%q: want keyframe or now", word)
}

func find(name string, names []string) (int, error) {
	if i := slices.Index(names, name); i >= 0 {
		return i, nil
	}
	return 0, fmt.Errorf("no rendition is called %q: there are %s", name, strings.Join(names, ", "))
}
