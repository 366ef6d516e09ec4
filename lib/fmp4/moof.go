package fmp4

import (
	"encoding/binary"

	"github.com/xp2p/xp2p/lib/media"
)

// A run is what a movie fragment says of one track: where its first sample is
// in time, whether decoding can start there, how long all samples last.
type run struct {
	track    uint32
	samples  int64
	stated   bool // dts is stated (tfdt)
	dts      int64
	short    bool  // and in 32 bits
	offset   int32 // composition offset of the first sample
	sync     bool  // the first sample is a sync sample
	duration int64
	relative bool  // data offsets count from the moof, not from base
	base     int64 // base data offset: a position in the file
	data     int64 // data offset of the first sample
}

// readTraf reads a track fragment (ISO/IEC 14496-12 §8.8.6–8.8.12). The few
// fields are read here and not by mp4ff, because a fragment may be as short as
// a frame and a decoder that builds the whole tree costs more than the walk.
// ok is false if the boxes contradict themselves.
func (w *Walker) readTraf(p []byte) (r run, ok bool) {
	r.relative = true
	var duration, flags uint32 // defaults
	var headed, begun bool
	for len(p) > 0 {
		kind, b, rest, ok := child(p)
		if !ok {
			return r, false
		}
		p = rest
		switch kind {
		case tfhd:
			if headed || len(b) < 8 {
				return r, false
			}
			headed = true
			r.track = binary.BigEndian.Uint32(b[4:])
			if t := w.track(r.track); t != nil {
				duration, flags = t.duration, t.flags
			}
			f := fields{be32(b), b[8:]}
			if f.has(0x01) {
				r.relative, r.base = false, int64(f.take(8))
			}
			if f.has(0x02) {
				f.take(4) // sample description
			}
			if f.has(0x08) {
				duration = uint32(f.take(4))
			}
			if f.has(0x10) {
				f.take(4) // sample size
			}
			if f.has(0x20) {
				flags = uint32(f.take(4))
			}
			if f.b == nil {
				return r, false
			}
		case tfdt:
			switch {
			case len(b) >= 12 && b[0] == 1:
				r.dts = int64(binary.BigEndian.Uint64(b[4:]))
			case len(b) >= 8 && b[0] == 0:
				r.dts, r.short = int64(be32(b[4:])), true
			default:
				return r, false
			}
			r.stated = true
		case trun:
			if !headed || len(b) < 8 {
				return r, false
			}
			count := int64(be32(b[4:]))
			f := fields{be32(b), b[8:]}
			first := flags
			if f.has(0x001) {
				if off := int32(f.take(4)); !begun {
					r.data = int64(off)
				}
			}
			if f.has(0x004) {
				first = uint32(f.take(4))
			}
			if f.b == nil {
				return r, false
			}
			size, flagsAt := 0, 0
			for _, bit := range [...]uint32{0x100, 0x200, 0x400, 0x800} {
				if bit == 0x400 {
					flagsAt = size
				}
				if f.has(bit) {
					size += 4
				}
			}
			if size > 0 && count > int64(len(f.b)/size) {
				return r, false
			}
			if count == 0 {
				continue
			}
			if !begun {
				begun = true
				if f.has(0x400) && !f.has(0x004) {
					first = be32(f.b[flagsAt:])
				}
				if f.has(0x800) {
					r.offset = int32(be32(f.b[size-4:]))
				}
				r.sync = first&0x10000 == 0 // sample_is_non_sync_sample
			}
			r.samples += count
			if !f.has(0x100) {
				r.duration += count * int64(duration)
				continue
			}
			for i := 0; i < int(count)*size; i += size {
				r.duration += int64(be32(f.b[i:]))
			}
		}
	}
	return r, headed
}

func be32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }

// fields takes the optional fields of a full box in order. b becomes nil when
// they do not fit.
type fields struct {
	flags uint32
	b     []byte
}

func (f *fields) has(bit uint32) bool { return f.flags&0xffffff&bit != 0 }

func (f *fields) take(n int) (v uint64) {
	if len(f.b) < n {
		f.b = nil
		return 0
	}
	for _, c := range f.b[:n] {
		v = v<<8 | uint64(c)
	}
	f.b = f.b[n:]
	return v
}

// before reports whether the samples stand before the movie fragment, which is
// at position at of the file. Where the stream was joined, nobody knows the
// position: then they stand behind it, as nearly always.
func (r *run) before(at int64, joined bool) bool {
	if r.relative {
		return r.data < 0
	}
	return !joined && r.base+r.data < at
}

// dataBefore reports the same of a moof's payload.
func (w *Walker) dataBefore(p []byte, at int64) bool {
	for len(p) > 0 {
		kind, b, rest, ok := child(p)
		if !ok {
			return false
		}
		if p = rest; kind == traf {
			r, ok := w.readTraf(b)
			return ok && r.before(at, w.joined)
		}
	}
	return false
}

// fragment says what a unit with the moof of h is: the reference track's first
// sample, or where it has none that of the first track that has. Times that the
// fragment does not state go on where the track's samples ended before.
func (w *Walker) fragment(p []byte, h held) media.Unit {
	u := media.Unit{Kind: media.Sample}
	var best run
	var any bool
	for p = p[h.at+h.head : h.moofEnd]; len(p) > 0; {
		kind, b, rest, ok := child(p)
		if !ok {
			u.Defect = "movie fragment is not readable"
			break
		}
		if p = rest; kind != traf {
			continue
		}
		r, ok := w.readTraf(b)
		if !ok {
			u.Defect = "track fragment is not readable"
			continue
		}
		if t := w.track(r.track); t != nil {
			if !r.stated {
				r.dts = t.next
			}
			t.next = r.dts + r.duration
		}
		rank := func(r *run) int {
			n := 0
			if r.samples > 0 {
				n = 2
			}
			if r.track == w.reference {
				n++
			}
			return n
		}
		if !any || rank(&r) > rank(&best) {
			best, any = r, true
		}
	}
	if !any {
		u.Kind = media.Opaque
		if u.Defect == "" {
			u.Defect = "movie fragment without a track"
		}
		return u
	}
	u.Key = best.sync && best.samples > 0
	t := w.track(best.track)
	if t == nil {
		return u
	}
	u.Track = t.kind
	if r := w.track(w.reference); t != r && t.kind == r.kind {
		u.Track = media.Other // a second clock of the same kind would cut elsewhere
	}
	u.Key = u.Key || t.kind == media.Audio && best.samples > 0
	if t.scale > 0 {
		u.Timed, u.Inexact = true, !best.stated
		u.DTS = media.Time{Ticks: best.dts, Scale: t.scale}
		u.PTS = media.Time{Ticks: best.dts + int64(best.offset), Scale: t.scale}
	}
	return u
}
