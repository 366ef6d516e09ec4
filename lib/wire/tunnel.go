package wire

import "errors"

// A tunnel carries a connection, such as HTTP's, over two endless objects of XNTP,
// one each way. Each begins with a greeting: that of whoever opens the tunnel
// says the version alone, that of who answers names the object that it answers.
//
//	CALL   = 0x01
//	ANSWER = 0x02 object (varint)
//
// What follows are frames:
//
//	DATA   = 0x00 size (varint, 1 to MaxTunnelData) bytes
//	CREDIT = 0x01 bytes (varint)
//
// CREDIT says how many more bytes of DATA the other may send: XNTP bounds what is
// under way, and this what waits for a slow reader. Both begin with TunnelCredit.
// The end of an object says that its writer has closed: it has said all, and reads
// no more. The other end's object ends then too.
const (
	MaxTunnelData = 16 << 10
	TunnelCredit  = 512 << 10
	// maxTunnelCredit bounds what one CREDIT can say.
	maxTunnelCredit = 1 << 30
)

// ErrTunnel says that what came is no tunnel's.
var ErrTunnel = errors.New("tunnel: malformed")

// AppendTunnelCall appends the greeting of who opens a tunnel.
func AppendTunnelCall(b []byte) []byte { return append(b, 1) }

// AppendTunnelAnswer appends the greeting of who answers the object that called.
func AppendTunnelAnswer(b []byte, object uint64) []byte {
	return AppendVarint(append(b, 2), object)
}

// AppendTunnelData appends the header of a DATA frame.
func AppendTunnelData(b []byte, size int) []byte { return AppendVarint(append(b, 0), uint64(size)) }

// AppendTunnelCredit appends a CREDIT frame.
func AppendTunnelCredit(b []byte, n int) []byte { return AppendVarint(append(b, 1), uint64(n)) }

// A TunnelReader takes one direction of a tunnel apart, however it was cut into
// pieces. The zero value is ready.
type TunnelReader struct {
	Greeted bool
	Answers uint64 // the object that an ANSWER names
	Call    bool   // the greeting was a CALL
	left    int    // of a DATA frame
	part    [9]byte
	n       int // of part
}

// Next takes what it can from the front of b. data are bytes of the connection,
// credit what the other end grants; both may be nothing while b is not. The error
// is ErrTunnel: then there is no going on.
func (r *TunnelReader) Next(b []byte) (data []byte, credit int, rest []byte, err error) {
	if r.left > 0 {
		n := min(r.left, len(b))
		r.left -= n
		return b[:n], 0, b[n:], nil
	}
	// A head is a byte and a varint, nine bytes at most.
	for len(b) > 0 {
		r.part[r.n] = b[0]
		r.n, b = r.n+1, b[1:]
		kind := r.part[0]
		if !r.Greeted && kind == 1 {
			r.Greeted, r.Call, r.n = true, true, 0
			return nil, 0, b, nil
		}
		if !r.Greeted && kind != 2 || r.Greeted && kind > 1 {
			return nil, 0, nil, ErrTunnel
		}
		v, size := ConsumeVarint(r.part[1:r.n])
		if size == 0 {
			continue
		}
		r.n = 0
		switch {
		case !r.Greeted:
			r.Greeted, r.Answers = true, v
		case kind == 0 && v >= 1 && v <= MaxTunnelData:
			r.left = int(v)
		case kind == 1 && v <= maxTunnelCredit:
			credit = int(v)
		default:
			return nil, 0, nil, ErrTunnel
		}
		return nil, credit, b, nil
	}
	return nil, 0, nil, nil
}
