package segment

import (
	"github.com/xp2p/xp2p/lib/flv"
	"github.com/xp2p/xp2p/lib/media"
)

// A joiner keeps what a decoder that joins now must see first.
type joiner struct {
	container media.Container
	init      Hash   // of the init in force; zero while unknown
	header    []byte // FLV header; ftyp and moov
	ftyp      []byte
	configs   []config // by class
	changed   bool
}

type config struct {
	class flv.Class
	tag   []byte
}

// maxConfig bounds one configuration tag that is kept for joiners.
const maxConfig = 256 << 10

// learn takes a whole header or configuration unit.
func (j *joiner) learn(u *media.Unit, p []byte) {
	switch {
	case j.container == media.FMP4 && u.Kind == media.Header && len(p) >= 8:
		switch string(p[4:8]) {
		case "ftyp":
			j.ftyp = append([]byte(nil), p...)
		case "moov":
			h := append(append([]byte(nil), j.ftyp...), p...)
			if string(h) != string(j.header) {
				j.header, j.changed = h, true
			}
		}
	case j.container == media.FLV && u.Kind == media.Header:
		j.header = append([]byte(nil), p...)
		j.configs, j.changed = nil, true
	case j.container == media.FLV && u.Kind == media.Config && len(p) <= maxConfig:
		class := flv.ConfigClass(p)
		if class == flv.NoConfig {
			return
		}
		i := 0
		for i < len(j.configs) && j.configs[i].class < class {
			i++
		}
		if i == len(j.configs) || j.configs[i].class != class {
			if len(j.configs) == 16 {
				return
			}
			j.configs = append(j.configs, config{})
			copy(j.configs[i+1:], j.configs[i:])
			j.configs[i] = config{class: class}
		}
		if !sameTag(j.configs[i].tag, p) {
			j.configs[i].tag = append([]byte(nil), p...)
			j.changed = true
		}
	}
}

// sameTag compares tags but for their times: encoders repeat configuration.
func sameTag(a, b []byte) bool {
	return len(a) == len(b) && len(a) >= 11 && string(a[:4]) == string(b[:4]) && string(a[8:]) == string(b[8:])
}

// assemble returns the init from here on if it has changed, else nil.
func (j *joiner) assemble() []byte {
	if !j.changed {
		return nil
	}
	j.changed = false
	if j.container == media.FMP4 {
		return append([]byte(nil), j.header...)
	}
	var b []byte
	flags, known := byte(0), false
	for _, c := range j.configs {
		switch c.class {
		case flv.VideoConfig:
			flags, known = flags|1, true
		case flv.AudioConfig:
			flags, known = flags|4, true
		}
	}
	switch {
	case len(j.header) > 0:
		b = append(b, j.header...)
	case !known: // joined, and nothing to decode with was seen
		return nil
	default:
		b = append(b, 'F', 'L', 'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0)
	}
	for _, c := range j.configs {
		b = append(b, c.tag...)
	}
	return b
}
