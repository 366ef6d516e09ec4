package main

import (
	"context"
	"encoding/json"
	"os"
	"time"

	"github.com/xp2p/xp2p/lib/abr"
	"github.com/xp2p/xp2p/lib/measure"
)

// A ladderLog writes what --stats says of a viewer with --abr: counters of the
// rendition that is played, and each switch.
type ladderLog struct {
	file    *os.File // nil: nobody asked
	waiting []crossing
	stalled int64 // ms, of the model player
}

// A crossing is a switch whose first second is still coming.
type crossing struct {
	abr.Switch
	tally *tally
}

func (l *ladder) openStats() (*ladderLog, error) {
	log := &ladderLog{}
	if l.o.stats == "" {
		return log, nil
	}
	var err error
	log.file, err = os.OpenFile(l.o.stats, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	return log, err
}

func (g *ladderLog) stall(ms int64) { g.stalled += ms }

func (g *ladderLog) crossed(e abr.Switch, t *tally) {
	g.waiting = append(g.waiting, crossing{e, t})
	g.flush(false)
}

// flush writes the switches whose first second is here.
func (g *ladderLog) flush(all bool) {
	for len(g.waiting) > 0 {
		bytes, peers, whole := g.waiting[0].tally.take()
		if !whole && !all {
			return
		}
		g.write(struct {
			abr.Switch
			Time  string `json:"time"`
			Bytes int64  `json:"first_second_bytes"`
			Peers int64  `json:"first_second_peer_bytes"`
		}{g.waiting[0].Switch, stamp(), bytes, peers})
		g.waiting = g.waiting[1:]
	}
}

// count writes the counters of the rendition that is played.
func (g *ladderLog) count(l *ladder) {
	g.flush(false)
	ctx, cancel := context.WithTimeout(l.ctx, leaveWithin)
	defer cancel()
	r, err := l.rungs[l.playing].take(ctx)
	if err != nil {
		return
	}
	r.StalledMS = g.stalled
	if !l.since.IsZero() {
		l.rungs[l.playing].mu.Lock()
		buffer := max(0, l.rungs[l.playing].end-l.shown(time.Now()))
		l.rungs[l.playing].mu.Unlock()
		r.BufferMS = &buffer
	}
	g.write(struct {
		Type      string `json:"type"`
		Time      string `json:"time"`
		Rendition string `json:"rendition"`
		*measure.Report
	}{"stat", stamp(), l.list[l.playing].Name, r})
	if l.io.StatusShown() {
		l.io.Status("%s", statusLine(l.list[l.playing].Name, r))
	}
}

func stamp() string { return time.Now().UTC().Format("2006-01-02T15:04:05.000Z") }

func (g *ladderLog) write(line any) {
	if g.file != nil {
		_ = json.NewEncoder(g.file).Encode(line) // a full disk stops no player
	}
}

func (g *ladderLog) close() {
	g.flush(true)
	if g.file != nil {
		g.file.Close()
	}
}
