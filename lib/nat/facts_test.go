package nat

import (
	"slices"
	"testing"
	"time"
)

func TestFactsAreReadFromAReport(t *testing.T) {
	delta := 4
	f := FactsOf(Report{
		Class: "symmetric", Candidates: []string{"symmetric"}, Mapping: "address-and-port-dependent", Filtering: "address-and-port-dependent",
		Allocation: "sequential", AllocationDelta: &delta, AllocationRange: []int{2000, 2040},
		Lifetimes: []Lifetime{{Traffic: "active", LivedS: 118}, {Traffic: "one-exchange", LivedS: 28, DiedS: 40}},
	})
	if k, ok := f.Kind(); !ok || k != KindSequential || f.Delta != 4 || f.Low != 2000 || f.High != 2040 || f.Lifetime != 28*time.Second ||
		f.Mapping.One() != AddressAndPortDependent || !slices.Equal(f.Classes, []Class{Symmetric}) {
		t.Errorf("%+v: %v %v", f, k, ok)
	}
	if f := FactsOf(Report{Class: "nonsense", Mapping: "?", Allocation: "?", AllocationRange: []int{9, 3}}); len(f.Classes) > 0 || f.Low != 0 || f.Allocation != 0 {
		t.Errorf("of nonsense: %+v", f)
	}
}

func TestOfWhatIsPossibleTheHarderIsAssumedButNoSymmetricNAT(t *testing.T) {
	for _, c := range []struct {
		f    Facts
		want Kind
		ok   bool
		open bool
		hard bool
	}{
		{Facts{}, 0, false, false, false},
		{Facts{Mapping: Only(AddressAndPortDependent)}, 0, false, false, true},
		{Facts{Classes: []Class{Public, SymmetricFirewall}}, KindFirewall, true, true, false},
		{Facts{Classes: []Class{FullCone, RestrictedCone, PortRestrictedCone}}, KindPortRestricted, true, true, false},
		{Facts{Classes: []Class{FullCone, RestrictedCone, PortRestrictedCone, Symmetric}}, KindPortRestricted, true, true, false},
		{Facts{Classes: []Class{Symmetric}}, KindRandom, true, false, true},
		{Facts{Classes: []Class{Symmetric}, PortUse: PortUse{Allocation: Sequential}}, KindSequential, true, false, false},
		{Facts{Classes: []Class{Offline}}, 0, false, false, false},
	} {
		if k, ok := c.f.Kind(); k != c.want || ok != c.ok || c.f.Open() != c.open || c.f.Hard() != c.hard {
			t.Errorf("%+v: %v %v, open %v, hard %v", c.f, k, ok, c.f.Open(), c.f.Hard())
		}
	}
}
