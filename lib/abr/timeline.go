package abr

import "github.com/xp2p/xp2p/lib/media"

// A Timeline is all of a rendition that can be told without its pictures and
// sounds: when each frame is decoded and shown, what kind of frame it is, how
// long it is. Renditions are compared by it.
type Timeline struct {
	Name      string
	Container media.Container
	Tracks    []Line // one at most of Video and of Audio
}

// Track returns the line of a track, or nil.
func (t *Timeline) Track(k media.Track) *Line {
	for i := range t.Tracks {
		if t.Tracks[i].Track == k {
			return &t.Tracks[i]
		}
	}
	return nil
}

// A Line is one track of a Timeline, its frames in the order of decoding.
type Line struct {
	Track     media.Track
	Timescale uint32 // ticks a second of DTS and PTS; 1000 in FLV
	Codec     string // RFC 6381: avc1.64001F, hvc1.1.6.L93.B0, mp4a.40.2
	Config    []byte // what a decoder must have seen: avcC, hvcC, AudioSpecificConfig
	Width     int    // of pictures
	Height    int
	Frames    []Frame
}

// A Frame is a place on a Line. DTS and PTS are the container's own ticks, wraps
// undone, before any alignment; an edit list is applied to both.
type Frame struct {
	DTS, PTS int64
	Duration int64  // ticks, where the container says it, else 0
	Size     int    // bytes of the frame itself, without any container's
	Sum      uint32 // CRC-32C of an audio frame's bytes, to know it again; 0 where none was made
	Type     FrameType
	// Key is the container's word that decoding can start here. It also stands on
	// the I pictures of open GOPs.
	Key bool
	// IDR says that decoding can start here and nothing later refers to what came
	// before, save Leading frames: a NAL unit of type 5 of H.264 (ISO/IEC 14496-10
	// table 7-1); an IRAP picture of HEVC (ISO/IEC 23008-2 table 7-1), which may be
	// a CRA picture with leading ones behind it. Audio frames and codecs that are
	// not looked into have it where they have Key.
	IDR bool
	// Leading frames are decoded behind a key frame and shown before it.
	Leading bool
}

// A FrameType is the type of a picture's first slice.
type FrameType byte

const (
	UnknownType FrameType = 0 // audio, and codecs that are not looked into
	TypeI       FrameType = 'I'
	TypeP       FrameType = 'P' // of HEVC: any picture that others refer to
	TypeB       FrameType = 'B' // of HEVC: a picture that none of its sub-layer refers to
)

// Starts reports whether a decoder that knows nothing shows everything from
// frame i on: an IDR without Leading frames. False for the last frame of the
// line, behind which one could still come; an H.264 IDR has none.
func (l *Line) Starts(i int) bool {
	return l.Frames[i].IDR && (l.Frames[i].Type == UnknownType || i+1 < len(l.Frames) && !l.Frames[i+1].Leading)
}
