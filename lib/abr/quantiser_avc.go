package abr

// avcPictures is what reading the slices of H.264 takes of a picture parameter set
// (§7.3.2.2).
type avcPictures struct {
	sps                         int
	arithmetic, bottom, counted bool // CABAC; delta_pic_order_cnt_bottom and redundant_pic_cnt stand in slices
	refs                        [2]int
	weighted                    bool
	weightedB                   uint
	qp                          int
}

func parseAVCPictures(nal []byte) (id int, p avcPictures, ok bool) {
	if len(nal) > maxParams {
		return 0, p, false
	}
	b := &bitReader{p: unescape(nal[1:])}
	id, p.sps = b.ue(), b.ue()
	p.arithmetic, p.bottom = b.bit() == 1, b.bit() == 1
	if b.ue() != 0 { // slice groups: nobody has them
		return 0, p, false
	}
	p.refs = [2]int{b.ue() + 1, b.ue() + 1}
	p.weighted, p.weightedB = b.bit() == 1, b.bits(2)
	p.qp = 26 + b.se()
	b.se()
	b.se()
	b.bits(2)
	p.counted = b.bit() == 1
	return id, p, !b.over
}

// avcSlice reads a slice's header up to slice_qp_delta (§7.3.3).
func (q *quantisers) avcSlice(nal []byte) (qp int, ok bool) {
	b := &bitReader{p: unescape(nal[1:])}
	b.ue() // first_mb_in_slice
	kind := b.ue() % 5
	p, known := q.avc[b.ue()]
	s, both := q.sps[p.sps]
	if !known || !both {
		return 0, false
	}
	const isP, isB, isI, isSP = 0, 1, 2, 3
	idr := nal[0]&31 == 5
	if s.planes {
		b.bits(2)
	}
	b.bits(s.frameBits)
	field := s.interlaced && b.bit() == 1
	if field {
		b.bit()
	}
	if idr {
		b.ue()
	}
	switch {
	case s.orderType == 0:
		b.bits(s.orderBits)
		if p.bottom && !field {
			b.se()
		}
	case s.orderType == 1 && !s.orderFixed:
		b.se()
		if p.bottom && !field {
			b.se()
		}
	}
	if p.counted {
		b.ue()
	}
	lists := 0
	switch kind {
	case isB:
		lists = 2
		b.bit()
	case isP, isSP:
		lists = 1
	}
	refs := p.refs
	if lists > 0 && b.bit() == 1 {
		for i := range lists {
			refs[i] = b.ue() + 1
		}
	}
	for range lists { // ref_pic_list_modification
		if b.bit() == 0 {
			continue
		}
		for b.ue() != 3 && !b.over {
			b.ue()
		}
	}
	if p.weighted && lists == 1 || p.weightedB == 1 && lists == 2 {
		b.ue()
		if colour := s.chroma != 0 && !s.planes; colour {
			b.ue()
			b.weights(refs[:lists], true)
		} else {
			b.weights(refs[:lists], false)
		}
	}
	switch {
	case nal[0]>>5&3 == 0:
	case idr:
		b.bits(2)
	case b.bit() == 1: // memory_management_control_operation
		for op := b.ue(); op != 0 && !b.over; op = b.ue() {
			if op != 5 {
				b.ue()
			}
			if op == 3 {
				b.ue()
			}
		}
	}
	if p.arithmetic && lists > 0 {
		b.ue()
	}
	qp = p.qp + b.se()
	return qp, !b.over
}

// weights passes over pred_weight_table behind its denominators (§7.3.3.2).
func (b *bitReader) weights(refs []int, colour bool) {
	for _, n := range refs {
		for range min(n, maxRefs) {
			if b.bit() == 1 {
				b.se()
				b.se()
			}
			if colour && b.bit() == 1 {
				for range 4 {
					b.se()
				}
			}
		}
	}
}
