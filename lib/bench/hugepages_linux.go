//go:build amd64 || arm64

package bench

import (
	"runtime"
	"sync"
	"syscall"
)

var huge struct {
	sync.Mutex
	bytes int // that were asked for
}

// hugePages lets the heap grow into n bytes under which there are huge pages, if
// the system gives them to those who ask (madvise, as is usual). A simulation goes
// from viewer to viewer through hundreds of MiB in no order that a cache could know:
// with pages of 4 KiB a tenth of its time is spent looking up where they are. The
// runtime has no word for it; so memory is taken, asked for, and given back to it
// untouched.
func hugePages(n int) {
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err != nil {
		return
	}
	n = int(min(uint64(n), uint64(info.Freeram)*uint64(info.Unit)/2))
	huge.Lock()
	defer huge.Unlock()
	if n <= huge.bytes {
		return
	}
	huge.bytes = n
	_ = syscall.Madvise(make([]byte, n), syscall.MADV_HUGEPAGE) // a system without goes on without
	runtime.GC()
}
