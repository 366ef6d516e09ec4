package segment

import (
	"testing"

	"github.com/xp2p/xp2p/lib/media"
)

// borders returns how many bytes of the stream a player has that stops at the
// last border.
func (c cutting) borders() (n int) {
	at := 0
	for _, r := range c.recs {
		if r.Kind == KindInit && !r.Init.Copy {
			at += len(r.Body)
			n = at
		}
		if r.Kind == KindPiece {
			if r.Piece.Border > 0 {
				n = at + r.Piece.Border
			}
			at += len(r.Body)
		}
	}
	return n
}

func TestNoBorderStandsBehindHalfATag(t *testing.T) {
	start := newFLV().play(0, 1000)
	for name, last := range map[string]*flvFile{
		"a frame":                        new(flvFile).video(1000, false, 3000),
		"a frame of several pieces":      new(flvFile).video(1000, true, 50_000),
		"configuration":                  new(flvFile).avcConfig(1000, 77),
		"the first of the next segment":  new(flvFile).avcConfig(1000, 77).video(1000, true, 900),
		"a frame that is due in a piece": new(flvFile).video(1160, false, 3000),
	} {
		whole := start.Len()
		if name == "the first of the next segment" {
			whole += new(flvFile).avcConfig(1000, 77).Len()
		}
		all := append(append([]byte(nil), start.Bytes()...), last.Bytes()...)
		for _, lost := range []int{1, 4, 20} {
			in := all[:len(all)-lost]
			for _, chunk := range []int{777, 100_000} {
				c := cut(t, CutterConfig{Container: media.FLV}, in, chunk)
				c.wellFormed(t, in)
				if got := c.borders(); got != whole || !c.end().Truncated {
					t.Errorf("%s, %d bytes missing: the last border is at %d, want %d; truncated %v", name, lost, got, whole, c.end().Truncated)
				}
			}
		}
		c := cut(t, CutterConfig{Container: media.FLV}, all, 5000)
		if got := c.borders(); got != len(all) {
			t.Errorf("%s, whole: the last border is at %d, want %d", name, got, len(all))
		}
	}
	whole := join(movie(), fragment(0, 99))
	in := join(whole, fragment(1000, 99))
	c := cut(t, CutterConfig{Container: media.FMP4}, in[:len(in)-50], 300)
	if got := c.borders(); got != len(whole) {
		t.Errorf("fMP4: the last border is at %d, want %d", got, len(whole))
	}
	c = cut(t, CutterConfig{Container: media.FLV, VOD: true}, start.Bytes()[:start.Len()-9], 5000)
	if got := c.borders(); got != start.Len()-9 {
		t.Errorf("recording: the last border is at %d, want its end %d", got, start.Len()-9)
	}
}
