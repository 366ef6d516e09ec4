package abr

import "math/bits"

// hevcSequence is what reading the slices of HEVC takes of a sequence parameter set
// (ISO/IEC 23008-2 §7.3.2.2).
type hevcSequence struct {
	planes, colour    bool // separate_colour_plane; there is chroma in slices
	orderBits         int
	sets              []hevcSet
	longTerm          bool
	longSets          int
	motion, smoothing bool // temporal motion vectors, sample adaptive offset
}

// A hevcSet is a set of reference pictures (§7.3.7): how many there are, and how many
// the picture itself refers to.
type hevcSet struct{ all, used int }

// hevcPictures is the same of a picture parameter set (§7.3.2.3).
type hevcPictures struct {
	sequence                   int
	output                     bool
	extra                      int
	start                      bool // cabac_init_flag stands in slices
	refs                       [2]int
	qp                         int
	weighted, weightedB, lists bool
}

func parseHEVCSequence(nal []byte) (id int, s hevcSequence, ok bool) {
	if len(nal) > maxParams {
		return 0, s, false
	}
	b := &bitReader{p: unescape(nal[2:])}
	b.at += 4
	layers := int(b.bits(3)) + 1
	b.at++
	b.levels(layers - 1)
	id = b.ue()
	chroma := b.ue()
	s.planes = chroma == 3 && b.bit() == 1
	s.colour = chroma != 0 && !s.planes
	b.ues(2)
	if b.bit() == 1 { // conformance window
		b.ues(4)
	}
	b.ues(2)
	s.orderBits = b.ue() + 4
	n := 1
	if b.bit() == 1 {
		n = layers
	}
	b.ues(3 * n)
	b.ues(6)
	if b.bit() == 1 { // scaling lists
		if b.bit() == 1 {
			b.scaling()
		}
	}
	b.bit()
	s.smoothing = b.bit() == 1
	if b.bit() == 1 { // pcm
		b.bits(8)
		b.ues(2)
		b.bit()
	}
	n = b.ue()
	if b.over || n > 64 || s.orderBits > 16 {
		return 0, s, false
	}
	for range n {
		set, ok := b.set(s.sets, false)
		if !ok {
			return 0, s, false
		}
		s.sets = append(s.sets, set)
	}
	if s.longTerm = b.bit() == 1; s.longTerm {
		if s.longSets = b.ue(); s.longSets > maxRefs {
			return 0, s, false
		}
		for range s.longSets {
			b.bits(s.orderBits + 1)
		}
	}
	s.motion = b.bit() == 1
	return id, s, !b.over
}

// ues passes over n numbers.
func (b *bitReader) ues(n int) {
	for range n {
		b.ue()
	}
}

// scaling passes over scaling_list_data (§7.3.4).
func (b *bitReader) scaling() {
	for size := range 4 {
		for matrix := 0; matrix < 6; matrix++ {
			if size == 3 && matrix%3 != 0 {
				continue
			}
			if b.bit() == 0 {
				b.ue()
				continue
			}
			if size > 1 {
				b.se()
			}
			for range min(64, 1<<(4+2*size)) {
				b.se()
			}
		}
	}
}

// set reads the st_ref_pic_set behind those that are known (§7.3.7), in a sequence
// parameter set or in a slice.
func (b *bitReader) set(sets []hevcSet, slice bool) (s hevcSet, ok bool) {
	if len(sets) > 0 && b.bit() == 1 {
		from := len(sets) - 1
		if slice {
			from -= b.ue()
		}
		b.bit()
		b.ue()
		if from < 0 || from >= len(sets) {
			return s, false
		}
		for range sets[from].all + 1 {
			switch {
			case b.bit() == 1:
				s.all++
				s.used++
			case b.bit() == 1:
				s.all++
			}
		}
		return s, !b.over && s.all <= maxRefs
	}
	before, behind := b.ue(), b.ue()
	if b.over || before > 16 || behind > 16 {
		return s, false
	}
	s.all = before + behind
	for range s.all {
		b.ue()
		s.used += int(b.bit())
	}
	return s, !b.over
}

func parseHEVCPictures(nal []byte) (id int, p hevcPictures, ok bool) {
	if len(nal) > maxParams {
		return 0, p, false
	}
	b := &bitReader{p: unescape(nal[2:])}
	id, p.sequence = b.ue(), b.ue()
	b.bit()
	p.output = b.bit() == 1
	p.extra = int(b.bits(3))
	b.bit()
	p.start = b.bit() == 1
	p.refs = [2]int{b.ue() + 1, b.ue() + 1}
	p.qp = 26 + b.se()
	b.bits(2)
	if b.bit() == 1 { // cu_qp_delta
		b.ue()
	}
	b.ues(2)
	b.bit()
	p.weighted, p.weightedB = b.bit() == 1, b.bit() == 1
	b.bit()
	tiles := b.bit() == 1
	b.bit()
	if tiles {
		columns, rows := b.ue(), b.ue()
		if columns > 64 || rows > 64 {
			return 0, p, false
		}
		if b.bit() == 0 {
			b.ues(columns + rows)
		}
		b.bit()
	}
	b.bit()
	if b.bit() == 1 { // deblocking filter
		b.bit()
		if b.bit() == 0 {
			b.ues(2)
		}
	}
	if b.bit() == 1 {
		b.scaling()
	}
	p.lists = b.bit() == 1
	return id, p, !b.over
}

// hevcSlice reads a slice's header up to slice_qp_delta (§7.3.6.1).
func (q *quantisers) hevcSlice(nal []byte) (qp int, ok bool) {
	t := nal[0] >> 1 & 63
	b := &bitReader{p: unescape(nal[2:])}
	if b.bit() == 0 {
		return 0, false // the picture's first slice is lost
	}
	if t >= 16 && t <= 23 {
		b.bit()
	}
	p, known := q.hevc[b.ue()]
	s, both := q.seqs[p.sequence]
	if !known || !both {
		return 0, false
	}
	b.bits(p.extra)
	lists := max(0, 2-b.ue()) // B, P, I
	if p.output {
		b.bit()
	}
	if s.planes {
		b.bits(2)
	}
	var set hevcSet
	motion := false
	if t != 19 && t != 20 { // IDR
		b.bits(s.orderBits)
		if b.bit() == 0 {
			if set, ok = b.set(s.sets, true); !ok {
				return 0, false
			}
		} else {
			i := 0
			if n := len(s.sets); n > 1 {
				i = int(b.bits(bits.Len(uint(n - 1))))
			}
			if i >= len(s.sets) {
				return 0, false
			}
			set = s.sets[i]
		}
		if s.longTerm {
			if set.used += b.longTerm(&s); b.over {
				return 0, false
			}
		}
		motion = s.motion && b.bit() == 1
	}
	if s.smoothing {
		b.bit()
		if s.colour {
			b.bit()
		}
	}
	if lists > 0 {
		b.prediction(&p, &s, lists, set.used, motion)
	}
	qp = p.qp + b.se()
	return qp, !b.over
}

// longTerm passes over the long-term reference pictures of a slice, and returns how
// many of them it refers to.
func (b *bitReader) longTerm(s *hevcSequence) (used int) {
	listed := 0
	if s.longSets > 0 {
		listed = b.ue()
	}
	n := listed + b.ue()
	if n > maxRefs {
		b.over = true
		return 0
	}
	for i := range n {
		if i >= listed {
			b.bits(s.orderBits)
			used += int(b.bit())
		} else {
			if s.longSets > 1 {
				b.bits(bits.Len(uint(s.longSets - 1)))
			}
			used++
		}
		if b.bit() == 1 {
			b.ue()
		}
	}
	return used
}

// prediction passes over what only P and B slices have.
func (b *bitReader) prediction(p *hevcPictures, s *hevcSequence, lists, pictures int, motion bool) {
	refs := p.refs
	if b.bit() == 1 {
		for i := range lists {
			refs[i] = b.ue() + 1
		}
	}
	if refs[0] > maxRefs || refs[1] > maxRefs {
		b.over = true
		return
	}
	if p.lists && pictures > 1 {
		for i := range lists {
			if b.bit() == 1 {
				b.bits(refs[i] * bits.Len(uint(pictures-1)))
			}
		}
	}
	if lists == 2 {
		b.bit()
	}
	if p.start {
		b.bit()
	}
	if motion {
		from := 0
		if lists == 2 && b.bit() == 0 {
			from = 1
		}
		if refs[from] > 1 {
			b.ue()
		}
	}
	if p.weighted && lists == 1 || p.weightedB && lists == 2 {
		b.ue()
		if s.colour {
			b.se()
		}
		for _, n := range refs[:lists] {
			b.weightsOf(n, s.colour)
		}
	}
	b.ue() // five_minus_max_num_merge_cand
}

// weightsOf passes over the weights of one list (§7.3.6.3), which are all for other
// pictures.
func (b *bitReader) weightsOf(n int, colour bool) {
	var luma, chroma [maxRefs]bool
	for i := range n {
		luma[i] = b.bit() == 1
	}
	for i := 0; colour && i < n; i++ {
		chroma[i] = b.bit() == 1
	}
	for i := range n {
		if luma[i] {
			b.se()
			b.se()
		}
		if chroma[i] {
			for range 4 {
				b.se()
			}
		}
	}
}
