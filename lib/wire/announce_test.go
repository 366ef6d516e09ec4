package wire

import (
	"bytes"
	"crypto/ed25519"
	"testing"
)

func testAnnounce(room string) *SignalAnnounce {
	m := &SignalAnnounce{Mode: "vod", Container: "raw", RoomKey: testKey(4), Seed: testKey(5), TimeMS: testTime.UnixMilli()}
	m.Sign(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), room)
	return m
}

// Everything that is said is signed: nobody turns an announcement into another.
func TestAnAnnouncementIsOfOneRoomAndOneMoment(t *testing.T) {
	if !testAnnounce("match").Verify("match") {
		t.Fatal("a good signature is refused")
	}
	if testAnnounce("match").Verify("other") {
		t.Error("it counts for another room")
	}
	for name, change := range map[string]func(*SignalAnnounce){
		"the mode":      func(m *SignalAnnounce) { m.Mode = "live" },
		"the container": func(m *SignalAnnounce) { m.Container = "flv" },
		"the room key":  func(m *SignalAnnounce) { m.RoomKey[0]++ },
		"the seed":      func(m *SignalAnnounce) { m.Seed[31]++ },
		"the announcer": func(m *SignalAnnounce) { m.Announcer = testKey(6) },
		"the time":      func(m *SignalAnnounce) { m.TimeMS++ },
		"the signature": func(m *SignalAnnounce) { m.Signature[3]++ },
	} {
		m := testAnnounce("match")
		change(m)
		if m.Verify("match") {
			t.Errorf("another than %s was signed, and counts", name)
		}
	}
}

// readTunnel takes a direction apart that comes in pieces of n bytes.
func readTunnel(b []byte, n int) (r TunnelReader, data []byte, credit int, err error) {
	for len(b) > 0 {
		k := min(n, len(b))
		for part := b[:k]; len(part) > 0 && err == nil; {
			var d []byte
			var c int
			d, c, part, err = r.Next(part)
			data, credit = append(data, d...), credit+c
		}
		if err != nil {
			return r, data, credit, err
		}
		b = b[k:]
	}
	return r, data, credit, nil
}

func TestATunnelIsReadHoweverItIsCut(t *testing.T) {
	b := AppendTunnelAnswer(nil, 77_000)
	b = append(AppendTunnelData(b, 5), "hello"...)
	b = AppendTunnelCredit(b, 300_000)
	b = append(AppendTunnelData(b, 300), bytes.Repeat([]byte("x"), 300)...)
	b = AppendTunnelCredit(b, 7)
	for n := 1; n <= len(b); n++ {
		r, data, credit, err := readTunnel(b, n)
		if err != nil || !r.Greeted || r.Call || r.Answers != 77_000 || credit != 300_007 || len(data) != 305 || string(data[:6]) != "hellox" {
			t.Fatalf("in pieces of %d: %v, %+v, %d bytes, credit %d", n, err, r, len(data), credit)
		}
	}
	if r, _, _, err := readTunnel(AppendTunnelCall(nil), 1); err != nil || !r.Greeted || !r.Call {
		t.Errorf("a call: %v, %+v", err, r)
	}
	for name, bad := range map[string][]byte{
		"no greeting":       {0, 1, 'x'},
		"an unknown frame":  {1, 2},
		"empty data":        {1, 0, 0},
		"data beyond bound": AppendTunnelData([]byte{1}, MaxTunnelData+1),
		"endless credit":    AppendTunnelCredit([]byte{1}, maxTunnelCredit+1),
	} {
		if _, _, _, err := readTunnel(bad, 3); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func FuzzTunnel(f *testing.F) {
	f.Add(append(AppendTunnelData(AppendTunnelCall(nil), 2), "hi"...), 1)
	f.Add(AppendTunnelCredit(AppendTunnelAnswer(nil, 1<<40), 9), 3)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		_, whole, all, err := readTunnel(b, len(b)+1)
		_, cut, some, cutErr := readTunnel(b, 1+(n&15))
		if !bytes.Equal(whole, cut) || all != some || (err == nil) != (cutErr == nil) {
			t.Fatalf("whole %q %d %v, cut %q %d %v", whole, all, err, cut, some, cutErr)
		}
	})
}
