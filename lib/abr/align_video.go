package abr

import (
	"cmp"
	"math"
	"slices"
	"sort"
	"time"
)

const (
	maxLine     = 1 << 17   // frames of a line that are looked at
	maxTemplate = 2048      // frames of the second line that are compared at a time
	minPairs    = 48        // frames that must lie on each other
	maxOffsets  = 1 << 23   // milliseconds of offsets
	around      = 12        // frames of its type on either side make a picture's level
	near        = 8         // and of any type
	nearSound   = 1_000_000 // microseconds that pictures can be out of step with it
	clamp       = 1.5       // a picture 4.5 times as large as its level is large enough
)

// A picture is a frame as alignment sees it, in the order of presentation.
type picture struct {
	at int64 // microseconds
	// novel is the logarithm of its size above its level: above the mean of
	// frames of its type around it, so that P and B pictures can be compared,
	// above what frames at its place in the GOP have in common, and above the mean
	// of what is left of the pictures around it.
	novel float64
	known bool // whether novel is
}

// pictures makes the fingerprint of a line.
func pictures(l *Line) []picture {
	frames := l.Frames[:min(len(l.Frames), maxLine)]
	type shown struct {
		at      int64
		kind    rank
		since   int // frames since the last key frame, in decoding order
		regular bool
		log     float64
	}
	// Key frames at a fixed distance come from the encoder's clock, not from the
	// picture: they say nothing. Those that come early are cuts of the scene, and
	// count as very large frames.
	longest, since := 0, 0
	for _, f := range frames {
		if f.Key {
			longest = max(longest, since)
			since = 0
		}
		since++
	}
	kinds := ranks(frames)
	list := make([]shown, len(frames))
	since = longest
	for i, f := range frames {
		s := shown{at: l.micros(f.PTS), kind: kinds[i], regular: f.Key && since >= longest, log: math.Log(float64(f.Size + 8))}
		if f.Key {
			since = 0
		}
		s.since = since
		since++
		list[i] = s
	}
	slices.SortStableFunc(list, func(a, b shown) int { return cmp.Compare(a.at, b.at) })
	byKind := map[rank][]int{}
	for i, f := range list {
		if !f.regular {
			byKind[f.kind] = append(byKind[f.kind], i)
		}
	}
	own := make([]float64, len(list))
	for _, at := range byKind {
		logs := make([]float64, len(at)+1) // sums
		for j, i := range at {
			logs[j+1] = logs[j] + list[i].log
		}
		for j, i := range at {
			lo, hi := max(0, j-around), min(len(at), j+around+1)
			own[i] = min(clamp, max(-clamp, list[i].log-(logs[hi]-logs[lo])/float64(hi-lo)))
		}
	}
	if longest > 1 {
		type place struct {
			kind  rank
			since int
		}
		sum, count := map[place]float64{}, map[place]float64{}
		for i, f := range list {
			sum[place{f.kind, f.since}] += own[i]
			count[place{f.kind, f.since}]++
		}
		for i, f := range list {
			if p := (place{f.kind, f.since}); count[p] >= 3 {
				own[i] -= sum[p] / count[p]
			}
		}
	}
	sum, count := make([]float64, len(list)+1), make([]float64, len(list)+1)
	for i, f := range list {
		sum[i+1], count[i+1] = sum[i], count[i]
		if !f.regular {
			sum[i+1], count[i+1] = sum[i]+own[i], count[i]+1
		}
	}
	out := make([]picture, len(list))
	for i, f := range list {
		lo, hi := max(0, i-near), min(len(list), i+near+1)
		out[i] = picture{at: f.at, known: !f.regular}
		if !f.regular {
			out[i].novel = own[i] - (sum[hi]-sum[lo])/(count[hi]-count[lo])
		}
	}
	return out
}

// A rank is how much rests on a picture, as the order of decoding tells for all
// codecs.
type rank uint8

const (
	anchor rank = iota // shown later than all before it: I and P
	bridge             // shown earlier, and others earlier still come behind it: a B that is referred to
	leaf               // shown earlier: a B
)

func ranks(frames []Frame) []rank {
	out := make([]rank, len(frames))
	latest := int64(math.MinInt64)
	for i, f := range frames {
		if f.PTS > latest {
			latest = f.PTS
			continue
		}
		out[i] = leaf
		for _, g := range frames[i+1 : min(len(frames), i+maxReorder)] {
			if g.PTS > latest {
				break
			}
			if g.PTS < f.PTS {
				out[i] = bridge
			}
		}
	}
	return out
}

// maxReorder is how many pictures a codec holds back at most, and one.
const maxReorder = 17

// An offset is a candidate: what it would mean.
type offset struct {
	at      int64   // microseconds to add to the second line
	matched int     // frames that lie on each other
	of      int     // frames that could
	pairs   int     // matched ones that can be compared
	r       float64 // Pearson's correlation of novel
	// shared is among how many pairs the correlation is shared. If they are few,
	// it is not pictures that move, but an encoder that begins or is surprised.
	shared float64
	mean   float64 // of what is left between matched frames, microseconds
}

// alignVideo compares pictures; sound, if heard, is where sound says they meet.
func alignVideo(a, b *Line, sound time.Duration, heard bool) Alignment {
	pa, pb := pictures(a), pictures(b)
	if len(pa) < minPairs || len(pb) < minPairs {
		return Alignment{By: ByTooFew}
	}
	var best Alignment
	smear := smeared
	if family(a.Codec) != family(b.Codec) {
		smear = smearedApart
	}
	starts := []int{0}
	if n := len(pb) - maxTemplate; n > 0 {
		starts = []int{n / 2, 0, n}
	}
	for i, s := range starts {
		part := pb[s:min(len(pb), s+maxTemplate)]
		if al := compare(pa, part, a.tickMicros()+b.tickMicros(), smear, sound, heard); i == 0 || al.Confidence > best.Confidence {
			best = al
		}
		if best.Confidence >= MinConfidence {
			break
		}
	}
	return best
}

// interval is the usual distance of pictures.
func interval(p []picture) int64 {
	d := make([]int64, 0, len(p))
	for i := 1; i < len(p); i++ {
		d = append(d, p[i].at-p[i-1].at)
	}
	slices.Sort(d)
	return max(1000, d[len(d)/2])
}

func compare(a, b []picture, tol int64, smear float64, sound time.Duration, heard bool) Alignment {
	step := min(interval(a), interval(b))
	tol = min(max(tol, rounded), step/4)
	list := candidates(a, b, tol)
	if heard {
		list = slices.DeleteFunc(list, func(c int64) bool { return abs(c-sound.Microseconds()) > nearSound })
	}
	var offsets []offset
	for _, c := range list {
		if o := lay(a, b, c, tol); o.matched >= minPairs/2 || heard && o.matched > 0 {
			offsets = append(offsets, o)
		}
	}
	if len(offsets) == 0 {
		return Alignment{By: ByTooFew}
	}
	unit, usual := spread(offsets), usualRate(offsets, float64(2*tol)/float64(interval(a)))
	slices.SortStableFunc(offsets, func(p, q offset) int { return cmp.Compare(q.merit(unit, usual), p.merit(unit, usual)) })
	best := offsets[0]
	if heard { // pictures have to be sure to leave the sound
		by := slices.MinFunc(offsets, func(p, q offset) int {
			return cmp.Compare(abs(p.at-sound.Microseconds()), abs(q.at-sound.Microseconds()))
		})
		nats := best.over(by, unit, 0)
		if abs(best.at-by.at) <= 3*step+step/2 {
			nats *= smear
		}
		if 1-math.Exp(-nats/tempered) < MinConfidence {
			best = by
		}
	}
	al := Alignment{
		Offset: time.Duration((float64(best.at) + best.mean) * 1000), By: BySizes,
		Matched: best.matched, Of: best.of, Correlation: best.r,
	}
	if heard {
		al.By, al.Confidence = ByAudio, 1
		return al
	}
	if best.matched < minPairs {
		al.By = ByTooFew
		return al
	}
	noise := math.Sqrt(2 * math.Log(float64(len(offsets)+1)))
	// Nothing may explain it as well: not another offset, not chance.
	lead := max(0, best.z(unit)*math.Abs(best.z(unit))-noise*noise) / 2
	byRhythm := 0.0
	if v := usual * (1 - usual) / float64(best.of); v > 0 && best.rate() > usual {
		byRhythm = (best.rate() - usual) * (best.rate() - usual) / v / 2
	}
	if byRhythm > lead {
		al.By = ByRhythm
	}
	lead += byRhythm
	if best.r == 0 && byRhythm == 0 {
		al.By = ByConstant
	}
	for _, o := range offsets[1:] {
		if d := o.at - best.at; max(d, -d) <= step/2 {
			continue
		}
		d := best.over(o, unit, noise)
		if away := o.at - best.at; max(away, -away) <= 3*step+step/2 {
			d *= smear
		}
		if d < lead || al.Rival == 0 {
			lead = min(lead, max(0, d))
			al.Rival = time.Duration(o.at) * time.Microsecond
		}
	}
	al.Confidence = 1 - math.Exp(-lead/tempered)
	return al
}

// confirmVideo lays b on a at one offset.
func confirmVideo(a, b *Line, given time.Duration) Alignment {
	pa, pb := pictures(a), pictures(b)
	al := Alignment{Offset: given, By: ByTooFew}
	if len(pa) < minPairs || len(pb) < minPairs {
		return al
	}
	step := min(interval(pa), interval(pb))
	o := lay(pa, pb, given.Microseconds(), min(max(a.tickMicros()+b.tickMicros(), rounded), step/4))
	al.Matched, al.Of, al.Correlation = o.matched, o.of, o.r
	if o.matched < minPairs || o.rate() < 0.4 { // of 60 and 25 frames a second less than half can meet
		return al
	}
	al.By = ByClock
	al.Offset += time.Duration(o.mean * 1000)
	if z := o.z(1); z > 0 {
		al.Confidence = 1 - math.Exp(-z*z/4)
	}
	return al
}

// tempered is how much less than they seem to say nats of evidence are worth:
// neighbouring frames are no independent witnesses.
const tempered = 3

// usualRate is the rate at which frames lie on frames at offsets that happen to be
// looked at. Where hardly any is, frames come irregularly, and it is what chance
// gives of so many frames of a given width.
func usualRate(offsets []offset, chance float64) float64 {
	if len(offsets) < 8 {
		return min(1, chance)
	}
	var matched, of float64
	for _, o := range offsets {
		matched, of = matched+float64(o.matched), of+float64(o.of)
	}
	return matched / of
}

// How much less evidence is worth against offsets of up to three frames: encoders
// with B pictures pay for what happens in the P picture behind it, and which
// pictures are which differs from one to the other; encoders of two kinds do so in
// ways of their own.
const (
	smeared      = 0.8
	smearedApart = 0.5
)

// spread is the standard deviation that z has over all offsets, nearly all of
// which are wrong: 1 if frames were independent witnesses. The median is not
// moved by the right one.
func spread(offsets []offset) float64 {
	z := make([]float64, len(offsets))
	for i, o := range offsets {
		z[i] = math.Abs(o.z(1))
	}
	slices.Sort(z)
	return max(1, z[len(z)/2]/0.6745)
}

// z is by how many standard deviations, of which one is unit, sizes correlate.
func (o offset) z(unit float64) float64 {
	if o.pairs < minPairs/2 {
		return 0
	}
	return o.r * math.Sqrt(float64(o.pairs)*min(1, o.shared/25)) / unit
}

func (o offset) rate() float64 { return float64(o.matched) / float64(o.of) }

// merit is by how many variances an offset stands out from chance, by sizes and
// by rhythm; usual is the rate of all offsets together.
func (o offset) merit(unit, usual float64) float64 {
	z, t := o.z(unit), 0.0
	if v := usual * (1 - usual) / float64(o.of); v > 0 {
		t = (o.rate() - usual) / math.Sqrt(v)
	}
	return z*math.Abs(z) + t*math.Abs(t)
}

// over is how many nats of evidence there are for o against p. If p is more
// than noise and had at least half as much to compare, it is measured by its
// correlation and not by how much there was of it: of a picture that repeats
// itself one turn is as good as another, however long each overlaps.
func (o offset) over(p offset, unit, noise float64) float64 {
	z, rival := o.z(unit), max(0, p.z(unit))
	if rival > noise && p.pairs*2 >= o.pairs {
		rival *= math.Sqrt(max(1, float64(o.pairs)/float64(p.pairs)))
	}
	t := 0.0
	f := float64(o.matched+p.matched) / float64(o.of+p.of)
	if v := f * (1 - f) * (1/float64(o.of) + 1/float64(p.of)); v > 0 {
		t = (o.rate() - p.rate()) / math.Sqrt(v)
	}
	return (z*math.Abs(z) - rival*rival + t*math.Abs(t)) / 2
}

// candidates are the offsets at which frames of b come to lie on frames of a:
// the local maxima of a histogram of all differences.
func candidates(a, b []picture, tol int64) []int64 {
	low := a[0].at - b[len(b)-1].at
	span := (a[len(a)-1].at-b[0].at-low)/1000 + 3
	if span > maxOffsets {
		span = maxOffsets
	}
	hist := make([]int32, span)
	for _, q := range b {
		for _, p := range a {
			if ms := (p.at - q.at - low) / 1000; ms < span {
				hist[ms]++
			}
		}
	}
	w := tol/1000 + 1
	var sum int32
	at := func(i int64) int32 {
		if i < 0 || i >= span {
			return 0
		}
		return hist[i]
	}
	for i := -w; i < w; i++ {
		sum += at(i)
	}
	smooth := make([]int32, span)
	for i := range span {
		sum += at(i + w)
		smooth[i] = sum
		sum -= at(i - w)
	}
	var out []int64
	last := int64(-1 << 40)
	for i := range span {
		if smooth[i] < minPairs/2 {
			continue
		}
		top := true
		for d := int64(1); d <= w && top; d++ {
			top = (i-d < 0 || smooth[i-d] < smooth[i]) && (i+d >= span || smooth[i+d] <= smooth[i])
		}
		// On a plateau the middle is as good as any: the mean is taken out later.
		if !top || i-last <= w {
			continue
		}
		var n, m int64
		for d := -w; d <= w; d++ {
			n += int64(at(i + d))
			m += int64(at(i+d)) * d
		}
		out = append(out, low+i*1000+500+m*1000/max(1, n))
		last = i
	}
	return out
}

// lay lays b on a at an offset.
func lay(a, b []picture, c, tol int64) (o offset) {
	o.at = c
	tol += 600 // the candidate itself is known to half a millisecond
	first := sort.Search(len(a), func(i int) bool { return a[i].at >= b[0].at+c-tol })
	from := sort.Search(len(b), func(i int) bool { return b[i].at+c >= a[0].at-tol })
	var n, sx, sy, sxx, syy, sxy, w, ww float64
	i := first
	for j := from; j < len(b) && i < len(a); j++ {
		t := b[j].at + c
		for i < len(a) && a[i].at < t-tol {
			i++
		}
		if i == len(a) {
			break
		}
		o.of++
		if a[i].at > t+tol {
			continue
		}
		o.matched++
		o.mean += float64(a[i].at - t)
		if a[i].known && b[j].known {
			x, y := a[i].novel, b[j].novel
			n, sx, sy, sxx, syy, sxy = n+1, sx+x, sy+y, sxx+x*x, syy+y*y, sxy+x*y
			w, ww = w+math.Abs(x*y), ww+x*x*y*y
		}
		i++
	}
	o.of = max(o.of, o.matched, 1)
	o.mean /= float64(max(1, o.matched))
	o.pairs = int(n)
	if vx, vy := sxx-sx*sx/max(1, n), syy-sy*sy/max(1, n); vx > 1e-6*n && vy > 1e-6*n {
		o.r = (sxy - sx*sy/n) / math.Sqrt(vx*vy)
		if ww > 0 {
			o.shared = w * w / ww
		}
	}
	return o
}
