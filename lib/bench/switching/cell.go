package switching

import (
	"fmt"
	"math/rand/v2"
)

// A Cell is one way to make two renditions.
type Cell struct {
	Up      bool   `json:"up"` // to the better rendition
	GOP     int    `json:"gop_s"`
	BFrames int    `json:"bf"`       // of the new rendition
	OldB    int    `json:"old_bf"`   // of the old one
	Open    bool   `json:"open_gop"` // keyframes of every other GOP are no IDR
	FPS     string `json:"fps"`      // 24, 25, 29.97, 30, 60 or vfr
	Half    bool   `json:"half"`     // the worse rendition has every other picture
	MP4     bool   `json:"mp4"`      // else FLV
	HEVC    bool   `json:"hevc"`     // else H.264
	Aligned bool   `json:"aligned"`  // both have their keyframes at the same pictures
	Scale   int    `json:"timescale"`
}

// String is a cell in a line.
func (c Cell) String() string {
	word := func(b bool, yes, no string) string {
		if b {
			return yes
		}
		return no
	}
	bf := fmt.Sprint(c.BFrames)
	if c.OldB != c.BFrames {
		bf = fmt.Sprintf("%d→%d", c.OldB, c.BFrames)
	}
	return fmt.Sprintf("%s gop=%ds bf=%s %s fps=%s%s %s %s %s %s",
		word(c.Up, "up", "down"), c.GOP, bf, word(c.Open, "open", "closed"), c.FPS, word(c.Half, "/half", ""), word(c.MP4, "mp4", "flv"),
		word(c.HEVC, "hevc", "h264"), word(c.Aligned, "aligned", "apart"), word(c.Scale == 90000, "90k", "1k"))
}

// factors are the values of each, and how many there are.
var (
	gops   = []int{1, 2, 4}
	bs     = []int{0, 2, 3}
	others = []int{2, 0, 0} // what the old one has if it is not the same
	rates  = []string{"24", "25", "29.97", "30", "60", "vfr"}
	scales = []int{90000, 1000}
	counts = []int{2, len(gops), len(bs), 2, len(rates), 2, 2, 2, len(scales), 2, 2}
)

// cell makes a Cell of an index for each factor; ok is false for what there
// cannot be: HEVC in FLV (ffmpeg 5 does not write it), FLV with another timescale
// than 1 kHz, an open GOP without B-frames, half of pictures that come irregularly or
// of an odd number a second.
func cell(i []int) (c Cell, ok bool) {
	c = Cell{
		Up: i[0] == 0, GOP: gops[i[1]], BFrames: bs[i[2]], OldB: bs[i[2]], Open: i[3] == 1, FPS: rates[i[4]], Half: i[10] == 1,
		MP4: i[5] == 1, HEVC: i[6] == 1, Aligned: i[7] == 0, Scale: scales[i[8]],
	}
	if i[9] == 1 {
		c.OldB = others[i[2]]
	}
	return c, !(c.HEVC && !c.MP4) && !(!c.MP4 && c.Scale != 1000) && !(c.Open && c.BFrames == 0) && !(c.Half && (c.FPS == "vfr" || c.FPS == "25"))
}

// halved reports whether the one of two renditions that is better or not has every
// other picture.
func (c Cell) halved(good bool) bool { return c.Half && !good }

// Cells covers all pairs of values that can go together, with n cells at least.
func Cells(n int, seed uint64) []Cell {
	r := rand.New(rand.NewPCG(seed, 1))
	type pair struct{ f, v, g, w int }
	draw := func() []int {
		for {
			i := make([]int, len(counts))
			for f, n := range counts {
				i[f] = r.IntN(n)
			}
			if _, ok := cell(i); ok {
				return i
			}
		}
	}
	pairs := func(i []int) (all []pair) {
		for f := range i {
			for g := range f {
				all = append(all, pair{g, i[g], f, i[f]})
			}
		}
		return all
	}
	want := map[pair]bool{}
	for range 20_000 { // what can go together turns up
		for _, p := range pairs(draw()) {
			want[p] = true
		}
	}
	var cells []Cell
	for len(want) > 0 || len(cells) < n {
		var best []int
		most := -1
		for range 200 {
			i, k := draw(), 0
			for _, p := range pairs(i) {
				if want[p] {
					k++
				}
			}
			if k > most {
				best, most = i, k
			}
		}
		for _, p := range pairs(best) {
			delete(want, p)
		}
		c, _ := cell(best)
		cells = append(cells, c)
	}
	return cells
}
