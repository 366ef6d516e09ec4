package lib

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/internal/testmedia"
)

// The README shows commands in fenced blocks. A block marked sh is run here as
// it stands, by bash -euo pipefail, in a directory of its own that holds a
// match.mp4 of ten seconds, with the binaries of this tree on the PATH and,
// where that is allowed, on a network of its own. What runs without end has to
// say timeout. A block marked console is for the reader's eyes: what needs a
// screen, another machine, or the tests themselves.
const readmeBlockLimit = 90 * time.Second

func TestCommandsOfTheReadmeWork(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("there is no README.md yet")
	} else if err != nil {
		t.Fatal(err)
	}
	blocks := shellBlocks(string(text))
	if len(blocks) == 0 {
		t.Skip("README.md has no sh block")
	}
	if testing.Short() {
		t.Skip("runs whole pipelines: not with -short")
	}
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash is not installed")
	}
	match := testmedia.Bytes(t, testmedia.FMP4GOP(t, testmedia.Recipe{Duration: 10 * time.Second}))

	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", bin+string(filepath.Separator), "../cmd/...").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for _, b := range blocks {
		t.Run(fmt.Sprintf("line %d", b.line), func(t *testing.T) {
			if strings.Contains(b.script, "scripts/test") {
				t.Fatal("scripts/test runs this test: mark the block console")
			}
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "match.mp4"), match, 0o644); err != nil {
				t.Fatal(err)
			}
			runBlock(t, b.script, dir, bin)
		})
	}
}

// runBlock runs a script and ends whatever it left behind.
func runBlock(t *testing.T, script, dir, bin string) {
	ctx, cancel := context.WithTimeout(t.Context(), readmeBlockLimit)
	defer cancel()
	argv := []string{"bash", "-euo", "pipefail", "-c", script}
	if ownNetwork() {
		// All that is left dies with the first process of its own PID namespace.
		argv = append([]string{"unshare", "--net", "--pid", "--fork", "--kill-child", "bash", "-c", `ip link set lo up; exec "$@"`, "block"}, argv...)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"),
		"SDL_VIDEODRIVER=dummy", "SDL_AUDIODRIVER=dummy") // ffplay without a screen
	cmd.WaitDelay = 2 * time.Second
	out, err := cmd.CombinedOutput()
	switch {
	case ctx.Err() != nil:
		t.Errorf("not done after %v:\n%s\n%s", readmeBlockLimit, script, out)
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		t.Errorf("%v:\n%s\n%s", err, script, out)
	}
}

// ownNetwork reports whether a block can have a network of its own, so that
// its ports are free.
func ownNetwork() bool {
	return runtime.GOOS == "linux" && exec.Command("unshare", "--net", "--pid", "--fork", "ip", "link", "set", "lo", "up").Run() == nil
}

type shellBlock struct {
	line   int
	script string
}

// shellBlocks takes the blocks fenced as sh out of Markdown.
func shellBlocks(text string) (blocks []shellBlock) {
	const outside, other, shell = 0, 1, 2
	state := outside
	for i, line := range strings.Split(text, "\n") {
		fence := strings.HasPrefix(line, "```")
		switch {
		case fence && state != outside:
			state = outside
		case fence && strings.TrimSpace(line[3:]) == "sh":
			state = shell
			blocks = append(blocks, shellBlock{line: i + 2})
		case fence:
			state = other
		case state == shell:
			blocks[len(blocks)-1].script += line + "\n"
		}
	}
	return blocks
}

func TestShellBlocksAreFound(t *testing.T) {
	got := shellBlocks("# A\n```sh\necho a |\n  cat\n```\n\n```console\n$ no\n```\n```\nno\n```\n```sh\nb\n```\n")
	want := []shellBlock{{3, "echo a |\n  cat\n"}, {14, "b\n"}}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
