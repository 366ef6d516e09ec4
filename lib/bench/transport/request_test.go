package transport

import (
	"bytes"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/bench/rival"
)

func FuzzRequest(f *testing.F) {
	f.Add(request{kind: askObject, size: 1 << 20}.append(nil))
	f.Add(request{kind: askLive, rate: 6e6, last: time.Minute, message: messageBytes}.append(nil))
	f.Add(make([]byte, rival.RequestBytes))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRequest(b)
		if err != nil {
			return
		}
		if r.size < 0 || r.rate < 0 || r.last < 0 || r.message < 0 || r.kind == askLive && r.message < minMessage {
			t.Errorf("%+v", r)
		}
		again := r.append(nil)
		if len(again) != rival.RequestBytes || !bytes.Equal(again[:requestUsed], b[:requestUsed]) {
			t.Errorf("%x became %x", b, again)
		}
	})
}

func TestThePatternShowsWhatIsLostOrMoved(t *testing.T) {
	object := append([]byte(nil), content(0, 200_000)...)
	if !matches(0, object) || !matches(100, object[100:]) || !matches(patternPeriod, object[:1000]) {
		t.Error("the pattern is not itself")
	}
	object[150_000] ^= 1
	if matches(0, object) || matches(1, content(0, 1000)) || matches(chunkBytes, content(0, 1000)) {
		t.Error("a change, or a move, does not show")
	}
	if n := len(content(patternPeriod-1, patternRun)); n != patternRun {
		t.Errorf("%d bytes", n)
	}
}
