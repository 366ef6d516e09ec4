package segment

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/xp2p/xp2p/lib/media"
)

func box(kind string, body ...[]byte) []byte {
	p := bytes.Join(body, nil)
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(p)))
	return append(append(b, kind...), p...)
}

func u32(v ...uint32) (b []byte) {
	for _, x := range v {
		b = binary.BigEndian.AppendUint32(b, x)
	}
	return b
}

// movie is ftyp and moov with one video track of 1000 ticks a second.
func movie() []byte {
	matrix := u32(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
	avc1 := append(make([]byte, 6), 0, 1)
	avc1 = append(append(avc1, make([]byte, 16)...), 0, 64, 0, 64)
	avc1 = append(append(avc1, u32(0x480000, 0x480000, 0)...), 0, 1)
	avc1 = append(append(avc1, make([]byte, 32)...), 0, 24, 0xff, 0xff)
	avcC := []byte{1, 66, 0, 30, 0xff, 0xe0, 0}
	stbl := box("stbl",
		box("stsd", u32(0, 1), box("avc1", avc1, box("avcC", avcC))),
		box("stts", u32(0, 0)), box("stsc", u32(0, 0)), box("stsz", u32(0, 0, 0)), box("stco", u32(0, 0)))
	minf := box("minf", box("vmhd", u32(1), make([]byte, 8)), box("dinf", box("dref", u32(0, 1), box("url ", u32(1)))), stbl)
	mdia := box("mdia", box("mdhd", u32(0, 0, 0, 1000, 0), []byte{0x55, 0xc4, 0, 0}),
		box("hdlr", u32(0, 0), []byte("vide"), make([]byte, 12), []byte{0}), minf)
	tkhd := box("tkhd", u32(7, 0, 0, 1, 0, 0, 0, 0), u32(0, 0), matrix, u32(64<<16, 64<<16))
	mvhd := box("mvhd", u32(0, 0, 0, 1000, 0, 0x10000), []byte{1, 0}, make([]byte, 10), matrix, make([]byte, 24), u32(2))
	return append(box("ftyp", []byte("iso5"), u32(0), []byte("iso5")),
		box("moov", mvhd, box("trak", tkhd, mdia), box("mvex", box("trex", u32(0, 1, 1, 40, 0, 0))))...)
}

// moof describes one sample of the given size; dts < 0 leaves tfdt out.
func moof(dts int64, size int) []byte {
	tfhd := box("tfhd", u32(0x020000, 1))
	var tfdt []byte
	if dts >= 0 {
		tfdt = box("tfdt", u32(1<<24), binary.BigEndian.AppendUint64(nil, uint64(dts)))
	}
	trun := box("trun", u32(0x701, 1, 0, 1000, uint32(size), 0x02000000))
	return box("moof", box("mfhd", u32(0, 1)), box("traf", tfhd, tfdt, trun))
}

func mdat(size int, with byte) []byte { return box("mdat", bytes.Repeat([]byte{with}, size)) }

func fragment(dts int64, size int) []byte {
	return append(moof(dts, size), mdat(size, byte(dts/1000))...)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// The inputs that break slicers, and what this one does with each. Always:
// bytes out are bytes in, and the records fit together.
func TestNastyInputs(t *testing.T) {
	v := func(ts uint32) *flvFile { return new(flvFile).video(ts, true, 200) }
	with := func(parts ...interface{ Bytes() []byte }) []byte {
		b := newFLV().Bytes()
		for _, p := range parts {
			b = append(b, p.Bytes()...)
		}
		return b
	}
	patched := func(at int, value byte, parts ...interface{ Bytes() []byte }) []byte {
		b := with(parts...)
		b[len(newFLV().Bytes())+at] = value
		return b
	}
	raw := func(s string) *bytes.Buffer { return bytes.NewBufferString(s) }
	copies := func(c cutting) (n int) {
		for _, r := range c.recs {
			if r.Kind == KindInit && r.Init.Copy {
				n++
			}
		}
		return n
	}
	tagSize := v(0).Len()
	for _, test := range []struct {
		name  string
		in    []byte
		mp4   bool
		seqs  string
		note  string // a word of a note
		check func(t *testing.T, c cutting)
	}{
		{name: "truncated last tag", in: func() []byte { b := with(v(0), v(1000)); return b[:len(b)-50] }(), seqs: "0 1~", note: "ends inside",
			check: func(t *testing.T, c cutting) {
				if !c.end().Truncated {
					t.Error("the end does not say so")
				}
			}},
		{name: "truncated mdat", mp4: true, in: func() []byte { b := join(movie(), fragment(0, 99), fragment(1000, 99)); return b[:len(b)-50] }(), seqs: "0 1~",
			check: func(t *testing.T, c cutting) {
				if !c.end().Truncated {
					t.Error("the end does not say so")
				}
			}},
		{name: "DataSize wrong", in: patched(tagSize+3, 10, v(0), v(100), v(200), v(1000)), seqs: "0 1", note: "DataSize"},
		{name: "PreviousTagSize wrong", in: patched(tagSize-1, 99, v(0), v(100), v(1000)), seqs: "0 1", note: "PreviousTagSize"},
		{name: "garbage between tags", in: with(v(0), raw("garbage!"), v(100), v(1000)), seqs: "0 1", note: "no tag"},
		{name: "neither FLV nor MP4", in: []byte(strings.Repeat("plain words ", 1000)), seqs: "0~"},
		{name: "zero-length tag", in: with(v(0), new(flvFile).tag(9, 10), v(1000)), seqs: "0 1"},
		{name: "encrypted tag", in: with(v(0), new(flvFile).tag(0x29, 1000, 1, 2, 3, 4), v(1100)), seqs: "0 1"},
		{name: "unknown type", in: with(v(0), new(flvFile).tag(15, 1000, 1, 2, 3), v(1100)), seqs: "0 1"},
		{name: "DTS back by less than 5 s", in: with(v(9000), v(9900), v(5000), v(9950)), seqs: "9"},
		{name: "DTS jumps by more than 5 s", in: with(v(0), v(9000)), seqs: "0 9!"},
		{name: "wrap at 2^31", in: with(v(1<<31-40), v(0)), seqs: "2147483 0@1"},
		{name: "wrap at 2^32", in: with(v(1<<32-40), v(0)), seqs: "4294967 0@1"},
		{name: "negative CTS", in: with(new(flvFile).tag(9, 0, 0x17, 1, 0xff, 0xff, 0xd8, 0, 0, 0, 1, 0x65)), seqs: "0",
			check: func(t *testing.T, c cutting) {
				if k := c.segments()[0].Keyframes; len(k) != 1 || k[0].DTS != 0 || k[0].PTS != -40 {
					t.Errorf("keyframes %v", k)
				}
			}},
		{name: "no keyframe ever", in: with(new(flvFile).video(0, false, 9).video(1000, false, 9).video(2000, false, 9)), seqs: "0 1 2",
			check: func(t *testing.T, c cutting) {
				for _, s := range c.segments() {
					if len(s.Keyframes) > 0 {
						t.Error("a keyframe")
					}
				}
			}},
		{name: "sequence header changes", in: with(v(0), new(flvFile).avcConfig(0, 77), v(1000)), seqs: "0 1",
			check: func(t *testing.T, c cutting) {
				s := c.segments()
				if copies(c) != 1 || s[0].Keyframes[0].Init == s[1].Keyframes[0].Init {
					t.Error("the keyframe behind it does not refer to a new init")
				}
			}},
		{name: "two onMetaData", in: with(v(0), new(flvFile).tag(18, 0, []byte("\x02\x00\x0aonMetaData\x08\x00\x00\x00\x00\x00\x00\x09")...), v(1000)), seqs: "0 1",
			check: func(t *testing.T, c cutting) {
				if copies(c) != 1 {
					t.Error("joiners do not get the newest")
				}
			}},
		{name: "script tag that cannot be parsed", in: with(v(0), new(flvFile).tag(18, 7_000_000, bytes.Repeat([]byte{0x7f}, 70_000)...), v(1000)), seqs: "0 1"},
		{name: "audio starts and stops, the header lies", in: func() []byte {
			f := new(flvFile)
			f.WriteString("FLV\x01\x04\x00\x00\x00\x09\x00\x00\x00\x00") // audio only, it says
			f.audio(0).audio(20).video(40, true, 9).audio(960).video(1000, true, 9).video(2000, true, 9)
			f.audio(2500).video(3000, true, 9)
			return f.Bytes()
		}(), seqs: "0 1 2 3"},
		{name: "FLV header mid-stream", in: join(with(v(0), v(1000)), with(v(1040), v(2000))), seqs: "0 1 1@1! 2@1",
			check: func(t *testing.T, c cutting) {
				if copies(c) != 1 {
					t.Error("no new init")
				}
			}},
		{name: "moof without tfdt", mp4: true, in: join(movie(), fragment(0, 9), fragment(-1, 9), fragment(-1, 9)), seqs: "0 1 2"},
		{name: "largesize", mp4: true, in: join(movie(), moof(0, 9), u32(1), []byte("mdat"), u32(0, 25), make([]byte, 9), fragment(1000, 9)), seqs: "0 1"},
		{name: "size 0 runs to the end", mp4: true, in: join(movie(), fragment(0, 9), moof(1000, 9), u32(0), []byte("mdat"), make([]byte, 300_000)), seqs: "0 1"},
		{name: "styp, sidx, emsg, prft, free", mp4: true, in: join(movie(), fragment(0, 9), box("styp", []byte("msdh"), u32(0)), box("free"), box("prft", u32(0, 1, 0, 0, 0)), fragment(1000, 9)), seqs: "0 1",
			check: func(t *testing.T, c cutting) {
				for _, r := range c.recs {
					if r.Kind == KindPiece && r.Piece.Seq == 1 && string(r.Body[4:8]) != "styp" {
						t.Error("styp does not go with the fragment behind it")
					}
				}
			}},
		{name: "mdat before moof", mp4: true, in: join(movie(), mdat(9, 1), moof(0, 9), mdat(9, 2), moof(1000, 9), mdat(9, 3)), seqs: "0 1"},
		{name: "a second moov", mp4: true, in: join(movie(), fragment(0, 9), bytes.Replace(movie(), []byte("iso5"), []byte("iso6"), 2), fragment(1000, 9)), seqs: "0 1!",
			check: func(t *testing.T, c cutting) {
				if copies(c) != 1 {
					t.Error("no new init")
				}
			}},
		{name: "a box that claims 4 GB", mp4: true, in: join(movie(), fragment(0, 9), u32(0xfffffff0), []byte("free"), make([]byte, 5000))},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := CutterConfig{Container: media.FLV}
			if test.mp4 {
				cfg.Container = media.FMP4
			}
			for _, chunk := range []int{1, 333, 1 << 20} {
				c := cut(t, cfg, test.in, chunk)
				c.wellFormed(t, test.in)
				if got := c.seqs(); test.seqs != "" && got != test.seqs {
					t.Errorf("chunks of %d: segments %s, want %s", chunk, got, test.seqs)
				}
				if test.note != "" && !strings.Contains(notesOf(c), test.note) {
					t.Errorf("notes %q, want %q", notesOf(c), test.note)
				}
				if test.check != nil {
					test.check(t, c)
				}
			}
		})
	}
}

func notesOf(c cutting) string {
	var b strings.Builder
	for _, n := range c.notes {
		b.WriteString(n.Text + "; ")
	}
	return b.String()
}
