package tool

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
)

// LevelMilestone is between info and warning: shown by default, silenced by -q.
const LevelMilestone = slog.Level(2)

func newLogHandler(w io.Writer, format string, terminal bool, name string, level slog.Level, styles Styles) slog.Handler {
	if format == "auto" && terminal {
		format = "text"
	}
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: plainValues}
	switch format {
	case "json":
		return slog.NewJSONHandler(w, options).WithAttrs([]slog.Attr{slog.String("tool", name)})
	case "text":
		return newTextHandler(w, name, level, styles)
	default:
		return slog.NewTextHandler(w, options).WithAttrs([]slog.Attr{slog.String("tool", name)})
	}
}

// plainValues writes time in UTC to the millisecond and calls a milestone by
// its name.
func plainValues(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.TimeKey:
		a.Value = slog.StringValue(a.Value.Time().UTC().Format("2006-01-02T15:04:05.000Z07:00"))
	case slog.LevelKey:
		if a.Value.Any() == LevelMilestone {
			a.Value = slog.StringValue("MILESTONE")
		}
	}
	return a
}

// A textHandler writes "tool: message key=value", the way a person reads it.
type textHandler struct {
	mu     *sync.Mutex
	w      io.Writer
	buf    *bytes.Buffer
	attrs  slog.Handler // writes nothing but attributes into buf
	name   string
	level  slog.Level
	styles Styles
}

func newTextHandler(w io.Writer, name string, level slog.Level, styles Styles) *textHandler {
	buf := new(bytes.Buffer)
	attrs := slog.NewTextHandler(buf, &slog.HandlerOptions{
		Level: slog.LevelDebug - 100,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
				return slog.Attr{}
			}
			return a
		},
	})
	return &textHandler{mu: new(sync.Mutex), w: w, buf: buf, attrs: attrs, name: name, level: level, styles: styles}
}

func (h *textHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

func (h *textHandler) Handle(ctx context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.buf.Reset()
	bare := slog.NewRecord(time.Time{}, r.Level, "", 0)
	r.Attrs(func(a slog.Attr) bool { bare.AddAttrs(a); return true })
	if err := h.attrs.Handle(ctx, bare); err != nil {
		return err
	}
	attrs := bytes.TrimSpace(h.buf.Bytes())
	line := h.name + ": "
	switch {
	case r.Level >= slog.LevelError:
		line += h.styles.Bad("error") + ": "
	case r.Level >= slog.LevelWarn:
		line += h.styles.Warn("warning") + ": "
	case r.Level < slog.LevelInfo:
		line += h.styles.Dim("debug") + ": "
	}
	line += r.Message
	if len(attrs) > 0 {
		line += " " + h.styles.Dim(string(attrs))
	}
	_, err := io.WriteString(h.w, line+"\n")
	return err
}

func (h *textHandler) WithAttrs(a []slog.Attr) slog.Handler {
	c := *h
	c.attrs = h.attrs.WithAttrs(a)
	return &c
}

func (h *textHandler) WithGroup(name string) slog.Handler {
	c := *h
	c.attrs = h.attrs.WithGroup(name)
	return &c
}
