package nat

import "slices"

// A Class is the derived name of a network: the seven types that Tencent's talk and
// RFC 3489 §5 know, and offline. The facts behind it say more.
type Class uint8

const (
	Unclassified Class = iota
	Public
	UDPBlocked
	SymmetricFirewall
	FullCone
	RestrictedCone
	PortRestrictedCone
	Symmetric
	Offline
)

var classNames = [...]string{
	"", "public", "udp-blocked", "symmetric-firewall", "full-cone", "restricted-cone", "port-restricted-cone", "symmetric", "offline",
}

// String returns the name that scripts rely on; "" for Unclassified.
func (c Class) String() string { return classNames[min(c, Offline)] }

// ParseClass reads a name. ok is false for one that does not exist.
func ParseClass(s string) (c Class, ok bool) {
	if i := slices.Index(classNames[1:], s); i >= 0 {
		return Class(i + 1), true
	}
	return Unclassified, false
}

// A Tri is a yes or a no that may be unknown, which is its zero value.
type Tri uint8

const (
	Maybe Tri = iota
	Yes
	No
)

// TriOf returns Yes or No.
func TriOf(b bool) Tri {
	if b {
		return Yes
	}
	return No
}

// Verdict is what a class is derived from.
type Verdict struct {
	UDP        Tri // any answer over UDP
	TCP        Tri // any connection over TCP
	Translated Tri // an outside server sees another address than ours
	Mapping    Behaviors
	Filtering  Behaviors
}

// classOf names one network of which everything is known.
func classOf(udp, tcp, translated bool, m, f Behavior) Class {
	switch {
	case !udp && tcp:
		return UDPBlocked
	case !udp:
		return Offline
	case !translated && f == EndpointIndependent:
		return Public
	case !translated:
		return SymmetricFirewall
	case m != EndpointIndependent:
		return Symmetric
	case f == EndpointIndependent:
		return FullCone
	case f == AddressDependent:
		return RestrictedCone
	}
	return PortRestrictedCone
}

// Candidates returns every class that the facts leave possible, in the order of
// the constants. It is never empty.
func (v Verdict) Candidates() (list []Class) {
	for _, udp := range v.UDP.values() {
		for _, tcp := range v.TCP.values() {
			for _, translated := range v.Translated.values() {
				for _, m := range v.Mapping.List() {
					for _, f := range v.Filtering.List() {
						if c := classOf(udp, tcp, translated, m, f); !slices.Contains(list, c) {
							list = append(list, c)
						}
					}
				}
			}
		}
	}
	slices.Sort(list)
	return list
}

// Class returns the class if the facts leave one, else Unclassified.
func (v Verdict) Class() Class {
	if list := v.Candidates(); len(list) == 1 {
		return list[0]
	}
	return Unclassified
}

func (t Tri) values() []bool {
	switch t {
	case Yes:
		return []bool{true}
	case No:
		return []bool{false}
	}
	return []bool{true, false}
}
