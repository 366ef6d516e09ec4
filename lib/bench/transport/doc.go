// Package transport measures the transports of package rival on one link in one
// run: how long a cold object takes, how much gets through, how late live
// messages are, who gets which share, and what it costs.
//
// A Plan says what is measured; Do carries it out, every transport once and then
// all of them again, so that all meet the same hour of the machine. One run is a
// Sample, the runs of one transport a Result: medians, with the interval that
// holds the median of all runs there could be. Bytes, drops and queues of the
// bottleneck are the emulator's word, never a transport's. A run in which the
// emulator was not on time is rejected and repeated, a bounded number of times.
//
// A link is of the kind "tun" (package netlab: root, Linux), "udp" (package
// udplink) or "none", which is loopback itself. Between two machines Serve and
// Remote do without one. JSON Lines (AppendResult), the page (WriteHTML) and the
// suite (Rows) read Results, and so does the table of xp2p-bench.
package transport
