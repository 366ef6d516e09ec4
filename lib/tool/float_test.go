package tool

import "testing"

func TestAFloatIsANumberFromZeroUp(t *testing.T) {
	n := 1.5
	f := Float(&n, "ratio", "so many times")
	if got := f.value.String(); got != "1.5" {
		t.Errorf("the default is shown as %q", got)
	}
	for s, want := range map[string]float64{"0": 0, "0.25": 0.25, "2": 2, "1e3": 1000} {
		if err := f.value.Set(s); err != nil || n != want {
			t.Errorf("%q is %v, %v", s, n, err)
		}
	}
	n = 7
	for _, s := range []string{"", "-1", "NaN", "Inf", "half", "1,5"} {
		if err := f.value.Set(s); err == nil || n != 7 {
			t.Errorf("%q is taken as %v", s, n)
		}
	}
}
