/*
Command xp2p-natprobe names the network that this machine is in: what kind of
NAT or firewall stands between it and the internet, and whom it can reach
directly.

	xp2p-natprobe stun.example.org
	xp2p-natprobe http://seed.example.org:8080/match
	xp2p-natprobe -q --stun stun.example.org
	xp2p-natprobe --json stun.example.org | jq .class

Usage:

	xp2p-natprobe [flags] [SERVER|URL…]

It asks STUN servers all its questions at once and is done in less than half a
second where UDP passes, in less than two where it is blocked. It needs no
rights, changes nothing, and leaves nothing behind.

# Servers

A SERVER is HOST or HOST:PORT (3478 if not given). The URL of a room stands for
the servers that its tracker names. What can be told depends on the server:

	two addresses, RFC 5780   everything (xp2p-seed with two --stun-listen, coturn)
	two seeds that know each  everything
	other by --stun
	one xp2p-seed             how ports are mapped if that differs by port; of the
	                          cones, whether it is port-restricted
	two plain servers         symmetric or not
	one plain server          the public address

What the servers cannot tell is not guessed: the report then names all the
classes that are left, and what would decide between them. An answer counts only
if it comes from the address that was asked for, so a server that ignores
CHANGE-REQUEST makes no full cone.

# Classes

	public                no NAT and no firewall
	udp-blocked           no UDP, but TCP
	symmetric-firewall    no NAT, but only answers come in
	full-cone             one outside address for everybody, and everybody may send to it
	restricted-cone       … and whom one has sent to, from any port
	port-restricted-cone  … and whom one has sent to, from that very port
	symmetric             another outside address for each destination
	offline               nothing at all

Beside the class stand the two behaviours of RFC 4787 that it follows from:
mapping and filtering, each endpoint-independent, address-dependent or
address-and-port-dependent.

# Flags

  - --stun SERVER: ask this server, as if it were an argument; may be given several times
  - --json: JSON Lines instead of text
  - --explain: show every question, what became of it, and what it proves
  - --watch: go on, and report again when the network changes; it is looked at
    each --every, and whenever the addresses of this machine change
  - --every TIME: with --watch
  - --lifetime: find out how long the NAT keeps a mapping without traffic, for a
    flow of one exchange and for one that was active; takes five minutes and
    an xp2p-seed as server
  - --mtu: find the largest packet that passes unfragmented
  - --plain: use nothing that only Linux has; what other systems do
  - -q, --quiet: one word: the class, or "inconclusive"

# JSON

The last line has type "nat"; what is unknown is absent:

	class             if only one is possible
	candidates        all that are possible
	mapping           endpoint-independent, address-dependent,
	filtering         address-and-port-dependent
	confidence        high, medium (seen through heavy loss, or UDP silence of a
	                  single server), low (several candidates)
	undecided         what would decide
	public_addrs      address and port as seen by the servers
	local_addrs       addresses of this machine
	translated        the servers see another address than this machine's
	port_preserving   the NAT keeps port numbers
	allocation        port-preserving, sequential, block or random; of a burst of
	                  ten sockets
	allocation_delta  of sequential: the step
	allocation_range  lowest and highest port of the burst
	allocation_block  of block: ports
	hairpin           inside hosts reach each other by their outside addresses
	cgnat             a carrier's NAT is on the way; cgnat_evidence says why
	gateway_addr      the router's outside address, if it says so (NAT-PMP; Linux)
	udp, tcp, ipv6    whether they work to these servers
	rtt_ms            to the nearest server; servers has all
	mtu_bytes         with --mtu
	lifetimes         with --lifetime: lived_s, died_s for traffic one-exchange and active
	took_ms           to the verdict

With --explain each question is a line of type "probe" before it, with --watch
each change is a line of type "nat".

# Exit status

	0    the network has been named
	1    failed
	2    wrong flags or arguments
	3    inconclusive: several classes are possible
	5    nobody answered, over UDP or TCP
	130  interrupted by SIGINT
	143  interrupted by SIGTERM
*/
package main
