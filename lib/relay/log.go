package relay

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/pion/logging"
)

// quietLogs lets pion's libraries speak, at debug level: to them a stranger's bad
// datagram is an error.
type quietLogs struct{ log *slog.Logger }

// NewLogger implements logging.LoggerFactory.
func (q quietLogs) NewLogger(scope string) logging.LeveledLogger { return quietLog{q.log, scope} }

type quietLog struct {
	log   *slog.Logger
	scope string
}

func (q quietLog) sayf(format string, args ...any) {
	if q.log.Enabled(context.Background(), slog.LevelDebug) {
		q.log.Debug("relay: "+q.scope, "says", fmt.Sprintf(format, args...))
	}
}

func (q quietLog) Trace(string)              {}
func (q quietLog) Tracef(string, ...any)     {}
func (q quietLog) Debug(string)              {}
func (q quietLog) Debugf(string, ...any)     {}
func (q quietLog) Info(m string)             { q.sayf("%s", m) }
func (q quietLog) Infof(f string, a ...any)  { q.sayf(f, a...) }
func (q quietLog) Warn(m string)             { q.sayf("%s", m) }
func (q quietLog) Warnf(f string, a ...any)  { q.sayf(f, a...) }
func (q quietLog) Error(m string)            { q.sayf("%s", m) }
func (q quietLog) Errorf(f string, a ...any) { q.sayf(f, a...) }
