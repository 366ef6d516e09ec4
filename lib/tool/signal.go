package tool

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// catchSignals returns a context that the first SIGINT or SIGTERM cancels, with
// an [*Interrupt] as the cause. From then on the signals have their default
// effect again, so a second one kills.
func catchSignals(readerMayLeave bool) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case s := <-signals:
			signal.Stop(signals)
			cancel(&Interrupt{s})
		case <-ctx.Done():
		}
	}()
	if readerMayLeave {
		// Registered, SIGPIPE no longer kills: the write returns EPIPE.
		pipe := make(chan os.Signal, 1)
		signal.Notify(pipe, syscall.SIGPIPE)
	}
	return ctx, func() { signal.Stop(signals); cancel(nil) }
}
