package bridge

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/xp2p/xp2p/lib/abr"
)

// script is a program in place of ffmpeg.
func script(t *testing.T, text string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the encoders of this test are shell scripts")
	}
	path := filepath.Join(t.TempDir(), "encoder")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// encode gives an encoder two parts and returns what it made, and why it ended.
func encode(t *testing.T, program string) (made, why string) {
	t.Helper()
	out := make(chan Piece)
	e, err := Start(t.Context(), program, abr.Job{ID: 7}, out)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Stop()
	e.Write([][]byte{[]byte("one ")}, false)
	e.Write([][]byte{[]byte("two")}, true)
	for p := range out {
		if p.Job != 7 {
			t.Errorf("a piece of job %d", p.Job)
		}
		made += string(p.Bytes)
		if p.Over {
			return made, p.Why
		}
	}
	return made, "never"
}

func TestAnEncoderIsGivenAllAndItsWordIsPassedOn(t *testing.T) {
	if made, why := encode(t, script(t, "exec cat")); made != "one two" || why != "" {
		t.Errorf("%q, ended because of %q", made, why)
	}
	if _, err := Find(""); err == nil {
		t.Error("no program was found")
	}
	if _, err := Find(filepath.Join(t.TempDir(), "nothing")); err == nil {
		t.Error("a program that is not there was found")
	}
}

func TestAnEncoderThatFailsSaysWhy(t *testing.T) {
	if _, why := encode(t, script(t, "cat >/dev/null; echo no such codec >&2; exit 1")); !strings.Contains(why, "no such codec") {
		t.Errorf("ended because of %q", why)
	}
}
