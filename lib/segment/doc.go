// Package segment cuts a media stream into segments and pieces, names, hashes
// and signs them, and defines the slice stream that carries them.
//
// # Cutting
//
// A live stream is cut by its own decoding times: a segment starts at the
// first sample of the reference track (video, else audio) at or past a
// multiple of the segment's duration, and that multiple is its sequence
// number. A recording is cut by offset. A piece is a run of a segment's bytes
// that peers exchange; it closes at 16 KiB or 100 ms, whichever comes first.
// The first piece of a segment, in which a viewer mostly starts, closes at 8 KiB
// already: with all that goes before it, it fits into the ten packets that TCP
// sends in its first round trip (RFC 6928).
// Both are rules of the bytes alone, so that two slicers which receive the
// same bytes, one of them from the middle, cut, number and hash alike.
// [Cutter] holds the rules. No byte is ever changed, dropped or reordered.
//
// # Trust
//
// A piece is named by the SHA-256 of its bytes, a segment by the SHA-256 of
// its pieces' hashes. Records are signed in batches: the leaves of a Merkle
// tree (RFC 9162 §2.1) are the records' canonical encodings, its root is
// signed with the room's Ed25519 key, and every record carries its own
// [Proof], so that a peer can check it alone.
//
// # The slice stream
//
// A pipe or a file holds
//
//	xp2p-slice/1 <key, base64url> <flv|mp4|raw> <live|vod>\n
//
// and then records: one line of JSON, at most 64 KiB, and exactly as many raw
// bytes as its field "size" says. The types are
//
//	init     bytes before the first sample; part of the stream
//	piece    bytes; part of the stream
//	copy     what a joiner needs from here on instead of the init; not part of the stream
//	segment  closes the pieces before it: size, hash, keyframes; no bytes
//	index    of a recording: the hashes of all segments, keyframe times; not part of the stream
//	end      closes the stream; without it the stream was truncated
//
// The bytes of init and piece records in order are the input. A reader
// skips fields and types that it does not know. A second version line
// starts a new stream, so slice streams can be concatenated.
package segment
