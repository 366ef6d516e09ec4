// Package wire is the grammar of every message that xp2p sends: XNTP packets
// and frames, guarded STUN and address tokens, swarm messages, signalling. It
// knows bytes, not behaviour: nothing here has a state, a clock or a key
// schedule.
//
// Integers are big-endian; "varint" is the variable-length integer of RFC 9000
// §16. Everything appends to a caller's buffer and parses without copying, so
// parsed byte slices alias the input.
//
// # One socket
//
// The first byte of a datagram says whose it is (RFC 7983 and its spirit):
//
//	  0 …   3   STUN
//	  8,    9   Punch
//	 64 … 127   XNTP, data packet (short header)
//	192 … 255   XNTP, handshake packet (long header)
//	the rest    nobody's; dropped
//
// # Where there is no UDP
//
// The same datagrams go over TCP, each behind two bytes of its length (RFC 4571); one
// of no bytes means nothing. They begin
//
//   - on an HTTP connection that was upgraded (RFC 9110 §7.8) to xntp/1 by a GET of
//     the tcp URL of a room document's seed: behind the head of the 101;
//   - on a TCP connection between two peers, which either of them may have made:
//     behind the eight bytes "xntp/1\r\n", which both say first.
//
// Or they go through a TURN server (RFC 8656) of the room document. Neither way has
// ECN or fragments; a relay takes no datagram of more than 1400 bytes.
//
// # Where there is no origin
//
// A room that a seed at home has announced (SignalAnnounce) has no origin that HTTP
// reaches: at_home in its document. The origin's URLs are asked for over tunnels to that
// seed, HTTP/1.1 on two endless objects of XNTP (TunnelReader).
//
// # XNTP packets
//
// This part is the grammar; what the fields are for, and all behaviour, is in
// the documentation of package xntp. Together they are meant to be enough for a
// second implementation.
//
// A data packet:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-----------------------------------------------+
//	|0 1 K 0 0 0 L L|      receiver's connection ID (32 bits)       |
//	+-+-+-+-+-+-+-+-+-----------------------------------------------+
//	|               | packet number, low 8·(L+1) bits             … |
//	+---------------+-----------------------------------------------+
//	| sealed frames, then the AEAD's tag (128 bits)               … |
//	+---------------------------------------------------------------+
//
// K is the key phase. The whole packet number has 62 bits. Its low bytes are
// sent, L+1 of them: at least so many that they tell twice as many numbers apart
// as lie between it and the highest that the receiver has acknowledged
// (NumberLen). The receiver takes the number nearest to that which follows the
// highest it has (ExpandNumber).
//
// The six low bits of the first byte and the packet number are protected: the
// first is combined by exclusive or with the first byte of AES-128(header key,
// sample), the number with those that follow. The sample is the sixteen bytes
// that begin four bytes behind the connection ID. So that there is one, number
// and frames have four bytes together at least; what lacks is PADDING. The zero
// bits are sent as zero and not looked at. The header, unprotected, is the
// AEAD's additional data. There is at least one frame. The shortest data packet
// has 25 bytes.
//
// Handshake packets, one in a datagram:
//
//	Initial    0xc0  version(4)  Src(4)  cookie(1+n)  token(1+n)  noise(2+n)  padding
//	Response   0xd0  version(4)  Dst(4)  noise(2+n)  padding
//	Retry      0xe0  version(4)  Dst(4)  cookie(1+n)
//	Versions   0xf0  0(4)        Dst(4)  count(1)  version(4) …
//
// "(1+n)" is a byte of length and that many bytes, "(2+n)" has two bytes of
// length. Src is the connection ID at which the initiator wants to receive, Dst
// the same one in what is sent to it. Initial and Response are padded with zeros
// to 1200 bytes (HandshakeLen). A cookie has at most 64 bytes, a token 255, a
// Noise message 1180. The low four bits of the first byte are zero.
//
// Of every version, these never change: the first byte's two high bits and
// type, the place of the version, Src in an Initial, the whole of Versions, and
// that Initials have 1200 bytes. This package describes version 1.
//
// The payloads of the Noise messages are lists of parameters (Params): id
// varint, length varint, value; unknown ids are skipped.
//
//	1  window      varint: bytes of objects that may be sent to me (see WINDOW)
//	2  max object  varint: size of the largest object I take
//	3  idle        varint, ms: silence after which I forget the connection
//	4  ciphers     varint, bits: 1 AES-128-GCM, 2 ChaCha20-Poly1305; message 1
//	               offers, message 2 has exactly one bit
//	5  MTU         varint: largest datagram I take
//	6  early       message 1 only, at most 1000 bytes: an idempotent request
//	7  CID         message 2 only, 4 bytes: where the responder wants to receive
//	9  reset       16 bytes: a stateless reset ends with them
//	10 parity      varint, 1: I understand SHARD, PARITY and RECOVERED
//
// # XNTP frames
//
// A frame is a type (varint) and its fields; numbers are varints unless a width
// is given.
//
//	0x00  PADDING
//	0x01  PING
//	0x02  ACK        largest, delay in 4 µs, n, first length,
//	                 n × (gap, length), s, stamps
//	0x03  ACK        the same with the count of CE marks before s: what came
//	                 was marked for ECN
//	0x04  OPEN       id, flags (8 bits), priority (8 bits), [size], [ms left]
//	0x05  CANCEL     id, charged
//	0x06  EXPIRED    id, charged
//	0x07  WINDOW     limit
//	0x08  CHALLENGE  64 bits
//	0x09  RESPONSE   64 bits
//	0x0a  CLOSE      code, length ≤ 64, text
//	0x0c  SHARD      block, index (8 bits, < 128)
//	0x0d  PARITY     block, shards (8 bits, 1 to 128), index (8 bits, < 32), data
//	0x0e  RECOVERED  n, number, (n-1) × difference; n from 1 to 32
//	0x10  OBJ        +1 the object ends here, +2 offset present, +4 length present
//	 …0x17           id, [offset], [length], data
//
// A frame of unknown type breaks the connection, because its length is unknown:
// new frames need a parameter that says that they are understood.
//
// ACK. Ranges as in RFC 9000 §19.3: the first holds largest and the "first
// length" numbers below it; each further one lies gap+2 below the lowest of the
// one before. At most 31 further ones. s stamps follow, at most 64: times of
// arrival in units of 4 µs on the receiver's own clock, counted from a moment of
// its choice. The first is that of largest, as a varint; each further one belongs
// to the next lower number that is acknowledged and is the difference to the
// stamp before, zigzag-coded (0, -1, 1, -2 … as 0, 1, 2, 3 …), positive where
// the lower number came earlier.
//
// OPEN. Bits 0 and 1 of flags are the class: 0 reliable, 1 deadline, 2 best
// effort. Bit 2: endless, there is no size. Bit 3: there is a deadline, so many
// milliseconds after the packet was sent. The other bits are zero.
//
// OBJ without a length reaches to the end of the packet, and so does PARITY.
//
// SHARD says that what follows it in its packet is shard number index of a block.
// Blocks count up from 0 in each direction. A shard is the low 32 bits of the
// packet's number, 16 bits with the length of what follows SHARD, and that; to the
// length of the longest shard of its block it is filled with zeros. With elements of
// GF(256) modulo x^8+x^4+x^3+x^2+1, addition being exclusive or, PARITY number j of a
// block is, byte by byte, the sum over all shards i of
//
//	(128 ⊕ i) / (128 ⊕ j ⊕ i)
//
// times the shard: a Cauchy matrix whose columns are scaled, so that PARITY 0 is the
// sum of all shards. Any so many of shards and PARITY frames as the block has
// shards give all of them.
//
// RECOVERED names packets from the highest down, each as one less than the difference
// to the one before.
package wire
