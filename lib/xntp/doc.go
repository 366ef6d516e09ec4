// Package xntp is XNTP, the transport between peers: encrypted connections over
// UDP that carry objects with a class, a priority and a deadline.
//
// An Endpoint is one machine.Machine for all connections of a node. It runs on
// sockets and on virtual links alike. Commands (Dial, Send, Cancel, Close) go in;
// events come out of NextEvent.
//
// This comment, with the grammar in package wire, is the specification: it is
// meant to be enough for a second implementation. testdata/vectors.txt has what a
// handshake, packets, a key update, a cookie, a reset, parity and frames must come to.
//
// # Handshake
//
//	initiator                                          responder
//	    │  Initial: Noise IK message 1 (params, early)      │
//	    ├──────────────────────────────────────────────────►│  under load, and the
//	    │                                 Retry: a cookie   │  address not proved:
//	    │◄ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─┤  nothing is stored
//	    │  Initial: the same with the cookie                │
//	    ├ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─►│
//	    │               Response: Noise message 2 (params)  │
//	    │◄──────────────────────────────────────────────────┤
//	    │             data, at most 3 × what came           │
//	    │◄──────────────────────────────────────────────────┤
//	    │  data                                             │
//	    ├──────────────────────────────────────────────────►│  confirmed
//
// The Noise protocol is Noise_IK_25519_ChaChaPoly_BLAKE2s. Its prologue is the
// four bytes "xntp", the version (32 bits) and the initiator's connection ID.
// The initiator knows the responder's static key beforehand, from the tracker.
// Cookie and address token stand outside of Noise and prove themselves. The
// payloads are parameters. Message 2 takes one of the ciphers that message 1
// offers, AES-128-GCM if there is no reason against it. Each end obeys the other's
// parameters from its first packet on.
//
// The early request may be a replay and must be idempotent. A responder keeps the
// ephemeral keys of the last 4096 handshakes: a repeated Initial gets the same
// Response again while the handshake is under way, and is dropped after. A
// responder without keys never answers: an Initial that does not open is dropped.
//
// The initiator repeats its Initial after 250 ms, 500 ms and then each second, and
// gives up after 10 s. The responder repeats its Response only when an Initial is
// repeated. The responder holds the connection confirmed, and the address of the
// Initial proved, when the first data packet opens; the initiator, that must have
// something to say for this, sends PING if it has nothing else.
//
// An initiator obeys one Retry for each dial. A cookie is the responder's own
// affair; here it is a byte of the 15 s epoch and BLAKE2s-128, keyed with a
// secret of the endpoint, over epoch, socket, address, port and connection ID.
// Cookies are asked for when half of MaxHalf connections are half-open or when
// handshakes without proof come faster than 256 a second.
//
// To an Initial of another version the answer is Versions. An initiator believes
// it if its own version is not in it, and gives up.
//
// Simultaneous open. When an Initial arrives from a peer that is being dialed, the
// static keys are compared as byte strings. The lower key's owner does not answer:
// it notes the early request and sends its own Initial again at once, to the
// address the other came from as well. The higher key's owner turns its dial into
// the responder's side. One connection results. If a Response to the dial that
// yielded comes, it is kept and taken after a second without confirmation: the
// other's Initial was a replay then.
//
// Where two connections with one peer become open all the same, both ends leave
// one: if they were dialed from different ends and opened within 3 s, the one
// that the lower key dialed, else the newer. An initiator never confirms a dial
// that it has given up, so several dials to several addresses of one peer can
// race.
//
// # Keys
//
// Noise ends with two 32-byte keys, the first for packets from the initiator. Each
// is the first secret of its direction. With HKDF-Expand (RFC 5869, BLAKE2s) a
// secret gives
//
//	"xntp key"  the AEAD's key: 16 bytes for AES-128-GCM, 32 for ChaCha20-Poly1305
//	"xntp iv"   12 bytes; the nonce is iv XOR packet number (in the last 8 bytes)
//	"xntp hp"   16 bytes, the header key; of the first secret only
//	"xntp ku"   32 bytes, the secret of the next key phase
//
// Key update is that of RFC 9001 §6: either end begins by toggling the phase bit,
// the other follows with its next packet; nobody begins again before a packet of
// the current phase was acknowledged. Packets with lower numbers than any of the
// current phase are tried with the key before, which is forgotten three probe
// timeouts after the first packet of the current phase; others of the other phase
// with the next key, which is made beforehand, and only one that opens begins that
// phase. Keys last 2^24 packets or 10 minutes, whoever began them. A connection to
// which 2^36 packets came that did not open is closed.
//
// # Packets
//
// Packet numbers begin at 0 in each direction and only grow; a number is never
// used twice and a packet is never sent again, only frames are. So acknowledgements
// are never ambiguous. A receiver drops what it has seen; of numbers more than 64
// gaps back it takes all as seen.
//
// Connection IDs have 32 bits, chosen at random by the one who receives them. A
// connection is found by its ID alone, never by its address.
//
// A packet is ack-eliciting if it holds anything but PADDING, ACK and CLOSE. It
// is acknowledged at once if it is out of order or one of the two behind such a
// one, carries a CE mark, or completes an object of class deadline or one that
// came in several packets; else after 32 packets (2 during the first 64). If twelve
// wait or more, they do so for RTT/8 since the first of them; if fewer, for RTT/2
// since the last, but not longer than RTT/2 since the first; each time is at least
// 1 ms. No more than 25 ms pass after the last packet: the peer's probe timeout
// counts on that. With a packet that leaves for another reason
// an ACK goes along whenever one is owed.
//
// An ACK has the 32 highest ranges, the receive times (the kernel's, where known)
// of numbers not stamped before, and, if what came was marked for ECN, the count
// of CE marks. Ranges that were told for three probe timeouts may be left out: a
// sender has sent again by then what is missing between them. Data packets are
// sent with ECT(0) until it turns out that marks are not reported.
//
// # Loss
//
// RFC 9002 §6, in one packet number space. The packet threshold begins at 3, the
// time threshold at 9/8. When a packet that was taken for lost is acknowledged
// after all, the packet threshold becomes what would have sufficed (at most 256)
// and the time threshold grows by an eighth (at most 2); when all packets of the
// latest reduction have turned up, the controller takes it back.
//
// Parity. Where sending again comes too late, packets are made blocks of: each has
// SHARD in front of its frames, behind ACK and RECOVERED, and behind the last leave
// PARITY frames, each in a packet of its own, paced and congestion controlled as all.
// An end that may do so has the parameter from the other. Three cases:
//
//	the object has a deadline in less than three round trips
//	all that there is to send leaves within 1.25 round trips, and nothing was added
//	    for half a round trip, or the first of it not longer than one ago; while the
//	    fate of fewer than 128 packets is known, and 80 wait, 2.5 round trips
//	what is sent first of all, if it is all there is: at most 80 packets
//
// In the first two packets must have been lost lately, but for those 128 of the second;
// or, in the first, there is less time than 1.75 round trips, so that nothing can be sent
// again, and the fate of fewer than 128 packets is known. Where a round trip takes 2 ms at
// most, there is only the first case. A block ends with its 128th packet, after a quarter of a
// round trip, or, if its objects have no deadlines, when there is nothing more to send;
// where nothing can be sent again after 0.65 of the time that there is beside half a
// round trip, and at the latest after half a round trip. How much parity it gets is its
// sender's affair: here as much as makes good what is lost of it and 2.8 deviations
// more, at most a quarter; where nothing can be sent again as much as leaves six lost
// packets of ten thousand; of a first flight two packets, one below 16, none below 6;
// and none where the time that it takes on the link is more than the round trip times the
// chance of a loss.
//
// A receiver keeps the packets of three blocks. When it has as many shards and PARITY
// frames as the block has shards, it reads the frames of those that lack as if they had
// come by where the last came from. It does not acknowledge their packets, so
// that congestion control sees the loss; it names them in RECOVERED, in front of an ACK
// that leaves at once, and once only. For its sender, the frames are delivered then. A
// sender does not send again what is lost of a block before a packet that left behind
// the block's last was acknowledged, or that is 9/8 of a round trip ago.
//
// The probe timeout is RFC 9002's and doubles up to 3 s. A probe repeats the
// frames of the packet in flight with the most urgent object (best effort is not
// repeated), or is a PING. A
// connection ends when nothing was acknowledged for 15 s and at least seven
// timeouts.
//
// All data is paced (pacerState). The controller is XNTP's own model of the path
// (congestion.Model) unless Config says otherwise.
//
// # Start
//
// What is sent first is a measurement: a train of 16 packets at one moment, whose
// spacing at the receiver is the capacity of the narrowest link, and behind it a
// chirp of at most 32, closer and closer, which finds out whether others are on it,
// and 32 more at the pace that it ended with.
// So the stamps in the first acknowledgements, one for two packets, are part of
// the protocol. Ends that know their access links (Downlink in the parameters) start
// at 0.99 of the narrower at once. Who knows only one of them, or what it
// sent to that network (a /24, a /48 of IPv6) by that socket when a connection ended in
// the last five minutes, starts at half of the least of these, and has no more in
// flight than it brings in the round trip of that time (RFC 9959); if the round trip
// is known to be less than half of that, or more than twice, it forgets it. Several
// connections that are sending share what is known.
//
// An initiator without an address token may send its Initial up to 64 times at one
// moment, to earn room for such an answer, and says how often (Flight in the
// parameters); the Response to those that come within 125 ms of each other is one. What
// is to follow it waits, for 10 ms at most, until a train is earned: one that leaves bit
// by bit measures nothing. And these Initials are a train themselves: half of the rate
// at which they came through is what the answer begins with if nothing else is known,
// if that is more than the chirp, and 64 Mbit/s at most; it goes on at that rate for a
// round trip, 100 ms at most. A responder that has sent eight packets or more behind its Response
// repeats that when the first flight has left, or 64 packets of it. An initiator keeps
// 192 data packets that come before a Response.
//
// # Objects
//
// An object is a message: class, priority (0 is the most urgent), size, deadline.
// Ids count up from 0 in each direction. Objects leave by priority, then earliest
// deadline, then id; a datagram is filled with as many as fit.
//
//	reliable     sent until acknowledged; a deadline only orders it
//	deadline     not sent, and not sent again, when less than half of the
//	             shortest round trip is left; then EXPIRED
//	best effort  sent once; if a part is lost, EXPIRED
//
// OPEN stands before the first OBJ of its object, in the same packet, and is sent
// again if that packet was lost. An OBJ may come before it, then; its receiver
// keeps the part and charges the sender with where it ends, and 64 bytes, which
// is never more than the sender has charged itself with. It hands out nothing
// before OPEN has come. No part of an object but its last, and the rest of one
// that was lost, is shorter than 64 bytes: who leaves more than 4096 gaps in an
// object, or more than 64 and one for each 64 bytes of it, or 8192 among the ids of
// finished objects, is closed. A size in OPEN that is less than where a part ended,
// or other than where the end bit said, is a violation.
//
// A sender that gives an object up sends EXPIRED, or CANCEL if its owner asked,
// until acknowledged, also for objects of which nothing was sent: every id is
// either completed or given up. The receiver forgets the parts.
//
// Flow control is per connection. An object is charged with its size and 64 bytes
// more when OPEN is first sent, and an endless one with 64 and then with each
// byte that extends it. EXPIRED and CANCEL name what was charged, zero if nothing.
// The sum must not exceed the limit that the peer announced first as a parameter
// and then in WINDOW frames. Because an object is charged in full at the
// beginning, what has begun can always end, and a receiver may set its memory
// aside at once. A receiver returns the charge when its owner takes the object,
// and announces a new limit when a quarter of the window has come free.
//
// An endless object is an ordered stream of bytes: reliable, without a size, ended
// by the OBJ with the end bit, which may be empty.
//
// # Addresses
//
// Until an address is proved, no more than three times the bytes that came from it
// are sent to it (RFC 9000 §8). A responder takes it for proved by a valid cookie,
// by an address token (Config.VerifyToken) or by the first data packet that opens.
//
// A path is a socket of ours and an address of the peer. One is in use. A packet is
// about paths if it holds CHALLENGE or RESPONSE and beside them nothing but PADDING
// and ACK. When any other packet that opens, with the highest number so far, comes
// by another path, that is sent a CHALLENGE, in a datagram of 1200 bytes if three
// times what came by it allows, with an ACK behind it, again after each probe
// timeout, five times. The other end answers with RESPONSE and the same 64 bits to
// the address that the challenge came from, padded as the challenge was. Only then
// does the connection move there. Until then everything goes where it went; beside
// it the frames of the oldest packets in flight are sent by the new path as well, in
// packets of at most 1200 bytes, as far as three times what came by it allows.
// They are in flight from the move on. All else that is in flight then is sent
// again, and an ACK leaves at once. If packets of the highest number come by the
// path in use meanwhile, nobody has moved.
//
// An end whose address has changed, as far as it knows, sends PING with an ACK at
// once, and for each 3600 bytes that are missing of objects under way a packet of
// PING and PADDING with 1200 bytes, five at most: they earn what the other end may
// send before the new address is proved. It does the same when it hears nothing for
// a quarter of a round trip, or 10 ms, in the middle of an object: its NAT may have
// changed the address. That may be once for each 1.5 MB that it received.
//
// An end that would rather have another path sends CHALLENGE by it. The other
// answers with RESPONSE and a CHALLENGE of its own, in one packet, and stays where it
// is. The first moves when it has got its answer, the other when a packet that is not
// about paths comes by the path that it has proved. What is in flight is not sent
// again then; packets of the old path are lost only by age, and what still comes by it,
// for three probe timeouts, is no move.
//
// Round trip time and congestion control begin anew where IP address or socket
// differ (RFC 9000 §9.4).
//
// A connection that has sent nothing for 15 s, or up to an eighth less, sends
// PING. It ends after 30 s, or the
// smaller of both ends' parameters, without an authentic packet.
//
// # Path MTU
//
// Datagrams are counted by their UDP payload. Every path carries 1200 bytes.
// Packets begin with 1400, or what the peer takes, if that is less, and are sent
// unfragmented. Larger sizes are tried as RFC 8899 has it, up to 1472, 1452 on
// IPv6, and what both ends allow: by packets of PING and PADDING alone, which are
// no loss to anybody and do not count as in flight. The first has the greatest
// size; then the interval is halved until it has less than 16 bytes. A size does
// not pass when it was lost three times. Before each probe 256 KiB have left in
// full packets. The search begins anew after 10 minutes, if it ended below the
// greatest size, and on a path with another IP address.
//
// Where the round trip is at most 2 ms, 1472 or 1452 has passed, and 16 MiB have left
// in full packets, 8848 is tried too, once: a network with jumbo frames. Packets
// longer than 1472 are of no block that parity brings back.
//
// When three packets above 1200 bytes were lost and none with a higher number than
// theirs was acknowledged, packets fall back to 1200 bytes and the search begins
// anew. So that it is noticed, what leaves on a probe timeout has no more than
// 1200.
//
// Packets that leave at one moment may leave an end, and reach the other, as one
// (UDP_SEGMENT and UDP_GRO of Linux). They then have one stamp; so this end does it
// above 50 Mbit/s only, and not before the path is measured.
//
// # Close
//
// CLOSE ends a connection at once. Its sender answers what still arrives with
// CLOSE again, at the first, second, fourth, … packet, for three probe timeouts.
// Its receiver forgets the connection. Codes below 65536 are the owners'; above,
// they say how the protocol was broken:
//
//	65536  a malformed frame, or a packet without frames
//	65537  more was sent than the window allows
//	65538  an object that cannot be: unknown, too large, or inconsistent
//	65539  an acknowledgement of what was not sent
//	65540  not broken: another connection took this one's place
//	65541  not broken by us: too many packets were forged
//
// Stateless reset. Who gets a data packet for a connection ID that is none of its
// own, and has a private key, answers with what looks like a data packet and ends
// with sixteen bytes, the token: at most 43 bytes in all, the others random, and at
// least one byte less than what is answered; nothing if that would be less than 25.
// Each end tells the token for the connection ID at which it receives as a
// parameter. A datagram for no connection that ends with a peer's token, from the
// address that the peer is at, ends that connection. What a token is, is its
// owner's affair; here it is BLAKE2s-128, keyed with HKDF-Expand(private key,
// "xntp reset", 32), over the connection ID and the peer's IP address (16 bytes,
// IPv4 mapped to IPv6). So a node that was restarted with its key knows it, and a
// stranger who asks for it learns what is good for himself only.
//
// # Bounds
//
// Per connection: Window bytes of received objects, QueueBytes and QueueLen of
// objects to send, 64 ranges of received numbers, 8192 gaps among finished ids,
// 4096 parts of an object that wait for what is between them, three blocks of 128 packets
// and 32 PARITY frames, one path under validation. Per endpoint: MaxConns connections, MaxHalf of them half-open, 16 MiB
// of packets that are kept for their blocks or their keys, 64
// answers to strangers at a time, 64 resets a second, the latest 4096 handshakes and 256
// paths remembered, Trace records of a trace. At each other bound the newcomer is
// refused and nobody else suffers. A datagram that is not for us, or does not open, allocates nothing.
package xntp
