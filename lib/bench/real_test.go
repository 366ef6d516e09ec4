package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/netlab"
)

// The real programs, run as the bench runs them: four viewers on loopback, of
// whom two leave and one gives nothing; four plain readers; four far apart.
// All at the same time, for they spend it waiting for the broadcast.
func TestRealProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes the broadcast's own time")
	}
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", bin, "../../cmd/xp2p-slice", "../../cmd/xp2p-seed", "../../cmd/xp2p-peer").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	type outcome struct {
		r   *Run
		err error
	}
	// start begins a run, and returns what waits for it and holds it against what
	// every run must show, however busy the machine is.
	start := func(run func() (*Run, error)) func(t *testing.T, stay int) *Run {
		c := make(chan outcome, 1)
		go func() {
			r, err := run()
			c <- outcome{r, err}
		}()
		return func(t *testing.T, stay int) *Run {
			t.Helper()
			o := <-c
			if o.err != nil {
				t.Fatal(o.err)
			}
			r, x := o.r, o.r.Real
			t.Logf("%+v", *x)
			if x.Viewers != 4 || x.Exact != stay || r.PlayedBad != 0 || x.Gaps != 0 || len(x.Failures) > 0 {
				t.Errorf("%d of %d exact, %d bad bytes, %d gaps, failures %q", x.Exact, stay, r.PlayedBad, x.Gaps, x.Failures)
			}
			if x.DeliveredBytes == 0 || x.ViewerCPU <= 0 || x.SeedCPU <= 0 || x.SliceCPU <= 0 || x.WatchedSeconds <= 0 {
				t.Errorf("nothing was measured: %+v", x)
			}
			return r
		}
	}
	short := Scenario{Peers: 4, Seconds: 4, RateBPS: 500_000, GOPMS: 1000, Join: Join{OverS: 1}}
	some := short
	some.NoUpload, some.Events = 0.25, []Event{{AtS: 2, Kind: "leave", Ratio: 0.6}}
	near := start(func() (*Run, error) { return RunReal(t.Context(), &some, "balanced", 1, RealOptions{Bin: bin}) })
	_, noCurl := exec.LookPath("curl")
	noLab := netlab.Available()
	var plain, far func(*testing.T, int) *Run
	if noCurl == nil {
		plain = start(func() (*Run, error) {
			return RunReal(t.Context(), &short, "balanced", 1, RealOptions{Bin: bin, Plain: true})
		})
	}
	if noLab == nil {
		far = start(func() (*Run, error) {
			simulate := func(_ context.Context, sc *Scenario, topology string, seed uint64) (*Run, error) {
				return &Run{Scenario: sc.Name, Topology: topology, Seed: seed}, nil
			}
			c, err := Calibrate(t.Context(), &short, "balanced", []uint64{1}, RealOptions{Bin: bin}, simulate)
			if err != nil {
				return nil, err
			}
			if len(c.Sim) != 1 || c.Sim[0].Seed != 1 || c.Share.Sim != 0 || c.Share.Real == 0 || c.Verdict() == nil {
				return nil, fmt.Errorf("a calibration against nothing: %+v", c)
			}
			return c.Real[0], nil
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := RunReal(ctx, &short, "balanced", 1, RealOptions{Bin: bin}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a run that is interrupted: %v", err)
	}
	if took := time.Since(began); took > 1500*time.Millisecond+2*endWithin {
		t.Errorf("an interrupted run took %v to end", took)
	}

	t.Run("on loopback", func(t *testing.T) {
		r := near(t, 2)
		if got := r.PeerBytes + r.SeedBytes + r.OriginBytes; got < r.Real.DeliveredBytes*9/10 || got > r.Real.DeliveredBytes*11/10 {
			t.Errorf("the peers counted %d bytes, and put out %d", got, r.Real.DeliveredBytes)
		}
		if r.PeerBytes == 0 || r.UploadedBytes == 0 || len(r.UploadOverUplink) != 3 {
			t.Errorf("%d bytes from peers, %d given, by %v", r.PeerBytes, r.UploadedBytes, r.UploadOverUplink)
		}
		if r.AddedLag.Count() < 50 || r.DuePieces < 80 || r.Startup.Count() != 4 || r.Peers != 4 {
			t.Errorf("%+v", *r)
		}
	})
	t.Run("plain readers", func(t *testing.T) {
		if plain == nil {
			t.Skip(noCurl)
		}
		if r := plain(t, 4); r.PeerBytes != 0 || r.OriginBytes != r.Real.DeliveredBytes || r.AddedLag.Count() != 0 {
			t.Errorf("%+v", *r)
		}
	})
	t.Run("in namespaces", func(t *testing.T) {
		if far == nil {
			t.Skip(noLab)
		}
		r := far(t, 4)
		// A handshake and an answer between the server and the nearest viewer.
		if low := 2 * 2 * (ServerDelay(&short) + 5*time.Millisecond).Milliseconds(); r.Startup.Min() < low {
			t.Errorf("a first byte after %d ms: two round trips take %d", r.Startup.Min(), low)
		}
		if way := (ServerDelay(&short) + 5*time.Millisecond).Milliseconds(); r.Real.LagP50MS < way || r.AddedLag.Count() < 50 {
			t.Errorf("%+v", r.Real)
		}
		if r.WireBytes < r.Real.DeliveredBytes {
			t.Errorf("%d bytes went over the wires, and %d were put out", r.WireBytes, r.Real.DeliveredBytes)
		}
	})
}

func TestWhatRealProcessesCannotDoIsSaid(t *testing.T) {
	for want, sc := range map[string]*Scenario{
		"polluters":      {Polluters: 0.1},
		"cannot connect": {Unconnectable: 0.3},
		"zones":          {Zones: 2},
		"tracker_gone":   {Events: []Event{{Kind: "tracker_gone"}}},
		"at most":        {Peers: 501},
		"cannot be made": {RateBPS: 1000},
		"nobody":         {Peers: -1},
	} {
		if sc.Peers == 0 {
			sc.Peers = 3
		}
		_, err := RunReal(t.Context(), sc, "balanced", 1, RealOptions{Bin: "testdata/none"})
		if want == "cannot be made" {
			_, err = newReel(sc, 1)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", sc, err, want)
		}
	}
	if _, err := RunReal(t.Context(), &Scenario{Peers: 1}, "balanced", 1, RealOptions{Bin: "testdata/none"}); err == nil || !strings.Contains(err.Error(), "go build") {
		t.Errorf("without programs: %v", err)
	}
	if _, err := openPlace("moon", nil, nil); err == nil {
		t.Error("the moon is a place")
	}
}

func TestTheCalibrationScenarioIsOneThatProcessesCanDo(t *testing.T) {
	b, err := os.ReadFile("scenarios/calibrate.json")
	if err != nil {
		t.Fatal(err)
	}
	var sc Scenario
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&sc); err != nil {
		t.Fatal(err)
	}
	if err := feasible(&sc, len(Draw(&sc, 1))); err != nil || sc.Peers != 30 {
		t.Errorf("%d viewers: %v", sc.Peers, err)
	}
	if _, err := newReel(&sc, 1); err != nil {
		t.Error(err)
	}
}

func TestSimulatorAndRealityAgreeOrTheVerdictSaysWhyNot(t *testing.T) {
	of := func(peer, origin int64, lag ...int64) *Run {
		r := &Run{PeerBytes: peer, OriginBytes: origin, Real: &Real{}}
		for _, l := range lag {
			r.AddedLag.Add(l)
		}
		return r
	}
	good := &Calibration{Sim: []*Run{of(94, 6, 100, 110), of(96, 4, 105)}, Real: []*Run{of(93, 7, 120), of(93, 7, 90)}}
	good.compare()
	if err := good.Verdict(); err != nil {
		t.Error(err)
	}
	var text strings.Builder
	if good.WriteText(&text); !strings.Contains(text.String(), "peer share") || strings.Contains(text.String(), "NO") {
		t.Error(text.String())
	}
	far := &Calibration{Sim: []*Run{of(94, 6, 100)}, Real: []*Run{of(80, 20, 130)}}
	far.Real[0].Real.Doubts = []string{"the processors were busy"}
	far.compare()
	for _, want := range []string{"share is 17.5 %", "p95 is 23.1 %", "busy"} {
		if err := far.Verdict(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := Calibrate(t.Context(), &Scenario{}, "balanced", nil, RealOptions{}, nil); err == nil {
		t.Error("a calibration of nothing")
	}
}

func TestARunThatMeasuredTheMachineIsMeasuredAgain(t *testing.T) {
	for _, c := range []struct {
		doubts [][]string
		again  []string
	}{
		{[][]string{nil}, nil},
		{[][]string{{"late", "busy"}, {"late"}, nil, {"not asked"}}, []string{"late; busy", "late"}},
		{[][]string{{"1"}, {"2"}, {"3"}, {"4"}, nil}, []string{"1", "2", "3"}},
	} {
		n := 0
		r, again, err := trusted(func() (*Run, error) {
			n++
			return &Run{Real: &Real{Doubts: c.doubts[n-1]}}, nil
		})
		if err != nil || n != len(again)+1 || !slices.Equal(again, c.again) || !slices.Equal(r.Real.Doubts, c.doubts[n-1]) {
			t.Errorf("%v: %d runs, again because of %q, %v, %v", c.doubts, n, again, r.Real, err)
		}
	}
	if _, _, err := trusted(func() (*Run, error) { return nil, io.EOF }); err != io.EOF {
		t.Errorf("a run that failed: %v", err)
	}
}
