package bench

import (
	"cmp"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/segment"
)

// A reel is a synthetic broadcast as a whole: FLV with 25 frames of video a
// second, whose keyframes are larger than the others. It knows where the slicer
// will cut it, for that is a rule of the bytes alone.
type reel struct {
	bytes  []byte
	init   int // bytes before the first frame
	frames []reelFrame
	pieces []reelPiece
	length time.Duration
}

// A reelFrame is one tag, which ends before byte end.
type reelFrame struct {
	end int
	dts int64 // ms
	key bool
}

// A reelPiece is what peers exchange.
type reelPiece struct {
	end int
	dts int64 // ms, as the piece itself says
}

const (
	reelFPS = 25
	// maxReel bounds what is kept in memory: ten minutes at 8 Mbit/s.
	maxReel = 600 << 20
)

// newReel makes the broadcast of a scenario. The seed is for its content only.
func newReel(sc *Scenario, seed uint64) (*reel, error) {
	var (
		seconds = cmp.Or(sc.Seconds, 120)
		bps     = float64(cmp.Or(sc.RateBPS, 2_000_000))
		gopMS   = cmp.Or(sc.GOPMS, 2000)
		factor  = cmp.Or(sc.KeyFactor, 8)
		perGOP  = gopMS * reelFPS / 1000
	)
	if perGOP < 1 || seconds <= 0 || bps*seconds/8 > maxReel || bps/8*float64(gopMS)/1000 < float64(20*perGOP) {
		return nil, fmt.Errorf("scenario %q: a broadcast of %g s at %.0f bit/s with GOPs of %d ms cannot be made", sc.Name, seconds, bps, gopMS)
	}
	// A GOP is one keyframe and perGOP-1 others, in units of one of these.
	unit := bps / 8 * float64(gopMS) / 1000 / (factor + float64(perGOP-1))
	if factor*unit >= 1<<24-16 {
		return nil, fmt.Errorf("scenario %q: a keyframe of %.0f bytes is too large for FLV", sc.Name, factor*unit)
	}
	r := &reel{length: time.Duration(seconds * float64(time.Second))}
	r.bytes = append(r.bytes, "FLV\x01\x01\x00\x00\x00\x09\x00\x00\x00\x00"...)
	// An AVC sequence header with the least that there must be.
	r.bytes = appendTag(r.bytes, 0, []byte{0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 4, 0x67, 0x64, 0, 0x1f, 1, 0, 1, 0x68})
	r.init = len(r.bytes)
	fill := rand.New(rand.NewPCG(seed, 0x7265656c))
	for i := range int(seconds * reelFPS) {
		key := i%perGOP == 0
		size, body := int(unit), []byte{0x27, 1, 0, 0, 0}
		if key {
			size, body[0] = int(factor*unit), 0x17
		}
		for len(body) < size {
			body = binary.LittleEndian.AppendUint64(body, fill.Uint64())
		}
		dts := int64(i * 1000 / reelFPS)
		r.bytes = appendTag(r.bytes, uint32(dts), body)
		r.frames = append(r.frames, reelFrame{len(r.bytes), dts, key})
	}
	return r, r.cut()
}

func appendTag(b []byte, ms uint32, body []byte) []byte {
	n := len(body)
	b = append(b, 9, byte(n>>16), byte(n>>8), byte(n), byte(ms>>16), byte(ms>>8), byte(ms), byte(ms>>24), 0, 0, 0)
	b = append(b, body...)
	return binary.BigEndian.AppendUint32(b, uint32(n+11))
}

// cut finds the pieces, with the slicer's own code.
func (r *reel) cut() error {
	c := segment.NewCutter(segment.CutterConfig{Container: media.FLV, Epoch: 1, Key: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))})
	at := 0
	take := func() {
		for {
			rec, ok := c.Next()
			switch {
			case !ok:
				return
			case rec.Kind == segment.KindPiece:
				at += rec.Piece.Size
				r.pieces = append(r.pieces, reelPiece{at, rec.Piece.DTS})
			case rec.Kind == segment.KindInit && !rec.Init.Copy:
				at += rec.Init.Size
			}
		}
	}
	const step = 1 << 16
	for b := r.bytes; len(b) > 0; b = b[min(step, len(b)):] {
		c.Feed(b[:min(step, len(b))])
		take()
	}
	c.Finish()
	take()
	if at != len(r.bytes) {
		return fmt.Errorf("BUG: the slicer's pieces have %d bytes, the broadcast %d", at, len(r.bytes))
	}
	return nil
}

// frame is the bytes that are written when frame i is due; the first has the
// init before it.
func (r *reel) frame(i int) []byte {
	from := 0
	if i > 0 {
		from = r.frames[i-1].end
	}
	return r.bytes[from:r.frames[i].end]
}

// due is when frame i is written, from the start of the broadcast.
func (r *reel) due(i int) time.Duration { return time.Duration(i) * time.Second / reelFPS }

// start is where frame i begins.
func (r *reel) start(i int) int {
	if i == 0 {
		return r.init
	}
	return r.frames[i-1].end
}

// size is how many bytes piece i has; the first has the init before it.
func (r *reel) size(i int) int {
	if i == 0 {
		return r.pieces[0].end
	}
	return r.pieces[i].end - r.pieces[i-1].end
}
