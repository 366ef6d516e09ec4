package fmp4

import (
	"encoding/binary"
	"errors"

	"github.com/xp2p/xp2p/lib/media"
)

const (
	trak = 't'<<24 | 'r'<<16 | 'a'<<8 | 'k'
	tkhd = 't'<<24 | 'k'<<16 | 'h'<<8 | 'd'
	mdia = 'm'<<24 | 'd'<<16 | 'i'<<8 | 'a'
	mdhd = 'm'<<24 | 'd'<<16 | 'h'<<8 | 'd'
	minf = 'm'<<24 | 'i'<<16 | 'n'<<8 | 'f'
	stbl = 's'<<24 | 't'<<16 | 'b'<<8 | 'l'
	stsd = 's'<<24 | 't'<<16 | 's'<<8 | 'd'
	edts = 'e'<<24 | 'd'<<16 | 't'<<8 | 's'
	elst = 'e'<<24 | 'l'<<16 | 's'<<8 | 't'
	avcC = 'a'<<24 | 'v'<<16 | 'c'<<8 | 'C'
	hvcC = 'h'<<24 | 'v'<<16 | 'c'<<8 | 'C'
	esds = 'e'<<24 | 's'<<16 | 'd'<<8 | 's'
)

// A Movie is a movie box, read so far that the samples of its fragments can be
// told apart, and that another like it can be written.
type Movie struct {
	Tracks []MovieTrack
	walker Walker // holds the tracks' defaults and the times they have reached
}

// A MovieTrack is a track of a movie box.
type MovieTrack struct {
	TrackInfo
	Config        []byte // the payload of avcC, hvcC or esds; nil of other codecs
	Descriptions  []byte // the whole stsd box
	Width, Height int
	// Shift is what the edit list takes from DTS and PTS, in ticks: presentation
	// begins there. It is negative where the track begins later.
	Shift int64
}

// ParseMovie reads the movie box in init (ftyp and moov, in any company).
func ParseMovie(init []byte) (*Movie, error) {
	movie, err := findMovie(init)
	if err != nil {
		return nil, err
	}
	m := &Movie{}
	m.walker.setMovie(movie)
	for _, t := range movie.Traks {
		m.Tracks = append(m.Tracks, MovieTrack{TrackInfo: describe(t)})
	}
	var scale uint32
	i := 0
	eachBox(init, func(kind uint32, b, _ []byte) {
		if kind != moov {
			return
		}
		eachBox(b, func(kind uint32, b, _ []byte) {
			switch {
			case kind == mvhd && len(b) >= 32:
				if scale = be32(b[12:]); b[0] == 1 {
					scale = be32(b[20:])
				}
			case kind == trak && i < len(m.Tracks):
				m.Tracks[i].read(b, scale)
				i++
			}
		})
	})
	return m, nil
}

// eachBox calls f for each box of p: its payload, and the whole of it.
func eachBox(p []byte, f func(kind uint32, payload, whole []byte)) {
	for len(p) > 0 {
		kind, payload, rest, ok := child(p)
		if !ok {
			return
		}
		f(kind, payload, p[:len(p)-len(rest)])
		p = rest
	}
}

// read takes from a trak's payload what mp4ff does not say in a few words.
func (t *MovieTrack) read(p []byte, movieScale uint32) {
	eachBox(p, func(kind uint32, b, whole []byte) {
		switch kind {
		case mdia, minf, stbl, edts:
			t.read(b, movieScale)
		case elst:
			t.Shift = editShift(b, movieScale, t.Timescale)
		case stsd:
			t.Descriptions = whole
			if len(b) > 8 {
				eachBox(b[8:], func(_ uint32, entry, _ []byte) { t.entry(entry) })
			}
		}
	})
}

// entry reads a sample entry (ISO/IEC 14496-12 §12.1.3, §12.2.3).
func (t *MovieTrack) entry(p []byte) {
	head := 0
	switch {
	case t.Config != nil: // the first one counts
		return
	case t.Track == media.Video && len(p) >= 78:
		head = 78
		t.Width, t.Height = int(binary.BigEndian.Uint16(p[24:])), int(binary.BigEndian.Uint16(p[26:]))
	case t.Track == media.Audio && len(p) >= 28:
		head = 28
	default:
		return
	}
	eachBox(p[head:], func(kind uint32, b, _ []byte) {
		if kind == avcC || kind == hvcC || kind == esds {
			t.Config = b
		}
	})
}

// editShift reads an edit list (ISO/IEC 14496-12 §8.6.6): how much of the media
// is not shown, less what is empty before it.
func editShift(b []byte, movieScale, scale uint32) (shift int64) {
	if len(b) < 8 {
		return 0
	}
	long := b[0] == 1
	size := 12
	if long {
		size = 20
	}
	for p := b[8:]; len(p) >= size; p = p[size:] {
		var duration uint64
		var at int64
		if long {
			duration, at = binary.BigEndian.Uint64(p), int64(binary.BigEndian.Uint64(p[8:]))
		} else {
			duration, at = uint64(be32(p)), int64(int32(be32(p[4:])))
		}
		if at >= 0 {
			return shift + at
		}
		if movieScale > 0 && duration < 1<<31 {
			shift -= int64(duration * uint64(scale) / uint64(movieScale))
		}
	}
	return shift
}

// A Sample is one sample of a movie fragment. Its bytes are those of the unit.
type Sample struct {
	At       int64  // where its bytes begin in the unit
	Track    uint32 // the track's ID
	DTS      int64  // ticks
	CTS      int32  // PTS - DTS
	Duration uint32
	Sync     bool
	Size     int
	Data     []byte
}

var errFragment = errors.New("movie fragment is not readable")

// maxSamples bounds the samples of a unit: twenty minutes of pictures and sound. They
// can be claimed without a byte of media data.
const maxSamples = 1 << 17

// Samples appends the samples of a unit that a Walker found to to, in the order of
// its runs. pos is where the unit begins in the file, for the rare fragments
// whose data offsets count from there.
func (m *Movie) Samples(to []Sample, unit []byte, pos int64) ([]Sample, error) {
	n := len(to)
	to, err := m.Layout(to, unit, int64(len(unit)), pos)
	for i := range to[n:] {
		s := &to[n+i]
		s.Data = unit[s.At : s.At+int64(s.Size)]
	}
	return to, err
}

// Layout is Samples for a unit of size bytes of which the first ones are there, up to
// its media data: it says where the samples will be.
func (m *Movie) Layout(to []Sample, unit []byte, size, pos int64) ([]Sample, error) {
	err := error(nil)
	at, room := 0, len(to)+maxSamples
	eachBox(unit, func(kind uint32, b, whole []byte) {
		if kind == moof {
			end := int64(at) // where the data of the track fragment before ended
			eachBox(b, func(kind uint32, b, _ []byte) {
				if kind == traf && err == nil {
					to, end, err = m.samples(to, b, size, int64(at), end, pos, room)
				}
			})
		}
		at += len(whole)
	})
	return to, err
}

// samples reads a track fragment (ISO/IEC 14496-12 §8.8.6–8.8.12). moof is where its
// movie fragment begins in the unit of size bytes, end where the data before it ended.
func (m *Movie) samples(to []Sample, p []byte, size, moofAt, end, pos int64, room int) ([]Sample, int64, error) {
	r, ok := m.walker.readTraf(p)
	if !ok {
		return to, end, errFragment
	}
	t := m.walker.track(r.track)
	var duration, flags, bytes uint32
	dts := r.dts
	if t != nil {
		duration, flags, bytes = t.duration, t.flags, t.size
		switch {
		case !r.stated:
			dts = t.next
		case r.short && t.next > 1<<32-1: // a clock of 32 bits wraps
			dts += t.next &^ (1<<32 - 1)
			if dts < t.next-1<<31 {
				dts += 1 << 32
			}
		case r.short && dts < t.next-1<<31:
			dts += 1 << 32
		}
		t.next = dts + r.duration
	}
	base, bad := end, false
	eachBox(p, func(kind uint32, b, _ []byte) {
		if bad {
			return
		}
		f := fields{}
		if kind == tfhd || kind == trun {
			f = fields{be32(b), b[8:]} // readTraf has looked at the lengths
		}
		switch kind {
		case tfhd:
			switch {
			case f.has(0x01):
				base = int64(f.take(8)) - pos
			case f.has(0x020000):
				base = moofAt
			}
			if f.has(0x02) {
				f.take(4)
			}
			if f.has(0x08) {
				duration = uint32(f.take(4))
			}
			if f.has(0x10) {
				bytes = uint32(f.take(4))
			}
			if f.has(0x20) {
				flags = uint32(f.take(4))
			}
			end = base
		case trun:
			count := be32(b[4:])
			first := flags
			if f.has(0x001) {
				end = base + int64(int32(f.take(4)))
			}
			if f.has(0x004) {
				first = uint32(f.take(4))
			}
			if count > uint32(room-len(to)) {
				bad = true
				return
			}
			for i := range count {
				s := Sample{Track: r.track, DTS: dts, Duration: duration}
				n, fl := bytes, flags
				if i == 0 {
					fl = first
				}
				if f.has(0x100) {
					s.Duration = uint32(f.take(4))
				}
				if f.has(0x200) {
					n = uint32(f.take(4))
				}
				if f.has(0x400) {
					if v := uint32(f.take(4)); i > 0 || !f.has(0x004) {
						fl = v
					}
				}
				if f.has(0x800) {
					s.CTS = int32(f.take(4))
				}
				if end < 0 || end > size-int64(n) {
					bad = true
					return
				}
				s.Sync = fl&0x10000 == 0
				s.At, s.Size = end, int(n)
				end += int64(n)
				dts += int64(s.Duration)
				to = append(to, s)
			}
		}
	})
	if bad {
		return to, end, errFragment
	}
	return to, end, nil
}
