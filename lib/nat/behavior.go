package nat

import (
	"math/bits"
	"slices"
)

// A Behavior is what a NAT's mapping or filtering depends on (RFC 4787 §4.1,
// §5). The zero Behavior is unknown.
type Behavior uint8

const (
	Unknown Behavior = iota
	EndpointIndependent
	AddressDependent
	AddressAndPortDependent
)

var behaviorNames = [...]string{"unknown", "endpoint-independent", "address-dependent", "address-and-port-dependent"}

// String returns RFC 4787's word.
func (b Behavior) String() string { return behaviorNames[min(b, AddressAndPortDependent)] }

// ParseBehavior reads RFC 4787's word; ok is false for any other.
func ParseBehavior(s string) (b Behavior, ok bool) {
	i := slices.Index(behaviorNames[1:], s)
	return Behavior(i + 1), i >= 0
}

// Behaviors is a set of behaviours: those that what was seen leaves possible.
// The zero value is every one of them.
type Behaviors uint8

const everyBehavior = 1<<EndpointIndependent | 1<<AddressDependent | 1<<AddressAndPortDependent

// Only returns the set of the given behaviours.
func Only(list ...Behavior) (s Behaviors) {
	for _, b := range list {
		s |= 1 << b
	}
	return s
}

func (s Behaviors) set() Behaviors {
	if s &= everyBehavior; s == 0 {
		return everyBehavior
	}
	return s
}

// Has says whether b is possible.
func (s Behaviors) Has(b Behavior) bool { return b != Unknown && s.set()&(1<<b) != 0 }

// And returns what both sets leave possible. If that is nothing, the two contradict
// each other, and the answer is s: who comes first is believed.
func (s Behaviors) And(t Behaviors) Behaviors {
	if both := s.set() & t.set(); both != 0 {
		return both
	}
	return s.set()
}

// One returns the behaviour if only one is possible, else Unknown.
func (s Behaviors) One() Behavior {
	if s = s.set(); bits.OnesCount8(uint8(s)) != 1 {
		return Unknown
	}
	return Behavior(bits.TrailingZeros8(uint8(s)))
}

// List returns the possible behaviours, the most open first.
func (s Behaviors) List() (list []Behavior) {
	for b := EndpointIndependent; b <= AddressAndPortDependent; b++ {
		if s.Has(b) {
			list = append(list, b)
		}
	}
	return list
}
