package xntp

import "github.com/xp2p/xp2p/lib/wire"

// maxDone bounds the gaps among the ids of finished objects; a peer opens them
// in order and can leave at most as many gaps as it has objects unfinished.
const maxDone = 8192

// maxParts bounds the parts of an object that arrived out of order: a sender
// makes no part smaller than partRoom but the last, so whoever leaves more gaps
// does so to make us search.
const maxParts = 4096

// An inbound is an object on its way to us. Until its OPEN has come it is kept as
// an endless one of which nothing is handed out.
type inbound struct {
	id       uint64
	known    bool // OPEN has come
	class    Class
	priority uint8
	endless  bool
	size     uint64 // endless, or not known: valid once the end was seen
	ended    bool   // the end was seen
	buf      []byte // the object, or of an endless one the bytes from out on
	have     rangeset
	out      uint64 // endless: what was handed out
	charged  uint64
}

// inbox is the objects that a connection receives. Memory is bounded by the
// window: an object is charged in full when it is opened, an endless one by the
// bytes of it, and the charge is returned when the owner of the endpoint takes
// the event.
type inbox struct {
	buffers   *buffers
	open      map[uint64]*inbound
	done      rangeset // ids that are finished
	charged   uint64   // in all
	returned  uint64   // of these
	limit     uint64   // what the peer was told
	window    uint64
	maxObject uint64
	free      []*inbound
}

// Codes of CLOSE that say how a peer broke the protocol.
const (
	codeNone     = 0
	codeFrame    = 1 << 16 // a frame or packet that cannot be
	codeFlow     = codeFrame + 1
	codeObject   = codeFrame + 2
	codeAck      = codeFrame + 3
	codeReplaced = codeFrame + 4
	codeForged   = codeFrame + 5
)

func (x *inbox) charge(n uint64) uint64 {
	x.charged += n
	if x.charged > x.limit {
		return codeFlow
	}
	return codeNone
}

// announce returns the limit to tell the peer, if it should be told.
func (x *inbox) announce() (uint64, bool) {
	limit := x.returned + x.window
	return limit, limit-x.limit >= x.window/4
}

// opened handles OPEN.
func (x *inbox) opened(id uint64, o *wire.Open) (*inbound, uint64) {
	in := x.open[id]
	if in != nil && in.known || x.done.contains(id) {
		return in, codeNone
	}
	if !o.Endless && o.Size > x.maxObject {
		return nil, codeObject
	}
	if in == nil {
		var code uint64
		if in, code = x.begin(id); code != codeNone {
			return nil, code
		}
	}
	in.known, in.class, in.priority, in.endless = true, Class(o.Class), o.Priority, o.Endless
	if o.Endless {
		return in, codeNone
	}
	early := in.charged - objectOverhead // what has come before
	if early > o.Size || in.ended && in.size != o.Size {
		return nil, codeObject
	}
	if code := x.charge(o.Size - early); code != codeNone {
		return nil, code
	}
	in.charged, in.size = o.Size+objectOverhead, o.Size
	buf := x.buffers.get(int(o.Size))
	copy(buf, in.buf)
	in.buf = buf
	return in, codeNone
}

// begin makes the record of an object.
func (x *inbox) begin(id uint64) (*inbound, uint64) {
	if code := x.charge(objectOverhead); code != codeNone {
		return nil, code
	}
	var in *inbound
	if n := len(x.free); n > 0 {
		in, x.free = x.free[n-1], x.free[:n-1]
	} else {
		in = new(inbound)
	}
	*in = inbound{id: id, have: in.have[:0], charged: objectOverhead}
	x.open[id] = in
	return in, codeNone
}

// part handles OBJ.
func (x *inbox) part(f *wire.Frame) (*inbound, uint64) {
	in := x.open[f.ID]
	if in == nil {
		if x.done.contains(f.ID) {
			return nil, codeNone
		}
		var code uint64
		if in, code = x.begin(f.ID); code != codeNone { // OPEN was lost, or is late
			return nil, code
		}
	}
	end := f.Offset + uint64(len(f.Data))
	if in.endless || !in.known {
		return in, x.stream(in, f, end)
	}
	if end > in.size {
		return nil, codeObject
	}
	copy(in.buf[f.Offset:], f.Data)
	return in, in.note(f.Offset, end)
}

// lacking is how many bytes are missing of sized objects that have begun.
func (x *inbox) lacking() (n int) {
	for _, in := range x.open {
		if in.known && !in.endless {
			n += int(in.size)
			for _, r := range in.have {
				n -= int(r.end - r.start)
			}
		}
	}
	return n
}

// note marks bytes as here.
func (in *inbound) note(start, end uint64) uint64 {
	in.have.add(start, end)
	if n := uint64(len(in.have)); n > maxParts || n > 64+in.charged/partRoom {
		return codeObject
	}
	return codeNone
}

// stream puts a part of an endless object in its place, or of one that is not
// known yet: no sender charges less for it than where its parts end.
func (x *inbox) stream(in *inbound, f *wire.Frame, end uint64) uint64 {
	if in.ended && (end > in.size || f.Fin && end != in.size) || f.Fin && end < in.charged-objectOverhead {
		return codeObject
	}
	if f.Fin {
		in.ended, in.size = true, end
	}
	if top := end + objectOverhead; top > in.charged {
		n := top - in.charged
		in.charged = top
		if code := x.charge(n); code != codeNone {
			return code
		}
	}
	if end <= in.out {
		return codeNone
	}
	data, offset := f.Data, f.Offset
	if offset < in.out {
		data, offset = data[in.out-offset:], in.out
	}
	if need := int(end - in.out); need > len(in.buf) {
		if need > cap(in.buf) {
			in.buf = append(make([]byte, 0, max(need, 2*cap(in.buf))), in.buf...)
		}
		in.buf = in.buf[:need]
	}
	copy(in.buf[offset-in.out:], data)
	return in.note(offset, end)
}

// whole reports whether nothing of a sized object is missing.
func (in *inbound) whole() bool { return in.known && !in.endless && in.have.covers(0, in.size) }

// take returns the bytes of an endless object that can be handed out, copied,
// and whether they are the last.
func (in *inbound) take() (data []byte, fin bool) {
	if len(in.have) > 0 && in.have[0].start <= in.out && in.have[0].end > in.out {
		n := int(in.have[0].end - in.out)
		data = append([]byte(nil), in.buf[:n]...)
		in.buf = in.buf[:copy(in.buf, in.buf[n:])]
		in.out += uint64(n)
	}
	return data, in.ended && in.out == in.size
}

// finish forgets an object that is done and returns its charge, without what
// an endless one has returned as it was handed out.
func (x *inbox) finish(in *inbound) uint64 {
	delete(x.open, in.id)
	x.done.add(in.id, in.id+1)
	in.buf = nil
	x.free = append(x.free, in)
	return in.charged - in.out
}

// gone handles CANCEL and EXPIRED: the sender gave the object up after it had
// charged so much for it.
func (x *inbox) gone(id, charged uint64) uint64 {
	if x.done.contains(id) {
		return codeNone
	}
	in := x.open[id]
	before := uint64(0)
	if in != nil {
		before = in.charged
	}
	if charged < before {
		return codeFlow
	}
	if code := x.charge(charged - before); code != codeNone {
		return code
	}
	if in != nil {
		in.charged = charged
		x.returned += x.finish(in)
		return codeNone
	}
	x.done.add(id, id+1)
	x.returned += charged
	return codeNone
}
