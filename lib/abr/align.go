package abr

import (
	"fmt"
	"math"
	"time"

	"github.com/xp2p/xp2p/lib/media"
)

// An Alignment is where two timelines of one source meet.
//
// It is found without decoding anything. Two fingerprints are compared:
//
//   - Audio frames of equal bytes, where one encode of the sound was copied into
//     both: each frame that occurs once on either side votes for an offset.
//   - Pictures: at every offset at which frames of one come to lie on frames of
//     the other, how many do (which tells all where frames come irregularly) and
//     how well the sizes of those that do correlate (which tells most else: where
//     one encoder needed more bits than a moment before, so did the other).
//
// An offset is believed if it stands out from all other offsets.
type Alignment struct {
	// Offset is what to add to times of the second timeline to get times of the
	// first. It is the mean over all matched frames, so that of timescales which
	// round (FLV's milliseconds) little is left.
	Offset time.Duration
	// Confidence is 0 to 1: 1 - exp(-e/3), where e is by how many nats the
	// evidence (half the squared deviations from what chance would give) exceeds
	// that for any other offset, and that for none.
	Confidence float64
	By         Evidence
	// Matched is how many frames lie on each other, of how many in the time that
	// both timelines have.
	Matched, Of int
	// Correlation is Pearson's of the matched pictures' sizes; 0 if not asked for.
	Correlation float64
	// Rival is the next best offset, of little use but to see what confused.
	Rival time.Duration
	// Sync is what audio says more than video; 0 unless both were sure. If it is
	// not, sound and picture stand differently to each other in the two.
	Sync time.Duration
}

// Evidence says what an Alignment rests on.
type Evidence string

const (
	ByAudio    Evidence = "audio"    // equal frames of sound
	BySizes    Evidence = "sizes"    // of pictures
	ByRhythm   Evidence = "rhythm"   // when pictures come
	ByClock    Evidence = "clock"    // the offset was given, and sizes of pictures agree with it
	ByNoTracks Evidence = "nothing"  // no track that both have
	ByTooFew   Evidence = "too few"  // frames in common
	ByConstant Evidence = "constant" // all frames are alike
)

// MinConfidence is what Align demands.
const MinConfidence = 0.99

// An AlignError says that two timelines could not be aligned; Best is what came
// nearest.
type AlignError struct {
	A, B string // names
	Best Alignment
}

func (e *AlignError) Error() string {
	pair := fmt.Sprintf("%s and %s", e.A, e.B)
	switch e.Best.By {
	case ByNoTracks:
		return pair + ": no kind of track is in both"
	case ByTooFew:
		return pair + ": too few frames to know where they meet"
	case ByConstant:
		return pair + ": all frames are alike, nothing tells where they meet"
	}
	return fmt.Sprintf("%s: not one source, or nothing tells where they meet (best guess %v with confidence %.2f, %.2f is needed)",
		pair, e.Best.Offset.Round(time.Millisecond), e.Best.Confidence, MinConfidence)
}

// Align finds the offset between two timelines of one source. The error is an
// *AlignError if there is none to be sure of.
//
// What it needs to be sure: of equal sound, some frames; of pictures alone, about
// twenty seconds in common of two H.264 encodes, and more, or a sharper picture,
// where B pyramids share out the bits (HEVC), for which it rather refuses.
//
// Of timelines longer than 1<<17 frames it looks at the first part; of the second
// one at up to 2048 frames at a time. The time it takes grows with the product of
// both: a minute beside a minute takes 20 ms of a core, beside five 0.2 s, beside
// an hour and a half 5 s, and three times that if it refuses.
func Align(a, b *Timeline) (Alignment, error) {
	best := Alignment{By: ByNoTracks}
	sound, heard := alignAudio(a.Track(media.Audio), b.Track(media.Audio))
	if heard {
		best = sound
	}
	if va, vb := a.Track(media.Video), b.Track(media.Video); va != nil && vb != nil {
		picture := alignVideo(va, vb, sound.Offset, heard)
		switch {
		case heard && picture.Confidence >= MinConfidence:
			picture.Sync = sound.Offset - picture.Offset
			if picture.Sync.Abs() < time.Millisecond {
				picture.By, picture.Sync = ByAudio, 0
			}
			picture.Confidence = max(picture.Confidence, sound.Confidence)
			best = picture
		case !heard:
			best = picture
		}
	}
	if best.Confidence < MinConfidence {
		return best, &AlignError{a.Name, b.Name, best}
	}
	return best, nil
}

// Confirm tests one offset instead of looking for any: what renditions of one
// clock should have (0), or what held a while ago. It takes less to be sure of
// one than to choose among thousands: some seconds do. It does not tell an offset
// from one a frame or two away; Confidence is 1 - exp(-z²/4) for sizes that
// correlate by z standard deviations.
func Confirm(a, b *Timeline, given time.Duration) Alignment {
	if al, ok := alignAudio(a.Track(media.Audio), b.Track(media.Audio)); ok {
		if d := (al.Offset - given).Abs(); d > 2*rounded*time.Microsecond {
			al.Confidence, al.Rival, al.Offset = 0, al.Offset, given
		}
		return al
	}
	va, vb := a.Track(media.Video), b.Track(media.Video)
	if va == nil || vb == nil {
		return Alignment{Offset: given, By: ByNoTracks}
	}
	return confirmVideo(va, vb, given)
}

// micros is a time of a line in microseconds.
func (l *Line) micros(ticks int64) int64 {
	if l.Timescale == 0 {
		return 0
	}
	s := int64(l.Timescale)
	return ticks/s*1e6 + int64(math.Round(float64(ticks%s)*1e6/float64(s)))
}

// tickMicros is the length of a tick, rounded up.
func (l *Line) tickMicros() int64 {
	if l.Timescale == 0 {
		return 0
	}
	return (1e6 + int64(l.Timescale) - 1) / int64(l.Timescale)
}
