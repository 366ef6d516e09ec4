package flv

import (
	"bytes"
	"testing"
)

// FuzzWalk holds the walker to its contract on any bytes: every byte is
// covered once, and what is found does not depend on how the input is chopped.
func FuzzWalk(f *testing.F) {
	start := join(fileHeader(), meta(), videoConfig(), audioConfig(), video(0, true, 80), audio(3, 20))
	f.Add(start, uint64(1))
	f.Add(start[60:], uint64(2))
	f.Add(join(start, []byte("garbage"), video(40, false, 9), tag(15, 80, 1, 2), tag(typeVideo|encrypted, 90, 1)), uint64(3))
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		if len(in) > 1<<14 {
			return
		}
		anyChunks(t, in, seed)
	})
}

func FuzzDescribe(f *testing.F) {
	f.Add(meta())
	f.Add(videoConfig())
	f.Add(audioConfig())
	f.Add(tag(typeVideo, 0, append([]byte{0x97, 2, 0, 1, 2, 1}, "hvc1\x00\x00\x05"...)...))
	f.Fuzz(func(t *testing.T, p []byte) {
		ConfigClass(p)
		IDR(p)
		Describe(p)
		was := bytes.Clone(p)
		if Retime(p, 0x89abcdef, -5); len(p) == len(was) && len(p) >= tagHeader {
			Retime(p, timestamp(was), ctsOf(was))
			if !bytes.Equal(p, was) {
				t.Errorf("%x was moved and moved back to %x", was, p)
			}
		}
		f, ok := ParseFrame(p)
		if !ok || !f.Coded {
			return
		}
		// What is written anew says the same, but for its times.
		b := AppendFrameHead(nil, p, f, 77, f.CTS, 0, nil)
		b = append(b, p[f.Data:f.Stop]...)
		b = AppendTrailer(b, len(b)-TagHeader)
		g, ok := ParseFrame(b)
		if !ok || g.Time != 77 || g.Codec != f.Codec || g.Key != f.Key || g.CTS != f.CTS || !bytes.Equal(b[g.Data:g.Stop], p[f.Data:f.Stop]) {
			t.Fatalf("%+v became %+v", f, g)
		}
	})
}
