package main

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/xp2p/xp2p/lib/tool"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"xp2p-abr": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Condition: func(cond string) (bool, error) {
			if cond == "ffmpeg" {
				_, err := exec.LookPath("ffmpeg")
				return err == nil, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"pipe": pipe, "code": code},
	})
}

// pipe runs a shell pipeline; it fails if any part of it does.
func pipe(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec("bash", "-o", "pipefail", "-c", strings.Join(args, " "))
	if (err != nil) != neg {
		ts.Fatalf("pipe: %v", err)
	}
}

// code N COMMAND… runs a command that must end with code N.
func code(ts *testscript.TestScript, _ bool, args []string) {
	script := fmt.Sprintf("%s; c=$?; [ $c = %s ] || { echo code $c >&2; exit 1; }", strings.Join(args[1:], " "), args[0])
	ts.Check(ts.Exec("bash", "-c", script))
}

func TestTheManualHasAllFlags(t *testing.T) {
	if err := tool.CheckManual(command()); err != nil {
		t.Error(err)
	}
}
