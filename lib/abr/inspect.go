package abr

import (
	"errors"
	"fmt"
	"time"

	"github.com/xp2p/xp2p/lib/media"
)

// A Code names what is wrong with a rendition or a pair of them. Codes are
// stable: scripts may rely on them.
type Code string

const (
	// Of a pair: the second one is told how to become like the first.
	CodeNotAligned     Code = "not_aligned"     // nothing tells where they meet
	CodeZeroPoint      Code = "zero_point"      // their clocks begin at different moments
	CodeAVSync         Code = "av_sync"         // sound and picture stand differently to each other
	CodeContainer      Code = "container"       // FLV and fMP4
	CodeVideoCodec     Code = "video_codec"     // H.264 and HEVC, say
	CodeVideoFormat    Code = "video_format"    // bit depth or chroma format
	CodeFrameRate      Code = "frame_rate"      //
	CodeKeyframes      Code = "keyframes"       // IDR pictures are not at the same moments
	CodeGOP            Code = "gop_length"      // they are, but one has fewer of them
	CodeBFrames        Code = "b_frames"        // pictures are delayed differently
	CodeSampleAspect   Code = "sample_aspect"   // shape of a pixel
	CodePictureAspect  Code = "picture_aspect"  // shape of the picture
	CodeVideoTimescale Code = "video_timescale" // ticks of one are none of the other
	CodeAudioCodec     Code = "audio_codec"
	CodeAudioRate      Code = "audio_rate"
	CodeAudioChannels  Code = "audio_channels"
	CodeAudioFrames    Code = "audio_frames" // alike, but not one encode: frames differ
	CodeDirtyCut       Code = "dirty_cut"    // where the second begins, the first cannot end cleanly
	// Of one rendition.
	CodeNoVideo    Code = "no_video"
	CodeNoAudio    Code = "no_audio" // the other has sound
	CodeNoIDR      Code = "no_idr"   // one place to begin at most: intra refresh, or one GOP without end
	CodeLongGOP    Code = "long_gop"
	CodeOpenGOP    Code = "open_gop"
	CodeVariable   Code = "variable_frame_rate"
	CodeInterlaced Code = "interlaced"
	CodeInBand     Code = "in_band" // parameter sets may stand in the pictures alone
)

// A Severity says what a finding means for switches.
type Severity string

const (
	// Broken: no switch, or one that is seen or heard.
	Broken Severity = "broken"
	// Limited: switches are good, but rarer, later or dearer than they could be.
	Limited Severity = "limited"
)

// A Finding is one thing that is wrong.
type Finding struct {
	Code     Code     `json:"code"`
	Severity Severity `json:"severity"`
	// Rendition is the one to encode anew; Other, of a pair, the one to be like.
	Rendition string `json:"rendition"`
	Other     string `json:"other,omitempty"`
	What      string `json:"what"`
	// Cure are arguments for ffmpeg, to be put behind those the rendition was made
	// with.
	Cure []string `json:"cure"`
}

// A Report is what Inspect found.
type Report struct {
	Renditions []Rendition `json:"renditions"`
	Pairs      []Pair      `json:"pairs"`
	Findings   []Finding   `json:"findings"`
}

// A Rendition is what can be told of one.
type Rendition struct {
	Name      string `json:"name"`
	Container string `json:"container"`
	Video     *Video `json:"video,omitempty"`
	Audio     *Audio `json:"audio,omitempty"`
}

// Video describes a track of pictures.
type Video struct {
	Codec          string  `json:"codec"` // RFC 6381
	Width          int     `json:"width,omitempty"`
	Height         int     `json:"height,omitempty"`
	SampleAspect   string  `json:"sample_aspect,omitempty"` // "1:1"; unknown is absent
	BitDepth       int     `json:"bit_depth,omitempty"`
	Chroma         string  `json:"chroma,omitempty"` // "4:2:0"
	Interlaced     bool    `json:"interlaced"`
	Timescale      uint32  `json:"timescale"` // ticks per second
	Frames         int     `json:"frames"`
	FrameRate      float64 `json:"frame_rate_hz"`
	Variable       bool    `json:"variable"`        // frames come irregularly
	IDR            int     `json:"idr"`             // pictures from which a decoder shows everything
	OpenKeys       int     `json:"open_keys"`       // key frames that open a GOP which refers to the one before
	RefreshKeys    int     `json:"refresh_keys"`    // key frames from which a picture builds up bit by bit
	GOPShortest    int64   `json:"gop_shortest_ms"` // from IDR to IDR; 0 with fewer than two
	GOPLongest     int64   `json:"gop_longest_ms"`
	GOPUsual       int64   `json:"gop_usual_ms"`
	BFrames        int     `json:"b_frames"` // most that stand in a row
	Delay          int64   `json:"delay_ms"` // PTS - DTS of the first picture
	CleanCuts      int     `json:"clean_cuts"`
	CleanCutsShare float64 `json:"clean_cuts_share"` // of all moments between frames
	Start          int64   `json:"start_ms"`         // PTS of the first picture
}

// Audio describes a track of sound.
type Audio struct {
	Codec     string `json:"codec"`
	Rate      int    `json:"rate_hz,omitempty"`
	Channels  int    `json:"channels,omitempty"`
	Samples   int    `json:"frame_samples,omitempty"`
	Timescale uint32 `json:"timescale"`
	Frames    int    `json:"frames"`
	Start     int64  `json:"start_ms"`
}

// A Pair is how two renditions stand to each other.
type Pair struct {
	A string `json:"a"`
	B string `json:"b"`
	// Aligned tells whether the rest is known.
	Aligned    bool     `json:"aligned"`
	OffsetUS   int64    `json:"offset_us"` // to be added to B's times
	Confidence float64  `json:"confidence"`
	By         Evidence `json:"by"`
	SyncUS     int64    `json:"av_sync_us"`
	// Of the time that both have:
	CommonMS    int64 `json:"common_ms"`
	IDRA        int   `json:"idr_a"`
	IDRB        int   `json:"idr_b"`
	IDRTogether int   `json:"idr_together"` // at one moment in both
	CleanAB     int   `json:"clean_ab"`     // IDR pictures of B at which A can end cleanly
	CleanBA     int   `json:"clean_ba"`
	SameAudio   bool  `json:"same_audio"` // byte for byte
}

// Inspect tells whether renditions can be switched between, and what to tell
// the encoder if not. The first one is what the others are compared with.
//
// What is "clean": a rendition can end before time t if the frames shown before
// t are all decoded before those that are not; if not, frames that stay would
// miss others they refer to, which no decoder reports and everybody sees.
func Inspect(renditions ...*Timeline) *Report {
	r := &Report{}
	for _, t := range renditions {
		r.Renditions = append(r.Renditions, describeRendition(t))
	}
	for i := range renditions {
		r.alone(renditions[i], &r.Renditions[i])
	}
	for i := 1; i < len(renditions); i++ {
		r.pair(renditions[0], renditions[i], &r.Renditions[0], &r.Renditions[i])
	}
	return r
}

func (r *Report) find(f Finding) { r.Findings = append(r.Findings, f) }

// Has reports whether a finding of the code is there.
func (r *Report) Has(c Code) bool {
	for _, f := range r.Findings {
		if f.Code == c {
			return true
		}
	}
	return false
}

// Broken reports whether seamless switches are impossible for some pair.
func (r *Report) Broken() bool {
	for _, f := range r.Findings {
		if f.Severity == Broken {
			return true
		}
	}
	return false
}

// alone finds what is wrong with one rendition.
func (r *Report) alone(t *Timeline, d *Rendition) {
	v := d.Video
	if v == nil {
		r.find(Finding{CodeNoVideo, Broken, d.Name, "", "it has no pictures", []string{"-map", "0:v:0"}})
		return
	}
	if v.OpenKeys > 0 {
		r.find(Finding{CodeOpenGOP, Broken, d.Name, "", sprint(v.OpenKeys, " of its key frames open a GOP whose first pictures refer to the one before"), closed(v.Codec)})
	}
	line := t.Track(media.Video)
	if span := line.span(); v.IDR < 2 && v.OpenKeys == 0 && span > 5*time.Second {
		cure := append(cureIDR(v.Codec), gop(v, 2*time.Second)...)
		r.find(Finding{CodeNoIDR, Broken, d.Name, "", sprint("in ", span.Round(100*time.Millisecond), " it has ", v.IDR, " IDR picture and ", v.RefreshKeys, " points from which pictures build up"), cure})
	} else if v.GOPLongest > longGOP.Milliseconds() {
		r.find(Finding{CodeLongGOP, Limited, d.Name, "", sprint("an IDR picture comes only after ", ms(v.GOPLongest), ": so long may a switch have to wait"), gop(v, 2*time.Second)})
	}
	if v.Variable {
		r.find(Finding{CodeVariable, Limited, d.Name, "", "its frames come irregularly: the encoder sets IDR pictures by count, which is no time", []string{"-fps_mode", "cfr", "-r", rate(v.FrameRate)}})
	}
	if v.Interlaced {
		r.find(Finding{CodeInterlaced, Limited, d.Name, "", "it is coded for fields, which not all players show alike", []string{"-vf", "yadif", "-flags", "-ilme-ildct"}})
	}
	if tag, ok := outOfBand(line); ok {
		r.find(Finding{CodeInBand, Limited, d.Name, "", "its sample entry says that parameter sets may stand in the pictures alone", []string{"-tag:v", tag}})
	}
}

// minClock is the confidence at which renditions are taken to have one clock.
const minClock = 0.9

// longGOP is what nobody wants to wait for.
const longGOP = 5 * time.Second

// pair finds what is wrong between two renditions; b is the one to be changed.
func (r *Report) pair(a, b *Timeline, da, db *Rendition) {
	p := Pair{A: a.Name, B: b.Name}
	defer func() { r.Pairs = append(r.Pairs, p) }()
	find := func(c Code, s Severity, what string, cure ...string) {
		r.find(Finding{c, s, b.Name, a.Name, what, cure})
	}
	if a.Container != b.Container {
		find(CodeContainer, Broken, sprint("it is ", db.Container, ", the other ", da.Container), cureContainer(a.Container)...)
	}
	r.soundPair(a, b, da, db, &p, find)
	if da.Video == nil || db.Video == nil {
		return
	}
	r.picturePair(da.Video, db.Video, find)
	al, err := Align(a, b)
	var refused *AlignError
	if errors.As(err, &refused) {
		// Most renditions have one clock, and little is needed to believe that.
		if same := Confirm(a, b, 0); same.Confidence >= minClock {
			al, err = same, nil
		}
	}
	p.Confidence, p.By = al.Confidence, al.By
	if err != nil {
		find(CodeNotAligned, Broken, refused.Error(), "-copyts", "-c:a", "copy")
		return
	}
	p.Aligned, p.OffsetUS, p.SyncUS = true, al.Offset.Microseconds(), al.Sync.Microseconds()
	va, vb := a.Track(media.Video), b.Track(media.Video)
	p.compareKeys(va, vb)
	if al.Sync.Abs() >= time.Millisecond {
		way := " later"
		if al.Sync > 0 {
			way = " earlier"
		}
		find(CodeAVSync, Broken, sprint("its sound comes ", al.Sync.Abs().Round(time.Millisecond), way, " against its pictures than in the other"), "-bsf:a", fmt.Sprintf("setts=ts=TS+(%s)/TB", seconds(al.Sync)))
	}
	if al.Offset.Abs() >= max(2*time.Millisecond, va.tick(), vb.tick()) && !r.explained(b.Name, CodeBFrames) {
		r.zeroPoint(a, b, al.Offset)
	}
	r.keysPair(da.Video, db.Video, &p, find)
}

// zeroPoint says how to give two renditions one clock. If both begin with the
// same picture, the one whose clock is farther from zero begins there; if not,
// they have to keep the clock of what they are made from.
func (r *Report) zeroPoint(a, b *Timeline, off time.Duration) {
	va, vb := a.Track(media.Video), b.Track(media.Video)
	startA, _ := va.shown()
	startB, _ := vb.shown()
	what := sprint("its clock is ", off.Abs().Round(time.Millisecond), " behind the other's")
	if off < 0 {
		what = sprint("its clock is ", off.Abs().Round(time.Millisecond), " ahead of the other's")
	}
	f := Finding{CodeZeroPoint, Limited, b.Name, a.Name, what, []string{"-copyts"}}
	if d := startA - startB - off.Microseconds(); abs(d) < va.frameMicros()/2 {
		f.Cure = []string{"-avoid_negative_ts", "make_zero"}
		if abs(startA) > abs(startB) {
			f.Rendition, f.Other = a.Name, b.Name
			f.What = sprint("its clock does not begin at zero: it is ", off.Abs().Round(time.Millisecond), " from the other's")
		}
	}
	r.find(f)
}

// explained reports whether a finding about a pair already says it.
func (r *Report) explained(name string, c Code) bool {
	for _, f := range r.Findings {
		if f.Rendition == name && f.Code == c {
			return true
		}
	}
	return false
}
