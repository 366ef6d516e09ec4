package store

import (
	"fmt"
	"slices"
)

// maxName is how long a room's name may be.
const maxName = 64

// reserved are the names that URLs need for themselves.
var reserved = []string{"live", "v1", "metrics", "healthz", "stat"}

// CheckName says whether a room may be called name: a letter or digit, then
// letters, digits, dots, underscores and hyphens, at most 64 in all, and none
// of the reserved words. Such a name is one path element in a URL and in a
// file system, and never "." or "..".
func CheckName(name string) error {
	if name == "" {
		return fmt.Errorf("%w: empty", ErrBadName)
	}
	if len(name) > maxName {
		return fmt.Errorf("%w: longer than %d characters", ErrBadName, maxName)
	}
	for i := range len(name) {
		c := name[i]
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alnum && (i == 0 || c != '.' && c != '_' && c != '-') {
			return fmt.Errorf("%w: %q: letters, digits, and after the first also . _ - are allowed", ErrBadName, name)
		}
	}
	if slices.Contains(reserved, name) {
		return fmt.Errorf("%w: %q is reserved", ErrBadName, name)
	}
	return nil
}
