package store

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/segment"
)

var dirKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32))

func dirHeader(vod bool) segment.Header {
	return segment.Header{Key: dirKey.Public().(ed25519.PublicKey), Container: media.Raw, VOD: vod}
}

// dirFill slices in into the directory.
func dirFill(t *testing.T, dir string, in []byte) {
	t.Helper()
	w, err := CreateDir(dir, dirHeader(true))
	if err != nil {
		t.Fatal(err)
	}
	c := segment.NewCutter(segment.CutterConfig{Container: media.Raw, VOD: true, SegmentSize: 100_000, Key: dirKey})
	c.Feed(in)
	c.Finish()
	for r, ok := c.Next(); ok; r, ok = c.Next() {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func dirRead(t *testing.T, dir string) (bodies []byte, kinds string) {
	t.Helper()
	d, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	v := segment.NewVerifier(d.Header().Key)
	for {
		r, err := d.Next()
		if err == io.EOF {
			return bodies, kinds
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Verify(&r); err != nil {
			t.Fatal(err)
		}
		kinds += r.Kind.String()[:1]
		if r.Kind == segment.KindPiece {
			bodies = append(bodies, r.Body...)
		}
	}
}

func TestADirectoryGivesBackWhatWasWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "room")
	in := bytes.Repeat([]byte("0123456789abcdef~"), 20_000)
	dirFill(t, dir, in)
	got, kinds := dirRead(t, dir)
	if !bytes.Equal(got, in) {
		t.Errorf("%d bytes came back of %d", len(got), len(in))
	}
	if want := "hpppppppspppppppspppppppsppps" + "ie"; kinds != want {
		t.Errorf("records %s, want %s", kinds, want)
	}
	if _, err := CreateDir(dir, dirHeader(true)); !errors.Is(err, ErrRecorded) {
		t.Errorf("a whole recording is not written over: %v", err)
	}
	if _, err := CreateDir(dir, dirHeader(false)); !errors.Is(err, ErrOtherRoom) {
		t.Errorf("another mode: %v", err)
	}
}

// dirLive returns the records of a small live stream.
func dirLive(epoch int64, from, to uint32) (recs []segment.Record) {
	in := []byte("FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00")
	for ts := from; ts < to; ts += 100 {
		in = append(in, 9, 0, 0, 9, byte(ts>>16), byte(ts>>8), byte(ts), byte(ts>>24), 0, 0, 0)
		in = append(in, 0x17, 1, 0, 0, 0, 0, 0, 0, byte(ts), 0, 0, 0, 20)
	}
	c := segment.NewCutter(segment.CutterConfig{Container: media.FLV, Epoch: epoch, Key: dirKey})
	c.Feed(in)
	c.Finish()
	for r, ok := c.Next(); ok; r, ok = c.Next() {
		r.Body = bytes.Clone(r.Body)
		recs = append(recs, r)
	}
	return recs
}

func TestALiveDirectoryIsContinuedAfterACrash(t *testing.T) {
	dir := t.TempDir()
	h := dirHeader(false)
	h.Container = media.FLV
	w, err := CreateDir(dir, h)
	if err != nil {
		t.Fatal(err)
	}
	// The slicer is killed in the middle of its second segment, and of a line.
	for _, r := range dirLive(1000, 0, 3000) {
		if r.Kind == segment.KindSegment && r.Segment.Seq == 1 {
			break
		}
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	list := filepath.Join(dir, listFile)
	f, err := os.OpenFile(list, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(`{"type":"segm`)
	f.Close()

	if w, err = CreateDir(dir, h); err != nil {
		t.Fatal(err)
	}
	if w.Epoch() != 1000 {
		t.Errorf("epoch %d", w.Epoch())
	}
	if left, _ := filepath.Glob(filepath.Join(dir, segsDir, tempName)); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	for _, r := range dirLive(2000, 0, 2000) {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	_, kinds := dirRead(t, dir)
	if want := "hippps" + "hipppspppse"; len(kinds) == 0 || dirCompress(kinds) != dirCompress(want) {
		t.Errorf("records %s, want %s", kinds, want)
	}
	other := ed25519.NewKeyFromSeed(make([]byte, 32))
	if _, err := CreateDir(dir, segment.Header{Key: other.Public().(ed25519.PublicKey), Container: media.FLV}); !errors.Is(err, ErrOtherRoom) {
		t.Errorf("another key: %v", err)
	}
}

// dirCompress writes runs of one letter once.
func dirCompress(s string) string {
	var b []byte
	for i := range len(s) {
		if i == 0 || s[i] != s[i-1] {
			b = append(b, s[i])
		}
	}
	return string(b)
}

func TestADirectoryReaderFollowsAWriter(t *testing.T) {
	dir := t.TempDir()
	h := dirHeader(false)
	h.Container = media.FLV
	w, err := CreateDir(dir, h)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	d, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	kinds := ""
	drain := func() {
		for {
			r, err := d.Next()
			if err == io.EOF {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			kinds += r.Kind.String()[:1]
		}
	}
	for _, r := range dirLive(1000, 0, 3000) {
		drain()
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	drain()
	if got, want := dirCompress(kinds), "hipspspse"; got != want {
		t.Errorf("records %s, want %s", got, want)
	}
}

func TestADirectoryNamesNothingOutside(t *testing.T) {
	dir := t.TempDir()
	dirFill(t, dir, []byte("x"))
	b, err := os.ReadFile(filepath.Join(dir, listFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/etc/passwd", "../x", "segments/../../x", ""} {
		i := bytes.Index(b, []byte(`"file":"segments/`))
		j := i + bytes.IndexByte(b[i:], '\n')
		bad := append(append(bytes.Clone(b[:i]), `"file":"`+name+`"}`...), b[j:]...)
		os.WriteFile(filepath.Join(dir, listFile), bad, 0o666)
		d, err := OpenDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = d.Next()
		}
		d.Close()
		if err == io.EOF {
			t.Errorf("%q was followed", name)
		}
	}
}
