package measure

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)

func at(ms int64) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

func TestThePlayerSeesAStreamThatIsAlwaysInTime(t *testing.T) {
	p := NewPlayer(time.Second)
	p.Play(5_000, at(0)) // before the first keyframe nothing is due
	p.Start(at(0), 10_000)
	for i := range int64(100) {
		p.Play(10_000+100*i, at(100*i+999))
	}
	if p.Due != 100 || p.Late != 0 || p.Stalled != 0 || p.Continuity() != 1 {
		t.Errorf("%+v", p)
	}
}

func TestALatePieceIsAStallAndShiftsWhatFollows(t *testing.T) {
	p := NewPlayer(time.Second)
	p.Start(at(0), 0)
	p.Play(0, at(0))
	p.Play(100, at(1400)) // due at 1100: the picture stands for 300 ms
	p.Play(200, at(1450)) // due at 1200 before, at 1500 now
	p.Play(300, at(1700)) // due at 1600 now
	p.Skip(400)
	p.Play(500, at(1890)) // due at 1900
	if p.Due != 6 || p.Late != 2 || p.Missing != 1 || p.Stalled != 400*time.Millisecond || p.Continuity() != 0.5 {
		t.Errorf("%+v", p)
	}
}

func TestTheTimelineJumpsAndThePlayerGoesOn(t *testing.T) {
	p := NewPlayer(400 * time.Millisecond)
	p.Start(at(0), 1_000_000)
	p.Play(1_000_000, at(0))
	p.Play(1_000_100, at(100))
	p.Jump(0)
	p.Play(0, at(590))   // due at 600
	p.Play(100, at(701)) // due at 700
	if p.Late != 1 || p.Stalled != time.Millisecond {
		t.Errorf("%+v", p)
	}
}

func TestQuantilesAreNearTheTruth(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var h, half Histogram
	var all []int64
	for i := range 10_000 {
		v := int64(math.Exp(rng.Float64() * 14))
		all = append(all, v)
		if i%2 == 0 {
			h.Add(v)
		} else {
			half.Add(v)
		}
	}
	h.Merge(&half)
	slices.Sort(all)
	for _, q := range []float64{0, 0.01, 0.5, 0.95, 0.999, 1} {
		truth := all[min(max(int(math.Ceil(q*10_000)), 1), 10_000)-1]
		if got := h.Quantile(q); got < truth || float64(got) > float64(truth)*(1+1.0/32) {
			t.Errorf("quantile %g: %d, the truth is %d", q, got, truth)
		}
	}
	if h.Min() != all[0] || h.Max() != all[len(all)-1] || h.Count() != 10_000 {
		t.Errorf("extremes %d, %d of %d", h.Min(), h.Max(), h.Count())
	}
	// Bounded, whatever comes.
	h.Add(math.MaxInt64)
	h.Add(math.MinInt64)
	if len(h.buckets) > 2000 || h.Quantile(0) != 0 {
		t.Errorf("%d buckets, least %d", len(h.buckets), h.Quantile(0))
	}
}

func TestEveryBucketHoldsItsTop(t *testing.T) {
	for i := range 36 << subBits {
		top := bucketTop(i)
		if bucketOf(top) != i || bucketOf(top+1) != i+1 {
			t.Fatalf("bucket %d ends at %d, which is in %d; the next in %d", i, top, bucketOf(top), bucketOf(top+1))
		}
	}
}

func TestBounds(t *testing.T) {
	for _, c := range []struct {
		n             int
		uplinks, rate float64
		want          float64
	}{
		{5, 1e9, 2e6, 0.8},
		{20, 1e9, 2e6, 0.95},
		{1000, 1e9, 2e6, 0.5},
		{1, 1e9, 2e6, 0},
		{0, 0, 0, 0},
	} {
		if got := ShareBound(c.n, c.uplinks, c.rate); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("share of %d: %g, want %g", c.n, got, c.want)
		}
	}
	if got := LagBound(1, 0.0625, 2); got != 2 {
		t.Errorf("lag %g, want 2", got)
	}
	if !math.IsInf(LagBound(1, 0, 1), 1) {
		t.Error("without a server nobody ever has it")
	}
	if got := Jain([]float64{1, 1, 1, 1}); got != 1 {
		t.Errorf("fairness of equals: %g", got)
	}
	if got := Jain([]float64{4, 0, 0, 0}); got != 0.25 {
		t.Errorf("fairness of a king: %g", got)
	}
	if Offload(25, 100) != 0.75 || Offload(1, 0) != 0 {
		t.Error("offload")
	}
}

func TestAMeterTellsItsStory(t *testing.T) {
	m := NewMeter()
	m.Received(Peer, 700)
	m.Received(Seed, 100)
	m.Received(Origin, 150)
	m.Received(Relay, 50)
	m.Uploaded(900)
	m.Duplicate(5)
	m.InterZone(120)
	m.Startup(300 * time.Millisecond)
	m.Startup(time.Hour)
	m.Keyframe(at(0), 0)
	m.Play(0, at(0))
	m.Play(100, at(600))
	m.Lag(120 * time.Millisecond)
	m.Buffer(1500 * time.Millisecond)
	r := Report{Room: "match", ID: "0000000000000001"}
	m.Fill(&r)
	b, err := json.Marshal(&r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"peer_bytes":700`, `"seed_bytes":100`, `"origin_bytes":150`, `"relay_bytes":50`, `"uploaded_bytes":900`, `"share_ratio":0.7`, `"inter_zone_bytes":120`,
		`"lag_ms":120`, `"buffer_ms":1500`, `"startup_ms":300`, `"continuity_ratio":1`, `"continuity_400ms_ratio":0.5`, `"neighbours":[]`,
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s in %s", want, b)
		}
	}
	got, err := ParseReport(b)
	if err != nil || !reflect.DeepEqual(*got, r) {
		t.Errorf("%s\n became %+v, %v", b, got, err)
	}
}

func TestARateIsThatOfTheStreamAndNotOfItsArrival(t *testing.T) {
	var r Rate
	add := func(from, to int64, bytes int) { // ten pieces a second
		for dts := from; dts < to; dts += 100 {
			r.Add(dts, bytes)
		}
	}
	add(500, 1900, 1000)
	if r.BPS() != 0 {
		t.Errorf("%d bit/s of part of a second", r.BPS())
	}
	add(1900, 3000, 1000)
	r.Add(2950, 0) // audio, a little behind
	r.Add(3000, 1000)
	if r.BPS() != 80_000 {
		t.Errorf("%d bit/s, want 80,000", r.BPS())
	}
	add(3100, 30_000, 2000) // minutes at once: no faster
	if r.BPS() != 160_000 {
		t.Errorf("%d bit/s, want 160,000", r.BPS())
	}
	add(-5000, 500, 500) // another clock
	if r.BPS() != 40_000 {
		t.Errorf("%d bit/s, want 40,000", r.BPS())
	}
	r.Add(math.MaxInt64, 7)
	r.Add(math.MinInt64, 7)
	if r.BPS() != 0 {
		t.Errorf("%d bit/s of a clock that is mad", r.BPS())
	}
}

func TestReportsOfOthersAreChecked(t *testing.T) {
	for name, s := range map[string]string{
		"no JSON":             `{`,
		"a negative counter":  `{"peer_bytes":-1}`,
		"a negative rate":     `{"rate_bps":-1}`,
		"a sum that wraps":    `{"peer_bytes":9000000000000000000}`,
		"a long name":         `{"room":"` + strings.Repeat("x", 65) + `"}`,
		"an owner's debt":     `{"quota_left_bytes":-1}`,
		"a long reason":       `{"upload_reason":"` + strings.Repeat("x", 65) + `"}`,
		"a neighbour's claim": `{"neighbours":[{"id":"1","received_bytes":-5}]}`,
		"a crowd":             `{"neighbours":[{}` + strings.Repeat(",{}", MaxReportNeighbours) + `]}`,
		"a book":              `{"room":"` + strings.Repeat("x", MaxReport) + `"}`,
	} {
		if r, err := ParseReport([]byte(s)); err == nil {
			t.Errorf("%s: parsed as %+v", name, r)
		}
	}
	r, err := ParseReport([]byte(`{"peer_bytes":1,"origin_bytes":3,"share_ratio":0.99}`))
	if err != nil || r.ShareRatio != 0.25 {
		t.Errorf("a liar's ratio: %+v, %v", r, err)
	}
}

func FuzzReport(f *testing.F) {
	f.Add([]byte(`{"room":"match","peer_bytes":5,"lag_ms":-3,"neighbours":[{"id":"0000000000000001","addr":"127.0.0.1:5","received_bytes":9}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseReport(b)
		if err != nil {
			return
		}
		if r.ShareRatio < 0 || r.ShareRatio > 1 || len(r.Neighbours) > MaxReportNeighbours {
			t.Fatalf("%+v", r)
		}
		if _, err := json.Marshal(r); err != nil {
			t.Fatal(err)
		}
	})
}
