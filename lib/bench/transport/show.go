package transport

import (
	"fmt"
	"slices"
	"time"
)

// MaxLate is the bound on the lateness of an emulator at its 99th percentile:
// beyond it a run is rejected.
const MaxLate = time.Millisecond

// A Column is one number of every result, for people.
type Column struct {
	Title string
	Show  func(*Result) string
}

// What says in a line what a plan measures.
func (p *Plan) What() string {
	runs := fmt.Sprintf("median of %d", p.Runs)
	if p.Runs == 1 {
		runs = "one run"
	}
	switch p.Workload {
	case Cold:
		s := fmt.Sprintf("cold: from the dial to the last byte of %s", bytesText(int(p.Size)))
		if limit := p.Link.Limit(p.Size); limit > 0 {
			s += ", of which physics wants " + durationText(limit)
		}
		return s + "; " + runs
	case Bulk:
		flows := ""
		if p.Parallel > 1 {
			flows = fmt.Sprintf(" over %d flows", p.Parallel)
		}
		return fmt.Sprintf("bulk: what gets through in %s%s, the start included; %s", durationText(p.Duration), flows, runs)
	case Live:
		return fmt.Sprintf("live: messages of %d bytes at %s for %s, which have %s from write to read; %s", messageBytes, rateText(p.Bitrate), durationText(p.Duration), durationText(p.Latency), runs)
	case Fair:
		if p.Others == 0 {
			return fmt.Sprintf("fair: %d flows of one transport for %s; %s", p.Flows, durationText(p.Duration), runs)
		}
		return fmt.Sprintf("fair: %d against %d × %s for %s; %s", p.Flows, p.Others, p.Against, durationText(p.Duration), runs)
	case CPU:
		return fmt.Sprintf("cpu: both ends of %s for %s; %s", rateText(p.Bitrate), durationText(p.Duration), runs)
	}
	return fmt.Sprintf("loopback: what this machine can do in %s, both ends in one process; %s", durationText(p.Duration), runs)
}

// Columns are the numbers that a workload has.
func Columns(p *Plan) []Column {
	ms := func(m func(*Result) Median, digits int) func(*Result) string { return shown(m, 1, digits, " ms") }
	percent := func(m func(*Result) Median, digits int) func(*Result) string { return shown(m, 100, digits, " %") }
	goodput := Column{"goodput", shown(func(r *Result) Median { return r.Goodput }, 1e-6, 2, " Mbit/s")}
	queue := Column{"queue p95", bare(func(r *Result) Median { return r.QueueP95MS }, 1, 1, " ms")}
	drops := Column{"drops", bare(func(r *Result) Median { return r.Drops }, 100, 2, " %")}
	again := Column{"sent again", bare(func(r *Result) Median { return r.Repeated }, 100, 2, " %")}
	cpu := Column{"CPU", shown(func(r *Result) Median { return r.CPUPerGB }, 1, 2, " s/GB")}
	used := Column{"of link", bare(func(r *Result) Median { return r.Utilisation }, 100, 1, " %")}
	var all []Column
	switch p.Workload {
	case Cold:
		all = []Column{
			{"last byte", ms(func(r *Result) Median { return r.ElapsedMS }, 0)},
			{"of limit", bare(func(r *Result) Median { return r.LimitRatio }, 1, 2, "×")},
			{"first byte", bare(func(r *Result) Median { return r.FirstMS }, 1, 0, " ms")},
			queue, drops,
		}
	case Bulk:
		all = []Column{goodput, used, queue, drops, again}
		if p.Link.Kind == TUN {
			all = append(all, cpu)
		}
	case Live:
		all = []Column{
			{"latency p50", bare(func(r *Result) Median { return r.LatencyP50MS }, 1, 1, " ms")},
			{"latency p99", ms(func(r *Result) Median { return r.LatencyP99MS }, 1)},
			{"delivered", percent(func(r *Result) Median { return r.Delivered }, 3)},
			queue, drops, again,
		}
	case Fair:
		all = []Column{{"Jain", shown(func(r *Result) Median { return r.Jain }, 1, 3, "")}}
		if p.Others > 0 {
			all = append(all, Column{"share", percent(func(r *Result) Median { return r.Share }, 1)})
		}
		all = append(all, goodput, queue, drops)
	case CPU:
		all = []Column{cpu, goodput}
	case Loopback:
		all = []Column{goodput, cpu}
	}
	if p.Link.Limit(1) == 0 {
		all = slices.DeleteFunc(all, func(c Column) bool { return c.Title == "of limit" })
	}
	if p.Link.Rate == 0 {
		all = slices.DeleteFunc(all, func(c Column) bool {
			return c.Title == queue.Title || c.Title == drops.Title || c.Title == used.Title
		})
	}
	if p.Link.Emulated() {
		all = append(all, Column{"rejected", func(r *Result) string {
			if r.Skipped != nil {
				return ""
			}
			return fmt.Sprintf("%d of %d", r.Rejected, r.Rejected+len(r.Samples))
		}})
	}
	return all
}

// shown is the median, and behind it the interval.
func shown(m func(*Result) Median, times float64, digits int, unit string) func(*Result) string {
	return func(r *Result) string {
		v := m(r)
		switch {
		case v.N == 0:
			return ""
		case v.N == 1:
			return fmt.Sprintf("%.*f%s", digits, v.Value*times, unit)
		}
		return fmt.Sprintf("%.*f [%.*f, %.*f]%s", digits, v.Value*times, digits, v.Low*times, digits, v.High*times, unit)
	}
}

// bare is the median alone.
func bare(m func(*Result) Median, times float64, digits int, unit string) func(*Result) string {
	return func(r *Result) string {
		v := m(r)
		if v.N == 0 {
			return ""
		}
		return fmt.Sprintf("%.*f%s", digits, v.Value*times, unit)
	}
}

// Note says what is wrong with a result, or nothing.
func (r *Result) Note() string {
	switch {
	case r.Skipped != nil:
		return "skipped: " + r.Skipped.Error()
	case len(r.Samples) == 0 && r.Rejected > 0:
		return fmt.Sprintf("no run counts: the emulator was up to %.1f ms late at p99, of %v that it may", r.LateWorst.Seconds()*1000, MaxLate)
	case r.Failed > 0:
		return fmt.Sprintf("%d of %d runs failed: %v", r.Failed, len(r.Samples), r.Failure)
	}
	return ""
}

// A Definition says what a number means.
type Definition struct{ Title, Name, Words string }

// Definitions are the numbers, by the names of JSON Lines.
var Definitions = []Definition{
	{"last byte", "median_ms", "Time from the dial to the last byte of a cold object, every byte of which was checked. A run that does not end within the timeout counts as the timeout."},
	{"of limit", "limit_ratio", "That time over the physical limit: one round trip, and the object at the rate of the link with 3.3 % for headers. A transport that needs a handshake first cannot reach 1."},
	{"goodput", "goodput_bps", "Bits of the application that came, over the whole run, the start included."},
	{"of link", "utilisation_ratio", "Goodput over what the link carries in that time, headers included: 100 % cannot be reached."},
	{"queue p95", "queue_p95_ms", "The wait in the bottleneck's queue that 95 % of the packets did not exceed, in the direction of the data. The emulator's word."},
	{"drops", "drop_ratio", "Packets that the queue dropped, of those that came to it. Random loss is not in it. The emulator's word."},
	{"sent again", "repeated_ratio", "Bytes that were sent before, of all that the transport sent, by its own word: reasonable up to what was lost."},
	{"CPU", "cpu_s_per_gb", "Seconds of CPU, user and system, of both ends for 10^9 bytes of the application; what the measuring itself costs, some 0.1, is in it."},
	{"Jain", "jain", "Jain's index of the goodput of all flows, the first sixth of the time not counted: 1 if all got alike, 1/n if one got all."},
	{"share", "share_ratio", "The part of the goodput of all flows that the transport's own flows got, the first sixth of the time not counted."},
	{"latency p99", "latency_p99_ms", "Time from the write of a live message to its read, which 99 % of those that were delivered did not exceed."},
	{"delivered", "delivered_ratio", "Live messages that were read, of those that were written."},
	{"rejected", "rejected_runs", "Runs in which the emulator was more than 1 ms late at its 99th percentile, or lost a packet itself. They do not count and were repeated, up to a bound."},
}
