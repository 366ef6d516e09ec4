package tool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/term"
)

// IO is all that a command's Run may touch of the process around it.
type IO struct {
	In  *Input    // stdin; its reads end when the context does
	Out io.Writer // stdout, the product
	Err io.Writer // stderr, for people; does not disturb the status line
	Log *slog.Logger

	InIsTerminal, OutIsTerminal, ErrIsTerminal bool
	Quiet                                      bool // -q: nothing but errors

	OutStyle, ErrStyle Styles // colours for text on stdout, on stderr

	name    string
	ctx     context.Context
	console *console
}

// sharedOptions are the flags that every command has.
type sharedOptions struct {
	quiet            bool
	verbose          int
	color, logFormat string
}

func (o *sharedOptions) flags() []Flag {
	o.color, o.logFormat = "auto", "auto"
	verbose := newFlag("verbose", "say more on stderr; twice (-vv) for everything", &value{
		bool: true,
		set: func(s string) error {
			switch s {
			case "true":
				o.verbose++
			case "1", "2":
				o.verbose = int(s[0] - '0')
			case "0", "false":
				o.verbose = 0
			default:
				return errors.New("want 0, 1 or 2")
			}
			return nil
		},
		get: func() string { return "" },
	})
	var ask bool // what asks for help, manual or version is answered before values are set
	flags := []Flag{
		Bool(&o.quiet, "quiet", "only errors on stderr").Short("q"),
		verbose.Short("v"),
		Choice(&o.color, "color", "colour text for people", "auto", "always", "never"),
		Choice(&o.logFormat, "log-format", "how stderr is written; auto is text on a terminal, else logfmt", "auto", "text", "logfmt", "json"),
		Bool(&ask, "help", "show this and end").Short("h"),
		Bool(&ask, "manual", "show the manual and end"),
		Bool(&ask, "version", "show the version and end"),
	}
	for i := len(flags) - 3; i < len(flags); i++ {
		flags[i].noEnv = true
	}
	return flags
}

func newIO(ctx context.Context, cmd *Command, s Streams) *IO {
	t := &IO{
		In:            NewInput(ctx, s.In),
		Out:           stdout{s.Out},
		InIsTerminal:  isTerminal(s.In),
		OutIsTerminal: isTerminal(s.Out),
		ErrIsTerminal: isTerminal(s.Err),
		name:          cmd.Name,
		ctx:           ctx,
	}
	t.console = newConsole(s.Err)
	t.Err = t.console
	t.configure(sharedOptions{color: "auto", logFormat: "auto"})
	return t
}

// configure applies the shared flags.
func (t *IO) configure(o sharedOptions) error {
	if o.quiet && o.verbose > 0 {
		return Usage("--quiet and --verbose exclude each other")
	}
	level := LevelMilestone
	switch {
	case o.quiet:
		level = slog.LevelError
	case o.verbose == 1:
		level = slog.LevelInfo
	case o.verbose > 1:
		level = slog.LevelDebug
	}
	t.Quiet = o.quiet
	t.OutStyle = newStyles(t.Out, wantsColor(o.color, t.OutIsTerminal))
	t.ErrStyle = newStyles(t.Err, wantsColor(o.color, t.ErrIsTerminal))
	t.Log = slog.New(newLogHandler(t.console, o.logFormat, t.ErrIsTerminal, t.name, level, t.ErrStyle))
	t.console.enable(t.ErrIsTerminal && !o.quiet && o.logFormat != "json")
	return nil
}

// Milestone logs what a person wants to see without asking: an address one
// can now connect to, a room that opened. Shown unless -q is given.
func (t *IO) Milestone(msg string, args ...any) {
	t.Log.Log(t.ctx, LevelMilestone, msg, args...)
}

// Status replaces the one status line at the bottom of the terminal. It shows
// only where a person looks, at most five times a second, and an empty text
// takes it away. It vanishes when the command ends.
func (t *IO) Status(format string, args ...any) {
	if t.console.enabled() {
		t.console.setStatus(fmt.Sprintf(format, args...))
	}
}

// StatusShown reports whether a status line would be seen, for callers to whom
// making one costs something.
func (t *IO) StatusShown() bool { return t.console.enabled() }

// Open opens a file for reading; "" and "-" are stdin.
func (t *IO) Open(path string) (*Input, error) {
	if path == "" || path == "-" {
		return t.In, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return NewInput(t.ctx, f), nil
}

// Output is where binary goes. "" is stdout unless that is a terminal, "-" is
// stdout even then, anything else a file, written in place: a live stream may
// be read while it grows.
func (t *IO) Output(path string) (io.WriteCloser, error) {
	switch path {
	case "":
		if t.OutIsTerminal {
			return nil, Usage("stdout is a terminal and the output is binary").Hint("pipe it on, name a file with -o, or insist with -o -")
		}
		return keepOpen{t.Out}, nil
	case "-":
		return keepOpen{t.Out}, nil
	}
	return os.Create(path)
}

type keepOpen struct{ io.Writer }

func (keepOpen) Close() error { return nil }

// WriteFile replaces a file at once: readers see the old bytes or the new ones.
func WriteFile(path string, data []byte, perm os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(perm), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// stdout names the one broken pipe that matters: a socket's EPIPE is another.
type stdout struct{ io.Writer }

func (w stdout) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) {
		err = fmt.Errorf("%w (%w)", ErrReaderLeft, err)
	}
	return n, err
}

// reportFailure writes the last words of a command.
func (t *IO) reportFailure(code int, err error, asJSON bool) {
	var e *Error
	hint := ""
	if errors.As(err, &e) {
		hint = e.hint
	}
	text := fmt.Sprintf("%s: %v\n", t.ErrStyle.Bad(t.name), err)
	if hint != "" {
		text += fmt.Sprintf("%s: %s: %s\n", t.name, t.ErrStyle.Title("hint"), hint)
	}
	if asJSON {
		line, _ := json.Marshal(struct {
			Type    string `json:"type"`
			Code    int    `json:"code"`
			Message string `json:"message"`
			Hint    string `json:"hint,omitempty"`
		}{"exit_error", code, err.Error(), hint})
		text += string(line) + "\n"
	}
	io.WriteString(t.Err, text)
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
