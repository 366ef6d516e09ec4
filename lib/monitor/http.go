package monitor

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/xp2p/xp2p/lib/measure"
)

// Metrics answers GET /metrics.
func (m *Monitor) Metrics() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// bodyTimeout is how long a report may take to arrive.
const bodyTimeout = 10 * time.Second

// Log answers POST /v1/rooms/{room}/log, whose body is one measure.Report.
func (m *Monitor) Log() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("room")
		if !slices.ContainsFunc(m.open(), func(o Room) bool { return o.Name == name }) {
			m.refuse(w, http.StatusNotFound, "no such room")
			return
		}
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout)) // a connection without deadlines is a test's
		b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, measure.MaxReport))
		var long *http.MaxBytesError
		switch {
		case errors.As(err, &long):
			m.refuse(w, http.StatusRequestEntityTooLarge, "a report is at most "+strconv.Itoa(measure.MaxReport)+" bytes")
			return
		case err != nil:
			m.refuse(w, http.StatusBadRequest, "the report broke off")
			return
		}
		report, err := measure.ParseReport(b)
		if err != nil {
			m.refuse(w, http.StatusBadRequest, err.Error())
			return
		}
		if !isID(report.ID) {
			m.refuse(w, http.StatusBadRequest, "report: id: not 16 hexadecimal digits")
			return
		}
		m.Report(time.Now(), name, report.ID, report)
		w.WriteHeader(http.StatusNoContent)
	})
}

// isID says whether s has the form of a wire.PeerID.
func isID(s string) bool {
	_, err := strconv.ParseUint(s, 16, 64)
	return err == nil && len(s) == 16
}

func (m *Monitor) refuse(w http.ResponseWriter, status int, why string) {
	m.reports.WithLabelValues("refused").Inc()
	writeJSON(w, status, map[string]string{"type": "error", "message": why})
}

// Health answers GET /healthz: 200 while check returns nil, else 503 and why.
func Health(check func() error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := check(); err != nil {
			writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "unwell", "message": err.Error()})
			return
		}
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
}

// Stat answers GET /stat with the JSON of what stat returns: a peer's
// measure.Report, or the summaries of a seed. Any page may read it.
func Stat(stat func(r *http.Request) any) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		v := stat(r)
		if v == nil {
			writeJSON(w, http.StatusNotFound, map[string]string{"type": "error", "message": "nothing is known yet"})
			return
		}
		writeJSON(w, http.StatusOK, v)
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"type":"error","message":"cannot be written as JSON"}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}
