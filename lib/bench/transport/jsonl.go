package transport

import (
	"encoding/json"
	"math"
)

// line is a Result for programs. What is not known is absent.
type line struct {
	Type      string  `json:"type"`
	Transport string  `json:"transport"`
	Workload  string  `json:"workload"`
	Link      string  `json:"link"`
	RateBPS   int64   `json:"rate_bps,omitempty"`
	RTTMS     float64 `json:"rtt_ms,omitempty"`
	QueueB    int     `json:"queue_bytes,omitempty"`
	Loss      float64 `json:"loss_ratio,omitempty"`
	BurstLoss float64 `json:"burst_loss_ratio,omitempty"`
	SizeBytes int64   `json:"size_bytes,omitempty"`
	DurationS float64 `json:"duration_s,omitempty"`
	BitrateB  int64   `json:"bitrate_bps,omitempty"`
	Flows     int     `json:"flows,omitempty"`
	Against   string  `json:"against,omitempty"`
	Others    int     `json:"against_flows,omitempty"`

	MedianMS    *float64 `json:"median_ms,omitempty"`
	LowMS       *float64 `json:"median_ms_low,omitempty"`
	HighMS      *float64 `json:"median_ms_high,omitempty"`
	FirstMS     *float64 `json:"first_byte_ms,omitempty"`
	LimitMS     *float64 `json:"limit_ms,omitempty"`
	LimitRatio  *float64 `json:"limit_ratio,omitempty"`
	Goodput     *float64 `json:"goodput_bps,omitempty"`
	GoodputLow  *float64 `json:"goodput_bps_low,omitempty"`
	GoodputHigh *float64 `json:"goodput_bps_high,omitempty"`
	Utilisation *float64 `json:"utilisation_ratio,omitempty"`
	QueueP95MS  *float64 `json:"queue_p95_ms,omitempty"`
	Drops       *float64 `json:"drop_ratio,omitempty"`
	Repeated    *float64 `json:"repeated_ratio,omitempty"`
	CPUPerGB    *float64 `json:"cpu_s_per_gb,omitempty"`
	Jain        *float64 `json:"jain,omitempty"`
	Share       *float64 `json:"share_ratio,omitempty"`
	LatencyP50  *float64 `json:"latency_p50_ms,omitempty"`
	LatencyP99  *float64 `json:"latency_p99_ms,omitempty"`
	Delivered   *float64 `json:"delivered_ratio,omitempty"`
	LateP50MS   *float64 `json:"late_p50_ms,omitempty"`
	LateP99MS   *float64 `json:"late_p99_ms,omitempty"`
	LateWorstMS *float64 `json:"late_p99_worst_ms,omitempty"`

	Runs     int    `json:"runs"`
	Rejected int    `json:"rejected_runs"`
	Failed   int    `json:"failed_runs"`
	Failure  string `json:"failure,omitempty"`
	Skipped  string `json:"skipped,omitempty"`
}

// AppendResult appends a result as a line of JSON with the type "result".
func AppendResult(b []byte, r *Result) []byte {
	p := r.Plan
	l := line{
		Type: "result", Transport: r.Transport, Workload: p.Workload, Link: p.Link.Kind, RateBPS: p.Link.Rate, RTTMS: p.Link.RTT.Seconds() * 1000,
		Loss: p.Link.Loss, BurstLoss: p.Link.BurstLoss, Runs: len(r.Samples), Rejected: r.Rejected, Failed: r.Failed,
	}
	if p.Link.Rate > 0 {
		l.QueueB = p.Link.QueueBytes()
	}
	switch p.Workload {
	case Cold:
		l.SizeBytes = p.Size
		if limit := p.Link.Limit(p.Size); limit > 0 {
			l.LimitMS = number(limit.Seconds()*1000, 3)
		}
	case Fair:
		l.Flows, l.Others = p.Flows, p.Others
		if p.Others > 0 {
			l.Against = p.Against
		}
	case Live, CPU:
		l.BitrateB = p.Bitrate
	}
	if p.Workload != Cold {
		l.DurationS = p.Duration.Seconds()
	}
	if r.LateWorst > 0 {
		l.LateWorstMS = number(r.LateWorst.Seconds()*1000, 3)
	}
	if r.Failure != nil {
		l.Failure = r.Failure.Error()
	}
	if r.Skipped != nil {
		l.Skipped = r.Skipped.Error()
	}
	for _, v := range []struct {
		m             Median
		to, low, high **float64
		digits        int
	}{
		{r.ElapsedMS, &l.MedianMS, &l.LowMS, &l.HighMS, 3},
		{r.FirstMS, &l.FirstMS, nil, nil, 3},
		{r.LimitRatio, &l.LimitRatio, nil, nil, 4},
		{r.Goodput, &l.Goodput, &l.GoodputLow, &l.GoodputHigh, 0},
		{r.Utilisation, &l.Utilisation, nil, nil, 4},
		{r.QueueP95MS, &l.QueueP95MS, nil, nil, 3},
		{r.Drops, &l.Drops, nil, nil, 6},
		{r.Repeated, &l.Repeated, nil, nil, 6},
		{r.CPUPerGB, &l.CPUPerGB, nil, nil, 3},
		{r.Jain, &l.Jain, nil, nil, 4},
		{r.Share, &l.Share, nil, nil, 4},
		{r.LatencyP50MS, &l.LatencyP50, nil, nil, 3},
		{r.LatencyP99MS, &l.LatencyP99, nil, nil, 3},
		{r.Delivered, &l.Delivered, nil, nil, 6},
		{r.LateP50MS, &l.LateP50MS, nil, nil, 3},
		{r.LateP99MS, &l.LateP99MS, nil, nil, 3},
	} {
		if v.m.N == 0 {
			continue
		}
		*v.to = number(v.m.Value, v.digits)
		if v.low != nil && v.m.N > 1 {
			*v.low, *v.high = number(v.m.Low, v.digits), number(v.m.High, v.digits)
		}
	}
	text, err := json.Marshal(l)
	if err != nil {
		panic("BUG: a result without a JSON: " + err.Error())
	}
	return append(append(b, text...), '\n')
}

func number(v float64, digits int) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	scale := math.Pow10(digits)
	v = math.Round(v*scale) / scale
	return &v
}
