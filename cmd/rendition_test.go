package cmd_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/wire"
)

// A ladder is a room with two renditions on the air.
type ladder struct {
	t         testing.TB
	high, low *recording // what their slicers were given
	seed      *process
	key       string
}

// renditions puts a room of two renditions on the air, each with its slicer; both
// read the same key, which whoever comes first makes.
func renditions(t testing.TB, at launch, high, low []string, seedArgs ...string) *ladder {
	t.Helper()
	l := &ladder{t: t, high: newRecording(), low: newRecording(), key: filepath.Join(t.TempDir(), "room.key")}
	args := []string{"--room", room, "--key", l.key}
	in := make([]*os.File, 2)
	for i, x := range []struct {
		name string
		to   *recording
	}{{"720p", l.high}, {"360p", l.low}} {
		b := &broadcast{t: t, input: x.to}
		mediaOut, mediaIn := pipe(t)
		slicesOut, slicesIn := pipe(t)
		run(t, launch{in: mediaOut, out: slicesIn}, "slice", "-q", "--key", l.key)
		mediaOut.Close()
		slicesIn.Close()
		in[i] = slicesOut
		args = append(args, "--rendition", x.name+"=/dev/fd/"+number(3+i))
		w := &tee{mediaIn, x.to}
		b.source(w, [][]string{high, low}[i]).closes(w)
	}
	at.files = in
	l.seed = seed(t, at, append(args, seedArgs...)...)
	for _, f := range in {
		f.Close()
	}
	return l
}

// The room's document names its renditions, signed by the room's key; a viewer
// watches the one that it chose, byte by byte, from the seed or from an edge of it.
func TestAViewerChoosesARendition(t *testing.T) {
	t.Parallel()
	high, low := clip{seconds: 6}, clip{seconds: 6, rate: "300k"}
	l := renditions(t, launch{}, high.live(t, asFLV), low.live(t, asFLV))
	origin := base(l.seed)
	edge := base(seed(t, launch{}, "--upstream", origin+"/"+room))
	first := viewer(t, origin+"/"+room)
	chosen := viewer(t, origin+"/"+room, "--rendition", "360p")
	afar := viewer(t, edge+"/"+room, "--rendition", "360p")
	none := viewer(t, origin+"/"+room, "--rendition", "4k")
	none.wantExit(10*time.Second, 2)
	if said := none.errs.String(); !strings.Contains(said, "720p, 360p") {
		t.Errorf("who asks for a rendition that is not there is told %q", said)
	}
	for _, at := range []string{origin + "/v1/rooms/" + room, origin + "/v1/rooms/" + room + ".360p", edge + "/v1/rooms/" + room} {
		d := new(wire.RoomDocument)
		if err := json.Unmarshal(get(t, at), d); err != nil || d.Renditions == nil {
			t.Fatalf("%s: %+v, %v", at, d, err)
		}
		if err := d.Renditions.Verify(d.RoomKey[:]); err != nil || len(d.Renditions.Renditions) != 2 {
			t.Errorf("%s: %v, %+v", at, err, d.Renditions)
		}
	}
	for _, p := range []*process{first, chosen, afar} {
		p.wantExit(20*time.Second, 0)
	}
	walk(l.high.bytes()).wantEnd(t, "without --rendition", first.out.bytes())
	walk(l.low.bytes()).wantEnd(t, "360p", chosen.out.bytes())
	walk(l.low.bytes()).wantEnd(t, "360p at the edge", afar.out.bytes())
}
