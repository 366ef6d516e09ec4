package tool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Exit codes. They stand in every manual and are never renumbered.
const (
	ExitDone        = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitIncomplete  = 3
	ExitBadData     = 4
	ExitUnreachable = 5
	ExitInterrupted = 130 // SIGINT
	ExitTerminated  = 143 // SIGTERM
)

// A class of failure, one per exit code that a command may choose.
type class int

const (
	failed class = iota
	usage
	incomplete
	badData
	unreachable
)

// An Error is a failure with a class, which decides the exit code, and an
// optional hint that says what to do next. Any other error is a plain failure.
type Error struct {
	class class
	err   error
	hint  string
}

func (e *Error) Error() string { return e.err.Error() }
func (e *Error) Unwrap() error { return e.err }

// Hint adds what the reader may do about it and returns e.
func (e *Error) Hint(format string, args ...any) *Error {
	e.hint = fmt.Sprintf(format, args...)
	return e
}

func newError(c class, format string, args []any) *Error {
	return &Error{class: c, err: fmt.Errorf(format, args...)}
}

// Usage reports wrong flags or arguments. Exit code 2.
func Usage(format string, args ...any) *Error { return newError(usage, format, args) }

// Incomplete reports work that ended with a gap or without an answer. Exit code 3.
func Incomplete(format string, args ...any) *Error { return newError(incomplete, format, args) }

// BadData reports input that breaks its own grammar; the message says where. Exit code 4.
func BadData(format string, args ...any) *Error { return newError(badData, format, args) }

// Unreachable reports that nobody answered. Exit code 5.
func Unreachable(format string, args ...any) *Error { return newError(unreachable, format, args) }

// NoAnswer reports whether err is of the class of Unreachable.
func NoAnswer(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.class == unreachable
}

// Failed reports any other failure; it exists to carry a hint. Exit code 1.
func Failed(format string, args ...any) *Error { return newError(failed, format, args) }

// An Interrupt is the cause of a context that a signal cancelled.
type Interrupt struct{ Signal os.Signal }

func (i *Interrupt) Error() string { return "interrupted by " + i.Signal.String() }

// Interrupted reports whether err is, or comes from, a cancelled context: not a
// failure but the wish of whoever runs the tool.
func Interrupted(err error) bool {
	var i *Interrupt
	return errors.As(err, &i) || errors.Is(err, context.Canceled)
}

// ErrReaderLeft is what a write to stdout returns when nobody reads it any
// more. For a command with ReaderMayLeave that is a normal end.
var ErrReaderLeft = errors.New("the reader of stdout has gone")

// exitCode is the one switch from what happened to the number the shell sees.
// interrupt is the signal that cancelled the command's context, or nil.
func exitCode(err error, interrupt *Interrupt, readerMayLeave bool) int {
	var e *Error
	switch {
	case interrupt != nil && (err == nil || Interrupted(err)):
		if interrupt.Signal == syscall.SIGTERM {
			return ExitTerminated
		}
		return ExitInterrupted
	case err == nil:
		return ExitDone
	case readerMayLeave && errors.Is(err, ErrReaderLeft):
		return ExitDone
	case !errors.As(err, &e):
		return ExitFailed
	}
	switch e.class {
	case usage:
		return ExitUsage
	case incomplete:
		return ExitIncomplete
	case badData:
		return ExitBadData
	case unreachable:
		return ExitUnreachable
	default:
		return ExitFailed
	}
}
