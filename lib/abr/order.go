package abr

import (
	"bytes"
	"encoding/binary"
)

// An order is what a parameter set of HEVC says of how pictures are put in order
// (ISO/IEC 23008-2 §7.4.3.1: sps_max_dec_pic_buffering_minus1 and
// sps_max_num_reorder_pics of the highest sub-layer).
//
// A player asks the first parameter sets how many pictures it must hold back. If later
// ones want more, it has begun too early: ffmpeg warns. So the first say what the most
// of all renditions is; pictures are shown when they were, as their times say.
type order struct{ buffering, reorder int }

func (o order) max(p order) order {
	return order{max(o.buffering, p.buffering), max(o.reorder, p.reorder)}
}

const (
	hevcVPS = 32
	hevcSPS = 33
)

// levels passes over profile_tier_level(1, n) (§7.3.3).
func (b *bitReader) levels(n int) {
	b.at += 96
	var profile, level [8]bool
	for i := range n {
		profile[i], level[i] = b.bit() == 1, b.bit() == 1
	}
	if n > 0 {
		b.at += 2 * (8 - n)
	}
	for i := range n {
		if profile[i] {
			b.at += 88
		}
		if level[i] {
			b.at += 8
		}
	}
}

// seekOrder brings b to sub_layer_ordering_info_present_flag of a VPS or SPS, behind its
// NAL unit's header, and returns how many sub-layers it is of; 0 if it cannot be read.
func seekOrder(b *bitReader, kind byte) (layers int) {
	if kind == hevcVPS {
		b.at += 4 + 1 + 1 + 6
		layers = int(b.bits(3)) + 1
		b.at += 1 + 16
		b.levels(layers - 1)
	} else {
		b.at += 4
		layers = int(b.bits(3)) + 1
		b.at++
		b.levels(layers - 1)
		b.ue()           // sps_seq_parameter_set_id
		if b.ue() == 3 { // chroma_format_idc
			b.at++
		}
		b.ue()
		b.ue()
		if b.bit() == 1 { // conformance window
			for range 4 {
				b.ue()
			}
		}
		for range 3 { // depths, log2_max_pic_order_cnt_lsb
			b.ue()
		}
	}
	if b.at>>3 >= len(b.p) || b.over || layers > 7 {
		return 0
	}
	return layers
}

// orderOf reads the order of an SPS or a VPS.
func orderOf(nal []byte) (o order, ok bool) {
	if len(nal) < 3 || len(nal) > 4096 {
		return o, false
	}
	kind := nal[0] >> 1 & 63
	if kind != hevcVPS && kind != hevcSPS {
		return o, false
	}
	b := &bitReader{p: unescape(nal[2:])}
	layers := seekOrder(b, kind)
	if layers == 0 {
		return o, false
	}
	n := 1
	if b.bit() == 1 {
		n = layers
	}
	for range n {
		o = order{b.ue(), b.ue()}
		b.ue()
	}
	return o, !b.over && o.buffering <= 16 && o.reorder <= 16
}

// raise returns an SPS or a VPS that says at least o, and else what nal does; nal
// itself if it cannot be read, or says so.
func (o order) raise(nal []byte) []byte {
	was, ok := orderOf(nal)
	if !ok || was == was.max(o) {
		return nal
	}
	p := unescape(nal[2:])
	end := len(p)*8 - 1 // of the stop bit
	for end > 0 && p[end>>3]>>(7-end&7)&1 == 0 {
		end--
	}
	b := &bitReader{p: p}
	w := &bitWriter{}
	layers := seekOrder(b, nal[0]>>1&63)
	at := b.at
	b.at = 0
	for b.at < at {
		w.bit(b.bit())
	}
	n := 1
	each := b.bit()
	if w.bit(each); each == 1 {
		n = layers
	}
	for range n {
		is := order{b.ue(), b.ue()}.max(o)
		w.ue(is.buffering)
		w.ue(is.reorder)
		w.ue(b.ue()) // max_latency_increase_plus1 counts from reorder
	}
	for b.at <= end {
		w.bit(b.bit())
	}
	if b.over {
		return nal
	}
	return append(bytes.Clone(nal[:2]), escape(w.p)...)
}

// raised returns a configuration that says at least o: parameter sets, and the record
// and the descriptions that they stand in.
func (c *config) raised(o order) *config {
	if c.codec != hvc1 || len(c.record) < 23 || len(c.descriptions) == 0 {
		return c
	}
	record := bytes.Clone(c.record[:23])
	p := c.record[23:]
	for range int(c.record[22]) { // arrays, §8.3.3.1 of ISO/IEC 14496-15
		if len(p) < 3 {
			return c
		}
		n := int(binary.BigEndian.Uint16(p[1:]))
		record, p = append(record, p[:3]...), p[3:]
		for range n {
			if len(p) < 2 || len(p) < 2+int(binary.BigEndian.Uint16(p)) {
				return c
			}
			nal := p[2 : 2+int(binary.BigEndian.Uint16(p))]
			p = p[2+len(nal):]
			nal = o.raise(nal)
			record = append(binary.BigEndian.AppendUint16(record, uint16(len(nal))), nal...)
		}
	}
	if record = append(record, p...); bytes.Equal(record, c.record) {
		return c
	}
	// An stsd box, the entry in it, and hvcC in that.
	at := bytes.Index(c.descriptions, append([]byte("hvcC"), c.record...))
	const entry = 16
	if at < entry+8 || len(c.descriptions) < entry+4 {
		return c
	}
	d := *c
	d.record, d.params = record, nil
	d.descriptions = append(bytes.Clone(c.descriptions[:at+4]), record...)
	d.descriptions = append(d.descriptions, c.descriptions[at+4+len(c.record):]...)
	more := len(record) - len(c.record)
	for _, size := range []int{0, entry, at - 4} {
		b := d.descriptions[size:]
		binary.BigEndian.PutUint32(b, binary.BigEndian.Uint32(b)+uint32(more))
	}
	d.readParams()
	return &d
}

// order is the most that the parameter sets of a configuration say.
func (c *config) order() (o order) {
	if c.codec != hvc1 {
		return o
	}
	for nal := range c.units(c.params) {
		if is, ok := orderOf(nal); ok {
			o = o.max(is)
		}
	}
	return o
}
