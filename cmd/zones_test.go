package cmd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestASeedSaysWhatIsWrongWithItsZones(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--zones", file("a.txt", "10.0.0.0/8 a\n10.0.0.0/33 b\n")}, 4, `a.txt:2: "10.0.0.0/33" is no network`},
		{[]string{"--zones", file("b.txt", "10.0.0.0/8 a\n"), "--zones", file("c.txt", "\ncost a b 5\n")}, 4, "c.txt:2: b is the zone of no network"},
		{[]string{"--zones", file("m.json", "{\"network-map\": {}\n,}")}, 4, "m.json:2: invalid character"},
		{[]string{"--zones", file("isp.mmdb", "\xab\xcd\xefMaxMind.com")}, 4, "isp.mmdb: a MaxMind database that is broken"},
		{[]string{"--zones", filepath.Join(dir, "none")}, 2, "none: no such file"},
		{[]string{"--zones", dir}, 2, "is a directory"},
		{[]string{"--zones", file("d.txt", ""), "--tracker", "http://127.0.0.1:9"}, 2, "the tracker is not here"},
	} {
		p := run(t, launch{}, "seed", append([]string{"-q", "--listen", "127.0.0.1:0", "--room", room}, c.args...)...)
		p.wantExit(10*time.Second, c.code)
		if said := p.errs.String(); !strings.Contains(said, c.want) || !strings.Contains(said, "--zones") {
			t.Errorf("%v: %s", c.args, said)
		}
	}
}
