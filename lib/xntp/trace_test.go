package xntp

import (
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/wire"
)

// traces takes what an endpoint recorded.
func (n *node) traces() (all []Trace) {
	for r, ok := n.NextTrace(); ok; r, ok = n.NextTrace() {
		all = append(all, r)
	}
	return all
}

func TestATraceTellsWhatHappened(t *testing.T) {
	w, a, b, ac, bc := pair(t, link{delay: 10 * time.Millisecond, rate: 20e6}, func(c *Config) { c.Trace = 10_000 })
	a.Send(w.now, ac, Object{Data: [][]byte{make([]byte, 10_000)}})
	w.run(time.Second)
	for _, x := range []struct {
		n    *node
		id   ConnID
		part int // bytes of the object in what was sent or received
		kind TraceKind
	}{{a, ac, 0, TraceSent}, {b, bc, 0, TraceReceived}} {
		kinds := map[TraceKind]int{}
		last := w.now.Add(-time.Hour)
		bytes := int64(0)
		for i, r := range x.n.traces() {
			if r.Conn != x.id || r.At.Before(last) || r.Missed != 0 {
				t.Errorf("record %d: %+v", i, r)
			}
			last = r.At
			if kinds[r.Kind]++; i == 0 && r.Kind != TraceStarted {
				t.Errorf("the first record is %+v", r)
			}
			if r.Kind == TraceSent {
				bytes += int64(r.Bytes)
			}
			for _, f := range r.Frames {
				if f.Type == wire.FrameObj && r.Kind == x.kind {
					x.part += f.Length
				}
			}
		}
		if bytes != x.n.sent || x.part != 10_000 || kinds[TraceStarted] != 1 || kinds[TraceConnected] != 1 || x.n == a && kinds[TraceMetrics] == 0 {
			t.Errorf("%s: %d bytes recorded of %d, %d of the object, %v", x.n.name, bytes, x.n.sent, x.part, kinds)
		}
	}
	a.Close(w.now, ac, 7)
	w.run(time.Second)
	for _, n := range []*node{a, b} {
		all := n.traces()
		if len(all) == 0 || all[len(all)-1].Kind != TraceGone {
			t.Errorf("%s: the end is missing: %+v", n.name, all)
		}
	}
}

func TestTracesAreBoundedAndNoneAreMadeUnasked(t *testing.T) {
	w, a, b, ac, _ := pair(t, link{delay: 10 * time.Millisecond, rate: 20e6})
	a.trace.most = 50
	bulk(w, a, ac)
	w.run(time.Second)
	all := a.traces()
	if len(all) != 50 {
		t.Errorf("%d records kept", len(all))
	}
	w.run(100 * time.Millisecond)
	if next := a.traces(); len(next) == 0 || next[0].Missed < 500 || next[1].Missed != 0 {
		t.Errorf("what was left out is not told: %+v", next[0])
	}
	if all := b.traces(); len(all) != 0 || b.trace.queue.ring != nil {
		t.Errorf("%d records of an endpoint that was not asked", len(all))
	}
}
