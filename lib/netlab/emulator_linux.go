package netlab

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// The emulator is a process of its own: this very program, started again
// under another name. There nothing but the engine runs, no garbage is
// collected, and all threads can have the same priority; inside a busy
// program a packet would wait for the scheduler, up to tens of milliseconds.
// It has the TUN devices, hears orders on its standard input, answers on its
// standard output, and ends when its input does: with this process, at the
// latest.
const emulatorName = "xp2p-netlab-emulator"

func init() {
	if os.Args[0] == emulatorName {
		if err := emulate(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, emulatorName+":", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// setup is what the emulator's process is told first.
type setup struct {
	Hosts []Host
	Delay time.Duration
	Seed  uint64
	Hops  int
	// Realtime: packets must not wait for a processor.
	Realtime bool
}

// An order is one line to the emulator's process. Each is answered by a line.
type order struct {
	Do       string // "links", "delay" or "report"
	A, B     int
	Up, Down Link
	Delay    time.Duration
}

const firstTUN = 3 // the first of exec.Cmd.ExtraFiles

// emulate is the whole of the emulator's process.
func emulate(in io.Reader, out io.Writer) error {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(256 << 20) // only then
	dec, enc := json.NewDecoder(in), json.NewEncoder(out)
	var c setup
	if err := dec.Decode(&c); err != nil {
		return err
	}
	var tuns []int
	for i := range c.Hosts {
		tuns = append(tuns, firstTUN+i)
	}
	e := newEngine(c, tuns)
	go e.run()
	if c.Realtime {
		go e.standBy()
	}
	if err := enc.Encode(Report{}); err != nil {
		return err
	}
	for {
		var o order
		switch err := dec.Decode(&o); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		switch o.Do {
		case "links":
			e.setLinks(o.A, o.Up, o.Down)
		case "delay":
			e.setDelay(o.A, o.B, o.Delay)
		}
		if err := enc.Encode(e.report()); err != nil {
			return err
		}
	}
}

// An emulator is that process as the lab sees it.
type emulator struct {
	cmd    *exec.Cmd
	errors strings.Builder // what it said on standard error; read after Wait

	mu  sync.Mutex
	in  io.WriteCloser
	enc *json.Encoder
	dec *json.Decoder
}

func newEmulator(c Config, hosts []*place) (*emulator, error) {
	s := setup{Delay: c.Delay, Seed: c.Seed, Hops: c.Hops, Realtime: c.Realtime}
	e := &emulator{cmd: exec.Command("/proc/self/exe")}
	e.cmd.Args = []string{emulatorName}
	e.cmd.Stderr = &e.errors
	for _, h := range hosts {
		if h.port < 0 {
			continue
		}
		s.Hosts = append(s.Hosts, h.Host)
		e.cmd.ExtraFiles = append(e.cmd.ExtraFiles, h.tun)
	}
	in, err := e.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	e.in, e.enc, e.dec = in, json.NewEncoder(in), json.NewDecoder(bufio.NewReader(out))
	err = onThread(func() error {
		if c.Realtime {
			// The process inherits the priority of the thread that starts it.
			a := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
			if err := unix.SchedSetAttr(0, &a, 0); err != nil {
				return os.NewSyscallError("sched_setattr", err)
			}
		}
		return e.cmd.Start()
	})
	if err != nil {
		return nil, err
	}
	if err = e.enc.Encode(s); err == nil {
		err = e.dec.Decode(new(Report))
	}
	if err != nil {
		e.stop()
		return nil, fmt.Errorf("emulator: %w: %s", err, e.errors.String())
	}
	return e, nil
}

func (e *emulator) stop() {
	e.in.Close()
	e.cmd.Wait()
}

// ask sends an order and returns the report that answers it. With the
// emulator gone there is nothing to report.
func (e *emulator) ask(o order) (r Report) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.enc.Encode(o) == nil {
		e.dec.Decode(&r)
	}
	return r
}

func (e *emulator) setLinks(host int, up, down Link) {
	e.ask(order{Do: "links", A: host, Up: up, Down: down})
}

func (e *emulator) setDelay(a, b int, d time.Duration) {
	e.ask(order{Do: "delay", A: a, B: b, Delay: max(0, d)})
}

func (e *emulator) report() Report { return e.ask(order{Do: "report"}) }
