package tool

import (
	"errors"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
)

// A value is the variable behind a flag, as the flag package wants it.
type value struct {
	name  string
	bool  bool
	list  bool
	word  string // what the help calls its value
	start string // the default as text, before anything was set
	set   func(string) error
	get   func() string
	reset func() // empties a list before its first value
	sets  int
}

// Set is called by urfave/cli for the environment first and by the flag
// package for each occurrence on the command line after that.
func (v *value) Set(s string) error {
	fromEnv := v.sets == 0 && s != "" && os.Getenv(Flag{name: v.name}.env()) == s
	v.sets++
	if !v.list {
		return v.set(s)
	}
	if v.sets == 1 || v.sets == 2 && os.Getenv(Flag{name: v.name}.env()) != "" {
		v.reset()
	}
	if !fromEnv {
		return v.set(s)
	}
	for part := range strings.SplitSeq(s, ",") {
		if err := v.set(part); err != nil {
			return err
		}
	}
	return nil
}

func (v *value) String() string {
	if v == nil || v.get == nil {
		return ""
	}
	return v.get()
}

// IsBoolFlag lets the flag package accept --name without a value.
func (v *value) IsBoolFlag() bool { return v.bool }

var scales = "kMGT"

// parseScaled reads a number from 0 up with an optional suffix k, M, G or T.
func parseScaled(s string, base float64, want string) (int64, error) {
	bad := errors.New("want " + want)
	digits := strings.TrimRight(s, "kKmMgGtT")
	factor := 1.0
	switch suffix := s[len(digits):]; len(suffix) {
	case 0:
	case 1:
		factor = math.Pow(base, float64(1+strings.Index(strings.ToLower(scales), strings.ToLower(suffix))))
	default:
		return 0, bad
	}
	if digits == "" || strings.Trim(digits, "0123456789.") != "" {
		return 0, bad
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || n*factor >= math.MaxInt64 {
		return 0, bad
	}
	return int64(math.Round(n * factor)), nil
}

// formatScaled is the shortest exact way to write n.
func formatScaled(n int64, base int64) string {
	suffix := ""
	for i := range len(scales) {
		if n == 0 || n%base != 0 {
			break
		}
		n /= base
		suffix = scales[i : i+1]
	}
	return strconv.FormatInt(n, 10) + suffix
}

// formatDuration writes 1m0s as 1m and 2h0m0s as 2h.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// ParseRate reads bits per second as a Rate flag does, for values that hold more
// than a rate.
func ParseRate(s string) (int64, error) {
	return parseScaled(s, 1000, "bits per second such as 800k, 2.5M or 1G")
}

// ParseSize reads bytes as a Size flag does.
func ParseSize(s string) (int64, error) {
	return parseScaled(s, 1024, "bytes such as 16k, 64M or 1G")
}
