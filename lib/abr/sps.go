package abr

import "errors"

// errSPS is returned for a sequence parameter set that cannot be read.
var errSPS = errors.New("sequence parameter set is not readable")

// An sps is what inspection wants of a sequence parameter set of H.264
// (ISO/IEC 14496-10 §7.3.2.1.1 and annex E).
type sps struct {
	profile, level byte
	chroma         int // chroma_format_idc: 1 is 4:2:0
	depth          int // bits of luma
	width, height  int // cropped
	interlaced     bool
	sarW, sarH     int // 0 if not told
	reorder        int // max_num_reorder_frames; -1 if not told
	// What slices are read by (quantisers):
	id                              int
	planes, orderFixed              bool // separate_colour_plane, delta_pic_order_always_zero
	frameBits, orderType, orderBits int  // of frame_num; pic_order_cnt_type; of its lsb
}

// aspects are the sample aspect ratios of table E-1.
var aspects = [...][2]int{
	{}, {1, 1}, {12, 11}, {10, 11}, {16, 11}, {40, 33}, {24, 11}, {20, 11}, {32, 11},
	{80, 33}, {18, 11}, {15, 11}, {64, 33}, {160, 99}, {4, 3}, {3, 2}, {2, 1},
}

// parseSPS reads a NAL unit of type 7.
func parseSPS(nal []byte) (s sps, err error) {
	if len(nal) < 5 || nal[0]&31 != 7 || len(nal) > 4096 {
		return s, errSPS
	}
	b := &bitReader{p: unescape(nal[1:])}
	s.profile = byte(b.bits(8))
	b.bits(8) // constraint flags
	s.level = byte(b.bits(8))
	s.id = b.ue()
	s.chroma, s.depth, s.reorder = 1, 8, -1
	planes := false
	switch s.profile {
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
		if s.chroma = b.ue(); s.chroma == 3 {
			planes = b.bit() == 1
		}
		s.depth = 8 + b.ue()
		b.ue() // bit_depth_chroma
		b.bit()
		if b.bit() == 1 { // scaling matrix
			n := 8
			if s.chroma == 3 {
				n = 12
			}
			for i := range n {
				if b.bit() == 0 {
					continue
				}
				size, last, next := 16, 8, 8
				if i >= 6 {
					size = 64
				}
				for range size {
					if next != 0 {
						next = (last + b.se() + 256) & 255
					}
					if next != 0 {
						last = next
					}
				}
			}
		}
	}
	s.planes = planes
	s.frameBits = b.ue() + 4
	switch s.orderType = b.ue(); s.orderType {
	case 0:
		s.orderBits = b.ue() + 4
	case 1:
		s.orderFixed = b.bit() == 1
		b.se()
		b.se()
		n := b.ue()
		if n > 255 {
			return s, errSPS
		}
		for range n {
			b.se()
		}
	}
	b.ue() // max_num_ref_frames
	b.bit()
	w, h := b.ue()+1, b.ue()+1
	frames := b.bit() == 1 // frame_mbs_only_flag
	if s.interlaced = !frames; s.interlaced {
		b.bit()
		h *= 2
	}
	b.bit() // direct_8x8_inference
	if w > 1<<12 || h > 1<<12 || s.chroma > 3 || s.depth > 14 || s.frameBits > 16 || s.orderBits > 16 {
		return s, errSPS
	}
	s.width, s.height = 16*w, 16*h
	if b.bit() == 1 {
		l, r, t, u := b.ue(), b.ue(), b.ue(), b.ue()
		x, y := 1, 1
		if s.chroma == 1 || s.chroma == 2 {
			x = 2
		}
		if s.chroma == 1 {
			y = 2
		}
		if planes {
			x, y = 1, 1
		}
		if s.interlaced {
			y *= 2
		}
		s.width -= x * (l + r)
		s.height -= y * (t + u)
	}
	if b.over || s.width <= 0 || s.height <= 0 {
		return s, errSPS
	}
	if b.bit() == 1 {
		s.vui(b)
	}
	return s, nil
}

// vui reads the usability information; what is missing stays unknown.
func (s *sps) vui(b *bitReader) {
	if b.bit() == 1 {
		if i := b.bits(8); i == 255 {
			s.sarW, s.sarH = int(b.bits(16)), int(b.bits(16))
		} else if int(i) < len(aspects) {
			s.sarW, s.sarH = aspects[i][0], aspects[i][1]
		}
	}
	if b.bit() == 1 { // overscan
		b.bit()
	}
	if b.bit() == 1 { // video signal type
		b.bits(4)
		if b.bit() == 1 {
			b.bits(24)
		}
	}
	if b.bit() == 1 { // chroma location
		b.ue()
		b.ue()
	}
	if b.bit() == 1 { // timing
		b.bits(32)
		b.bits(32)
		b.bit()
	}
	hrd := func() {
		n := b.ue() + 1
		b.bits(8)
		for i := 0; i < n && !b.over; i++ {
			b.ue()
			b.ue()
			b.bit()
		}
		b.bits(20)
	}
	nal, vcl := b.bit() == 1, false
	if nal {
		hrd()
	}
	if vcl = b.bit() == 1; vcl {
		hrd()
	}
	if nal || vcl {
		b.bit()
	}
	b.bit()           // pic_struct_present
	if b.bit() == 1 { // bitstream restriction
		b.bit()
		for range 4 {
			b.ue()
		}
		if n := b.ue(); !b.over && n <= 16 {
			s.reorder = n
		}
	}
}

// spsOf finds the first sequence parameter set in an avcC record (ISO/IEC
// 14496-15 §5.3.3.1).
func spsOf(avcC []byte) (s sps, err error) {
	if len(avcC) < 8 || avcC[5]&31 == 0 {
		return s, errSPS
	}
	n := int(avcC[6])<<8 | int(avcC[7])
	if len(avcC) < 8+n {
		return s, errSPS
	}
	return parseSPS(avcC[8 : 8+n])
}

// A sound is what an AudioSpecificConfig says (ISO/IEC 14496-3 §1.6.2.1).
type sound struct {
	object, rate, channels int
	samples                int // of a frame
}

var soundRates = [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// parseSound reads an AudioSpecificConfig, or the payload of an esds box that
// holds one (ISO/IEC 14496-1 §7.2.6).
func parseSound(p []byte) (s sound, ok bool) {
	if len(p) > 5 && p[0] == 0 && p[4] == 3 {
		if p = specific(p[4:]); p == nil {
			return s, false
		}
	}
	b := &bitReader{p: p}
	if s.object = int(b.bits(5)); s.object == 31 {
		s.object = 32 + int(b.bits(6))
	}
	if i := int(b.bits(4)); i == 15 {
		s.rate = int(b.bits(24))
	} else if i < len(soundRates) {
		s.rate = soundRates[i]
	}
	s.channels = int(b.bits(4))
	s.samples = 1024
	if s.object <= 4 && b.bit() == 1 { // frameLengthFlag
		s.samples = 960
	}
	return s, !b.over && s.rate > 0
}

// specific finds the DecoderSpecificInfo in an ES_Descriptor.
func specific(p []byte) []byte {
	for len(p) >= 2 {
		tag := p[0]
		n, i := 0, 1
		for ; i < len(p) && i < 5; i++ {
			n = n<<7 | int(p[i]&0x7f)
			if p[i]&0x80 == 0 {
				i++
				break
			}
		}
		if i > len(p) || n > len(p)-i {
			return nil
		}
		body := p[i : i+n]
		switch tag {
		case 3: // ES_ID and flags
			if len(body) < 3 || body[2]&0xe0 != 0 { // dependencies and URLs: not in files
				return nil
			}
			p = body[3:]
		case 4: // object type, stream type, buffer, rates
			if len(body) < 13 {
				return nil
			}
			p = body[13:]
		case 5:
			return body
		default:
			p = p[i+n:]
		}
	}
	return nil
}
