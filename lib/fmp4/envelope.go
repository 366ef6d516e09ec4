package fmp4

// An Envelope is what of a movie fragment is not its samples.
type Envelope struct {
	Before   []byte // whole boxes that stand before the moof: styp, prft, emsg, sidx
	Sequence uint32
	// Plain reports that the samples, as Movie.Samples gives them, are all that
	// there is to the fragment: AppendFragment can write it anew. Encrypted ones are
	// not plain, nor those with other boxes that go with their samples.
	Plain bool
}

// ReadEnvelope reads a unit that a Walker found: a moof with what stands before it
// and the mdat behind it.
func ReadEnvelope(unit []byte) (f Envelope) {
	at, moofs, mdats := 0, 0, 0
	f.Plain = true
	eachBox(unit, func(kind uint32, b, whole []byte) {
		switch kind {
		case mdat:
			mdats++
			f.Plain = f.Plain && moofs == 1
		case moof:
			moofs++
			eachBox(b, func(kind uint32, b, _ []byte) {
				switch kind {
				case mfhd:
					if len(b) >= 8 {
						f.Sequence = be32(b[4:])
					}
				case traf:
					f.Plain = f.Plain && plainTrack(b)
				default:
					f.Plain = false
				}
			})
		default:
			if moofs == 0 {
				f.Before = append(f.Before, whole...)
			}
		}
		at += len(whole)
	})
	f.Plain = f.Plain && moofs == 1 && mdats == 1 && at == len(unit)
	return f
}

// plainTrack reports whether a traf holds nothing that Samples leaves out. sdtp
// says in other words what the samples' flags do.
func plainTrack(p []byte) bool {
	plain := true
	eachBox(p, func(kind uint32, b, _ []byte) {
		switch kind {
		case tfhd:
			f := fields{be32(b), nil}
			if len(b) < 12 || !f.has(0x02) {
				break
			}
			skip := 8
			if f.has(0x01) {
				skip += 8
			}
			plain = plain && len(b) >= skip+4 && be32(b[skip:]) == 1 // of one sample description
		case tfdt, trun, sdtp:
		default:
			plain = false
		}
	})
	return plain
}
