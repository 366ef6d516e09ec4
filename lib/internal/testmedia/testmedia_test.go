package testmedia

import (
	"bytes"
	"os"
	"testing"
	"time"
)

func TestEachRecipeHasItsContainersFirstBytes(t *testing.T) {
	short := Recipe{Duration: time.Second}
	for _, c := range []struct {
		name string
		path func(testing.TB, Recipe) string
		r    Recipe
		at   int
		want string
	}{
		{"FLV", FLV, short, 0, "FLV\x01"},
		{"FLV with HEVC", FLV, Recipe{Duration: time.Second, Codec: "hevc"}, 0, "FLV\x01"},
		{"FLV with sound only", FLV, Recipe{Duration: time.Second, NoVideo: true}, 0, "FLV\x01"},
		{"fMP4 by GOP", FMP4GOP, short, 4, "ftyp"},
		{"fMP4 by frame", FMP4Frame, Recipe{Duration: time.Second, BFrames: 2}, 4, "ftyp"},
		{"fMP4 with HEVC", FMP4GOP, Recipe{Duration: time.Second, Codec: "hevc"}, 4, "ftyp"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := Bytes(t, c.path(t, c.r))
			if len(b) < 1000 || string(b[c.at:c.at+len(c.want)]) != c.want {
				t.Errorf("%d bytes, beginning %q", len(b), b[:min(12, len(b))])
			}
		})
	}
}

func TestTheSameRecipeGivesTheSameBytes(t *testing.T) {
	r := Recipe{Duration: time.Second, FPS: 10}
	path := FLV(t, r)
	first := Bytes(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if again := Bytes(t, FLV(t, r)); !bytes.Equal(first, again) {
		t.Errorf("%d and %d bytes, and they differ", len(first), len(again))
	}
}
