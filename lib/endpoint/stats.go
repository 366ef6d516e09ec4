package endpoint

import "sync/atomic"

// Stats counts what an endpoint did.
type Stats struct {
	Wakeups     uint64 // times the loop had slept and was woken: what costs at video rates
	Turns       uint64 // times the rhythm ran
	PacketsIn   uint64
	PacketsOut  uint64
	BytesIn     uint64 // UDP payload
	BytesOut    uint64
	BatchesIn   uint64 // calls that read at least one datagram
	BatchesOut  uint64 // calls that wrote at least one
	MessagesIn  uint64 // what the system counts: a datagram, or a run that came as one
	MessagesOut uint64
	SendDrops   uint64 // datagrams that the system would not send
	SendTooBig  uint64 // of these, larger than the interface's MTU: probes of a path are, as a rule
	KernelDrops uint64 // datagrams dropped in full receive buffers, where the system says so
	TooBig      uint64 // datagrams longer than any machine sends, dropped
	ReadErrors  uint64
}

type counters struct {
	wakeups, turns                           atomic.Uint64
	packetsIn, packetsOut, bytesIn, bytesOut atomic.Uint64
	batchesIn, batchesOut                    atomic.Uint64
	messagesIn, messagesOut                  atomic.Uint64
	sendDrops, sendTooBig                    atomic.Uint64
	kernelDrops, tooBig, readErrors          atomic.Uint64
}

// Stats returns the counters. It may be called on any goroutine.
func (e *Endpoint) Stats() Stats {
	c := &e.count
	return Stats{
		Wakeups:     c.wakeups.Load(),
		Turns:       c.turns.Load(),
		PacketsIn:   c.packetsIn.Load(),
		PacketsOut:  c.packetsOut.Load(),
		BytesIn:     c.bytesIn.Load(),
		BytesOut:    c.bytesOut.Load(),
		BatchesIn:   c.batchesIn.Load(),
		BatchesOut:  c.batchesOut.Load(),
		MessagesIn:  c.messagesIn.Load(),
		MessagesOut: c.messagesOut.Load(),
		SendDrops:   c.sendDrops.Load(),
		SendTooBig:  c.sendTooBig.Load(),
		KernelDrops: c.kernelDrops.Load(),
		TooBig:      c.tooBig.Load(),
		ReadErrors:  c.readErrors.Load(),
	}
}
