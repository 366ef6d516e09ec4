package xntp

import (
	"net/netip"
	"time"

	"github.com/xp2p/xp2p/lib/wire"
)

// A TraceKind says what a Trace tells.
type TraceKind uint8

const (
	// TraceStarted: a connection began to exist. Key (unless a stranger dialed),
	// Addr, CID and Initiator are valid.
	TraceStarted TraceKind = iota + 1
	// TraceConnected: the handshake is complete; Key is valid.
	TraceConnected
	// TraceSent, TraceReceived: a packet; Type, Number (of data packets), Bytes,
	// Frames, Addr are valid.
	TraceSent
	TraceReceived
	// TraceDropped: a packet that came and counts for nothing; Bytes and Dropped.
	TraceDropped
	// TraceLost: a packet is taken for lost; Number, Bytes and, if it was for its
	// age, Late.
	TraceLost
	// TraceRecovered: what was lost in packet Number of the peer was brought back, so
	// many Bytes of frames.
	TraceRecovered
	// TraceMetrics: an acknowledgement came; RTT to InFlight are valid.
	TraceMetrics
	// TraceKeys: both keys were updated; Number says how often so far.
	TraceKeys
	// TraceMTU: full packets have Bytes from now on.
	TraceMTU
	// TraceMoved: Addr is where the peer is now.
	TraceMoved
	// TraceClosed: Reason and Code. CLOSE may leave yet.
	TraceClosed
	// TraceGone: nothing more will be told of the connection. At is not valid.
	TraceGone
)

// A Trace is one thing that happened, for whoever wants to look at a connection
// closely. Which fields are valid is said at its Kind; Conn always is, At too unless that is said.
type Trace struct {
	Kind      TraceKind
	At        time.Time
	Conn      ConnID
	Missed    int // records before this one that found no room
	Key       PublicKey
	Addr      netip.AddrPort
	CID       wire.CID // of the initiator: both ends know it
	Initiator bool
	Type      wire.PacketType
	Number    uint64
	Bytes     int // UDP payload
	Frames    []TraceFrame
	Dropped   string
	Late      bool

	RTT, MinRTT, SRTT, RTTVar time.Duration
	PacingRate                float64 // bytes per second
	Cwnd, InFlight            int

	Reason Reason
	Code   uint64
}

// A TraceFrame is a frame without its data.
type TraceFrame struct {
	Type    wire.FrameType
	ID      uint64 // of an object or a block
	Offset  uint64
	Length  int // of the data, or of a run of PADDING
	Fin     bool
	Value   uint64 // as in wire.Frame; of OPEN the size, of SHARD and PARITY the index
	Delay   time.Duration
	Ranges  []wire.Range
	CE      uint64
	Numbers []uint64 // of RECOVERED
}

// traceState is the records that nobody has taken yet. There is none, and
// nothing is recorded, unless Config.Trace says so.
type traceState struct {
	most   int
	queue  fifo[Trace]
	missed int
	frame  wire.Frame
}

// on tells whether somebody wants to know.
func (t *traceState) on() bool { return t.most > 0 }

func (t *traceState) add(r Trace) {
	if t.queue.n >= t.most {
		t.missed++
		return
	}
	r.Missed, t.missed = t.missed, 0
	t.queue.push(r)
}

// NextTrace returns what happened, oldest first. Beyond Config.Trace records
// that were not taken, new ones are left out and counted.
func (e *Endpoint) NextTrace() (Trace, bool) { return e.trace.queue.pop() }

// note records what happened to a connection.
func (c *conn) note(now time.Time, r Trace) {
	if c.e.trace.on() {
		r.At, r.Conn = now, c.id
		c.e.trace.add(r)
	}
}

// noteStarted records that the connection began.
func (c *conn) noteStarted(now time.Time, initiator bool) {
	cid := c.local
	if !initiator {
		cid = c.remote
	}
	c.note(now, Trace{Kind: TraceStarted, Key: c.key, Addr: c.path.addr, CID: cid, Initiator: initiator})
}

// notePacket records a packet with its frames, as they are before they are sealed.
func (c *conn) notePacket(now time.Time, kind TraceKind, typ wire.PacketType, to netip.AddrPort, number uint64, bytes int, frames []byte) {
	t := &c.e.trace
	if !t.on() {
		return
	}
	r := Trace{Kind: kind, Type: typ, Addr: to, Number: number, Bytes: bytes}
	for f := &t.frame; len(frames) > 0; {
		rest, err := f.Parse(frames)
		if err != nil {
			break // it will be answered with CLOSE
		}
		x := TraceFrame{Type: f.Type}
		switch f.Type {
		case wire.FramePadding:
			x.Length = len(frames) - len(rest)
		case wire.FrameAck, wire.FrameAckECN:
			x.Ranges, x.Delay, x.CE = append(x.Ranges, f.Ack.Ranges()...), f.Ack.Delay, f.Ack.CE
		case wire.FrameOpen:
			x.ID, x.Value = f.ID, f.Open.Size
		case wire.FrameCancel, wire.FrameExpired:
			x.ID, x.Value = f.ID, f.Value
		case wire.FrameWindow, wire.FrameClose:
			x.Value = f.Value
		case wire.FrameShard, wire.FrameParity:
			x.ID, x.Value, x.Length = f.ID, uint64(f.Index), 0
			if f.Type == wire.FrameParity {
				x.Length = len(f.Data)
			}
		case wire.FrameRecovered:
			x.Numbers = append(x.Numbers, f.Numbers()...)
		case wire.FrameObj:
			x.ID, x.Offset, x.Length, x.Fin = f.ID, f.Offset, len(f.Data), f.Fin
		}
		r.Frames = append(r.Frames, x)
		frames = rest
	}
	c.note(now, r)
}

// noteMetrics records what an acknowledgement taught.
func (c *conn) noteMetrics(now time.Time) {
	if c.e.trace.on() {
		c.note(now, Trace{
			Kind: TraceMetrics, RTT: c.rtt.latest, MinRTT: c.rtt.min, SRTT: c.rtt.smoothed, RTTVar: c.rtt.variation,
			PacingRate: c.pacingRate(), Cwnd: c.cc.Window(), InFlight: c.loss.bytes,
		})
	}
}
