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
// untouched. More than a GiB of it gained nothing, and held more memory than the
// heap needs.
func hugePages(n int) {
	const most = 1 << 30
	n = min(n, most)
	huge.Lock()
	defer huge.Unlock()
	if n <= huge.bytes {
		return
	}
	huge.bytes = n
	_ = syscall.Madvise(make([]byte, n), syscall.MADV_HUGEPAGE) // a system without goes on without
	runtime.GC()
}
