package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// machine describes where this runs.
func machine() string {
	cpu := ""
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				cpu = ", " + strings.TrimSpace(value)
				break
			}
		}
	}
	system := runtime.GOOS
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		system += " " + strings.TrimSpace(string(b))
	}
	busy := ""
	if load, ok := loadAverage(); ok {
		busy = fmt.Sprintf(" with a load of %.1f", load)
	}
	return fmt.Sprintf("%d CPUs%s%s, %s, %s, %s", runtime.NumCPU(), cpu, busy, system, runtime.Version(), time.Now().UTC().Format("2 January 2006"))
}

// loadAverage is how many tasks ran or wanted to, over the last minute.
func loadAverage() (load float64, ok bool) {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0, false
	}
	_, err = fmt.Sscan(string(b), &load)
	return load, err == nil
}

// busy warns of a machine that has other things to do: the emulator is on time
// all the same, or the run is rejected, but the ends that are measured are not.
func busy(load float64, cpus int) string {
	if load <= float64(cpus)/2 {
		return ""
	}
	return fmt.Sprintf("a load of %.1f on %d CPUs when it began: who shares a machine measures that too", load, cpus)
}
