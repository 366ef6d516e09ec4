package abr

import (
	"fmt"
	"strings"
	"time"
)

// Text is the report for people, in the words of its fields.
func (r *Report) Text() string {
	var b strings.Builder
	for _, d := range r.Renditions {
		fmt.Fprintf(&b, "%s: %s", d.Name, d.Container)
		if v := d.Video; v != nil {
			fmt.Fprintf(&b, "\n  video  %s, %dx%d", v.Codec, v.Width, v.Height)
			if v.SampleAspect != "" {
				fmt.Fprintf(&b, ", sample aspect %s", v.SampleAspect)
			}
			if v.BitDepth > 0 {
				fmt.Fprintf(&b, ", %s of %d bits", v.Chroma, v.BitDepth)
			}
			if v.Interlaced {
				b.WriteString(", interlaced")
			}
			fmt.Fprintf(&b, ", %s frames/s", rate(v.FrameRate))
			if v.Variable {
				b.WriteString(" (variable)")
			}
			fmt.Fprintf(&b, ", %d ticks/s\n", v.Timescale)
			fmt.Fprintf(&b, "         %d frames from %s, %d IDR", v.Frames, ms(v.Start), v.IDR)
			if v.GOPUsual > 0 {
				fmt.Fprintf(&b, " every %s (%s to %s)", ms(v.GOPUsual), ms(v.GOPShortest), ms(v.GOPLongest))
			}
			if v.OpenKeys > 0 {
				fmt.Fprintf(&b, ", %d open keys", v.OpenKeys)
			}
			fmt.Fprintf(&b, ", B frames %d, delay %s, clean cuts %d (%.0f %%)", v.BFrames, ms(v.Delay), v.CleanCuts, 100*v.CleanCutsShare)
		}
		if a := d.Audio; a != nil {
			fmt.Fprintf(&b, "\n  audio  %s", a.Codec)
			if a.Rate > 0 {
				fmt.Fprintf(&b, ", %d Hz", a.Rate)
			}
			if a.Channels > 0 {
				fmt.Fprintf(&b, ", %d channels", a.Channels)
			}
			fmt.Fprintf(&b, ", %d frames from %s", a.Frames, ms(a.Start))
		}
		b.WriteByte('\n')
	}
	for _, p := range r.Pairs {
		fmt.Fprintf(&b, "%s and %s: ", p.A, p.B)
		if !p.Aligned {
			b.WriteString("not aligned\n")
			continue
		}
		fmt.Fprintf(&b, "offset %s by %s (confidence %.3f), common %s, IDR together %d of %d and %d, clean cuts there %d and %d",
			time.Duration(p.OffsetUS)*time.Microsecond, p.By, p.Confidence, ms(p.CommonMS), p.IDRTogether, p.IDRA, p.IDRB, p.CleanBA, p.CleanAB)
		if p.SameAudio {
			b.WriteString(", same audio")
		}
		b.WriteByte('\n')
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%s: %s: %s", f.Severity, f.Code, f.Rendition)
		if f.Other != "" {
			fmt.Fprintf(&b, " (beside %s)", f.Other)
		}
		fmt.Fprintf(&b, ": %s\n  tell the encoder: %s\n", f.What, f.Shell())
	}
	if len(r.Findings) == 0 {
		b.WriteString("nothing stands in the way of a switch\n")
	}
	return b.String()
}

// Shell is the cure as it is typed.
func (f Finding) Shell() string {
	words := make([]string, len(f.Cure))
	for i, w := range f.Cure {
		if strings.ContainsAny(w, "()*'\"; &|<>$") {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		words[i] = w
	}
	return strings.Join(words, " ")
}
