package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/xp2p/xp2p/lib/abr"
	"github.com/xp2p/xp2p/lib/bridge"
	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/tool"
)

const (
	// memoryLimit is where the garbage collector begins to work harder.
	memoryLimit = 40 << 20
	// history is what is kept for bridges: a GOP of 4 s of 20 Mbit/s, and more than half of another.
	history = 16 << 20
	// bridgeTimeout is how long the stream waits for an encoder before it goes on
	// without.
	bridgeTimeout = 30 * time.Second
	// meetTimeout is how long it waits to know where renditions meet, beyond the
	// first seconds of them: as long as a player can be expected to bear it.
	meetTimeout = time.Second
)

func (o *options) run(ctx context.Context, t *tool.IO, args []string) error {
	all, err := sources(args)
	if err != nil {
		return err
	}
	cfg, err := o.config(all)
	if err != nil {
		return err
	}
	debug.SetMemoryLimit(memoryLimit)
	debug.SetGCPercent(50)
	r := &runner{io: t, options: o, names: cfg.Names, read: make(chan reading), pieces: make(chan bridge.Piece)}
	if o.control != "" {
		f, err := openControl(o.control)
		if err != nil {
			return err
		}
		r.commands = make(chan string)
		go lines(ctx, f, r.commands)
	}
	if err := r.open(ctx, all); err != nil {
		return err
	}
	for i, in := range r.inputs {
		if in.Input == nil {
			continue
		}
		defer in.Close()
		if cfg.Container == media.Raw {
			cfg.Container = in.container
		} else if in.container != cfg.Container {
			return tool.BadData("%s is %v, others are %v: renditions must be of one container", all[i].name, in.container, cfg.Container)
		}
	}
	if r.ffmpeg, err = bridge.Find(o.ffmpeg); err != nil && cfg.Mode == abr.Bridge {
		t.Log.Warn("no ffmpeg: no bridge can be made", "error", err)
	}
	cfg.Bridges = r.ffmpeg != ""
	w, err := t.Output(o.output)
	if err != nil {
		return err
	}
	r.out = bufio.NewWriterSize(w, 128<<10)
	if o.events != "" {
		if r.events, err = os.Create(o.events); err != nil {
			return err
		}
		defer r.events.Close()
	}
	if o.auto {
		r.auto = &chooser{buffer: o.buffer}
	}
	for i, in := range r.inputs {
		cfg.Again = append(cfg.Again, in.Input != nil && all[i].again())
	}
	r.sources, r.switcher = all, abr.NewSwitcher(cfg)
	for i, in := range r.inputs {
		if in.dead != "" {
			r.switcher.End(i, in.dead)
		}
	}
	if err := r.loop(ctx); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	if r.switcher.Broken() {
		return tool.Incomplete("the stream is written, but not all was as it should be (see above)")
	}
	return nil
}

// A reading is what came of an input.
type reading struct {
	from int
	p    []byte
	err  error
}

// A runner is one run.
type runner struct {
	io       *tool.IO
	options  *options
	names    []string
	sources  []source
	inputs   []input
	switcher *abr.Switcher
	out      *bufio.Writer
	events   *os.File
	ffmpeg   string
	commands chan string
	auto     *chooser // nil if it is not asked for

	tokens  []chan struct{} // one asks an input for its next bytes
	asked   []time.Time     // when; zero if it was answered
	meets   time.Time       // since when it was waited to know where renditions meet
	read    chan reading
	encoder *bridge.Encoder
	job     abr.Job // the encoder's
	pieces  chan bridge.Piece
}

// open opens all sources at once. One that does not answer, or says nothing for
// as long as --stall, is left out, if there is another.
func (r *runner) open(ctx context.Context, all []source) error {
	type opened struct {
		i   int
		in  input
		err error
	}
	done := make(chan opened, len(all))
	for i, s := range all {
		go func() {
			in, err := open(ctx, r.io, s)
			done <- opened{i, in, err}
		}()
	}
	r.inputs = make([]input, len(all))
	for i := range r.inputs {
		r.inputs[i].dead = fmt.Sprintf("nothing comes for %v", r.options.stall)
	}
	late := time.NewTimer(r.options.stall)
	defer late.Stop()
	var first error
	there := 0
	for range all {
		select {
		case o := <-done:
			if tool.NoAnswer(o.err) {
				r.inputs[o.i].dead = o.err.Error()
				if first == nil {
					first = o.err
				}
				continue
			}
			if o.err != nil {
				return o.err
			}
			r.inputs[o.i] = o.in
			there++
			continue
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-late.C:
		}
		break
	}
	switch {
	case there > 0:
		return nil
	case first != nil:
		return first
	}
	return tool.Unreachable("no rendition says anything for %v", r.options.stall)
}

// loop reads what the switcher accepts and writes what it makes of it.
func (r *runner) loop(ctx context.Context) error {
	defer func() { _ = r.stopEncoder() }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for i := range r.inputs {
		token := make(chan struct{}, 1)
		r.tokens = append(r.tokens, token)
		go r.pump(ctx, i, token)
	}
	r.asked = make([]time.Time, len(r.inputs))
	for {
		r.switcher.Advance()
		if err := r.write(); err != nil {
			return err
		}
		if c := r.switcher.Scan(); c != nil {
			r.scan(ctx, c)
			continue
		}
		if err := r.steer(ctx); err != nil {
			return err
		}
		if err := r.choose(); err != nil {
			return err
		}
		if r.switcher.Done() {
			return nil
		}
		if r.switcher.Goes() {
			continue
		}
		for i := range r.inputs {
			r.ask(i)
		}
		if err := r.wait(ctx); err != nil {
			return err
		}
	}
}

// scan reads the times of a file once more, ahead of what is played.
func (r *runner) scan(ctx context.Context, c *abr.Scan) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in, err := open(ctx, r.io, r.sources[c.Rendition])
	if err != nil {
		c.End()
		return
	}
	defer in.Close()
	for p, err := in.head, in.err; !c.Feed(p); p, err = in.Next() {
		if err != nil {
			c.End()
			return
		}
	}
}

// pump reads an input, once for each token.
func (r *runner) pump(ctx context.Context, i int, token chan struct{}) {
	in := r.inputs[i]
	p, err := in.head, in.err
	for {
		select {
		case <-token:
		case <-ctx.Done():
			return
		}
		if p == nil {
			p, err = in.Next()
		}
		select {
		case r.read <- reading{i, p, err}:
		case <-ctx.Done():
			return
		}
		p = nil
	}
}

// wait waits until something comes.
func (r *runner) wait(ctx context.Context) error {
	limit, needs := r.options.stall, r.switcher.Needs()
	if r.switcher.WaitsForBridge() {
		limit = bridgeTimeout
	}
	if r.switcher.WaitsToMeet() {
		if r.meets.IsZero() {
			r.meets = time.Now()
		}
		limit = min(limit, meetTimeout-time.Since(r.meets))
	}
	late := time.NewTimer(limit)
	defer late.Stop()
	for {
		pieces := r.pieces
		if !r.switcher.AcceptsEncoded() {
			pieces = nil
		}
		select {
		case m := <-r.read:
			r.take(ctx, m)
			if needs >= 0 && m.from != needs {
				// Others do not make up for the one that is waited for.
				for i := range r.inputs {
					if i != needs {
						r.ask(i)
					}
				}
				continue
			}
		case line, ok := <-r.commands:
			if !ok {
				r.commands = nil
				continue
			}
			r.command(line)
		case p := <-pieces:
			if p.Over {
				r.switcher.EndEncoded(p.Job, p.Why)
			} else {
				r.switcher.Encoded(p.Job, p.Bytes)
			}
		case <-late.C:
			switch {
			case r.switcher.WaitsToMeet():
				r.switcher.MeetLater()
			case r.switcher.WaitsForBridge():
				r.switcher.GiveUpBridge(fmt.Sprintf("the encoder gave nothing for %v", limit))
			case needs >= 0:
				r.switcher.Stalled(needs)
			default:
				late.Reset(limit)
				continue
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		return nil
	}
}

// ask asks an input for its next bytes, if they can be taken.
func (r *runner) ask(i int) {
	if r.asked[i].IsZero() && r.switcher.Accepts(i) {
		r.asked[i] = time.Now()
		r.tokens[i] <- struct{}{}
	}
}

func (r *runner) take(ctx context.Context, m reading) {
	if now := time.Now(); r.auto != nil && len(m.p) > 0 {
		r.auto.arrived(now, len(m.p), now.Sub(r.asked[m.from]))
	}
	r.asked[m.from] = time.Time{}
	if len(m.p) > 0 {
		r.switcher.Feed(m.from, m.p)
	}
	switch {
	case m.err == nil:
	case m.err == io.EOF:
		r.switcher.End(m.from, "")
	case ctx.Err() == nil:
		r.switcher.End(m.from, m.err.Error())
	}
}

func (r *runner) command(line string) {
	if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
		return
	}
	c, err := abr.ParseCommand(line, r.names)
	if err != nil {
		r.io.Log.Warn("command not understood", "error", err)
		return
	}
	r.switcher.Ask(c.To, c.Mode, abr.ByControl)
}

// choose asks for what the rule chooses.
func (r *runner) choose() error {
	if r.auto == nil {
		return nil
	}
	to, reason, ok, err := r.auto.choose(time.Now(), r.switcher, len(r.inputs))
	if err != nil {
		return tool.Failed("--auto: %w", err)
	}
	if ok {
		r.switcher.Ask(to, "", reason)
	}
	return nil
}

// write writes what the switcher has, and says what happened.
func (r *runner) write() error {
	for _, b := range r.switcher.Output() {
		if _, err := r.out.Write(b); err != nil {
			return err
		}
	}
	if err := r.out.Flush(); err != nil {
		return err
	}
	for _, n := range r.switcher.Notes() {
		r.io.Log.Warn(n)
	}
	for _, e := range r.switcher.Events() {
		r.io.Log.Info("switch", "from", e.From, "to", e.To, "at_ms", e.AtMS, "mode", e.Mode, "reason", e.Reason)
		if err := r.tell(e); err != nil {
			return err
		}
	}
	if r.io.StatusShown() {
		p := time.Duration(r.switcher.Position()).Truncate(100 * time.Millisecond)
		r.io.Status("%v, %s", p, r.names[r.switcher.Playing()])
	}
	return nil
}

// tell writes an event.
func (r *runner) tell(event any) error {
	if r.events == nil {
		return nil
	}
	b, err := json.Marshal(event)
	if err == nil {
		_, err = r.events.Write(append(b, '\n'))
	}
	return err
}

// steer starts, feeds and stops the encoder as the switcher wants.
func (r *runner) steer(ctx context.Context) error {
	job := r.switcher.Job()
	if r.encoder != nil && (job == nil || job.ID != r.encoder.ID) {
		if err := r.stopEncoder(); err != nil {
			return err
		}
	}
	if job == nil {
		return nil
	}
	if r.encoder == nil {
		e, err := bridge.Start(ctx, r.ffmpeg, *job, r.pieces)
		if err != nil {
			r.switcher.EndEncoded(job.ID, err.Error())
			return nil
		}
		r.encoder, r.job = e, *job
	}
	if b, over := r.switcher.Input(); len(b) > 0 || over {
		r.encoder.Write(b, over)
	}
	return nil
}

// stopEncoder ends the encoder and tells what it took.
func (r *runner) stopEncoder() error {
	if r.encoder == nil {
		return nil
	}
	ready, used := r.encoder.Stop()
	r.encoder = nil
	return r.tell(abr.Made{
		Type: "bridge", To: r.names[r.job.To], AheadMS: r.job.Ahead.Milliseconds(), ReadyMS: ready.Milliseconds(),
		LengthMS: r.switcher.Bridged().Milliseconds(), CPUMS: used.Milliseconds(),
	})
}

// lines sends the lines of f.
func lines(ctx context.Context, f *os.File, to chan<- string) {
	defer close(to)
	s := bufio.NewScanner(f)
	for s.Scan() {
		select {
		case to <- s.Text():
		case <-ctx.Done():
			return
		}
	}
}
