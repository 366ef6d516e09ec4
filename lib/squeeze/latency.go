package squeeze

import (
	"fmt"
	"time"
)

// A Latency says how near the live edge a player is to be: Off leaves the stream
// as it is.
type Latency uint8

const (
	Off  Latency = iota
	Safe         // a second
	Low          // four tenths
	Edge         // two tenths
)

// Names are the words of --latency, in the order of the constants.
var Names = []string{"off", "safe", "low", "edge"}

// ParseLatency reads one of Names; nothing is Off.
func ParseLatency(s string) (Latency, error) {
	if s == "" {
		return Off, nil
	}
	for i, name := range Names {
		if s == name {
			return Latency(i), nil
		}
	}
	return Off, fmt.Errorf("latency %.20q: want off, safe, low or edge", s)
}

func (l Latency) String() string { return Names[min(int(l), len(Names)-1)] }

// Buffer is how long the model player waits with its first keyframe, and how
// much it has when it has arrived at the edge. Safe is the B of package
// measure's deadlines, Low the smaller one beside it.
func (l Latency) Buffer() time.Duration {
	switch l {
	case Edge:
		return 200 * time.Millisecond
	case Low:
		return 400 * time.Millisecond
	}
	return time.Second
}

// slack is how much farther back a player may fall before it is hurried: less
// than that is the ordinary unrest of pieces, of 100 ms each.
func (l Latency) slack() float64 {
	if l == Safe {
		return 400
	}
	return 150
}

// most bounds what is held for a player that ran dry with less.
func (l Latency) most() float64 {
	switch l {
	case Edge:
		return 600
	case Low:
		return 1000
	}
	return 2000
}
