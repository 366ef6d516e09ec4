package tool

import (
	"errors"
	"math"
	"strconv"
)

// Float takes a number from 0 up, such as 0.5.
func Float(p *float64, name, usage string) Flag {
	return newFlag(name, usage, &value{
		set: func(s string) error {
			n, err := strconv.ParseFloat(s, 64)
			if err != nil || !(n >= 0) || math.IsInf(n, 1) {
				return errors.New("want a number from 0 up such as 0.5")
			}
			*p = n
			return nil
		},
		get:  func() string { return strconv.FormatFloat(*p, 'g', -1, 64) },
		word: "NUMBER",
	})
}
