package fmp4

import (
	"errors"
	"fmt"

	"github.com/Eyevinn/mp4ff/bits"
	"github.com/Eyevinn/mp4ff/hevc"
	"github.com/Eyevinn/mp4ff/mp4"
	"github.com/xp2p/xp2p/lib/media"
)

// ErrNoMovie is returned for init bytes without a movie box.
var ErrNoMovie = errors.New("no movie box")

// A TrackInfo describes a track of the movie box.
type TrackInfo struct {
	ID        uint32
	Track     media.Track
	Timescale uint32
	Codec     string // RFC 6381, e.g. avc1.64001F; the sample entry's name if no more is known
}

// Tracks reads the movie box in initBytes (ftyp and moov, in any company).
func Tracks(initBytes []byte) ([]TrackInfo, error) {
	movie, err := findMovie(initBytes)
	if err != nil {
		return nil, err
	}
	var infos []TrackInfo
	for _, t := range movie.Traks {
		infos = append(infos, describe(t))
	}
	return infos, nil
}

func findMovie(p []byte) (*mp4.MoovBox, error) {
	for len(p) > 0 {
		b, ok := readBox(p)
		if !ok || b.toEOF || b.size < int64(b.head) || b.size > int64(len(p)) {
			break
		}
		if b.kind == moov {
			return decodeMovie(p[:b.size])
		}
		p = p[b.size:]
	}
	return nil, ErrNoMovie
}

// decodeMovie decodes a whole moov box. The decoder is not written for hostile
// input, so its panics are errors.
func decodeMovie(p []byte) (movie *mp4.MoovBox, err error) {
	defer func() {
		if e := recover(); e != nil {
			movie, err = nil, fmt.Errorf("movie box: %v", e)
		}
	}()
	b, err := mp4.DecodeBoxSR(0, bits.NewFixedSliceReader(p))
	if err != nil {
		return nil, fmt.Errorf("movie box: %w", err)
	}
	movie, ok := b.(*mp4.MoovBox)
	if !ok {
		return nil, ErrNoMovie
	}
	return movie, nil
}

func describe(t *mp4.TrakBox) (info TrackInfo) {
	info.Track = media.Other
	if t.Tkhd != nil {
		info.ID = t.Tkhd.TrackID
	}
	if t.Mdia == nil {
		return info
	}
	if t.Mdia.Mdhd != nil {
		info.Timescale = t.Mdia.Mdhd.Timescale
	}
	if t.Mdia.Hdlr != nil {
		switch t.Mdia.Hdlr.HandlerType {
		case "vide":
			info.Track = media.Video
		case "soun":
			info.Track = media.Audio
		}
	}
	if m := t.Mdia.Minf; m != nil && m.Stbl != nil && m.Stbl.Stsd != nil && len(m.Stbl.Stsd.Children) > 0 {
		info.Codec = codec(m.Stbl.Stsd.Children[0])
	}
	return info
}

// codec names a sample entry as browsers want it (RFC 6381 §3.3, ISO/IEC
// 14496-15 annex E).
func codec(entry mp4.Box) string {
	name := entry.Type()
	switch e := entry.(type) {
	case *mp4.VisualSampleEntryBox:
		switch {
		case e.AvcC != nil:
			return fmt.Sprintf("%s.%02X%02X%02X", name, e.AvcC.AVCProfileIndication, e.AvcC.ProfileCompatibility, e.AvcC.AVCLevelIndication)
		case e.HvcC != nil:
			return hevc.CodecString(name, &hevc.SPS{ProfileTierLevel: hevc.ProfileTierLevel{
				GeneralProfileSpace:              e.HvcC.GeneralProfileSpace,
				GeneralTierFlag:                  e.HvcC.GeneralTierFlag,
				GeneralProfileIDC:                e.HvcC.GeneralProfileIDC,
				GeneralProfileCompatibilityFlags: e.HvcC.GeneralProfileCompatibilityFlags,
				GeneralConstraintIndicatorFlags:  e.HvcC.GeneralConstraintIndicatorFlags,
				GeneralLevelIDC:                  e.HvcC.GeneralLevelIDC,
			}})
		case e.Av1C != nil:
			return e.Av1C.CodecConfRec.CodecString(name)
		}
	case *mp4.AudioSampleEntryBox:
		if e.Esds == nil || e.Esds.DecConfigDescriptor == nil {
			break
		}
		d := e.Esds.DecConfigDescriptor
		if s := d.DecSpecificInfo; d.ObjectType == 0x40 && s != nil && len(s.DecConfig) > 0 {
			return fmt.Sprintf("%s.40.%d", name, s.DecConfig[0]>>3)
		}
		return fmt.Sprintf("%s.%X", name, d.ObjectType)
	}
	return name
}

// A track is what the walker remembers of a TrackInfo, with the defaults of
// its track extends box and the time that its samples have reached.
type track struct {
	id              uint32
	kind            media.Track
	scale           uint32
	duration, flags uint32
	size            uint32
	next            int64
}

func (w *Walker) track(id uint32) *track {
	for i := range w.tracks {
		if w.tracks[i].id == id {
			return &w.tracks[i]
		}
	}
	return nil
}

// setMovie takes the tracks of a movie box and chooses the reference.
func (w *Walker) setMovie(movie *mp4.MoovBox) {
	w.tracks = w.tracks[:0]
	for _, trak := range movie.Traks {
		info := describe(trak)
		t := track{id: info.ID, kind: info.Track, scale: info.Timescale}
		if movie.Mvex != nil {
			for _, x := range movie.Mvex.Trexs {
				if x.TrackID == t.id {
					t.duration, t.flags, t.size = x.DefaultSampleDuration, x.DefaultSampleFlags, x.DefaultSampleSize
				}
			}
		}
		w.tracks = append(w.tracks, t)
	}
	w.reference = 0
	for _, kind := range []media.Track{w.Clock, media.Video, media.Audio, media.Other} {
		for _, t := range w.tracks {
			if kind != media.NoTrack && t.kind == kind {
				w.reference = t.id
				return
			}
		}
	}
}
