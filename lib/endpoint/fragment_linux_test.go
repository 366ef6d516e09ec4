package endpoint

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xp2p/xp2p/lib/machine"
)

// narrow runs f where the loopback interface carries IP packets of mtu bytes and
// no larger ones.
func narrow(t *testing.T, mtu uint32, f func()) {
	t.Helper()
	failed := make(chan error, 1)
	go func() {
		// The thread ends with the goroutine: it must not serve anybody else.
		runtime.LockOSThread()
		failed <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return err
			}
			s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
			if err != nil {
				return err
			}
			defer unix.Close(s)
			lo, err := unix.NewIfreq("lo")
			if err != nil {
				return err
			}
			lo.SetUint32(mtu)
			if err := unix.IoctlIfreq(s, unix.SIOCSIFMTU, lo); err != nil {
				return err
			}
			lo.SetUint16(unix.IFF_UP | unix.IFF_LOOPBACK | unix.IFF_RUNNING)
			if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo); err != nil {
				return err
			}
			f()
			return nil
		}()
	}()
	if err := <-failed; err != nil {
		t.Skip("no network namespace: ", err)
	}
}

func TestWhatIsTooBigForTheInterfaceIsLostAndCounted(t *testing.T) {
	for name, plain := range map[string]bool{"batched": false, "plain": true} {
		t.Run(name, func(t *testing.T) {
			out, in := &script{}, &duet{}
			var e, far running
			narrow(t, 1400, func() {
				far = start(t, in, Config{Listen: loopback})
				e = start(t, out, Config{Listen: loopback, Plain: plain})
			})
			const most = 1400 - 28
			e.Call(t.Context(), func(time.Time) {
				for _, n := range []int{most + 100, most, most + 1, 4} { // the last says that all have come
					out.out = append(out.out, machine.Packet{Remote: far.LocalAddr(0), Data: make([]byte, n), DontFragment: true})
				}
			})
			e.Call(t.Context(), func(time.Time) {})
			if s := e.Stats(); s.PacketsOut != 2 || s.SendDrops != 2 || s.SendTooBig != 2 {
				t.Errorf("%+v", s)
			}
			for far.Stats().PacketsIn < 2 && t.Context().Err() == nil {
				far.Call(t.Context(), func(time.Time) {})
			}
			far.stop()
			if s := far.Stats(); s.BytesIn != most+4 {
				t.Errorf("%d bytes came in %d datagrams", s.BytesIn, s.PacketsIn)
			}
		})
	}
}
