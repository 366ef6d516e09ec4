/*
Command xp2p-bench measures xp2p, and puts beside every value the bound that no
system can pass.

	xp2p-bench swarm --topology all --peers 1000 --seeds 10
	xp2p-bench swarm --scenario flash --peers 200 --html flash.html
	xp2p-bench scenarios steady >mine.json
	xp2p-bench swarm --scenario mine.json --json | jq 'select(.type == "swarm")'
	xp2p-bench transport --rate 20M --rtt 40ms --loss 1%
	xp2p-bench transport --link tun --workload fair --against tcp-bbr --queue 4bdp --html fair.html

Usage:

	xp2p-bench swarm [flags]
	xp2p-bench scenarios [flags] [NAME|FILE]
	xp2p-bench natlab [flags] classify [NETWORK…]
	xp2p-bench natlab [flags] matrix|home|punch
	xp2p-bench transport [flags]
	xp2p-bench serve [flags]
	xp2p-bench suite [flags]
	xp2p-bench many [flags]
	xp2p-bench abr [flags]

"swarm" plays a scenario with thousands of viewers in one process, without a
socket and under a clock of its own: every viewer is the code that xp2p-peer
runs. The same seed gives the same run, byte for byte; its trace hash says so.
Several topologies and seeds are several runs, and the report compares them: a
table, or with --json lines for programs.

"scenarios" lists the scenarios that are built in; with a name or a file it
prints one as JSON, with everything that it leaves to its defaults.

"transport" shows XNTP beside what people would use instead, over one link in one
run: a table, or with --json a line for each transport. "serve" is the other end
of "transport --to", on another machine. "suite" measures the table of targets,
and says of each whether it holds.

"natlab classify" builds networks with NATs and firewalls of every kind in
namespaces (root, Linux, nft), makes sure by plain datagrams that each does
what it claims, and lets xp2p-natprobe name it. The table says how often class,
mapping and filtering were right, and after what time. It ends with code 3 if
fewer than 99.5 % of the runs of a network were, or one was wrong. scripts/natlab
builds what it needs and runs it.

The other three put two networks into one lab, each kind beside each, 36 pairs, with
a seed in the open between them that is tracker, STUN server and relay. "natlab
matrix" has two viewers, xp2p-peer both, watch a live stream: a pair is good if each
wrote every byte once, if they are connected without a relay wherever nat.WayBetween
says that they can be, if the path that /stat names is what the packets went that
were counted between the two, and if the first byte came within two round trips and
150 ms of the tracker's answer. "natlab home" passes a file: xp2p-seed --tracker has
it in one network, xp2p-peer -o fetches it in the other, is killed at half of it and
goes on; its hash must be right. "natlab punch" counts tries, and times, of pairs that
are hard: a port-restricted cone and a symmetric NAT with random ports; two with
sequential ports and twenty foreign allocations a second behind each; kernels in which
a stranger's packet spoils a flow; and says what of rounds, sockets and probes the
tries took. All three write a line as soon as a pair is done, and a summary at the end,
or when they are interrupted; they end with code 3 if something is not good.

"abr" encodes one source as two renditions in ways that cover all pairs of
direction, GOP, B-frames of both, open and closed GOPs, frame rate of both, container,
codec, alignment and timescale, lets xp2p-abr switch between them at random moments,
and holds every picture against the source (ffmpeg). VLC and a headless Chromium
play a switch of each cell where they are installed. A switch is "SEEN" if ffmpeg warns, a picture is
missing, twice or out of time, sound and picture move by more than 1 ms against each other, or a
picture is more than 1 dB (PSNR) worse than the worse of the two renditions. "b"
marks bridges. It ends with code 3 if one was seen. A quarter of an hour on two
cores; --moments 1 is a third of it.

# Flags of abr

  - --program FILE: the xp2p-abr to measure; if not given, the one beside this program
  - --cells N: ways to make renditions, at least (default 40)
  - --moments N: random moments for each cell and mode (default 3)
  - --modes MODES: keyframe, now or both (default keyframe,now)
  - --jobs N: cells to run at a time (default 2)
  - --only WORDS: cells that have all of these words, such as hevc,open
  - --films DIR: keep the films for the next run
  - --mpegts FILE: mpegts.js, such as dist/mpegts.js of its npm package: then Chromium plays FLV, too
  - --seed N: of cells and moments (default 1)
  - --json: JSON Lines instead of the table

# Flags of natlab

  - --runs N: probes of each network (default 20), runs of each pair (1), or tries (100)
  - --pairs A/B: only these pairs, of pub, sfw, fc, rc, prc, seq, rand and blk; of punch prc/rand, seq/seq, clash/prc, clash/clash; may be given several times
  - --told: viewers of matrix do not find out about their NATs: each is told, by xp2p-natprobe --json URL | xp2p-peer --nat - URL
  - --size BYTES: of the file that home passes (default 200M)
  - --rtt TIME: round trip to the servers (default 50ms)
  - --loss SHARE: of packets lost each way, such as 0.05
  - --server seed|coturn|plain: whom xp2p-natprobe asks; plain is a seed with one address
  - --rivals: coturn's turnutils_natdiscovery and pion's stun-nat-behaviour in the same networks, where they are installed
  - --bin DIR: where xp2p-natprobe, xp2p-slice, xp2p-seed and xp2p-peer are; if not given, where this program is, or in PATH
  - --jobs N: networks, or pairs, at the same time (default the number of CPUs, 4 at most)
  - --json: JSON Lines instead of the table, each as soon as it is there

# Flags of swarm

  - --topology all|mesh|tree|balanced: who feeds whom; all compares the three
  - --peers N: how many viewers; 0, which is the default, is as many as the scenario says
  - --scenario NAME|FILE: what happens: one that is built in, a JSON file, or "-" for stdin (default steady)
  - --seed N: the first seed of all that is random (default 1)
  - --seeds N: how many seeds, one after another; 0, which is the default, is one, or three with --calibrate; from two on every value has an interval
  - --link flow|packet: the model of the links: bytes that share a rate, or every datagram in its queue
  - --json: JSON Lines instead of the table
  - --csv FILE: write the raw numbers, a row for each run
  - --html FILE: write a page with the table, pictures and definitions; it needs nothing from anywhere
  - --real: real processes on loopback instead of a simulation, 50 viewers unless --peers says otherwise; beside them plain HTTP viewers of the same seed
  - --calibrate: 30 real processes behind emulated links (root, Linux) beside the simulation of the same scenario over packets: do they agree within 5 % in share and 15 % in lag, over all seeds together? One seed draws one room, in which a few viewers decide. Where the machine was not in time for the processes they are measured again, up to four times.
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
	  "zone_streams": 0,                budget of each zone's border, in streams each way; 0: none
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

# Transports

Names for --only, in the order of reports. A transport that this machine or this
link cannot have is skipped, with the reason.

  - xntp: XNTP as peers use it, whatever its congestion control is
  - xntp-cubic, xntp-tfrc: XNTP under CUBIC, under TFRC
  - quic: quic-go with its defaults, and first windows of 4 MB
  - tcp-cubic, tcp-bbr: kernel TCP, not encrypted (Linux)
  - tls: TLS 1.3 over kernel TCP under CUBIC
  - srt: gosrt; it has live messages only, and is not encrypted
  - kcp: kcp-go in turbo mode (1, 10, 2, 1), windows of 2048 packets; neither congestion control nor cipher
  - utp: anacrolix/utp; neither LEDBAT nor cipher

Every byte that comes is checked. Connections are cold: no ticket, no earlier
visit. Both ends are in this process.

# Workloads

  - cold: from the dial to the last byte of an object of --size, which the dialed end sends
  - bulk: what gets through in --duration, over --parallel connections, the start included
  - live: messages of 1316 bytes at --bitrate, which have --latency from write to read (SRT's latency, XNTP's deadline); who has no messages cuts them out of its stream
  - fair: --fair N:M flows, N of each transport against M of --against; --fair N are N of one kind
  - cpu: what --bitrate costs both ends; without --link tun it is paced over loopback, since the relay of a udp link costs CPU in this process
  - loopback: what this machine can do, and what it costs; no link

# Links

A link has the same rate, queue and loss in both directions; the queue is
droptail, in bytes, and is simulated in virtual time, so that the rate is exact
however late the emulator wakes. Loss comes before the queue. The kind "udp" is a
relay between UDP sockets of this process and needs nothing; kernel TCP cannot
pass it. The kind "tun" is two network namespaces with a TUN device each (root,
Linux), where kernel TCP meets the same bottleneck. The emulator says how late
it wrote packets: a run with more than 1 ms at the 99th percentile, or in which it
lost a packet itself, is rejected and repeated, at most until three times --runs
were made.

# Flags of transport

  - --only NAMES: the transports, with commas between them (default all)
  - --workload cold|bulk|live|fair|cpu|loopback: what they do (default cold)
  - --link udp|tun: the kind of link (default udp)
  - --rate RATE: of the link, in IP packets (default 50M); 0 is unlimited
  - --rtt DURATION: the round trip without queues (default 40ms)
  - --rtt2 DURATION: that of the flows that --fair measures against, if it differs
  - --queue BYTES|Nbdp: of the queue: 64k, or times rate and round trip (default 1bdp), at least 16 packets
  - --loss SHARE: of packets lost at random, each way: 1% or 0.01
  - --burst-loss SHARE,LENGTH: of packets lost in bursts of so many on average: 1%,8
  - --jitter DURATION: added to the delay each way, evenly up to so much; order is kept
  - --step RATE@TIME,…: the rate from times on: 50M@0,10M@5s
  - --seed N: of loss and jitter (default 1); each run has the next
  - --size BYTES: of a cold object (default 1M)
  - -t, --duration DURATION: of every other workload (default 10s)
  - --bitrate RATE: of live messages, and of cpu (default 6M)
  - --latency DURATION: what live messages are given (default 120ms)
  - --hint RATE: what XNTP's ends know of their access links, as peers do, and a token that proves the address (default 0: neither; the request is then padded to earn its answer)
  - -P, --parallel N: connections at once, of bulk
  - --fair N:M: flows of the fair workload (default 1:1)
  - --against NAME: whom fair measures against (default tcp-cubic)
  - --runs N: runs of each transport that count (default 5)
  - --timeout DURATION: when a run is given up (default 1m); a cold object then counts with it
  - --to HOST:PORT: measure against "serve" there, over what lies between, instead of an emulated link: cold, or bulk, which this end sends; IPv4
  - -R, --reverse: with --to, the server sends
  - --json: JSON Lines instead of the table
  - --html FILE: write a page with the table and pictures: completion times, goodput and queue over time, fairness over time

# Flags of serve

  - --listen ADDR: where to serve (default :5202): one measurement after another, TCP and UDP at this port, and TCP at the next. Whoever reaches it may measure: it is no service to leave running

# Flags of suite

It needs root on Linux, and a machine that does nothing else: about an hour, or
ten minutes if quick.

  - --quick: one short run of each instead of medians of five
  - --rows N,…: only these rows of the table
  - --json: the results of all cells, and a line with type "row" for each row

# Flags of many

"many" is one XNTP endpoint with a thousand connections over loopback, each with
a key and a socket of its own at the other end, in the same process. It says how
late objects are (from when they are due until they are read), what an idle
connection holds, how often the endpoint wakes, and what is left of the
goodput while strangers flood it with Initials that open to nothing. A run does not
count in which a sleeping goroutine woke more than 10 ms late at the 99th
percentile; it is repeated.

  - --connections N: peers that are connected to it (default 1000)
  - --bitrate RATE: of each (default 1M)
  - --interval DURATION: between the objects of one connection (default 100ms)
  - -t, --duration DURATION: for how long, and under the flood once more (default 10s)
  - --flood N: Initials of strangers, sent within the duration; 0 is none (default 0)
  - --runs N: runs that count (default 1)
  - --json: JSON Lines, of type "many", instead of words

# What the numbers of a transport mean

  - last byte (median_ms): Time from the dial to the last byte of a cold
    object, every byte of which was checked. A run that does not end within
    the timeout counts as the timeout.
  - of limit (limit_ratio): That time over the physical limit: one round trip,
    and the object at the rate of the link with 3.3 % for headers. A transport
    that needs a handshake first cannot reach 1.
  - goodput (goodput_bps): Bits of the application that came, over the whole
    run, the start included.
  - of link (utilisation_ratio): Goodput over what the link carries in that
    time, headers included: 100 % cannot be reached.
  - queue p95 (queue_p95_ms): The wait in the bottleneck's queue that 95 % of
    the packets did not exceed, in the direction of the data. The emulator's
    word.
  - drops (drop_ratio): Packets that the queue dropped, of those that came to
    it. Random loss is not in it. The emulator's word.
  - sent again (repeated_ratio): Bytes that were sent before, of all that the
    transport sent, by its own word: reasonable up to what was lost.
  - CPU (cpu_s_per_gb): Seconds of CPU, user and system, of both ends for 10^9
    bytes of the application; what the measuring itself costs, some 0.1, is in
    it.
  - Jain (jain): Jain's index of the goodput of all flows, the first sixth of
    the time not counted: 1 if all got alike, 1/n if one got all.
  - share (share_ratio): The part of the goodput of all flows that the
    transport's own flows got, the first sixth of the time not counted.
  - latency p99 (latency_p99_ms): Time from the write of a live message to its
    read, which 99 % of those that were delivered did not exceed.
  - delivered (delivered_ratio): Live messages that were read, of those that
    were written.
  - rejected (rejected_runs): Runs in which the emulator was more than 1 ms
    late at its 99th percentile, or lost a packet itself. They do not count
    and were repeated, up to a bound.

"transport --json" writes a line with type "result" for each transport:
transport, workload, link, rate_bps, rtt_ms, queue_bytes, loss_ratio,
burst_loss_ratio, size_bytes or duration_s, bitrate_bps, flows, against and
against_flows as far as they apply; the measures above with median_ms_low and
median_ms_high, goodput_bps_low and goodput_bps_high, the ends of the interval that
holds the median with 95 % confidence (of five runs or fewer the least and the
most); first_byte_ms, limit_ms, latency_p50_ms; late_p50_ms and late_p99_ms, how
late the emulator was, and late_p99_worst_ms, rejected runs included; runs,
rejected_runs, failed_runs with failure, or skipped with the reason. What is not
known is absent.

# Exit status

	0    done
	1    failed
	2    wrong flags or arguments, or a scenario that does not exist
	3    a run failed, too many runs were rejected, or a row of the suite does not hold; the report is of the others
	4    bad data: a scenario that is wrong
	5    nobody serves where --to says
	130  interrupted by SIGINT, after reporting the runs that were done
	143  interrupted by SIGTERM, after reporting the runs that were done
*/
package main
