/*
Command xp2p-bench measures xp2p, and puts beside every value the bound that no
system can pass.

	xp2p-bench swarm --topology all --peers 1000 --seeds 10
	xp2p-bench swarm --scenario flash --peers 200 --html flash.html
	xp2p-bench scenarios steady >mine.json
	xp2p-bench swarm --scenario mine.json --json | jq 'select(.type == "swarm")'

Usage:

	xp2p-bench swarm [flags]
	xp2p-bench scenarios [flags] [NAME|FILE]
	xp2p-bench natlab [flags] classify [NETWORK…]

"swarm" plays a scenario with thousands of viewers in one process, without a
socket and under a clock of its own: every viewer is the code that xp2p-peer
runs. The same seed gives the same run, byte for byte; its trace hash says so.
Several topologies and seeds are several runs, and the report compares them: a
table, or with --json lines for programs.

"scenarios" lists the scenarios that are built in; with a name or a file it
prints one as JSON, with everything that it leaves to its defaults.

"natlab classify" builds networks with NATs and firewalls of every kind in
namespaces (root, Linux, nft), makes sure by plain datagrams that each does
what it claims, and lets xp2p-natprobe name it. The table says how often class,
mapping and filtering were right, and after what time. It ends with code 3 if
fewer than 99.5 % of the runs of a network were, or one was wrong. scripts/natlab
builds what it needs and runs it.

# Flags of natlab

  - --runs N: probes of each network (default 20)
  - --rtt TIME: round trip to the servers (default 50ms)
  - --loss SHARE: of packets lost each way, such as 0.05
  - --server seed|coturn|plain: whom xp2p-natprobe asks; plain is a seed with one address
  - --rivals: coturn's turnutils_natdiscovery and pion's stun-nat-behaviour in the same networks, where they are installed
  - --bin DIR: where xp2p-natprobe and xp2p-seed are; if not given, where this program is, or in PATH
  - --jobs N: networks at the same time (default half the CPUs)
  - --json: JSON Lines instead of the table

# Flags of swarm

  - --topology all|mesh|tree|balanced: who feeds whom; all compares the three
  - --peers N: how many viewers; 0, which is the default, is as many as the scenario says
  - --scenario NAME|FILE: what happens: one that is built in, a JSON file, or "-" for stdin (default steady)
  - --seed N: the first seed of all that is random (default 1)
  - --seeds N: how many seeds, one after another (default 1); from two on every value has an interval
  - --link flow|packet: the model of the links: bytes that share a rate, or every datagram in its queue
  - --json: JSON Lines instead of the table
  - --csv FILE: write the raw numbers, a row for each run
  - --html FILE: write a page with the table, pictures and definitions; it needs nothing from anywhere
  - --real: real processes on loopback instead of a simulation, 50 viewers unless --peers says otherwise; beside them plain HTTP viewers of the same seed
  - --calibrate: 30 real processes behind emulated links (root, Linux) beside the simulation of the same scenario over packets: do they agree within 5 % in share and 15 % in lag?
  - --bin DIR: where xp2p-slice, xp2p-seed and xp2p-peer are; if not given, where this program is, or in PATH
  - --jobs N: runs at the same time; 0, which is the default, is one for each CPU

Files appear when all runs are done. A sweep that is interrupted, or ends because
a run fails, reports the runs that were done.

# Scenarios

A scenario is an object in a JSON file. All of its fields may be left out:

	{
	  "name": "mine", "about": "What it is good for.",
	  "peers": 1000,                    viewers
	  "seconds": 120,                   of the broadcast
	  "rate_bps": 2000000,              of the stream
	  "gop_ms": 2000,                   from keyframe to keyframe
	  "key_factor": 8,                  size of a keyframe over that of the mean frame
	  "join": {"kind": "ramp", "over_s": 20},
	  "session": {"kind": "stay"},
	  "uplinks": [{"weight": 1, "low": 1, "high": 3}],
	  "downlink": 20,                   times the bitrate
	  "rtt_ms": [20, 120],              between viewers, evenly drawn
	  "loss": 0,                        share of datagrams; only on packet links
	  "server_streams": 20,             uplink of origin and seed together; negative: unbounded
	  "zones": 1,                       providers of equal size, the seed in the first
	  "cross_rtt_ms": 0,                more between zones
	  "unconnectable": 0,               share of pairs that cannot connect
	  "polluters": 0,                   share of viewers who change every hundredth piece that they send
	  "slow": 0,                        viewers whose uplink is ten times slower than they say
	  "no_upload": 0,                   share of viewers who give nothing
	  "events": []
	}

Viewers come by join: "ramp" evenly over over_s; "flash" as first (10) from the
start and all others from at_s (20) on over over_s (10); "poisson" one after
another at random. They stay by session: "stay" to the end, "pareto" for mean_s
(60) on average with a tail of alpha (1.5). Each draws a class of uplinks by
weight and a place between low and high, in bitrates.

An event happens at_s: {"at_s": 60, "kind": "leave", "ratio": 0.5},
{"at_s": 40, "kind": "tracker_gone", "for_s": 60}, {"at_s": 40, "kind":
"origin_slow", "for_s": 30, "factor": 10}, {"at_s": 40, "kind": "origin_gone",
"for_s": 30}.

# What the numbers mean

Over several seeds a value is the mean of the runs, its interval is the 95 %
interval of Student's t, and its bound the mean of the runs' bounds. Payload is
what viewers got and did not have before, each byte once for each viewer.

  - peer share (peer_share_ratio): Payload that viewers got from other
    viewers, of all payload that they got, start-up included. Bound: the
    lesser of 1 - 1/N and what the viewers' uplinks carry over what all
    viewers need (Kumar, Liu and Ross).
  - offload (offload_ratio): One minus the payload that origin and seed sent
    over the payload that viewers got; what was sent in vain counts. Bound:
    that of the peer share: what peers cannot give, servers must.
  - continuity (continuity_ratio): Pieces that were there when the model
    player, which starts 1 s after its first whole keyframe, needed them, of
    all that it needed. Bound: all of them.
  - continuity, 0.4 s (continuity_400ms_ratio): Pieces that were there when a
    model player that starts 0.4 s after its first whole keyframe needed them,
    of all that it needed. Bound: all of them.
  - stalled (stall_ratio): Time for which pictures stood still in the model
    player, of all the time that it played or stood. Bound: none of it.
  - worst stall (worst_stall_ms): The longest time for which any one viewer's
    picture stood still at a stretch. Bound: none.
  - worst after event (worst_stall_after_event_ms): The longest time for which
    the picture of any one viewer, of those who were in when something
    happened and stay, stood still at a stretch from then on. Bound: none.
  - start-up p95 (startup_p95_ms): The time from joining to the first byte of
    the first keyframe, which 95 % of the viewers do not exceed, to within
    1/32.
  - added lag p50 (added_lag_p50_ms): How much later than from the origin
    alone a piece came, in half of all cases of a viewer and a piece, to
    within 1/32.
  - added lag p95 (added_lag_p95_ms): How much later than from the origin
    alone a piece came, in 95 % of all cases of a viewer and a piece, to
    within 1/32. Bound: the lag law d·log2(1/p)/m, with pieces of d seconds,
    uplinks of m bitrates and the share p of copies that servers gave; hop
    times come on top.
  - overhead (overhead_ratio): Bytes of messages, descriptors and handshakes
    between members, over the payload that viewers got. Bound: none of it.
  - overhead on wires (wire_overhead_ratio): Bytes in datagrams that were no
    payload of use (headers, acknowledgements, messages, what came twice),
    over the payload that came in datagrams, both counted once, where they
    were sent. Bound: none of it.
  - redundancy (redundancy_ratio): Payload that came although it was there
    already, over the payload that viewers got. Bound: none of it.
  - fairness of uploads (upload_jain): Jain's index of what viewers gave over
    what their uplinks carry: 1 if all gave alike, 1/N if one gave all. Bound:
    all alike.
  - between zones (inter_zone_bytes): Payload that crossed from one zone to
    another. Bound: one copy of the stream for each zone but the seed's.
  - sent by servers (server_egress_bytes): Payload that origin and seed sent.
    Bound: what peers cannot give, by the bound of the peer share.
  - refused (polluted_bytes): Payload that did not pass its check and was
    thrown away.
  - bad bytes played (played_bad_bytes): Bytes that a viewer put out and that
    were not the broadcaster's. Bound: none.
  - time of a run (wall_seconds): Time that a run took by the clock on the
    wall.
  - speed (realtime_ratio): Seconds of the stream over seconds by the clock on
    the wall.
  - memory (peak_rss_bytes): The most memory that the process held, together
    with the runs beside it; of several seeds the most.

# JSON

"swarm --json" writes a line with type "run" for each run as soon as it and all
before it are done: scenario, topology, peers, viewers_max (at one time), seed,
link, every measure by the name above with NAME_bound, and the counters behind
them: peer_bytes, seed_bytes, origin_bytes, uploaded_bytes, duplicate_bytes,
control_bytes, wire_bytes, stream_bytes, due_pieces, late_pieces,
missing_pieces, stalled_ms, played_ms, stream_seconds.

It ends with a line with type "swarm" for each topology: topology, scenario,
peers, seed, seeds, link, and of every measure NAME, NAME_bound, NAME_of_bound
(the value over its bound) and, with several seeds, NAME_low and NAME_high, the
ends of the interval. trace_hash is that of the run, and of several runs the
hash of theirs. What is not known is absent. The CSV file has the fields of the
"run" lines as columns.

# Exit status

	0    done
	1    failed
	2    wrong flags or arguments, or a scenario that does not exist
	3    a run failed; the report is of those before it
	4    bad data: a scenario that is wrong
	130  interrupted by SIGINT, after reporting the runs that were done
	143  interrupted by SIGTERM, after reporting the runs that were done
*/
package main
