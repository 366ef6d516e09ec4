//go:build !linux || (!amd64 && !arm64)

package bench

// hugePages is for Linux on processors of 64 bits.
func hugePages(int) {}
