package cmd_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// All tests are the same on a machine whose way out is a phone on a cable.
func init() { os.Setenv("XP2P_METERED", "no") }

// paint writes an FLV stream of 25 frames a second, as it goes on, and closes w.
func paint(w io.WriteCloser, frames, size int) {
	defer w.Close()
	b := []byte("FLV\x01\x01\x00\x00\x00\x09\x00\x00\x00\x00")
	tag := func(ms int, body []byte) {
		n := len(body)
		b = append(b, 9, byte(n>>16), byte(n>>8), byte(n), byte(ms>>16), byte(ms>>8), byte(ms), 0, 0, 0, 0)
		b = binary.BigEndian.AppendUint32(append(b, body...), uint32(n+11))
	}
	tag(0, []byte{0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 4, 0x67, 0x64, 0, 0x1f, 1, 0, 1, 0x68})
	fill := rand.NewChaCha8([32]byte{1})
	tick := time.NewTicker(time.Second / 25)
	defer tick.Stop()
	for i := range frames {
		body := make([]byte, size)
		fill.Read(body)
		copy(body, []byte{0x27, 1, 0, 0, 0})
		if i%25 == 0 {
			body[0] = 0x17
		}
		tag(i*40, body)
		if _, err := w.Write(b); err != nil {
			return
		}
		b = b[:0]
		<-tick.C
	}
}

// manners are the members of --stats that say how polite a viewer is.
type manners struct {
	UploadedBytes  int64  `json:"uploaded_bytes"`
	UploadAllowed  *bool  `json:"upload_allowed"`
	UploadReason   string `json:"upload_reason"`
	QuotaLeftBytes *int64 `json:"quota_left_bytes"`
}

func mannersIn(t *testing.T, stats string) (m manners) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(string(read(t, stats))), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &m); err != nil || m.UploadAllowed == nil {
		t.Fatalf("%s: %v", lines[len(lines)-1], err)
	}
	return m
}

// Two viewers on one machine have one quota; others may not upload for other
// reasons. All of them watch.
func TestViewersUploadWithinWhatTheirUserAllows(t *testing.T) {
	t.Parallel()
	b, in := pipeline(t, launch{}, nil)
	go paint(in, 90, 5000)
	b.ready()
	dir := t.TempDir()
	month := time.Now().Format("2006-01")
	counted := func(name string, bytes int64) string {
		file := filepath.Join(dir, name+".json")
		if err := os.WriteFile(file, fmt.Appendf(nil, `{"given_bytes":{"2001-01":5,"%s":%d}}`, month, bytes), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	const before, limit = 5_000_000, 1 << 30
	shared, full := counted("shared", before), counted("full", limit)
	stats := func(name string) string { return filepath.Join(dir, name) }
	quota := []string{"--upload-quota", "1G", "--quota-file"}
	// A file that is no quota is not taken for an empty one.
	wrong := stats("wrong")
	if err := os.WriteFile(wrong, []byte("12 MB so far\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	confused := viewer(t, b.url, append(quota, wrong)...)
	watch := func(name string, args ...string) *process {
		return viewer(t, b.url, append(args, "--stats", stats(name))...)
	}
	paid := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(name, args...)
		cmd.Env = append(os.Environ(), "XP2P_METERED=1")
		return cmd
	}
	all := map[string]*process{
		"one":     watch("one", append(quota, shared)...),
		"two":     watch("two", append(quota, shared, "--background", "--upload-ratio", "3")...),
		"full":    watch("full", append(quota, full)...),
		"metered": run(t, launch{wrap: paid}, "peer", "-q", "--listen", "127.0.0.1:0", "--stats", stats("metered"), b.url),
		"flag":    watch("flag", "--no-upload"),
	}
	// One of the two is interrupted, and counts what it has uploaded all the same.
	two := all["two"]
	delete(all, "two")
	two.out.await(t, 20*time.Second, "most of the stream", func(out []byte) bool { return len(out) > 300_000 })
	two.signal(syscall.SIGTERM)
	two.wantExit(5*time.Second, 143)
	for _, p := range all {
		p.wantExit(20*time.Second, 0)
	}
	confused.wantExit(time.Second, 1)
	if said := confused.errs.String(); !strings.Contains(said, wrong) || !strings.Contains(said, "hint") {
		t.Errorf("on a quota file that is none it says:\n%s", said)
	}
	film := walk(b.input.bytes())
	film.wantBorder(t, "two", two.out.bytes())
	for name, p := range all {
		film.wantEnd(t, name, p.out.bytes())
	}

	for name, reason := range map[string]string{"full": "quota", "metered": "metered", "flag": "flag"} {
		if m := mannersIn(t, stats(name)); *m.UploadAllowed || m.UploadReason != reason || m.UploadedBytes > 0 {
			t.Errorf("%s: allowed %v, reason %q, uploaded %d", name, *m.UploadAllowed, m.UploadReason, m.UploadedBytes)
		}
	}
	if m := mannersIn(t, stats("full")); m.QuotaLeftBytes == nil || *m.QuotaLeftBytes != 0 {
		t.Errorf("of a quota that is used up %v bytes are left", m.QuotaLeftBytes)
	}
	first, second := mannersIn(t, stats("one")), mannersIn(t, stats("two"))
	for name, m := range map[string]manners{"one": first, "two": second} {
		if !*m.UploadAllowed || m.UploadedBytes == 0 && name == "one" || m.QuotaLeftBytes == nil || *m.QuotaLeftBytes > limit-before-m.UploadedBytes {
			t.Errorf("%s: allowed %v, uploaded %d, left %v", name, *m.UploadAllowed, m.UploadedBytes, m.QuotaLeftBytes)
		}
	}
	var file struct {
		Given map[string]int64 `json:"given_bytes"`
	}
	if err := json.Unmarshal(read(t, shared), &file); err != nil {
		t.Fatal(err)
	}
	// The last line of the counters is up to a second older than the file.
	sum, most := first.UploadedBytes+second.UploadedBytes, int64(6*len(film.bytes))
	if n := file.Given[month] - before; n < sum || n > most || file.Given["2001-01"] != 5 {
		t.Errorf("the file counts %d bytes more (%v), the two uploaded %d of at most %d", n, file.Given, sum, most)
	}
	t.Logf("uploaded %d and %d, counted %d", first.UploadedBytes, second.UploadedBytes, file.Given[month]-before)
}
