package tool

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/urfave/cli/v2"
)

// A Command is one binary, or one verb of it. It is a description: building it
// has no effect, and help, completion, the manual's test and Run all read it.
type Command struct {
	Name    string // of the binary (xp2p-slice) or the verb (cat)
	Summary string // one line, lower case, no stop
	Args    string // the arguments in the synopsis: "[FILE|URL]"; "" accepts none
	Manual  string // the package comment of the binary: embed doc.go and pass it here
	Flags   []Flag
	Verbs   []*Command // one level deep; a verb is the first argument

	// ReaderMayLeave is set by network tools that play a live stream: the
	// player closing is the normal end, so a closed stdout is exit code 0 and
	// Run sees ErrReaderLeft instead of dying of SIGPIPE. Verbs inherit it.
	ReaderMayLeave bool

	// Run does the work. args are the arguments that are not flags. A binary
	// that only has verbs leaves it nil.
	Run func(ctx context.Context, io *IO, args []string) error
}

// Streams are the three standard streams of a command.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// Main runs cmd with the process's arguments, streams and signals and exits.
// It is the only place that ends the process.
func Main(cmd *Command) {
	ctx, stop := catchSignals(cmd.ReaderMayLeave)
	code := Run(ctx, cmd, os.Args[1:], Streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// Run runs cmd with the given arguments (without the program's name) and
// returns its exit code. It never exits and never touches the process's own
// streams. A context cancelled with an [*Interrupt] as its cause counts as a
// signal.
func Run(ctx context.Context, cmd *Command, args []string, s Streams) int {
	io := newIO(ctx, cmd, s)
	defer io.console.close()
	err := dispatch(ctx, cmd, args, io)
	var interrupt *Interrupt
	if ctx.Err() != nil && !errors.As(context.Cause(ctx), &interrupt) {
		interrupt = &Interrupt{os.Interrupt} // cancelled by a test or a caller
	}
	code := exitCode(err, interrupt, cmd.ReaderMayLeave)
	if err != nil && code != ExitDone && code != ExitInterrupted && code != ExitTerminated {
		io.reportFailure(code, err, asksForJSON(args))
	}
	return code
}

// dispatch finds the verb, parses its flags and runs it.
func dispatch(ctx context.Context, cmd *Command, args []string, io *IO) error {
	if n := len(args); n > 0 && args[n-1] == completionFlag {
		complete(cmd, args[:n-1], io.Out)
		return nil
	}
	var shared sharedOptions
	target, name := cmd.verb(args), cmd.Name
	if target != cmd {
		name += " " + target.Name
	}
	flags := append(slices.Clip(target.Flags), shared.flags()...)
	options, rest, err := arrange(cmd, target, flags, args)
	if err != nil {
		return err
	}
	switch { // before the flags' values are looked at, and before urfave/cli, which has a help of its own
	case slices.Contains(options, "--help"):
		return printHelp(io, cmd, target, name, flags)
	case slices.Contains(options, "--version"):
		return printVersion(io, cmd.Name)
	case slices.Contains(options, "--manual"):
		return printManual(io, cmd)
	}
	app := &cli.App{
		Name: name,
		// Everything that urfave/cli would print by itself goes to stdout, the
		// data channel. So it prints nothing: no help, no version, no usage
		// error (OnUsageError), no required flags (they bypass OnUsageError),
		// and no exit (ExitErrHandler).
		Writer: io.Err, ErrWriter: io.Err,
		HideHelp: true, HideHelpCommand: true, HideVersion: true,
		ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError:   func(_ *cli.Context, err error, _ bool) error { return usageError(err, name) },
		Action: func(c *cli.Context) error {
			if err := io.configure(shared); err != nil {
				return err
			}
			if target.Run == nil {
				return Usage("a verb is missing").Hint("one of: %s", verbNames(cmd))
			}
			if target.Args == "" && len(rest) > 0 {
				return Usage("unexpected argument %q", rest[0]).Hint("%s --help shows the synopsis", name)
			}
			return target.Run(c.Context, io, c.Args().Slice())
		},
	}
	for _, f := range flags {
		if f.noEnv {
			continue // help, manual and version, done above
		}
		app.Flags = append(app.Flags, f.cli())
	}
	argv := append([]string{name}, options...)
	argv = append(append(argv, "--"), rest...)
	return app.RunContext(ctx, argv)
}
