package tool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// options is what the sample command's flags are bound to.
type options struct {
	room, align string
	segment     time.Duration
	piece, rate int64
	n           int
	urls        []string
	json, only  bool
	out         string
}

const sampleManual = `// Xp2p-sample is a tool for tests.
//
// It reads, and writes.
//
//	xp2p-sample [--room NAME] | xp2p-other --unknown | xp2p-sample cat --raw
//
// # Options
//
//	-o, --output FILE   where to
//	--room NAME         the room
//	--align grid|key    how
//	--segment DURATION  how long
//	--piece BYTES, --rate RATE and --n count; --url and --json and --only too
package main
`

// sample has a flag of every kind, a verb, and a run that tests may set.
func sample(o *options, run func(context.Context, *IO, []string) error) *Command {
	*o = options{align: "grid", segment: time.Second, piece: 16 << 10, urls: []string{"default"}}
	if run == nil {
		run = func(context.Context, *IO, []string) error { return nil }
	}
	return &Command{
		Name: "xp2p-sample", Summary: "a tool for tests", Args: "[FILE]", Manual: sampleManual,
		Flags: []Flag{
			String(&o.room, "room", "publish as `NAME`"),
			String(&o.out, "output", "write to `FILE`").Short("o"),
			Choice(&o.align, "align", "how segments begin", "grid", "key"),
			Duration(&o.segment, "segment", "length of a segment"),
			Size(&o.piece, "piece", "size of a piece"),
			Rate(&o.rate, "rate", "send at most this"),
			Int(&o.n, "n", "how many"),
			Strings(&o.urls, "url", "an upstream `URL`; may be repeated"),
			Bool(&o.json, "json", "JSON Lines"),
			Bool(&o.only, "only", "one part only"),
		},
		Verbs: []*Command{{
			Name: "cat", Summary: "give the bytes back", Args: "[FILE]",
			Flags: []Flag{Bool(new(bool), "raw", "as they are")},
			Run: func(_ context.Context, io *IO, args []string) error {
				fmt.Fprintf(io.Out, "cat %q\n", args)
				return nil
			},
		}},
		Run: run,
	}
}

// exec runs a command and returns what a shell would see.
func exec(t *testing.T, c *Command, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = Run(t.Context(), c, args, Streams{strings.NewReader(""), &out, &err})
	return code, out.String(), err.String()
}

func TestFlagsReachTheirFieldsFromEveryPlace(t *testing.T) {
	var o options
	var got []string
	c := func() *Command {
		return sample(&o, func(_ context.Context, _ *IO, args []string) error { got = args; return nil })
	}
	for _, tc := range []struct {
		name string
		args string
		ok   func() bool
		rest string
	}{
		{"before the argument", "--room m in.flv", func() bool { return o.room == "m" }, "in.flv"},
		{"after the argument", "in.flv --room m --json", func() bool { return o.room == "m" && o.json }, "in.flv"},
		{"with an equals sign", "--room=a=b", func() bool { return o.room == "a=b" }, ""},
		{"a dash is an argument", "- --room m", func() bool { return o.room == "m" }, "-"},
		{"a dash is a value", "-o - x", func() bool { return o.out == "-" }, "x"},
		{"after -- nothing is a flag", "--json -- --room -o", func() bool { return o.json && o.room == "" }, "--room -o"},
		{"after -- nothing is a verb", "-- cat", func() bool { return true }, "cat"},
		{"a short name", "-o f", func() bool { return o.out == "f" }, ""},
		{"a short name with its value", "-of", func() bool { return o.out == "f" }, ""},
		{"short names together", "-qo f", func() bool { return o.out == "f" }, ""},
		{"a long name with one dash", "-only -room m", func() bool { return o.only && o.room == "m" }, ""},
		{"a switch turned off", "--json --json=false", func() bool { return !o.json }, ""},
		{"a duration", "--segment 1m30s", func() bool { return o.segment == 90*time.Second }, ""},
		{"bytes are binary", "--piece 64k", func() bool { return o.piece == 65536 }, ""},
		{"bits are decimal", "--rate 2.5M", func() bool { return o.rate == 2_500_000 }, ""},
		{"a number", "--n -3", func() bool { return o.n == -3 }, ""},
		{"a word", "--align key", func() bool { return o.align == "key" }, ""},
		{"a list replaces its default", "--url a --url b,c", func() bool { return strings.Join(o.urls, " ") == "a b,c" }, ""},
		{"defaults", "", func() bool { return o.align == "grid" && o.piece == 16384 && o.urls[0] == "default" }, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got = nil
			code, out, errs := exec(t, c(), strings.Fields(tc.args)...)
			if code != 0 || out != "" || errs != "" || !tc.ok() || strings.Join(got, " ") != tc.rest {
				t.Errorf("code %d, options %+v, arguments %q\n%s%s", code, o, got, out, errs)
			}
		})
	}
}

func TestEnvironmentStandsBehindFlags(t *testing.T) {
	t.Setenv("XP2P_ROOM", "from-env")
	t.Setenv("XP2P_URL", "a,b")
	t.Setenv("XP2P_PIECE", "32k")
	t.Setenv("XP2P_JSON", "true")
	var o options
	exec(t, sample(&o, nil))
	if o.room != "from-env" || o.piece != 32768 || strings.Join(o.urls, " ") != "a b" || !o.json {
		t.Errorf("environment alone: %+v", o)
	}
	exec(t, sample(&o, nil), "--room", "r", "--url", "c", "--url", "d", "--json=false")
	if o.room != "r" || strings.Join(o.urls, " ") != "c d" || o.json {
		t.Errorf("flags over environment: %+v", o)
	}

	t.Setenv("XP2P_PIECE", "lots")
	code, out, errs := exec(t, sample(&o, nil))
	if code != ExitUsage || out != "" || !strings.Contains(errs, "XP2P_PIECE") {
		t.Errorf("bad environment: code %d, stdout %q\n%s", code, out, errs)
	}
	if code, _, _ := exec(t, sample(&o, nil), "cat"); code != 0 {
		t.Error("a verb minds a variable that is not of its flags")
	}
}

// Each of these made urfave/cli print help to stdout, exit, or lose a flag.
func TestUsageErrorsLeaveStdoutEmpty(t *testing.T) {
	var o options
	for _, tc := range []struct{ args, want string }{
		{"--rom m", "unknown flag --rom\nxp2p-sample: hint: did you mean --room?"},
		{"in.flv --rom=m", "unknown flag --rom\n"},
		{"--xyzzyx", "unknown flag --xyzzyx\n"},
		{"-x", "unknown flag -x\n"},
		{"---room m", "unknown flag ---room\n"},
		{"--room", "--room: a value is missing\n"},
		{"--room --json", "--room: a value is missing\n"},
		{"--segment 5", `invalid value "5" for --segment: want a duration`},
		{"--segment -5s", `invalid value "-5s" for --segment`},
		{"--piece 5kk", `invalid value "5kk" for --piece: want bytes`},
		{"--rate fast", `invalid value "fast" for --rate: want bits`},
		{"--n 1.5", `invalid value "1.5" for --n: want a whole number`},
		{"--json=maybe", `for --json: want true or false`},
		{"--align diagonal", `for --align: want grid, key`},
		{"--color mauve", `for --color: want auto, always, never`},
		{"-q -v", "--quiet and --verbose exclude each other"},
		{"cat --room m", "unknown flag --room\nxp2p-sample: hint: that is a flag of xp2p-sample\n"},
		{"--raw", "hint: that is a flag of xp2p-sample cat\n"},
	} {
		t.Run(tc.args, func(t *testing.T) {
			code, out, errs := exec(t, sample(&o, nil), strings.Fields(tc.args)...)
			if code != ExitUsage || out != "" || !strings.Contains(errs, tc.want) || !strings.HasPrefix(errs, "xp2p-sample: ") {
				t.Errorf("code %d, stdout %q, stderr\n%s", code, out, errs)
			}
			if n := strings.Count(errs, "\n"); n != 2 && tc.args != "-q -v" && tc.args != "--room --json" {
				t.Errorf("want a message and a hint, and no help:\n%s", errs)
			}
		})
	}
}

func TestACommandWithoutArgumentsRefusesThem(t *testing.T) {
	c := &Command{Name: "x", Run: func(context.Context, *IO, []string) error { return nil }}
	if code, out, errs := exec(t, c, "extra"); code != ExitUsage || out != "" || !strings.Contains(errs, `unexpected argument "extra"`) {
		t.Errorf("code %d, stdout %q, stderr %s", code, out, errs)
	}
	c = &Command{Name: "x", Verbs: []*Command{{Name: "a"}, {Name: "b"}}}
	if code, _, errs := exec(t, c); code != ExitUsage || !strings.Contains(errs, "one of: a, b") {
		t.Errorf("code %d, stderr %s", code, errs)
	}
}

func TestVerbsAreFoundAmongFlags(t *testing.T) {
	var o options
	for _, args := range []string{"cat a", "-q cat a", "cat --raw a", "--raw cat a", "--color never cat a", "cat a --raw -q"} {
		if code, out, errs := exec(t, sample(&o, nil), strings.Fields(args)...); code != 0 || out != "cat [\"a\"]\n" {
			t.Errorf("%s: code %d, stdout %q, stderr %s", args, code, out, errs)
		}
	}
	// the value of a flag is no verb
	ran := false
	c := sample(&o, func(context.Context, *IO, []string) error { ran = true; return nil })
	if code, _, _ := exec(t, c, "--room", "cat"); code != 0 || !ran || o.room != "cat" {
		t.Errorf("--room cat: ran %v, room %q", ran, o.room)
	}
}

func TestHelpGoesToStdoutWithDefaultsAndEnvironment(t *testing.T) {
	t.Setenv("XP2P_SEGMENT", "7s") // a setting is not the default
	var o options
	for _, args := range []string{"--help", "-h", "--segment nonsense --help", "in.flv -h"} {
		code, out, errs := exec(t, sample(&o, nil), strings.Fields(args)...)
		if code != 0 || errs != "" {
			t.Fatalf("%s: code %d, stderr %q", args, code, errs)
		}
		for _, want := range []string{
			"xp2p-sample: a tool for tests\n", "xp2p-sample [flags] [FILE]\n", "xp2p-sample cat [flags] [FILE]   give the bytes back\n",
			"--room NAME", "publish as NAME [$XP2P_ROOM]\n", "-o, --output FILE", "length of a segment (default 1s) [$XP2P_SEGMENT]\n",
			"size of a piece (default 16k) [$XP2P_PIECE]\n", "--align grid|key", "-q, --quiet", "--log-format",
		} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in\n%s", args, want, out)
			}
		}
	}
	if code, out, _ := exec(t, sample(&o, nil), "cat", "--help"); code != 0 || !strings.Contains(out, "--raw") || strings.Contains(out, "--room") {
		t.Errorf("help of a verb: code %d\n%s", code, out)
	}
}

func TestVersionAndManualGoToStdout(t *testing.T) {
	var o options
	if code, out, errs := exec(t, sample(&o, nil), "--version"); code != 0 || errs != "" || !strings.HasPrefix(out, "xp2p-sample ") || !strings.Contains(out, " go1.") {
		t.Errorf("code %d, %q, %q", code, out, errs)
	}
	if code, out, errs := exec(t, sample(&o, nil), "--manual"); code != 0 || errs != "" || !strings.HasPrefix(out, "Xp2p-sample is a tool") || !strings.Contains(out, "# Options") {
		t.Errorf("code %d, %q, %q", code, out, errs)
	}
}

func TestCompletionPrintsWordsOnly(t *testing.T) {
	var o options
	code, out, errs := exec(t, sample(&o, nil), "--generate-shell-completion")
	if code != 0 || errs != "" || !strings.HasPrefix(out, "cat\n--room\n") {
		t.Errorf("code %d, stderr %q, stdout %q", code, errs, out)
	}
	for word := range strings.Lines(out) {
		if strings.ContainsAny(strings.TrimSpace(word), " :[") {
			t.Errorf("junk: %q", word)
		}
	}
	if _, out, _ = exec(t, sample(&o, nil), "cat", "--ra", "--generate-shell-completion"); !strings.HasPrefix(out, "--raw\n") || strings.Contains(out, "--room") {
		t.Errorf("for the verb: %q", out)
	}
}

func TestManualAndFlagsMayNotDrift(t *testing.T) {
	var o options
	c := sample(&o, nil)
	if err := CheckManual(c); err != nil {
		t.Errorf("a manual that is right: %v", err)
	}
	c.Flags = append(c.Flags, Bool(&o.only, "new-thing", ""))
	if err := CheckManual(c); err == nil || !strings.Contains(err.Error(), "does not mention --new-thing") {
		t.Errorf("a flag without a word: %v", err)
	}
	c = sample(&o, nil)
	c.Flags = c.Flags[1:]
	if err := CheckManual(c); err == nil || !strings.Contains(err.Error(), "mentions --room, which") {
		t.Errorf("a word without a flag: %v", err)
	}
}

func TestExitCodes(t *testing.T) {
	sigterm := &Interrupt{syscall.SIGTERM}
	for _, tc := range []struct {
		name   string
		err    error
		signal error
		live   bool
		code   int
		stderr string
	}{
		{"done", nil, nil, false, 0, ""},
		{"failed", errors.New("disk: full"), nil, false, 1, "x: disk: full\n"},
		{"usage", Usage("--a needs --b"), nil, false, 2, "x: --a needs --b\n"},
		{"incomplete", Incomplete("match: 2 gaps"), nil, false, 3, "x: match: 2 gaps\n"},
		{"bad data", BadData("in.flv: at 12: %w", io.ErrUnexpectedEOF), nil, false, 4, "x: in.flv: at 12: unexpected EOF\n"},
		{"unreachable", Unreachable("seed: nobody answered").Hint("is %s up?", "it"), nil, false, 5, "x: seed: nobody answered\nx: hint: is it up?\n"},
		{"wrapped", fmt.Errorf("open: %w", BadData("bad")), nil, false, 4, "x: open: bad\n"},
		{"interrupted", nil, &Interrupt{os.Interrupt}, false, 130, ""},
		{"terminated", sigterm, sigterm, false, 143, ""},
		{"cancelled", context.Canceled, sigterm, false, 143, ""},
		{"interrupted, and broken as well", BadData("bad"), sigterm, false, 4, "x: bad\n"},
		{"the player closed", fmt.Errorf("write: %w", ErrReaderLeft), nil, true, 0, ""},
		{"a filter's reader left", ErrReaderLeft, nil, false, 1, "x: the reader of stdout has gone\n"},
		{"a socket broke", syscall.EPIPE, nil, true, 1, "x: broken pipe\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			c := &Command{Name: "x", ReaderMayLeave: tc.live, Run: func(ctx context.Context, _ *IO, _ []string) error {
				if tc.signal != nil {
					cancel(tc.signal)
				}
				return tc.err
			}}
			var out, errs bytes.Buffer
			if code := Run(ctx, c, nil, Streams{strings.NewReader(""), &out, &errs}); code != tc.code || errs.String() != tc.stderr || out.Len() > 0 {
				t.Errorf("code %d, stdout %q, stderr %q", code, out.String(), errs.String())
			}
		})
	}
}

func TestJSONFailureIsALineOnStderr(t *testing.T) {
	var o options
	c := sample(&o, func(context.Context, *IO, []string) error {
		return Unreachable("seed: nobody answered").Hint("start it")
	})
	for _, tc := range []struct {
		args string
		code int
	}{{"--json", 5}, {"--json --rom x", 2}} {
		code, out, errs := exec(t, c, strings.Fields(tc.args)...)
		lines := strings.Split(strings.TrimSpace(errs), "\n")
		if code != tc.code || out != "" || len(lines) != 3 {
			t.Fatalf("%s: code %d, stdout %q, stderr %q", tc.args, code, out, errs)
		}
		var last struct {
			Type, Message, Hint string
			Code                int
		}
		if err := json.Unmarshal([]byte(lines[2]), &last); err != nil || last.Type != "exit_error" || last.Code != tc.code || last.Message == "" || last.Hint == "" {
			t.Errorf("%s: %v: %s", tc.args, err, lines[2])
		}
		if !strings.HasPrefix(lines[2], `{"type":"exit_error","code":`) {
			t.Errorf("type is not first: %s", lines[2])
		}
	}
}

func TestLogLevels(t *testing.T) {
	c := &Command{Name: "x", Run: func(_ context.Context, io *IO, _ []string) error {
		io.Log.Debug("d")
		io.Log.Info("i", "rate_bps", 5)
		io.Milestone("m", "addr", "a b")
		io.Log.Warn("w")
		io.Log.Error("e")
		return nil
	}}
	for _, tc := range []struct{ args, want string }{
		{"--log-format text -q", "x: error: e\n"},
		{"--log-format text", "x: m addr=\"a b\"\nx: warning: w\nx: error: e\n"},
		{"--log-format text -v", "x: i rate_bps=5\nx: m addr=\"a b\"\nx: warning: w\nx: error: e\n"},
		{"--log-format text -vv", "x: debug: d\nx: i rate_bps=5\nx: m addr=\"a b\"\nx: warning: w\nx: error: e\n"},
	} {
		if _, out, errs := exec(t, c, strings.Fields(tc.args)...); errs != tc.want || out != "" {
			t.Errorf("%s:\n%s", tc.args, errs)
		}
	}
	if _, _, errs := exec(t, c, "-v"); !strings.Contains(errs, "level=MILESTONE msg=m tool=x addr=\"a b\"\n") || !strings.HasPrefix(errs, "time=20") {
		t.Errorf("not a terminal, so logfmt:\n%s", errs)
	}
	_, _, errs := exec(t, c, "--log-format", "json")
	var line struct{ Time, Level, Msg, Tool, Addr string }
	if err := json.Unmarshal([]byte(strings.Split(errs, "\n")[0]), &line); err != nil || line.Level != "MILESTONE" || line.Tool != "x" || line.Addr != "a b" {
		t.Errorf("%v:\n%s", err, errs)
	}
	if at, err := time.Parse(time.RFC3339, line.Time); err != nil || at.Location() != time.UTC {
		t.Errorf("time %q: %v", line.Time, err)
	}
}

func TestTextLogKeepsGroupsAndAttributes(t *testing.T) {
	c := &Command{Name: "x", Run: func(_ context.Context, io *IO, _ []string) error {
		io.Log.With("room", "m").WithGroup("peer").Warn("gone", "id", 7)
		return nil
	}}
	if _, _, errs := exec(t, c, "--log-format", "text"); errs != "x: warning: gone room=m peer.id=7\n" {
		t.Error(errs)
	}
}

func TestColorIsDecidedForEachStream(t *testing.T) {
	for _, name := range []string{"NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"} {
		t.Setenv(name, "")
	}
	t.Setenv("TERM", "xterm")
	for _, tc := range []struct {
		flag, env string
		terminal  bool
		want      bool
	}{
		{"auto", "", true, true},
		{"auto", "", false, false},
		{"auto", "NO_COLOR=1", true, false},
		{"always", "NO_COLOR=1", false, true},
		{"never", "CLICOLOR_FORCE=1", true, false},
		{"auto", "CLICOLOR_FORCE=1", false, true},
		{"auto", "CLICOLOR=0", true, false},
		{"auto", "TERM=dumb", true, false},
	} {
		t.Run(fmt.Sprint(tc), func(t *testing.T) {
			if name, val, ok := strings.Cut(tc.env, "="); ok {
				t.Setenv(name, val)
			}
			if got := wantsColor(tc.flag, tc.terminal); got != tc.want {
				t.Errorf("colour: %v", got)
			}
		})
	}
	on, off := newStyles(io.Discard, true), newStyles(io.Discard, false)
	for i, style := range []func(...string) string{off.OK, off.Warn, off.Bad, off.Dim, off.Title, off.Value} {
		if got := style("a\tb"); got != "a\tb" {
			t.Errorf("style %d without colour changes the text to %q", i, got)
		}
	}
	if got := on.Bad("a\tb"); !strings.Contains(got, "\x1b[") || !strings.Contains(got, "a\tb") {
		t.Errorf("in colour: %q", got)
	}
}

func TestBinaryNeverGoesToATerminalUnasked(t *testing.T) {
	terminal := &IO{Out: io.Discard, OutIsTerminal: true}
	if _, err := terminal.Output(""); exitCode(err, nil, false) != ExitUsage {
		t.Errorf("a terminal: %v", err)
	}
	if _, err := terminal.Output("-"); err != nil {
		t.Errorf("-o -: %v", err)
	}
	pipe := &IO{Out: io.Discard}
	if _, err := pipe.Output(""); err != nil {
		t.Errorf("a pipe: %v", err)
	}
	path := filepath.Join(t.TempDir(), "out")
	w, err := terminal.Output(path)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, "x")
	w.Close()
	if b, _ := os.ReadFile(path); string(b) != "x" {
		t.Errorf("a file: %q", b)
	}
}

func TestWriteFileReplacesAtOnceAndLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	for _, want := range []string{"one", "two"} {
		if err := WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		if b, _ := os.ReadFile(path); string(b) != want {
			t.Errorf("%q", b)
		}
	}
	if err := WriteFile(filepath.Join(dir, "no", "dir"), nil, 0o600); err == nil {
		t.Error("no error for a directory that is not there")
	}
	entries, _ := os.ReadDir(dir)
	info, _ := os.Stat(path)
	if len(entries) != 1 || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, mode %v", entries, info.Mode())
	}
}

func TestOpenReadsFilesAndStdin(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	os.WriteFile(path, []byte("file"), 0o600)
	c := &Command{Name: "x", Args: "[FILE]", Run: func(_ context.Context, t *IO, args []string) error {
		f, err := t.Open(strings.Join(args, ""))
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(t.Out, f)
		return err
	}}
	for arg, want := range map[string]string{path: "file", "-": "stdin", "": "stdin"} {
		var out, errs bytes.Buffer
		if code := Run(t.Context(), c, []string{arg}, Streams{strings.NewReader("stdin"), &out, &errs}); code != 0 || out.String() != want {
			t.Errorf("%q: code %d, %q, %s", arg, code, out.String(), errs.String())
		}
	}
	if code, out, errs := exec(t, c, "/nowhere"); code != 1 || out != "" || errs != "x: open /nowhere: no such file or directory\n" {
		t.Errorf("code %d, %q, %q", code, out, errs)
	}
}
