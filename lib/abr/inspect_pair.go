package abr

import (
	"fmt"
	"math"
	"time"

	"github.com/xp2p/xp2p/lib/media"
)

type finder func(c Code, s Severity, what string, cure ...string)

// soundPair compares the tracks of sound.
func (r *Report) soundPair(a, b *Timeline, da, db *Rendition, p *Pair, find finder) {
	switch {
	case da.Audio == nil && db.Audio == nil:
		return
	case db.Audio == nil:
		find(CodeNoAudio, Broken, "it has no sound, the other has", "-map", "0:a:0")
		return
	case da.Audio == nil:
		r.find(Finding{CodeNoAudio, Broken, a.Name, b.Name, "it has no sound, the other has", []string{"-map", "0:a:0"}})
		return
	}
	x, y := da.Audio, db.Audio
	p.SameAudio = sameSound(a.Track(media.Audio), b.Track(media.Audio))
	switch {
	case x.Codec != y.Codec:
		find(CodeAudioCodec, Broken, sprint("its sound is ", y.Codec, ", the other's ", x.Codec), "-c:a", audioEncoder(x.Codec))
	case x.Rate != y.Rate:
		find(CodeAudioRate, Broken, sprint("its sound has ", y.Rate, " samples a second, the other's ", x.Rate), "-ar", fmt.Sprint(x.Rate))
	case x.Channels != y.Channels:
		find(CodeAudioChannels, Broken, sprint("its sound has ", y.Channels, " channels, the other's ", x.Channels), "-ac", fmt.Sprint(x.Channels))
	case !p.SameAudio:
		find(CodeAudioFrames, Limited, "its sound is another encode: the sound has to stay with one rendition, or be switched at a border of frames", "-c:a", "copy")
	}
}

// sameSound reports whether nearly all frames of the sound are found again.
func sameSound(a, b *Line) bool {
	type key struct {
		sum  uint32
		size int
	}
	in := map[key]bool{}
	for _, f := range a.Frames {
		in[key{f.Sum, f.Size}] = true
	}
	same := 0
	for _, f := range b.Frames {
		if in[key{f.Sum, f.Size}] {
			same++
		}
	}
	return same > 0 && same*10 >= min(len(a.Frames), len(b.Frames))*9
}

func audioEncoder(codec string) string {
	switch {
	case len(codec) >= 4 && codec[:4] == "Opus":
		return "libopus"
	case codec == "mp4a.6B", codec == "mp4a.69", codec == ".mp3":
		return "libmp3lame"
	case codec == "ac-3":
		return "ac3"
	}
	return "aac"
}

func videoEncoder(codec string) string {
	switch {
	case isHEVC(codec):
		return "libx265"
	case len(codec) >= 4 && codec[:4] == "av01":
		return "libaom-av1"
	}
	return "libx264"
}

func isHEVC(codec string) bool {
	return len(codec) >= 4 && (codec[:4] == "hvc1" || codec[:4] == "hev1")
}

// family is what a decoder is chosen by.
func family(codec string) string { return videoEncoder(codec) }

// picturePair compares what decoders and screens are set up by.
func (r *Report) picturePair(a, b *Video, find finder) {
	if family(a.Codec) != family(b.Codec) {
		find(CodeVideoCodec, Broken, sprint("it is ", b.Codec, ", the other ", a.Codec), "-c:v", videoEncoder(a.Codec))
	}
	if a.BitDepth > 0 && b.BitDepth > 0 && (a.BitDepth != b.BitDepth || a.Chroma != b.Chroma) {
		find(CodeVideoFormat, Broken, sprint("its pictures are ", b.Chroma, " of ", b.BitDepth, " bits, the other's ", a.Chroma, " of ", a.BitDepth), "-pix_fmt", pixelFormat(a))
	}
	if a.FrameRate > 0 && b.FrameRate > 0 && math.Abs(a.FrameRate/b.FrameRate-1) > a.rateError()+b.rateError() && !a.Variable && !b.Variable {
		find(CodeFrameRate, Broken, sprint("it has ", rate(b.FrameRate), " frames a second, the other ", rate(a.FrameRate)), "-fps_mode", "cfr", "-r", rate(a.FrameRate))
	}
	if (a.BFrames > 0) != (b.BFrames > 0) || abs(a.Delay-b.Delay) > 5 {
		find(CodeBFrames, Limited, sprint("up to ", b.BFrames, " B pictures stand in a row and delay its pictures by ", ms(b.Delay), ", in the other ", a.BFrames, " and ", ms(a.Delay)), bframes(a)...)
	}
	known := a.SampleAspect != "" && b.SampleAspect != ""
	if known && a.SampleAspect != b.SampleAspect {
		find(CodeSampleAspect, Broken, sprint("its pixels are ", b.SampleAspect, ", the other's ", a.SampleAspect), "-vf", "setsar="+replaceColon(a.SampleAspect))
	}
	if x, y := a.aspect(), b.aspect(); x > 0 && y > 0 && math.Abs(x/y-1) > 0.02 {
		find(CodePictureAspect, Broken, sprint(fmt.Sprintf("its picture is %.2f as wide as high, the other's %.2f", y, x)),
			"-vf", fmt.Sprintf("scale=%d:%d,setsar=1", b.Width, 2*int(math.Round(float64(b.Width)/x/2))))
	}
	if a.Timescale != b.Timescale {
		find(CodeVideoTimescale, Limited, sprint("its clock has ", b.Timescale, " ticks a second, the other's ", a.Timescale, ": times have to be rounded"), "-video_track_timescale", fmt.Sprint(a.Timescale))
	}
}

// keysPair says what follows from where keys stand.
func (r *Report) keysPair(a, b *Video, p *Pair, find finder) {
	few := min(p.IDRA, p.IDRB)
	switch {
	case few == 0 || r.explained(p.B, CodeNoIDR) || r.explained(p.A, CodeNoIDR):
	case p.IDRTogether*10 < few*9:
		cure := append([]string{"-force_key_frames", fmt.Sprintf("expr:gte(t,n_forced*%s)", number(usual(a).Seconds()))}, gop(b, usual(a))...)
		find(CodeKeyframes, Limited, sprint("of ", p.IDRA, " IDR pictures of the other and ", p.IDRB, " of its own only ", p.IDRTogether, " stand at one moment"), cure...)
	case p.IDRA*10 < p.IDRB*9 || p.IDRB*10 < p.IDRA*9:
		find(CodeGOP, Limited, sprint("it has an IDR picture every ", ms(b.GOPUsual), ", the other every ", ms(a.GOPUsual)), gop(b, usual(a))...)
	}
	if p.IDRB > 0 && p.CleanAB*10 < p.IDRB*9 && !r.explained(p.B, CodeKeyframes) {
		find(CodeDirtyCut, Limited, sprint("at ", p.IDRB-p.CleanAB, " of its ", p.IDRB, " IDR pictures the other cannot end without frames that miss others"), gop(b, usual(a))...)
	}
}

// usual is the time from IDR to IDR to ask of others, in whole tenths.
func usual(v *Video) time.Duration {
	if v.GOPUsual <= 0 {
		return 2 * time.Second
	}
	return time.Duration(v.GOPUsual) * time.Millisecond
}

// compareKeys counts, in the time that both have, IDR pictures at one moment and
// clean cuts.
func (p *Pair) compareKeys(a, b *Line) {
	shift := p.OffsetUS
	firstA, lastA := a.shown()
	firstB, lastB := b.shown()
	from, to := max(firstA, firstB+shift), min(lastA, lastB+shift)
	p.CommonMS = max(0, (to-from)/1000)
	tol := max(rounded, a.frameMicros()/3)
	times := func(l *Line, shift int64) (at []int64) {
		for i, f := range l.Frames {
			if t := l.micros(f.PTS) + shift; f.IDR && !l.leads(i) && t >= from-tol && t <= to+tol {
				at = append(at, t)
			}
		}
		return at
	}
	ka, kb := times(a, 0), times(b, shift)
	p.IDRA, p.IDRB = len(ka), len(kb)
	i := 0
	for _, t := range kb {
		for i < len(ka) && ka[i] < t-tol {
			i++
		}
		if i < len(ka) && ka[i] <= t+tol {
			p.IDRTogether++
		}
	}
	p.CleanAB, p.CleanBA = clean(a, kb, 0, tol), clean(b, ka, shift, tol)
}
