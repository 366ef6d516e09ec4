package tool

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestStatusLineKeepsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w bytes.Buffer
		c := newConsole(&w)
		c.enable(true)
		expect := func(what, want string) {
			t.Helper()
			synctest.Wait()
			c.mu.Lock()
			defer c.mu.Unlock()
			if got := strings.ReplaceAll(w.String(), eraseLine, "<"); got != want {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
			w.Reset()
		}

		c.setStatus("one")
		expect("the first is drawn at once", "<one")
		c.setStatus("two")
		c.setStatus("three")
		expect("the next waits", "")
		time.Sleep(statusEvery)
		expect("and shows the newest", "<three")
		fmt.Fprintln(c, "a log line")
		expect("a line takes its place", "<a log line\n")
		time.Sleep(statusEvery)
		expect("and it comes back below", "<three")
		c.setStatus(strings.Repeat("wide ", 30))
		time.Sleep(statusEvery)
		expect("cut to the width", "<"+strings.Repeat("wide ", 30)[:79])
		c.close()
		expect("gone at exit", "<")
		fmt.Fprintln(c, "last words")
		time.Sleep(time.Second)
		expect("and it stays away", "last words\n")
	})
}

func TestStatusLineIsDrawnFiveTimesASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w bytes.Buffer
		c := newConsole(&w)
		c.enable(true)
		for i := range 1000 {
			c.setStatus(fmt.Sprint(i))
			time.Sleep(time.Millisecond)
		}
		c.close()
		if n := strings.Count(w.String(), eraseLine); n < 5 || n > 7 {
			t.Errorf("drawn or erased %d times in a second", n)
		}
	})
}

func TestStatusLineIsForTerminals(t *testing.T) {
	c := &Command{Name: "x", Run: func(_ context.Context, io *IO, _ []string) error {
		io.Status("buffer %d ms", 5)
		if io.StatusShown() {
			t.Error("shown where nobody looks")
		}
		return nil
	}}
	if _, _, errs := exec(t, c); errs != "" {
		t.Errorf("%q", errs)
	}
}
