package flv

import "github.com/xp2p/xp2p/lib/media"

// A Frame says what a whole audio or video tag carries.
type Frame struct {
	Track  media.Track
	Codec  uint32 // FourCC; classic codec identifiers are mapped to one, 0 if there is none
	Key    bool   // of video: the tag's word that decoding can start here
	Coded  bool   // coded audio or video
	Config bool   // a sequence header
	End    bool   // an end of sequence
	Time   uint32 // the tag's own, raw: DTS in milliseconds
	CTS    int32  // PTS - DTS
	Data   int    // where the payload begins in the tag
	Stop   int    // where it ends
	simple bool   // the prefix before Data is one that AppendVideo writes
}

// ParseFrame reads a whole tag of audio or video; ok is false for others, for
// encrypted ones and for those of a track that is not the first.
func ParseFrame(tag []byte) (f Frame, ok bool) {
	body, ok := bodyOf(tag)
	if !ok {
		return f, false
	}
	var e essence
	switch tag[0] {
	case typeVideo:
		f.Track, e = media.Video, parseVideo(body)
	case typeAudio:
		f.Track, e = media.Audio, parseAudio(body)
	default:
		return f, false
	}
	if e.track != 0 {
		return f, false
	}
	f.Codec, f.Key, f.CTS, f.Time = e.codec, e.key, e.cts, timestamp(tag)
	f.Data, f.Stop = tagHeader+e.data, tagHeader+len(body)
	f.Coded, f.Config, f.End = e.part == frame, e.part == config, e.part == end
	f.simple = len(body) > 0 && (body[0]&0x80 == 0 || body[0]&15 != 7 && body[0]&15 != 6)
	return f, true
}
