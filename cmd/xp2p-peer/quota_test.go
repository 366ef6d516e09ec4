package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/tool"
)

var march = time.Date(2026, 3, 31, 23, 59, 30, 0, time.Local)

func mustOpen(t *testing.T, file string, limit int64, now time.Time) *quota {
	t.Helper()
	q, err := openQuota(file, limit, now)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// booked is what the file says of a month.
func booked(t *testing.T, file, month string) int64 {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var f quotaFile
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return f.GivenBytes[month]
}

func TestWhatIsGivenCountsInItsMonthAndForAllWhoShareTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "quota.json")
	a, b := mustOpen(t, file, 1000, march), mustOpen(t, file, 1000, march)
	if a.end(march) != 1000 {
		t.Errorf("a fresh quota ends at %d", a.end(march))
	}
	for _, x := range []struct {
		q     *quota
		given int64
		end   int64 // of its own giving
	}{{a, 300, 1000}, {b, 200, 700}, {a, 300, 800}, {a, 450, 800}, {b, 200, 550}, {b, 900, 550}} {
		if err := x.q.book(march, x.given); err != nil {
			t.Fatal(err)
		}
		if end := x.q.end(march); end != x.end {
			t.Errorf("after giving %d the quota ends at %d, want %d", x.given, end, x.end)
		}
	}
	if n := booked(t, file, "2026-03"); n != 450+900 {
		t.Errorf("%d bytes were counted", n)
	}
	april := march.Add(time.Minute)
	if end := a.end(april); end != 450+1000 {
		t.Errorf("in a new month the quota ends at %d", end)
	}
	if err := a.book(april, 500); err != nil {
		t.Fatal(err)
	}
	if c := mustOpen(t, file, 2000, april); c.end(april) != 1950 || c.end(march) != 2000-1350 {
		t.Errorf("a later program may give %d, in March %d", c.end(april), c.end(march))
	}
}

func TestNoCountIsLostWhenManyCountAtATime(t *testing.T) {
	file := filepath.Join(t.TempDir(), "quota.json")
	var wg sync.WaitGroup
	for range 8 {
		q := mustOpen(t, file, 1<<40, march)
		wg.Go(func() {
			for n := range 10 {
				if err := q.book(march, int64(1000*(n+1))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := booked(t, file, "2026-03"); n != 8*10*1000 {
		t.Errorf("of 80000 bytes %d were counted", n)
	}
	left, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(left) != 2 {
		t.Errorf("beside the file and its lock there are %v, %v", left, err)
	}
}

func TestAClockThatWasWrongTakesNothingAway(t *testing.T) {
	file := filepath.Join(t.TempDir(), "quota.json")
	q := mustOpen(t, file, 1000, march)
	for given, now := range []time.Time{march, march.AddDate(-50, 0, 0), march.AddDate(70, 0, 0), march} {
		if err := q.book(now, int64(100*(given+1))); err != nil {
			t.Fatal(err)
		}
	}
	if n := booked(t, file, "2026-03"); n != 200 {
		t.Errorf("%d bytes were counted", n)
	}
	for i := range 60 {
		if err := q.book(march.AddDate(0, 0, 31*i), 400); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(q.months); n > monthsKept {
		t.Errorf("%d months are kept", n)
	}
}

func TestAFileThatIsNoQuotaIsNotTakenForNothing(t *testing.T) {
	for _, s := range []string{`{`, `{}`, `[]`, `{"given_bytes":{"2026-03":-1}}`, `{"given_bytes":{"March":1}}`, `{"given_bytes":{"2026-3":1}}`,
		`{"given_bytes":{"2026-03":9000000000000000000}}`, `{"given_bytes":{}` + strings.Repeat(" ", maxQuota) + `}`} {
		file := filepath.Join(t.TempDir(), "quota.json")
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openQuota(file, 1000, march); err == nil {
			t.Errorf("%.50s: was taken", s)
		}
		if b, _ := os.ReadFile(file); string(b) != s {
			t.Errorf("%.50s: was changed", s)
		}
	}
	if _, err := openQuota(filepath.Join(t.TempDir(), "no", "such", "quota.json"), 1000, march); err == nil {
		t.Error("a directory that is not there was made")
	}
}

func TestTheQuotaIsCountedAmongTheUsersSettingsUnlessToldElsewhere(t *testing.T) {
	home := t.TempDir()
	for _, v := range []string{"HOME", "XDG_CONFIG_HOME", "AppData"} {
		t.Setenv(v, home)
	}
	q := mustOpen(t, "", 1000, march)
	if dir, _ := os.UserConfigDir(); q.file != filepath.Join(dir, "xp2p", "quota.json") {
		t.Errorf("it is %s", q.file)
	}
	if err := q.book(march, 7); err != nil || booked(t, q.file, "2026-03") != 7 {
		t.Error(err)
	}
}

func FuzzQuota(f *testing.F) {
	f.Add([]byte(`{"given_bytes":{"2026-03":1288490188}}`))
	f.Add([]byte(`{"given_bytes":{"2026-03":-5,"":0}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		months, err := parseQuota(b)
		if err != nil {
			return
		}
		out, err := json.Marshal(quotaFile{months})
		if err != nil {
			t.Fatal(err)
		}
		if again, err := parseQuota(out); err != nil || len(again) != len(months) {
			t.Fatalf("%s became %s: %v", b, out, err)
		}
	})
}

func TestManners(t *testing.T) {
	now := time.Now()
	file := filepath.Join(t.TempDir(), "quota.json")
	quiet := func(o options) *manners {
		t.Helper()
		var m *manners
		code := tool.Run(t.Context(), &tool.Command{Name: "test", Run: func(_ context.Context, io *tool.IO, _ []string) (err error) {
			m, err = newManners(io, &o, now)
			return err
		}}, nil, tool.Streams{In: strings.NewReader(""), Out: new(strings.Builder), Err: new(strings.Builder)})
		if code != 0 {
			t.Fatalf("%+v: exit code %d", o, code)
		}
		return m
	}
	m := quiet(options{metered: "yes", uploadRatio: 2, uploadQuota: 1000, quotaFile: file})
	if p := m.bounds(now)(300); !p.Metered || p.Ratio != 2 || p.Allowance != 700 {
		t.Errorf("%+v", p)
	}
	m.book(now, 400)
	m.given.Store(500)
	m.leave()
	m.leave()
	if n := booked(t, file, monthOf(now)); n != 500 {
		t.Errorf("%d bytes were counted", n)
	}
	// A node that did not leave in time tells nothing, and takes nothing back.
	m.given.Store(0)
	m.leave()
	if n := booked(t, file, monthOf(now)); n != 500 {
		t.Errorf("%d bytes were counted", n)
	}
	if p := quiet(options{metered: "no", uploadQuota: 400, quotaFile: file}).bounds(now)(0); p.Metered || p.Ratio != 0 || p.Allowance != 0 {
		t.Errorf("a quota that others have used up: %+v", p)
	}
	if p := quiet(options{metered: "no"}).bounds(now)(1 << 50); p.Metered || p.Allowance >= 0 {
		t.Errorf("without bounds: %+v", p)
	}
	m = quiet(options{metered: "auto"})
	for _, is := range []bool{true, true, false, true} {
		m.ask = func() bool { return is }
		m.look()
		if p := m.bounds(now)(0); p.Metered != is {
			t.Errorf("metered: %v, want %v", p.Metered, is)
		}
	}
	if m := quiet(options{noUpload: true, metered: "auto", uploadQuota: 1000, quotaFile: filepath.Join(file, "none")}); m.quota != nil || m.watch {
		t.Error("who uploads nothing counts nothing")
	}
}
