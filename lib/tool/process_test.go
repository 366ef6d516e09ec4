package tool

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// The test binary is also the tools whose life and death is tested.
func TestMain(m *testing.M) {
	role := os.Getenv("TOOL_TEST_ROLE")
	if role == "" {
		os.Exit(m.Run())
	}
	c := &Command{Name: role}
	switch role {
	case "sample":
		c = sample(new(options), nil)
	case "polite": // leaves when asked
		c.Run = func(ctx context.Context, t *IO, _ []string) error {
			t.Milestone("ready")
			_, err := io.Copy(t.Out, t.In)
			if Interrupted(err) {
				fmt.Fprintln(t.Out, "end record")
				return nil
			}
			return err
		}
	case "stubborn": // does not
		c.Run = func(ctx context.Context, t *IO, _ []string) error {
			t.Milestone("ready")
			<-ctx.Done()
			t.Milestone("leaving")
			select {}
		}
	case "filter", "player":
		c.ReaderMayLeave = role == "player"
		c.Run = func(ctx context.Context, t *IO, _ []string) error {
			_, err := io.Copy(t.Out, zeros{})
			t.Milestone("saw the end")
			if !errors.Is(err, ErrReaderLeft) {
				t.Log.Error("another error", "err", err)
			}
			return err
		}
	}
	Main(c)
}

type process struct {
	*osexec.Cmd
	t      *testing.T
	stdout *bufio.Reader
	stderr *bufio.Reader
	in     io.WriteCloser
	out    io.ReadCloser
}

func start(t *testing.T, role string) *process {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("signals and SIGPIPE are for Unix")
	}
	p := &process{Cmd: osexec.CommandContext(t.Context(), os.Args[0], "--log-format=text"), t: t}
	p.Env = append(os.Environ(), "TOOL_TEST_ROLE="+role)
	p.in, _ = p.StdinPipe()
	p.out, _ = p.StdoutPipe()
	errs, _ := p.StderrPipe()
	p.stdout, p.stderr = bufio.NewReader(p.out), bufio.NewReader(errs)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// says waits for a line on stderr.
func (p *process) says(want string) {
	p.t.Helper()
	if line, err := p.stderr.ReadString('\n'); strings.TrimSpace(line) != want {
		p.t.Fatalf("said %q (%v), want %q", line, err, want)
	}
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// ends waits for the process and gives its status as a shell would.
func (p *process) ends() (status int, stdout, stderr string) {
	out, _ := io.ReadAll(p.stdout)
	errs, _ := io.ReadAll(p.stderr)
	p.Wait()
	ws := p.ProcessState.Sys().(syscall.WaitStatus)
	if ws.Signaled() {
		return 128 + int(ws.Signal()), string(out), string(errs)
	}
	return ws.ExitStatus(), string(out), string(errs)
}

func TestTheFirstSignalAsks(t *testing.T) {
	for sig, want := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		p := start(t, "polite")
		p.says("polite: ready")
		p.signal(sig) // while it waits for its input
		if status, out, errs := p.ends(); status != want || p.ProcessState.ExitCode() != want || out != "end record\n" || errs != "" {
			t.Errorf("%v: status %d, stdout %q, stderr %q", sig, status, out, errs)
		}
	}
}

func TestTheSecondSignalKills(t *testing.T) {
	p := start(t, "stubborn")
	p.says("stubborn: ready")
	p.signal(syscall.SIGINT)
	p.says("stubborn: leaving")
	p.signal(syscall.SIGTERM)
	if status, _, _ := p.ends(); status != 143 || p.ProcessState.ExitCode() != -1 {
		t.Errorf("status %d, exit code %d: not killed", status, p.ProcessState.ExitCode())
	}
}

func TestTheEndOfInputIsDone(t *testing.T) {
	p := start(t, "polite")
	io.WriteString(p.in, "bytes")
	p.in.Close()
	if status, out, errs := p.ends(); status != 0 || out != "bytes" || errs != "polite: ready\n" {
		t.Errorf("status %d, stdout %q, stderr %q", status, out, errs)
	}
}

func TestAFilterDiesWithItsReader(t *testing.T) {
	p := start(t, "filter")
	p.stdout.ReadByte()
	p.out.Close()
	if status, _, errs := p.ends(); status != 128+int(syscall.SIGPIPE) || errs != "" {
		t.Errorf("status %d, stderr %q", status, errs)
	}
}

func TestAPlayersEndIsANormalEnd(t *testing.T) {
	p := start(t, "player")
	p.stdout.ReadByte()
	p.out.Close()
	if status, _, errs := p.ends(); status != 0 || errs != "player: saw the end\n" {
		t.Errorf("status %d, stderr %q", status, errs)
	}
}

func TestCompletionInBash(t *testing.T) {
	bash, err := osexec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed")
	}
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "xp2p-slice")); err != nil {
		t.Skip(err)
	}
	for line, want := range map[string]string{
		"xp2p-slice ca":            "cat",
		"xp2p-slice --se":          "--segment",
		"xp2p-slice cat --ra":      "--raw",
		"xp2p-slice cat --rawer":   "",
		"xp2p-slice --room x --ro": "--room",
	} {
		script := `. ../../scripts/completion.sh; COMP_WORDS=($1); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _xp2p; echo "${COMPREPLY[*]}"`
		cmd := osexec.Command(bash, "-c", script, "bash", line)
		cmd.Env = append(os.Environ(), "TOOL_TEST_ROLE=sample", "PATH="+dir+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%s<TAB>: %q, want %q (%v)", line, got, want, err)
		}
	}
}
