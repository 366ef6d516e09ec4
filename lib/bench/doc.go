// Package bench holds what xp2p-bench measures with: scenarios as data, the
// runs that carry them out, and reports with every value beside its bound.
//
// A Scenario is a JSON file; a Sweep plays it in several topologies and seeds,
// each by a Runner, and gives a Run for each; Summarize puts the runs of a
// topology together. Measures is the one list of what is reported: the table,
// JSON Lines (AppendRun, AppendSummary), CSV and the page of WriteHTML read it,
// and so does the manual's test.
//
// All this is about swarms. Transports are measured by package transport below,
// with the rivals of package rival; pages of both are drawn by package chart.
package bench
