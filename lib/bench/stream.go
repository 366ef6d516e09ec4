package bench

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/segment"
)

// fps is of the synthetic stream.
const fps = 25

// broadcast lets the broadcaster send: FLV, 25 frames a second, a keyframe every
// GOP, KeyFactor times the size of the mean frame.
func (x *world) broadcast() {
	sc := x.sc
	cut := segment.NewCutter(segment.CutterConfig{Container: media.FLV, Epoch: x.sim.Now().UnixMilli(), Key: x.roomKey})
	frames := int(sc.Seconds * fps)
	perGOP := max(1, sc.GOPMS*fps/1000)
	key, other := frameSizes(sc, perGOP)
	fill := x.sim.Rand("media")
	head := []byte("FLV\x01\x01\x00\x00\x00\x09\x00\x00\x00\x00")
	head = flvTag(head, 0, []byte{0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 4, 0x67, 0x64, 0, 0x1f, 1, 0, 1, 0x68})
	for i := range frames {
		x.sim.After(time.Duration(i)*time.Second/fps, func() {
			size, body := other, []byte{0x27, 1, 0, 0, 0}
			if i%perGOP == 0 {
				size, body[0] = key, 0x17
			}
			for len(body) < size {
				body = binary.LittleEndian.AppendUint64(body, fill.Uint64())
			}
			b := flvTag(head, uint32(i*1000/fps), body)
			head = nil
			cut.Feed(b)
			cut.Sign()
			x.ingest(cut)
		})
	}
	x.sim.After(time.Duration(frames)*time.Second/fps, func() {
		cut.Finish()
		x.ingest(cut)
	})
}

// frameSizes returns the bytes of a keyframe and of another frame.
func frameSizes(sc *Scenario, perGOP int) (key, other int) {
	mean := float64(sc.RateBPS) / 8 / fps
	k := min(sc.KeyFactor*mean, 0.9*mean*float64(perGOP))
	if perGOP == 1 {
		return int(mean), int(mean)
	}
	return int(k), int((mean*float64(perGOP) - k) / float64(perGOP-1))
}

func flvTag(b []byte, ms uint32, body []byte) []byte {
	n := len(body)
	b = append(b, 9, byte(n>>16), byte(n>>8), byte(n), byte(ms>>16), byte(ms>>8), byte(ms), byte(ms>>24), 0, 0, 0)
	b = append(b, body...)
	return binary.BigEndian.AppendUint32(b, uint32(n+11))
}

// ingest takes what the slicer has cut into origin and seed.
func (x *world) ingest(cut *segment.Cutter) {
	for {
		rec, ok := cut.Next()
		if !ok {
			return
		}
		if rec.Kind == segment.KindHeader {
			continue
		}
		rec.Body = slices.Clone(rec.Body)
		x.streamBytes += int64(len(rec.Body))
		x.origin.add(rec)
		if rec.Kind == segment.KindPiece && x.sim.Elapsed() >= seconds(x.sc.Seconds/2) {
			x.way.begin(rec.Piece.ID, x.sim.Now())
		}
		x.seedProc.Do(func(now time.Time) { x.must(x.seed.Offer(now, roomName, rec)) })
	}
}
