package abr

import (
	"github.com/xp2p/xp2p/lib/fmp4"
	"github.com/xp2p/xp2p/lib/media"
)

const (
	// maxFragment is how many bytes a fragment of ours gets before it is closed.
	maxFragment = 4 << 20
	// maxScale bounds a timescale that fits all renditions.
	maxScale = 100_000_000
)

// A muxerMP4 writes fragmented MP4. All inits are made of the first one, so
// that readers that know only that one (ffmpeg) read everything: track IDs,
// timescales and edit lists stay what they are.
type muxerMP4 struct {
	out          *output
	video_       track
	audio_       track
	template     []byte
	movie        *fmp4.Movie
	seq          uint32
	bytes        int
	whole        bool // a fragment of the source has ended
	descriptions map[uint32]fmp4.Redescription
	order        order // the most of all renditions, which each says from the beginning
	was, told    *config
}

// A track is what is written of one.
type track struct {
	id     uint32
	scale  uint32
	shift  int64 // what the edit list takes away again
	config *config
	last   int64 // the newest DTS, ticks
	run    []fmp4.Sample
	parts  [][]byte
}

func newMuxerMP4(out *output, lanes []*lane, first *lane) *muxerMP4 {
	m := &muxerMP4{out: out, movie: first.reader.movie, template: first.reader.init, descriptions: map[uint32]fmp4.Redescription{}}
	for _, k := range []media.Track{media.Video, media.Audio} {
		t := m.track(k)
		t.last = never
		own := first.reader.first(k)
		if own == nil {
			continue
		}
		t.id, t.scale = own.ID, own.Timescale
		for _, l := range lanes {
			if l.reader.movie == nil {
				continue
			}
			if other := l.reader.first(k); other != nil {
				t.scale = commonScale(t.scale, other.Timescale)
			}
		}
		if k == media.Video {
			for _, l := range lanes {
				if c := l.reader.video; c != nil {
					m.order = m.order.max(c.order())
				}
			}
		}
		t.shift = own.Shift * int64(t.scale) / int64(max(own.Timescale, 1))
	}
	return m
}

// commonScale is a timescale in which ticks of both are whole, if there is one
// that is not too fine.
func commonScale(a, b uint32) uint32 {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	x, y := uint64(a), uint64(b)
	for y != 0 {
		x, y = y, x%y
	}
	if l := uint64(a) / x * uint64(b); l <= maxScale {
		return uint32(l)
	}
	return max(a, b)
}

func (m *muxerMP4) track(k media.Track) *track {
	if k == media.Audio {
		return &m.audio_
	}
	return &m.video_
}

func (m *muxerMP4) begin(video, audio *lane) {
	m.video_.config, m.audio_.config = m.tell(video.reader.video), audio.reader.audio
	m.writeInit()
}

// writeInit writes the first init with the samples described as they are now.
func (m *muxerMP4) writeInit() {
	for i, t := range []*track{&m.video_, &m.audio_} {
		if t.config == nil || t.id == 0 {
			continue
		}
		d := fmp4.Redescription{Timescale: t.scale, Descriptions: t.config.descriptions}
		if i == 0 {
			d.Width, d.Height = t.config.width, t.config.height
		}
		m.descriptions[t.id] = d
	}
	m.out.build(func(b []byte) []byte { return m.movie.Redescribe(b, m.template, m.descriptions) })
}

// tell returns what is told of a configuration.
func (m *muxerMP4) tell(c *config) *config {
	if c == nil {
		return nil
	}
	if c != m.was {
		m.was, m.told = c, c.raised(m.order)
	}
	return m.told
}

// configure begins a new init where the configuration changes.
func (m *muxerMP4) configure(t *track, c *config) {
	if t.config.same(c) {
		return
	}
	m.flush(false)
	t.config = c
	m.writeInit()
}

func (m *muxerMP4) video(s *sample, inband bool) {
	if m.whole {
		m.flush(false)
	}
	c := m.tell(s.config)
	m.configure(&m.video_, c)
	var parts [3][]byte
	parts[0] = s.data
	if inband && s.frame.Key {
		if at, insert := c.insertion(s.data); insert {
			parts = [3][]byte{s.data[:at], c.params, s.data[at:]}
		}
	}
	m.add(&m.video_, s, parts[:]...)
	m.whole = s.last
	if m.bytes > maxFragment {
		m.flush(false)
	}
}

func (m *muxerMP4) audio(s *sample) {
	if m.audio_.id == 0 {
		return
	}
	m.configure(&m.audio_, s.config)
	m.add(&m.audio_, s, s.data)
}

func (m *muxerMP4) add(t *track, s *sample, parts ...[]byte) {
	dts := max(ticks(s.dts, t.scale)+t.shift, t.last+1, 0)
	t.last = dts
	size := 0
	for _, p := range parts {
		size += len(p)
		if len(p) > 0 {
			t.parts = append(t.parts, p)
		}
	}
	if n := len(t.run); n > 0 {
		t.run[n-1].Duration = uint32(dts - t.run[n-1].DTS)
	}
	t.run = append(t.run, fmp4.Sample{
		DTS: dts, CTS: int32(ticks(s.pts, t.scale) + t.shift - dts), Duration: uint32(max(ticks(s.dur, t.scale), 1)),
		Sync: s.frame.Key, Size: size,
	})
	m.bytes += size
}

func (m *muxerMP4) other(*sample) {}

func (m *muxerMP4) flush(whole bool) {
	if whole && !m.whole || len(m.video_.run)+len(m.audio_.run) == 0 {
		return
	}
	m.whole, m.bytes = false, 0
	m.seq++
	m.out.build(func(b []byte) []byte {
		return fmp4.AppendFragment(b, m.seq, []fmp4.Run{{Track: m.video_.id, Samples: m.video_.run}, {Track: m.audio_.id, Samples: m.audio_.run}})
	})
	for _, t := range []*track{&m.video_, &m.audio_} {
		for _, p := range t.parts {
			m.out.copied(p)
		}
		clear(t.parts)
		t.run, t.parts = t.run[:0], t.parts[:0]
	}
}
