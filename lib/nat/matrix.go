package nat

// A Way is how two peers can be connected, the best first.
type Way uint8

const (
	Direct    Way = iota // both send, and meet
	Predicted            // one guesses the other's next port
	Birthday             // many sockets meet many guesses
	OverTCP              // UDP does not pass at one of them
	Relayed
)

// String returns the word of /stat.
func (w Way) String() string {
	return [...]string{"direct", "predicted", "birthday", "tcp", "relay"}[min(w, Relayed)]
}

// A Kind is a row of the matrix: a class, of which the symmetric one is two, for
// ports that can be foretold and ports that cannot.
type Kind uint8

const (
	KindPublic Kind = iota
	KindFirewall
	KindFullCone
	KindRestricted
	KindPortRestricted
	KindSequential
	KindRandom
	KindBlocked
	kinds
)

// String returns the name for people.
func (k Kind) String() string {
	return [...]string{
		"public", "symmetric firewall", "full cone", "restricted cone", "port-restricted cone",
		"symmetric, sequential ports", "symmetric, random ports", "UDP blocked",
	}[min(k, KindBlocked)]
}

// Label returns the name for metrics.
func (k Kind) Label() string {
	return [...]string{
		"public", "symmetric-firewall", "full-cone", "restricted-cone", "port-restricted-cone",
		"symmetric-sequential", "symmetric-random", "udp-blocked",
	}[min(k, KindBlocked)]
}

// KindOf returns the row for a class; ok is false where there is none.
func KindOf(c Class, a Allocation) (k Kind, ok bool) {
	switch c {
	case Public:
		return KindPublic, true
	case SymmetricFirewall:
		return KindFirewall, true
	case FullCone:
		return KindFullCone, true
	case RestrictedCone:
		return KindRestricted, true
	case PortRestrictedCone:
		return KindPortRestricted, true
	case Symmetric:
		if a == Sequential {
			return KindSequential, true
		}
		return KindRandom, true
	case UDPBlocked:
		return KindBlocked, true
	}
	return 0, false
}

// matrix is the upper triangle, from each kind to those from itself on.
var matrix = [kinds][]Way{
	KindPublic:         {Direct, Direct, Direct, Direct, Direct, Direct, Direct, OverTCP},
	KindFirewall:       {Direct, Direct, Direct, Direct, Predicted, Birthday, OverTCP},
	KindFullCone:       {Direct, Direct, Direct, Direct, Direct, OverTCP},
	KindRestricted:     {Direct, Direct, Direct, Direct, OverTCP},
	KindPortRestricted: {Direct, Predicted, Birthday, OverTCP},
	KindSequential:     {Predicted, Relayed, Relayed},
	KindRandom:         {Relayed, Relayed},
	KindBlocked:        {OverTCP},
}

// WayBetween returns how two peers are connected at best.
func WayBetween(a, b Kind) Way {
	if a > b {
		a, b = b, a
	}
	return matrix[a][b-a]
}

// Kinds returns every row.
func Kinds() (all []Kind) {
	for k := range kinds {
		all = append(all, k)
	}
	return all
}
