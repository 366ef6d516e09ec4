package flv

import (
	"encoding/binary"

	"github.com/xp2p/xp2p/lib/media"
)

// Sizes of the container (Adobe FLV and F4V v10.1, annex E.2–E.4).
const (
	headerSize = 9 + 4 // file header and PreviousTagSize0
	tagHeader  = 11
	trailer    = 4 // PreviousTagSize
)

// Tag types. Bit 5 of the type byte marks an encrypted body.
const (
	typeAudio  = 8
	typeVideo  = 9
	typeScript = 18
	encrypted  = 0x20
)

// peek is how much of a body the walker reads before it says what the tag is:
// enough for an enhanced header with a few ModEx prefixes (enhanced RTMP v2,
// "Extended VideoTagHeader").
const peek = 64

// maxConfig bounds a Config unit, because configuration is kept for joiners.
// Larger ones stay in the stream as opaque bytes.
const maxConfig = 1 << 20

func bodySize(p []byte) int { return int(p[1])<<16 | int(p[2])<<8 | int(p[3]) }

// timestamp reads the 24 bits and the extension byte above them. The
// specification calls the sum signed; ffmpeg writes 31 bits and others 32, so
// it is the raw number here and wraps are the slicer's to see.
func timestamp(p []byte) uint32 {
	return uint32(p[7])<<24 | uint32(p[4])<<16 | uint32(p[5])<<8 | uint32(p[6])
}

// framed reports whether p (11 bytes or more) may be a tag header at all: the
// reserved bits and the stream ID are always 0 (annex E.4.1).
func framed(p []byte) bool { return p[0]&0xc0 == 0 && p[8] == 0 && p[9] == 0 && p[10] == 0 }

// known reports whether p (11 bytes or more) is the header of a tag of a type
// that everybody writes.
func known(p []byte) bool {
	t := p[0] &^ encrypted
	return (t == typeAudio || t == typeVideo || t == typeScript) && framed(p)
}

// isHeader ignores the flags: they lie, and nothing depends on them.
func isHeader(p []byte) bool {
	return len(p) >= 9 && string(p[:4]) == "FLV\x01" && binary.BigEndian.Uint32(p[5:]) == 9
}

// A part is what a tag's body is to a decoder.
type part uint8

const (
	unknown  part = iota
	frame         // coded audio or video
	config        // sequence header
	metadata      // HDR information, channel layout
	end           // end of sequence
	command       // seek markers of a server; no media
)

// An essence is what the first bytes of an audio or video body say.
type essence struct {
	part  part
	key   bool
	track uint8  // of a multitrack body the first, else 0
	codec uint32 // FourCC; the classic identifiers are mapped to one
	cts   int32
	data  int // where the payload begins
	// The three bytes before the payload are cts.
	composed bool
}

const (
	avc1 = 'a'<<24 | 'v'<<16 | 'c'<<8 | '1'
	hvc1 = 'h'<<24 | 'v'<<16 | 'c'<<8 | '1'
	vvc1 = 'v'<<24 | 'v'<<16 | 'c'<<8 | '1'
	mp4a = 'm'<<24 | 'p'<<16 | '4'<<8 | 'a'
)

func int24(b []byte) int32 {
	return int32(uint32(b[0])<<24|uint32(b[1])<<16|uint32(b[2])<<8) >> 8
}

func parseVideo(b []byte) (e essence) {
	if len(b) == 0 {
		return e
	}
	if b[0]&0x80 != 0 {
		return parseEnhanced(b, b[0]>>4&7, 6)
	}
	e.key = b[0]>>4 == 1
	if b[0]>>4 == 5 {
		e.part = command
		return e
	}
	switch b[0] & 15 {
	case 2, 3, 4, 5, 6: // H.263, Screen, VP6, VP6 with alpha, Screen 2
		e.part, e.data = frame, 1
	case 7, 12: // AVC; HEVC as Chinese CDNs have long written it
		e.codec = avc1
		if b[0]&15 == 12 {
			e.codec = hvc1
		}
		switch {
		case len(b) >= 2 && b[1] == 2:
			e.part = end
		case len(b) < 5:
		case b[1] == 0:
			e.part, e.data = config, 5
		case b[1] == 1:
			e.part, e.data, e.cts, e.composed = frame, 5, int24(b[2:]), true
		}
	}
	return e
}

func parseAudio(b []byte) (e essence) {
	if len(b) == 0 {
		return e
	}
	e.key = true
	switch b[0] >> 4 {
	case 9:
		e = parseEnhanced(b, 0, 5)
		e.key = true
	case 10:
		e.codec = mp4a
		switch {
		case len(b) < 2:
		case b[1] == 0:
			e.part, e.data = config, 2
		case b[1] == 1:
			e.part, e.data = frame, 2
		}
	case 12, 13: // never assigned
	default:
		e.part, e.data = frame, 1
	}
	return e
}

// parseEnhanced reads an enhanced header (enhanced RTMP v2, "Enhanced Video"
// and "Enhanced Audio"): audio and video share its grammar, but for the packet
// type that announces several tracks.
func parseEnhanced(b []byte, frameType, multitrack byte) (e essence) {
	packet, i := b[0]&15, 1
	for packet == 7 { // ModEx: size, data, then the next packet type
		if i >= len(b) {
			return e
		}
		n := int(b[i]) + 1
		i++
		if n == 256 {
			if i+2 > len(b) {
				return e
			}
			n = int(binary.BigEndian.Uint16(b[i:])) + 1
			i += 2
		}
		i += n
		if i >= len(b) {
			return e
		}
		packet = b[i] & 15
		i++
	}
	video := multitrack == 6
	if video && frameType == 5 && packet != 4 {
		e.part = command
		return e
	}
	const oneTrack, manyCodecs = 0, 2
	kind := byte(oneTrack)
	many := packet == multitrack
	if many {
		if i >= len(b) {
			return e
		}
		kind, packet = b[i]>>4, b[i]&15
		i++
	}
	if i+4 > len(b) {
		return e
	}
	e.codec = binary.BigEndian.Uint32(b[i:]) // also where manyCodecs puts the first track's
	i += 4
	if many {
		n := 1
		if kind != oneTrack {
			n = 4 // track number and size
		}
		if i+n > len(b) {
			return e
		}
		e.track = b[i]
		i += n
	}
	e.key = frameType == 1
	e.data = i
	switch {
	case packet == 0, video && packet == 5:
		e.part = config
	case packet == 1 && video && (e.codec == avc1 || e.codec == hvc1 || e.codec == vvc1):
		if i+3 > len(b) {
			return e
		}
		e.part, e.cts, e.data, e.composed = frame, int24(b[i:]), i+3, true
	case packet == 1, video && packet == 3:
		e.part = frame
	case packet == 2:
		e.part = end
	case packet == 4:
		e.part = metadata
	}
	return e
}

// judge fills in what a tag is, from its header and up to peek bytes of body.
func judge(u *media.Unit, p []byte) {
	size := bodySize(p)
	u.Size = int64(tagHeader + size + trailer)
	dts := int64(timestamp(p))
	u.DTS = media.Time{Ticks: dts, Scale: 1000}
	u.PTS = u.DTS
	u.Kind, u.Timed = media.Opaque, size > 0
	body := p[tagHeader:min(len(p), tagHeader+size, tagHeader+peek)]

	var e essence
	switch p[0] &^ encrypted {
	case typeVideo:
		u.Track, e = media.Video, parseVideo(body)
	case typeAudio:
		u.Track, e = media.Audio, parseAudio(body)
	case typeScript:
		u.Track = media.Other
		if p[0] == typeScript {
			e.part = script(body)
		}
	default:
		u.Track = media.Other
	}
	if p[0]&encrypted != 0 {
		return // opaque, though its time is good
	}
	switch e.part {
	case frame:
		u.Kind, u.Key = media.Sample, e.key
		u.PTS.Ticks = dts + int64(e.cts)
		if e.track != 0 {
			u.Track = media.Other
		}
	case config, metadata:
		u.Timed = false
		if size <= maxConfig {
			u.Kind = media.Config
		}
	case end, command:
		u.Timed = false
	}
	if p[0] == typeScript {
		u.Timed = false
	}
	if !u.Timed {
		u.DTS, u.PTS = media.Time{}, media.Time{}
	}
}

// script reports whether a script body begins the way all do: with a name, an
// AMF0 string (annex E.4.4).
func script(body []byte) part {
	if len(body) >= 3 && body[0] == 2 {
		return metadata
	}
	return unknown
}
