package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// busyness is how long the processors have worked and rested since boot, in
// ticks, as Linux counts them (proc_stat(5)); zero elsewhere.
type busyness struct{ busy, idle uint64 }

func readBusyness() (b busyness) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return b
	}
	line, _, _ := strings.Cut(string(text), "\n")
	for i, f := range strings.Fields(line) {
		n, err := strconv.ParseUint(f, 10, 64)
		switch {
		case err != nil: // the line's name
		case i == 4, i == 5: // idle, waiting for a disk
			b.idle += n
		case i <= 8: // user, nice, system, interrupts, stolen; guests are counted with user
			b.busy += n
		}
	}
	return b
}

// since is which part of all processors' time was worked since b, 0 to 1; 0
// where that is not known.
func (b busyness) since() float64 {
	now := readBusyness()
	busy, idle := now.busy-b.busy, now.idle-b.idle
	if busy+idle == 0 {
		return 0
	}
	return float64(busy) / float64(busy+idle)
}

// peakRSS is the most memory that a running process has had, in bytes: VmHWM of
// proc_pid_status(5). What the kernel tells at a process's end would not do: it
// counts from before the exec, and so this program's own memory. 0 is not known.
func peakRSS(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "\nVmHWM:")
	line, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(line, "kB")), 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}
