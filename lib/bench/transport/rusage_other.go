//go:build !unix

package transport

import "time"

func cpuTime() (d time.Duration, ok bool) { return 0, false }
