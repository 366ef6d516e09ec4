package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// busyness is how long the processors have worked and rested since boot, in
// ticks, as Linux counts them (proc_stat(5)), and for how long a virtual machine's
// host gave them to others; zero elsewhere.
type busyness struct{ busy, idle, stolen uint64 }

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
		case i == 8:
			b.stolen += n
		case i < 8: // user, nice, system, interrupts; guests are counted with user
			b.busy += n
		}
	}
	return b
}

// since is which parts of all processors' time were worked and stolen since b, 0 to
// 1; 0 where that is not known.
func (b busyness) since() (busy, stolen float64) {
	now := readBusyness()
	all := float64(now.busy - b.busy + now.idle - b.idle + now.stolen - b.stolen)
	if all == 0 {
		return 0, 0
	}
	return float64(now.busy-b.busy) / all, float64(now.stolen-b.stolen) / all
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
