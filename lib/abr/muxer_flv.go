package abr

import "github.com/xp2p/xp2p/lib/flv"

// A muxerFLV writes FLV. A tag that needs no change leaves as it came.
type muxerFLV struct {
	out    *output
	vc, ac *config
	last   [2]int64 // the newest times written, milliseconds
	mask   int64    // where time begins again
}

func newMuxerFLV(out *output) *muxerFLV {
	return &muxerFLV{out: out, last: [2]int64{never, never}, mask: 1<<32 - 1}
}

func (m *muxerFLV) begin(video, audio *lane) {
	head := video.reader.head
	if len(head) == 0 {
		head = flv.AppendHeader(nil)
	}
	m.out.copied(head)
	if c := video.reader.video; c != nil {
		m.out.copied(c.tag)
		m.vc = c
	}
	if c := audio.reader.audio; c != nil {
		m.out.copied(c.tag)
		m.ac = c
	}
}

// stamp turns a frame's DTS into one that is later than the last of its track.
func (m *muxerFLV) stamp(track int, dts int64) int64 {
	t := max(milliseconds(dts), m.last[track]+1)
	m.last[track] = t
	return t
}

func (m *muxerFLV) configure(to **config, c *config, time int64) {
	if !(*to).same(c) && len(c.tag) > 0 {
		m.out.build(func(b []byte) []byte { return flv.AppendStamped(b, c.tag, m.raw(time)) })
	}
	*to = c
}

func (m *muxerFLV) raw(time int64) uint32 { return uint32(time & m.mask) }

func (m *muxerFLV) video(s *sample, inband bool) {
	time := m.stamp(0, s.dts)
	m.configure(&m.vc, s.config, time)
	cts := int32(milliseconds(s.pts) - time)
	at, insert := 0, false
	if inband && s.frame.Key {
		at, insert = s.config.insertion(s.payload())
	}
	var extra []byte
	if insert {
		extra = s.config.params
	}
	switch raw := m.raw(time); {
	case insert, cts != s.tag.CTS:
		head := 0
		m.out.build(func(b []byte) []byte {
			n := len(b)
			b = flv.AppendFrameHead(b, s.data, s.tag, raw, cts, at, extra)
			head = len(b) - n
			return b
		})
		rest := s.data[s.tag.Data+at : s.tag.Stop]
		m.out.copied(rest)
		m.out.build(func(b []byte) []byte { return flv.AppendTrailer(b, head-flv.TagHeader+len(rest)) })
	case raw != s.tag.Time:
		m.stamped(s.data, raw)
	default:
		m.out.copied(s.data)
	}
}

// stamped writes a tag with another time.
func (m *muxerFLV) stamped(tag []byte, raw uint32) {
	m.out.build(func(b []byte) []byte { return flv.AppendStampedHead(b, tag, raw) })
	m.out.copied(tag[flv.TagHeader:])
}

func (m *muxerFLV) audio(s *sample) {
	time := m.stamp(1, s.dts)
	m.configure(&m.ac, s.config, time)
	if raw := m.raw(time); raw != s.tag.Time {
		m.stamped(s.data, raw)
		return
	}
	m.out.copied(s.data)
}

func (m *muxerFLV) other(s *sample) { m.out.copied(s.data) }

func (m *muxerFLV) flush(bool) {}
