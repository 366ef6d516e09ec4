package flv

import "encoding/binary"

// A Class says which configuration a tag carries. Tags of equal class replace
// each other, so a joiner needs the newest of each. The track number of
// multitrack bodies stands in the high byte: class + track<<8, which is the
// plain class for the default track.
type Class uint16

const (
	NoConfig      Class = iota // not a configuration (or script data that is not metadata)
	Metadata                   // onMetaData
	VideoConfig                // video sequence header
	AudioConfig                // audio sequence header
	VideoMetadata              // enhanced FLV: HDR colour information
	AudioLayout                // enhanced FLV: multichannel configuration
)

// ConfigClass classifies a whole tag (header, body; trailing size or not).
func ConfigClass(tag []byte) Class {
	body, ok := bodyOf(tag)
	if !ok {
		return NoConfig
	}
	var e essence
	var sequence, extra Class
	switch tag[0] {
	case typeScript:
		if isMetadata(body) {
			return Metadata
		}
		return NoConfig
	case typeVideo:
		e, sequence, extra = parseVideo(body), VideoConfig, VideoMetadata
	case typeAudio:
		e, sequence, extra = parseAudio(body), AudioConfig, AudioLayout
	}
	switch e.part {
	case config:
		return sequence + Class(e.track)<<8
	case metadata:
		return extra + Class(e.track)<<8
	}
	return NoConfig
}

// bodyOf returns the body of a whole tag.
func bodyOf(tag []byte) ([]byte, bool) {
	if len(tag) < tagHeader || len(tag) < tagHeader+bodySize(tag) {
		return nil, false
	}
	return tag[tagHeader:][:bodySize(tag)], true
}

// isMetadata reports whether script data is onMetaData, also as RTMP tools
// write it, behind @setDataFrame.
func isMetadata(b []byte) bool {
	name, rest := scriptName(b)
	if name == "@setDataFrame" {
		name, _ = scriptName(rest)
	}
	return name == "onMetaData"
}

// scriptName reads an AMF0 string.
func scriptName(b []byte) (name string, rest []byte) {
	if len(b) < 3 || b[0] != 2 {
		return "", b
	}
	n := 3 + int(binary.BigEndian.Uint16(b[1:]))
	if len(b) < n {
		return "", b
	}
	return string(b[3:n]), b[n:]
}

// IDR reports whether a whole tag holds a true IDR picture: NAL unit type 5 of
// H.264 (ISO/IEC 14496-10 table 7-1), IDR_W_RADL or IDR_N_LP of H.265 (ISO/IEC
// 23008-2 table 7-1). The key flag alone also stands on open GOPs, where
// leading pictures may need what came before. Of other codecs it believes the
// flag. NAL units are taken to have lengths of four bytes, as all encoders
// write them.
func IDR(tag []byte) bool {
	body, ok := bodyOf(tag)
	if !ok || tag[0] != typeVideo {
		return false
	}
	e := parseVideo(body)
	if e.part != frame || !e.key {
		return false
	}
	if e.codec != avc1 && e.codec != hvc1 {
		return true
	}
	for b := body[e.data:]; len(b) > 4; {
		n := binary.BigEndian.Uint32(b)
		switch t := b[4]; {
		case e.codec == avc1 && t&31 == 5, e.codec == hvc1 && (t>>1&63 == 19 || t>>1&63 == 20):
			return true
		}
		if uint64(n) > uint64(len(b)-4) {
			return false
		}
		b = b[4+n:]
	}
	return false
}
