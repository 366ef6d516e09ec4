package fmp4

import "encoding/binary"

// A Redescription is how the init of another rendition is made from that of
// the first: all its boxes stay, but for what its tracks' samples are.
type Redescription struct {
	Timescale     uint32 // of the media; the edit list counts in it too
	Descriptions  []byte // a whole stsd box; nil leaves the one there is
	Width, Height int    // in pixels; 0 leaves what there is
}

// Redescribe appends init to b with its tracks (by their IDs) described anew.
func (m *Movie) Redescribe(b, init []byte, tracks map[uint32]Redescription) []byte {
	return m.edit(b, init, tracks, -1, new(int))
}

// edit copies the boxes of p. n counts traks; trak is the one that p is part of.
func (m *Movie) edit(b, p []byte, tracks map[uint32]Redescription, trakNow int, n *int) []byte {
	eachBox(p, func(kind uint32, payload, whole []byte) {
		at := trakNow
		if kind == trak {
			at = *n
			*n++
		}
		var d Redescription
		var t MovieTrack
		if at >= 0 && at < len(m.Tracks) {
			t = m.Tracks[at]
			d = tracks[t.ID]
		}
		start := len(b)
		switch kind {
		case moov, trak, mdia, minf, stbl, edts:
			b = append(b, whole[:len(whole)-len(payload)]...)
			b = m.edit(b, payload, tracks, at, n)
			if len(whole)-len(payload) == 16 {
				binary.BigEndian.PutUint64(b[start+8:], uint64(len(b)-start))
			} else {
				binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start))
			}
			return
		case stsd:
			if d.Descriptions != nil {
				b = append(b, d.Descriptions...)
				return
			}
		}
		b = append(b, whole...)
		c := b[start+len(whole)-len(payload):]
		switch {
		case kind == mdhd && d.Timescale != 0 && len(c) >= 24:
			at := 12
			if c[0] == 1 {
				at = 20
			}
			binary.BigEndian.PutUint32(c[at:], d.Timescale)
		case kind == tkhd && d.Width != 0 && len(c) >= 84: // 16.16, at its end
			binary.BigEndian.PutUint32(c[len(c)-8:], uint32(d.Width)<<16)
			binary.BigEndian.PutUint32(c[len(c)-4:], uint32(d.Height)<<16)
		case kind == elst && d.Timescale != 0 && t.Timescale != 0:
			rescaleEdits(c, t.Timescale, d.Timescale)
		}
	})
	return b
}

func rescaleEdits(b []byte, from, to uint32) {
	if len(b) < 8 {
		return
	}
	size, at := 12, 4
	if b[0] == 1 {
		size, at = 20, 8
	}
	for p := b[8:]; len(p) >= size; p = p[size:] {
		if b[0] == 1 {
			if v := int64(binary.BigEndian.Uint64(p[at:])); v > 0 {
				binary.BigEndian.PutUint64(p[at:], uint64(v)*uint64(to)/uint64(from))
			}
		} else if v := int32(be32(p[at:])); v > 0 {
			binary.BigEndian.PutUint32(p[at:], uint32(uint64(v)*uint64(to)/uint64(from)))
		}
	}
}

// A Run is what a movie fragment holds of one track: samples one behind the
// other in time.
type Run struct {
	Track   uint32
	Samples []Sample // Size counts; Data is not looked at
}

// AppendFragment appends a movie fragment of number seq and the header of its
// media data; what must follow are the bytes of the runs' samples, in order.
func AppendFragment(b []byte, seq uint32, runs []Run) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0, 'm', 'o', 'o', 'f')
	b = append(b, 0, 0, 0, 16, 'm', 'f', 'h', 'd', 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, seq)
	size := 8 // of the media data
	var offsets []int
	for _, r := range runs {
		if len(r.Samples) == 0 {
			continue
		}
		at := len(b)
		b = append(b, 0, 0, 0, 0, 't', 'r', 'a', 'f')
		b = append(b, 0, 0, 0, 16, 't', 'f', 'h', 'd', 0, 2, 0, 0) // default-base-is-moof
		b = binary.BigEndian.AppendUint32(b, r.Track)
		b = append(b, 0, 0, 0, 20, 't', 'f', 'd', 't', 1, 0, 0, 0)
		b = binary.BigEndian.AppendUint64(b, uint64(r.Samples[0].DTS))
		b = binary.BigEndian.AppendUint32(b, uint32(20+16*len(r.Samples)))
		b = append(b, 't', 'r', 'u', 'n', 1, 0, 0x0f, 1)
		b = binary.BigEndian.AppendUint32(b, uint32(len(r.Samples)))
		offsets = append(offsets, len(b), size)
		b = append(b, 0, 0, 0, 0)
		for _, s := range r.Samples {
			flags := uint32(0x01010000) // depends on others, is not a sync sample
			if s.Sync {
				flags = 0x02000000
			}
			b = binary.BigEndian.AppendUint32(b, s.Duration)
			b = binary.BigEndian.AppendUint32(b, uint32(s.Size))
			b = binary.BigEndian.AppendUint32(b, flags)
			b = binary.BigEndian.AppendUint32(b, uint32(s.CTS))
			size += s.Size
		}
		binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at))
	}
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start))
	for i := 0; i < len(offsets); i += 2 {
		binary.BigEndian.PutUint32(b[offsets[i]:], uint32(len(b)-start+offsets[i+1]))
	}
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	return append(b, "mdat"...)
}
