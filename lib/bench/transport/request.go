package transport

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/xp2p/xp2p/lib/bench/rival"
)

// A request is what the dialing end asks of the other. It is the first
// rival.RequestBytes of every connection: a kind, then size, rate and duration
// as big-endian numbers, then the bytes of a message.
type request struct {
	kind    byte
	size    int64         // of an object
	rate    int64         // bit/s, paced and live
	last    time.Duration // for how long to send
	message int           // bytes of a live message
}

const (
	askObject byte = 'o' // size bytes, as fast as it goes
	askBulk   byte = 'b' // as fast as it goes, until the connection is closed
	askPaced  byte = 'p' // rate, for a time
	askLive   byte = 'l' // messages at a rate, for a time
	askSink   byte = 's' // nothing: the dialing end sends
)

const (
	maxObject   = 1 << 36
	maxRequest  = 24 * time.Hour
	minMessage  = 16 // its number, and when it was written
	maxMessage  = 1 << 16
	maxRate     = 100e9
	requestUsed = 1 + 8 + 8 + 8 + 4
)

var errRequest = errors.New("malformed request")

func (r request) append(b []byte) []byte {
	b = append(b, r.kind)
	b = binary.BigEndian.AppendUint64(b, uint64(r.size))
	b = binary.BigEndian.AppendUint64(b, uint64(r.rate))
	b = binary.BigEndian.AppendUint64(b, uint64(r.last))
	b = binary.BigEndian.AppendUint32(b, uint32(r.message))
	return append(b, make([]byte, rival.RequestBytes-requestUsed)...)
}

// parseRequest reads what a stranger may have written.
func parseRequest(b []byte) (request, error) {
	if len(b) != rival.RequestBytes {
		return request{}, errRequest
	}
	r := request{
		kind:    b[0],
		size:    int64(binary.BigEndian.Uint64(b[1:])),
		rate:    int64(binary.BigEndian.Uint64(b[9:])),
		last:    time.Duration(binary.BigEndian.Uint64(b[17:])),
		message: int(binary.BigEndian.Uint32(b[25:])),
	}
	ok := r.size >= 0 && r.size <= maxObject && r.rate >= 0 && r.rate <= maxRate && r.last >= 0 && r.last <= maxRequest
	switch r.kind {
	case askObject, askBulk, askSink:
	case askPaced:
		ok = ok && r.rate > 0
	case askLive:
		ok = ok && r.rate > 0 && r.message >= minMessage && r.message <= maxMessage
	default:
		ok = false
	}
	if !ok {
		return request{}, errRequest
	}
	return r, nil
}
