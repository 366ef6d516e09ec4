package fmp4

import (
	"bytes"
	"slices"
	"testing"

	"github.com/xp2p/xp2p/lib/internal/testmedia"
)

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	m, err := ParseMovie(mkinit())
	if err != nil {
		t.Fatal(err)
	}
	id := m.Tracks[0].ID
	want := []Sample{
		{Track: id, DTS: 1 << 40, CTS: 80, Duration: 40, Sync: true, Size: 3, Data: []byte("key")},
		{Track: id, DTS: 1<<40 + 40, CTS: -40, Duration: 41, Size: 5, Data: []byte("other")},
	}
	unit := AppendFragment(nil, 7, []Run{{Track: id, Samples: want}})
	for _, s := range want {
		unit = append(unit, s.Data...)
	}
	got, err := m.Samples(nil, unit, 0)
	if err != nil || !slices.EqualFunc(got, want, func(a, b Sample) bool {
		same := bytes.Equal(a.Data, b.Data)
		a.Data, b.Data = nil, nil
		return same && a.Track == b.Track && a.DTS == b.DTS && a.CTS == b.CTS && a.Duration == b.Duration && a.Sync == b.Sync && a.Size == b.Size
	}) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}

func TestAnInitIsDescribedAnew(t *testing.T) {
	initOf := func(size string) ([]byte, *Movie) {
		p := testmedia.Bytes(t, testmedia.FMP4GOP(t, testmedia.Recipe{Size: size}))
		p = p[:bytes.Index(p, []byte("moof"))-4]
		m, err := ParseMovie(p)
		if err != nil {
			t.Fatal(err)
		}
		return p, m
	}
	init, m := initOf("320x180")
	_, other := initOf("640x360")
	picture := other.Tracks[0]
	out := m.Redescribe(nil, init, map[uint32]Redescription{
		m.Tracks[0].ID: {Timescale: 12345, Descriptions: picture.Descriptions, Width: picture.Width, Height: picture.Height},
	})
	n, err := ParseMovie(out)
	if err != nil {
		t.Fatal(err)
	}
	if got := n.Tracks[0]; got.Timescale != 12345 || !bytes.Equal(got.Config, picture.Config) || got.Width != 640 || got.Codec != picture.Codec || got.ID != m.Tracks[0].ID {
		t.Errorf("it became %+v", got)
	}
	if a, b := m.Tracks[1], n.Tracks[1]; a.Timescale != b.Timescale || !bytes.Equal(a.Descriptions, b.Descriptions) {
		t.Errorf("sound: %+v became %+v", a, b)
	}
	if same := m.Redescribe(nil, init, nil); !bytes.Equal(same, init) {
		t.Error("where nothing is described anew something changes")
	}
}
