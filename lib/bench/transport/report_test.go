package transport

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"html"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/internal/link"
)

// canned are results without a run: two transports that differ by a factor, one
// whose runs were all rejected, one that is skipped.
func canned(workload string) (*Plan, []Result) {
	p := &Plan{
		Link: Link{Kind: TUN, Rate: 20e6, RTT: 40 * time.Millisecond}, Workload: workload, Only: []string{"xntp", "quic", "kcp", "srt"}, Size: 1 << 20,
		Duration: 2 * time.Second, Bitrate: 6e6, Latency: 120 * time.Millisecond, Parallel: 1, Flows: 1, Against: "tcp-cubic", Others: 1, Runs: 3, Timeout: time.Minute,
	}
	var all []Result
	for i, name := range p.Only {
		r := Result{Plan: p, Transport: name, LateWorst: 70 * time.Microsecond}
		switch name {
		case "kcp":
			r.Rejected, r.LateWorst = 9, 12*time.Millisecond
		case "srt":
			r.Skipped = errors.New("it has live messages only")
		default:
			for k := range 3 {
				f := float64(1+i) * (1 + float64(k)/10)
				s := Sample{
					Elapsed: time.Duration(500e6 * f), First: 80 * time.Millisecond, Over: 2 * time.Second, Bytes: int64(4e6 / f), Goodput: 16e6 / f,
					CPU: time.Duration(40e6 * f), KnowsCPU: true, LatencyP50: 60 * time.Millisecond, LatencyP99: time.Duration(100e6 * f), Delivered: 1 / f,
					Messages: 100, Jain: 1 / f, Share: 0.5 / f, Each: []float64{1, 2}, Repeated: 0.01 * f, KnowsRepeated: true,
					Emulated: true, Late50: 20 * time.Microsecond, Late: 50 * time.Microsecond,
					Link: link.Count{Packets: 900, LostQueue: 100, QueueP95: time.Duration(10e6 * f)},
				}
				for range 20 {
					s.Tenths, s.TheirTenths = append(s.Tenths, 200_000), append(s.TheirTenths, 100_000)
					s.Link.Tenths = append(s.Link.Tenths, link.Tenth{Bytes: 200_000, Queue: 9 * time.Millisecond})
				}
				r.Samples = append(r.Samples, s)
			}
		}
		r.sum()
		all = append(all, r)
	}
	return p, all
}

func TestLinesHaveTheNamesThatScriptsRelyOn(t *testing.T) {
	want := map[string]string{
		Cold: `{"type":"result","transport":"xntp","workload":"cold","link":"tun","rate_bps":20000000,"rtt_ms":40,"queue_bytes":100000,"size_bytes":1048576,` +
			`"median_ms":550,"median_ms_low":500,"median_ms_high":600,"first_byte_ms":80,"limit_ms":473.272,"limit_ratio":1.1621,` +
			`"goodput_bps":14545455,"goodput_bps_low":13333333,"goodput_bps_high":16000000,` +
			`"queue_p95_ms":11,"drop_ratio":0.1,"repeated_ratio":0.011,"late_p50_ms":0.02,"late_p99_ms":0.05,"late_p99_worst_ms":0.07,"runs":3,"rejected_runs":0,"failed_runs":0}`,
		Bulk: `{"type":"result","transport":"xntp","workload":"bulk","link":"tun","rate_bps":20000000,"rtt_ms":40,"queue_bytes":100000,"duration_s":2,` +
			`"first_byte_ms":80,"goodput_bps":14545455,"goodput_bps_low":13333333,"goodput_bps_high":16000000,"utilisation_ratio":0.7273,` +
			`"queue_p95_ms":11,"drop_ratio":0.1,"repeated_ratio":0.011,"cpu_s_per_gb":12.1,"late_p50_ms":0.02,"late_p99_ms":0.05,"late_p99_worst_ms":0.07,"runs":3,"rejected_runs":0,"failed_runs":0}`,
		Live: `{"type":"result","transport":"xntp","workload":"live","link":"tun","rate_bps":20000000,"rtt_ms":40,"queue_bytes":100000,"duration_s":2,"bitrate_bps":6000000,` +
			`"goodput_bps":14545455,"goodput_bps_low":13333333,"goodput_bps_high":16000000,"queue_p95_ms":11,"drop_ratio":0.1,"repeated_ratio":0.011,` +
			`"latency_p50_ms":60,"latency_p99_ms":110,"delivered_ratio":0.909091,"late_p50_ms":0.02,"late_p99_ms":0.05,"late_p99_worst_ms":0.07,"runs":3,"rejected_runs":0,"failed_runs":0}`,
		Fair: `{"type":"result","transport":"xntp","workload":"fair","link":"tun","rate_bps":20000000,"rtt_ms":40,"queue_bytes":100000,"duration_s":2,"flows":1,"against":"tcp-cubic","against_flows":1,` +
			`"first_byte_ms":80,"goodput_bps":14545455,"goodput_bps_low":13333333,"goodput_bps_high":16000000,"queue_p95_ms":11,"drop_ratio":0.1,"repeated_ratio":0.011,` +
			`"jain":0.9091,"share_ratio":0.4545,"late_p50_ms":0.02,"late_p99_ms":0.05,"late_p99_worst_ms":0.07,"runs":3,"rejected_runs":0,"failed_runs":0}`,
	}
	for workload, line := range want {
		_, all := canned(workload)
		if got := string(AppendResult(nil, &all[0])); got != line+"\n" {
			t.Errorf("got  %swant %s", got, line)
		}
	}
	_, all := canned(Cold)
	for i, want := range map[int]string{
		2: `"size_bytes":1048576,"limit_ms":473.272,"late_p99_worst_ms":12,"runs":0,"rejected_runs":9,"failed_runs":0}`,
		3: `"late_p99_worst_ms":0.07,"runs":0,"rejected_runs":0,"failed_runs":0,"skipped":"it has live messages only"}`,
	} {
		line := AppendResult(nil, &all[i])
		if !strings.HasSuffix(string(line), want+"\n") || !json.Valid(line) {
			t.Errorf("%s", line)
		}
	}
}

func TestThePageNeedsNothingAndShowsWhatThereIs(t *testing.T) {
	for workload, figures := range map[string]int{Cold: 1, Bulk: 2, Live: 2, Fair: 3, CPU: 2} {
		p, all := canned(workload)
		var b strings.Builder
		if err := WriteHTML(&b, p, all); err != nil {
			t.Fatal(err)
		}
		page := b.String()
		for _, bad := range []string{"http:", "https:", "src=", "href=", "@import", "url(", "<script", "NaN", "Inf"} {
			if strings.Contains(page, bad) {
				t.Errorf("%s: the page has %s", workload, bad)
			}
		}
		charts := 0
		for _, svg := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(page, -1) {
			if strings.Contains(svg, `class="chart"`) {
				charts++
			}
			for d := xml.NewDecoder(strings.NewReader(svg)); ; {
				if _, err := d.Token(); err == io.EOF {
					break
				} else if err != nil {
					t.Fatalf("%v: %.200s", err, svg)
				}
			}
		}
		if charts != figures {
			t.Errorf("%s: %d pictures, want %d", workload, charts, figures)
		}
		for _, want := range []string{p.What(), p.Link.String(), "kcp<small>no run counts: the emulator was up to 12.0 ms late", "srt<small>skipped: it has live"} {
			if !strings.Contains(html.UnescapeString(page), want) {
				t.Errorf("%s: no %q", workload, want)
			}
		}
	}
}

func TestTheLimitOfAColumnIsWhatIsKnown(t *testing.T) {
	p, all := canned(Cold)
	var row []string
	for _, c := range Columns(p) {
		row = append(row, c.Title+"="+c.Show(&all[0]))
	}
	want := "last byte=550 [500, 600] ms|of limit=1.16×|first byte=80 ms|queue p95=11.0 ms|drops=10.00 %|rejected=0 of 3"
	if got := strings.Join(row, "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, c := range Columns(p) {
		if s := c.Show(&all[2]); s != "" && c.Title != "rejected" {
			t.Errorf("%s of nothing is %q", c.Title, s)
		}
	}
}

// measured fills the cells of a suite with results that are as good as a target
// says, times a factor.
func measured(factor float64) *Suite {
	s := NewSuite(false)
	median := func(v float64) Median { return Median{v, v, v, 5} }
	for _, c := range s.cells {
		for _, name := range c.plan.Only {
			r := Result{Plan: &c.plan, Transport: name, Samples: make([]Sample, 1)}
			f := factor
			if name != xntpName {
				f = 1
			}
			r.LimitRatio, r.ElapsedMS = median(1.0*f), median(100*f)
			r.Goodput, r.Utilisation = median(48e6/f), median(0.95/f)
			r.QueueP95MS, r.Drops, r.CPUPerGB = median(5*f), median(0.001*f), median(2*f)
			r.Jain, r.Share = median(min(1, 1/f)), median(0.5)
			r.LatencyP99MS, r.Delivered = median(100*f), median(min(1, 1/f))
			if name != xntpName { // rivals are far behind
				r.ElapsedMS, r.Goodput, r.QueueP95MS, r.CPUPerGB, r.LatencyP99MS = median(1000), median(10e6), median(100), median(10), median(1000)
			}
			x := &r.Samples[0]
			x.Capacity, x.CapacityAfter = float64(c.plan.Link.Rate)*(1+0.01*f), 50*time.Millisecond
			x.Each, x.Repeated, x.KnowsRepeated = []float64{1, 1 / f}, 0.005*f, true
			x.Link = link.Count{Packets: 1000}
			x.Tenths = make([]int64, 150)
			for i := 100 + int(3*f); i < 150; i++ {
				x.Tenths[i] = 600_000
			}
			s.results[c.name] = append(s.results[c.name], r)
		}
	}
	return s
}

func TestRowsHoldWhenTheirTargetsAreMetAndMissWhenTheyAreNot(t *testing.T) {
	for i := range Rows {
		r := &Rows[i]
		if r.N != i+1 {
			t.Fatalf("row %d is number %d", i+1, r.N)
		}
		good, bad := measured(1).Judge(r), measured(25).Judge(r)
		if want := [2]Verdict{Holds, Holds}; [2]Verdict{good.Record, good.Least} != want {
			t.Errorf("row %d, met: %+v", r.N, good)
		}
		if bad.Record == Holds || bad.Least == Holds {
			t.Errorf("row %d, missed by far: %+v", r.N, bad)
		}
		none := NewSuite(true).Judge(r)
		if none != (Outcome{}) {
			t.Errorf("row %d, not measured: %+v", r.N, none)
		}
	}
}

func TestARowWhoseRunsWereRejectedIsNotKnown(t *testing.T) {
	s := measured(1)
	for i := range s.results["bulk-1%"] {
		if r := &s.results["bulk-1%"][i]; r.Transport == "tcp-bbr" {
			*r = Result{Plan: r.Plan, Transport: r.Transport, Rejected: 8}
		}
	}
	o := s.Judge(&Rows[8-1])
	if o.Record != Unknown || o.Least != Unknown || !strings.Contains(o.Value, "48.0 Mbit/s, – × bbr") {
		t.Errorf("%+v", o)
	}
	if math.IsNaN(minOf([]float64{1, math.NaN(), 0})) == false {
		t.Error("what is not known is the least")
	}
}

func TestTheSuiteMeasuresOnlyWhatItsRowsRead(t *testing.T) {
	s := NewSuite(false)
	for _, c := range s.cells {
		p := c.plan
		if err := p.Check(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		read := 0
		for _, r := range Rows {
			for _, name := range r.cells {
				if cellOf(c.name, name) {
					read++
				}
			}
		}
		if read == 0 {
			t.Errorf("nobody reads %s", c.name)
		}
	}
	// An hour and a quarter, and ten minutes: what runs that none is rejected take.
	for quick, most := range map[bool]time.Duration{false: 65 * time.Minute, true: 9 * time.Minute} {
		var sum time.Duration
		for _, c := range NewSuite(quick).cells {
			each := c.plan.Duration + 500*time.Millisecond
			if c.plan.Workload == Cold {
				each = 2 * time.Second
			}
			sum += time.Duration(c.plan.Runs*len(c.plan.Only)) * each
		}
		t.Logf("quick %v: %v", quick, sum)
		if sum > most {
			t.Errorf("quick %v: %v, want at most %v", quick, sum, most)
		}
	}
}
