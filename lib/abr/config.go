package abr

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

const (
	avc1 = 'a'<<24 | 'v'<<16 | 'c'<<8 | '1'
	hvc1 = 'h'<<24 | 'v'<<16 | 'c'<<8 | '1'
	mp4a = 'm'<<24 | 'p'<<16 | '4'<<8 | 'a'
)

// A config is what a decoder must have seen before the frames of a track.
// Frames under one configuration share the pointer.
type config struct {
	codec  uint32 // avc1, hvc1, mp4a or another FourCC
	name   string // RFC 6381, as far as it is known
	record []byte // avcC, hvcC, AudioSpecificConfig or esds
	params []byte // the parameter sets of record, each with its length
	length int    // bytes of a NAL unit's length
	tag    []byte // FLV: the sequence header, a whole tag
	// fMP4:
	init          []byte // the ftyp and moov it stands in
	descriptions  []byte
	width, height int
}

// same reports whether a decoder of c needs nothing new for d.
func (c *config) same(d *config) bool {
	return c == d || c != nil && d != nil && c.codec == d.codec && bytes.Equal(c.record, d.record)
}

// describe names the codec by its configuration, as far as browsers ask.
func (c *config) describe() {
	switch {
	case c.codec == avc1 && len(c.record) >= 4:
		c.name = fmt.Sprintf("avc1.%02X%02X%02X", c.record[1], c.record[2], c.record[3])
	case c.codec == mp4a && len(c.record) >= 1:
		c.name = fmt.Sprintf("mp4a.40.%d", c.record[0]>>3)
	case c.codec != 0:
		c.name = string(binary.BigEndian.AppendUint32(nil, c.codec))
	}
}

// word is the codec's name.
func (c *config) word() string {
	switch {
	case c.name != "":
		return c.name
	case c.codec == 0:
		return "one without a name"
	}
	return string(binary.BigEndian.AppendUint32(nil, c.codec))
}

// readParams splits the parameter sets out of an avcC (ISO/IEC 14496-15
// §5.3.3.1) or hvcC (§8.3.3.1).
func (c *config) readParams() {
	c.length = 4
	p := c.record
	var sets [][]byte
	take := func(n int) bool { // n sets, each behind its length
		for range n {
			if len(p) < 2 {
				return false
			}
			size := int(binary.BigEndian.Uint16(p))
			if len(p) < 2+size {
				return false
			}
			sets = append(sets, p[2:2+size])
			p = p[2+size:]
		}
		return true
	}
	switch {
	case c.codec == avc1 && len(p) >= 7:
		c.length = int(p[4]&3) + 1
		n := int(p[5] & 31)
		if p = p[6:]; !take(n) || len(p) < 1 {
			return
		}
		n = int(p[0])
		if p = p[1:]; !take(n) {
			return
		}
	case c.codec == hvc1 && len(p) >= 23:
		c.length = int(p[21]&3) + 1
		arrays := int(p[22])
		p = p[23:]
		for range arrays {
			if len(p) < 3 {
				return
			}
			kind, n := p[0]&63, int(binary.BigEndian.Uint16(p[1:]))
			p = p[3:]
			before := len(sets)
			if !take(n) {
				return
			}
			if kind < 32 || kind > 34 { // SEI of the encoder
				sets = sets[:before]
			}
		}
	}
	for _, s := range sets {
		for i := c.length - 1; i >= 0; i-- {
			c.params = append(c.params, byte(len(s)>>(8*i)))
		}
		c.params = append(c.params, s...)
	}
}

// kind is what the slices of a picture say.
func (c *config) kind(p []byte, key bool) (t FrameType, idr bool) {
	switch c.codec {
	case avc1:
		for n := range c.units(p) {
			if t := n[0] & 31; t >= 1 && t <= 5 {
				return sliceType(n[1:]), t == 5
			}
		}
	case hvc1:
		for n := range c.units(p) {
			t := n[0] >> 1 & 63
			switch {
			case t >= 32:
				continue
			case t >= 16 && t <= 23:
				return TypeI, true
			case t < 16 && t&1 == 0: // sub-layer non-reference
				return TypeB, false
			}
			return TypeP, false
		}
	default:
		return UnknownType, key
	}
	return UnknownType, false
}

// units yields the NAL units of a frame.
func (c *config) units(p []byte) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(p) > c.length {
			n := 0
			for _, b := range p[:c.length] {
				n = n<<8 | int(b)
			}
			p = p[c.length:]
			n = min(n, len(p))
			if n > 0 && !yield(p[:n]) {
				return
			}
			p = p[n:]
		}
	}
}

// sliceType reads slice_type of H.264 (ISO/IEC 14496-10 §7.3.3) from a slice
// behind its NAL unit's header.
func sliceType(p []byte) FrameType {
	at := 0
	bit := func() uint {
		if at>>3 >= len(p) {
			return 1
		}
		b := uint(p[at>>3]) >> (7 - at&7) & 1
		at++
		return b
	}
	ue := func() uint {
		zeros := 0
		for zeros < 31 && bit() == 0 {
			zeros++
		}
		v := uint(1)
		for range zeros {
			v = v<<1 | bit()
		}
		return v - 1
	}
	ue() // first_mb_in_slice
	switch ue() % 5 {
	case 0, 3:
		return TypeP
	case 1:
		return TypeB
	}
	return TypeI
}

// insertion says where in a frame the parameter sets belong: behind an access
// unit delimiter, before anything else. ok is false if they stand there already.
func (c *config) insertion(p []byte) (at int, ok bool) {
	if len(c.params) == 0 {
		return 0, false
	}
	if len(p) > c.length {
		if d := p[c.length]; c.codec == avc1 && d&31 == 9 || c.codec == hvc1 && d>>1&63 == 35 {
			n := 0
			for _, b := range p[:c.length] {
				n = n<<8 | int(b)
			}
			if c.length+n <= len(p) {
				at = c.length + n
			}
		}
	}
	return at, !bytes.HasPrefix(p[at:], c.params)
}
