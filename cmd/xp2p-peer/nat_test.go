package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xp2p/xp2p/lib/nat"
)

// --nat takes the last line of what xp2p-natprobe --json wrote, and nothing else.
func TestAReportOfNatprobeIsRead(t *testing.T) {
	probes := `{"type":"probe","test":"mapping"}` + "\n"
	f, err := readNAT(strings.NewReader(probes + `{"type":"nat","class":"symmetric","candidates":["symmetric"],"allocation":"sequential","allocation_delta":2}` + "\n"))
	if k, ok := f.Kind(); err != nil || !ok || k != nat.KindSequential || f.Delta != 2 {
		t.Errorf("%+v, %v", f, err)
	}
	for name, s := range map[string]string{
		"nothing":        "",
		"no JSON":        "full-cone\n",
		"another line":   probes,
		"a class of its": `{"type":"nat","class":"cosy","candidates":["cosy"]}`,
		"another type":   `{"type":"stat","class":"public","candidates":["public"]}`,
	} {
		if f, err := readNAT(strings.NewReader(s)); err == nil {
			t.Errorf("%s: %+v", name, f)
		}
		file := filepath.Join(t.TempDir(), "nat.json")
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := (&options{nat: file}).checkNAT(); err == nil {
			t.Errorf("%s: taken from a file", name)
		}
	}
	if err := (&options{nat: filepath.Join(t.TempDir(), "none")}).checkNAT(); err == nil {
		t.Error("a file that is not there")
	}
}
