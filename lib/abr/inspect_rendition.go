package abr

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xp2p/xp2p/lib/media"
)

func describeRendition(t *Timeline) Rendition {
	d := Rendition{Name: t.Name, Container: t.Container.String()}
	if l := t.Track(media.Video); l != nil && len(l.Frames) > 0 {
		d.Video = describeVideo(l)
	}
	if l := t.Track(media.Audio); l != nil && len(l.Frames) > 0 {
		d.Audio = describeAudio(l)
	}
	return d
}

func describeAudio(l *Line) *Audio {
	a := &Audio{Codec: l.Codec, Timescale: l.Timescale, Frames: len(l.Frames), Start: l.micros(l.Frames[0].PTS) / 1000}
	if strings.HasPrefix(l.Codec, "mp4a.40") {
		if s, ok := parseSound(l.Config); ok {
			a.Rate, a.Channels, a.Samples = s.rate, s.channels, s.samples
		}
	}
	if a.Rate == 0 && l.Timescale != 1000 {
		a.Rate = int(l.Timescale)
	}
	return a
}

func describeVideo(l *Line) *Video {
	v := &Video{Codec: l.Codec, Width: l.Width, Height: l.Height, Timescale: l.Timescale, Frames: len(l.Frames)}
	v.describeConfig(l)
	first := l.Frames[0]
	v.Delay = (l.micros(first.PTS) - l.micros(first.DTS)) / 1000
	start, _ := l.shown()
	v.Start = start / 1000
	v.FrameRate, v.Variable = frameRate(l)
	row := 0
	var keys []int64
	for i, f := range l.Frames {
		if f.Type == TypeB {
			row++
			v.BFrames = max(v.BFrames, row)
		} else {
			row = 0
		}
		switch {
		case f.IDR && !l.leads(i):
			v.IDR++
			keys = append(keys, l.micros(f.PTS))
		case f.Key && (f.IDR || f.Type == TypeI):
			v.OpenKeys++
		case f.Key: // a recovery point (ISO/IEC 14496-10 §D.2.8)
			v.RefreshKeys++
		}
	}
	if len(keys) > 1 {
		var gaps []int64
		for i := 1; i < len(keys); i++ {
			gaps = append(gaps, (keys[i]-keys[i-1]+500)/1000)
		}
		slices.Sort(gaps)
		v.GOPShortest, v.GOPLongest, v.GOPUsual = gaps[0], gaps[len(gaps)-1], gaps[len(gaps)/2]
	}
	v.CleanCuts = cleanCuts(l)
	v.CleanCutsShare = math.Round(1000*float64(v.CleanCuts)/float64(max(1, len(l.Frames)-1))) / 1000
	return v
}

// describeConfig reads what parameter sets say.
func (v *Video) describeConfig(l *Line) {
	chroma := [...]string{"4:0:0", "4:2:0", "4:2:2", "4:4:4"}
	switch {
	case isHEVC(l.Codec) && len(l.Config) >= 23: // hvcC, ISO/IEC 14496-15 §8.3.3.1
		v.Chroma, v.BitDepth = chroma[l.Config[16]&3], 8+int(l.Config[17]&7)
	case family(l.Codec) == "libx264":
		s, err := spsOf(l.Config)
		if err != nil {
			return
		}
		v.Width, v.Height, v.Interlaced = s.width, s.height, s.interlaced
		v.BitDepth, v.Chroma = s.depth, chroma[s.chroma]
		if s.sarW > 0 && s.sarH > 0 {
			v.SampleAspect = fmt.Sprintf("%d:%d", s.sarW, s.sarH)
		} else {
			v.SampleAspect = "1:1" // unspecified; all players take squares
		}
	}
}

// aspect is the shape of the picture, 0 if not known.
func (v *Video) aspect() float64 {
	w, h := 1, 1
	if _, err := fmt.Sscanf(v.SampleAspect, "%d:%d", &w, &h); err != nil {
		w, h = 1, 1
	}
	if v.Height == 0 {
		return 0
	}
	return float64(v.Width*w) / float64(v.Height*h)
}

// rateError is how wrong FrameRate can be, as a part of it.
func (v *Video) rateError() float64 {
	if v.FrameRate <= 0 || v.Frames < 2 {
		return 1
	}
	return 2e-3*v.FrameRate/float64(v.Frames) + 1e-4
}

// frameRate is frames per second, and whether more than one frame in fifty
// does not come a usual interval after the one before.
func frameRate(l *Line) (fps float64, variable bool) {
	at := make([]int64, len(l.Frames))
	for i, f := range l.Frames {
		at[i] = l.micros(f.PTS)
	}
	slices.Sort(at)
	if len(at) < 3 {
		return 0, false
	}
	gaps := make([]int64, len(at)-1)
	for i := range gaps {
		gaps[i] = at[i+1] - at[i]
	}
	sorted := slices.Clone(gaps)
	slices.Sort(sorted)
	usual := sorted[len(sorted)/2]
	var sum float64
	n := 0
	for _, g := range gaps {
		if d := g - usual; max(d, -d) <= max(rounded, usual/4) {
			sum += float64(g)
			n++
		}
	}
	return 1e6 * float64(n) / sum, (len(gaps)-n)*50 > len(gaps)
}

// rate writes a frame rate as ffmpeg reads it: NTSC's as fractions.
func rate(fps float64) string {
	for _, n := range []float64{24, 30, 48, 60, 120} {
		if math.Abs(fps*1001/1000/n-1) < 2e-4 {
			return fmt.Sprintf("%.0f/1001", 1000*n)
		}
	}
	if r := math.Round(fps); math.Abs(fps/r-1) < 2e-3 {
		return number(r)
	}
	return number(math.Round(fps*1000) / 1000)
}

func number(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// seconds writes a duration as ffmpeg reads it.
func seconds(d time.Duration) string {
	return number(math.Round(d.Seconds()*1e6) / 1e6)
}

func ms(n int64) string { return (time.Duration(n) * time.Millisecond).String() }

func sprint(parts ...any) string {
	var b strings.Builder
	for _, p := range parts {
		fmt.Fprint(&b, p)
	}
	return b.String()
}

func abs(x int64) int64 { return max(x, -x) }

func replaceColon(s string) string { return strings.ReplaceAll(s, ":", "/") }

// leads reports whether frames behind key frame i are shown before it.
func (l *Line) leads(i int) bool {
	return l.Frames[i].Key && i+1 < len(l.Frames) && l.Frames[i+1].Leading
}

// shown returns the first and the last time of presentation, in microseconds.
func (l *Line) shown() (first, last int64) {
	for i, f := range l.Frames {
		t := l.micros(f.PTS)
		if i == 0 || t < first {
			first = t
		}
		if i == 0 || t > last {
			last = t
		}
	}
	return first, last
}

func (l *Line) span() time.Duration {
	first, last := l.shown()
	return time.Duration(last-first) * time.Microsecond
}

func (l *Line) tick() time.Duration { return time.Duration(l.tickMicros()) * time.Microsecond }

// frameMicros is the usual duration of a frame.
func (l *Line) frameMicros() int64 {
	fps, _ := frameRate(l)
	if fps <= 0 {
		return 40_000
	}
	return int64(1e6 / fps)
}

// cleanCuts counts the moments between two frames at which l can end cleanly:
// the frames shown before are the first ones decoded.
func cleanCuts(l *Line) (n int) {
	type place struct {
		pts    int64
		coding int
	}
	order := make([]place, len(l.Frames))
	for i, f := range l.Frames {
		order[i] = place{f.PTS, i}
	}
	slices.SortStableFunc(order, func(a, b place) int { return int(min(1, max(-1, a.pts-b.pts))) })
	last := -1
	for i := 0; i+1 < len(order); i++ {
		last = max(last, order[i].coding)
		if last == i {
			n++
		}
	}
	return n
}

// clean counts at how many of the moments (microseconds, ascending) l, moved by
// shift, can end cleanly.
func clean(l *Line, at []int64, shift, tol int64) (n int) {
	for _, t := range at {
		kept, last := 0, -1
		for i, f := range l.Frames {
			if l.micros(f.PTS)+shift < t-tol {
				kept++
				last = i
			}
		}
		if last+1 == kept {
			n++
		}
	}
	return n
}

// outOfBand returns the sample entry to ask for if the line's own allows
// parameter sets in the pictures alone (ISO/IEC 14496-15 §5.4.2, §8.4.1).
func outOfBand(l *Line) (tag string, ok bool) {
	switch {
	case strings.HasPrefix(l.Codec, "avc3"):
		return "avc1", true
	case strings.HasPrefix(l.Codec, "hev1"):
		return "hvc1", true
	}
	return "", false
}

// What to tell encoders.

func cureContainer(c media.Container) []string {
	if c == media.FLV {
		return []string{"-f", "flv"}
	}
	return []string{"-f", "mp4", "-movflags", "+frag_keyframe+empty_moov+default_base_moof"}
}

func closed(codec string) []string {
	if isHEVC(codec) {
		return []string{"-x265-params", "open-gop=0"}
	}
	return []string{"-x264-params", "open-gop=0"}
}

func cureIDR(codec string) []string {
	if isHEVC(codec) {
		return []string{"-x265-params", "intra-refresh=0:open-gop=0"}
	}
	return []string{"-x264-params", "intra-refresh=0"}
}

// gop asks for an IDR picture every d.
func gop(v *Video, d time.Duration) []string {
	n := fmt.Sprint(max(1, int(math.Round(d.Seconds()*v.FrameRate))))
	if isHEVC(v.Codec) {
		return []string{"-x265-params", "keyint=" + n + ":min-keyint=" + n + ":scenecut=0:open-gop=0"}
	}
	return []string{"-g", n, "-keyint_min", n, "-sc_threshold", "0"}
}

func bframes(like *Video) []string {
	if isHEVC(like.Codec) {
		return []string{"-x265-params", fmt.Sprintf("bframes=%d", like.BFrames)}
	}
	return []string{"-bf", fmt.Sprint(like.BFrames)}
}

func pixelFormat(v *Video) string {
	name := map[string]string{"4:2:0": "yuv420p", "4:2:2": "yuv422p", "4:4:4": "yuv444p", "4:0:0": "gray"}[v.Chroma]
	if v.BitDepth > 8 {
		name += fmt.Sprint(v.BitDepth) + "le"
	}
	return name
}
