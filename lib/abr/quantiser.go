package abr

import "github.com/xp2p/xp2p/lib/media"

// maxQP is the coarsest quantiser of 8 bits.
const maxQP = 51

// quantiser returns the quantiser of a rendition's pictures that one in ten is finer
// than, but for its key frames; 0 if it cannot be read. The finest of all are few, such
// as the one behind a key frame, and a bridge as fine as they takes up to twice the bits.
func quantiser(parts ...[]sample) int {
	var q quantisers
	var count [maxQP + 1]int
	all := 0
	for _, samples := range parts {
		for i := range samples {
			f := &samples[i]
			if f.track != media.Video || f.config == nil {
				continue
			}
			if qp, ok := q.read(f.config, f.payload()); ok && !f.frame.Key && qp > 0 && qp <= maxQP {
				count[qp]++
				all++
			}
		}
	}
	finer := 0
	for qp, n := range count {
		if finer += n; finer > all/10 {
			return qp
		}
	}
	return 0
}

// quantisers reads the quantiser of pictures (SliceQPY, ISO/IEC 14496-10 §7.4.3 and
// 23008-2 §7.4.7.1): how coarse they are. Parameter sets are kept by their numbers.
type quantisers struct {
	of   *config // whose parameter sets are known
	avc  map[int]avcPictures
	hevc map[int]hevcPictures
	sps  map[int]sps
	seqs map[int]hevcSequence
}

// read returns the quantiser of a picture's first slice.
func (q *quantisers) read(c *config, frame []byte) (qp int, ok bool) {
	if q.of != c {
		*q = quantisers{c, map[int]avcPictures{}, map[int]hevcPictures{}, map[int]sps{}, map[int]hevcSequence{}}
		q.picture(c, c.params)
	}
	return q.picture(c, frame)
}

// headBytes is what a slice's header takes at most, as far as it is read: of the
// pictures that it lists none takes more than some bytes.
const headBytes = 512

// maxParams bounds a parameter set; maxRefs is how many pictures a list may name.
const maxParams, maxRefs = 4096, 32

// picture takes the parameter sets among NAL units, up to the first slice.
func (q *quantisers) picture(c *config, units []byte) (qp int, ok bool) {
	for n := range c.units(units) {
		if len(n) < 3 {
			continue
		}
		slice := n[:min(len(n), headBytes)]
		switch {
		case c.codec == avc1:
			switch n[0] & 31 {
			case 7:
				if s, err := parseSPS(n); err == nil {
					q.sps[s.id] = s
				}
			case 8:
				if id, p, ok := parseAVCPictures(n); ok {
					q.avc[id] = p
				}
			case 1, 5:
				return q.avcSlice(slice)
			}
		case c.codec == hvc1:
			switch t := n[0] >> 1 & 63; {
			case t == hevcSPS:
				if id, s, ok := parseHEVCSequence(n); ok {
					q.seqs[id] = s
				}
			case t == hevcSPS+1:
				if id, p, ok := parseHEVCPictures(n); ok {
					q.hevc[id] = p
				}
			case t < hevcVPS:
				return q.hevcSlice(slice)
			}
		}
	}
	return 0, false
}
