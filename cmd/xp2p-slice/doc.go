/*
Command xp2p-slice cuts a media stream into signed segments and pieces without
changing a byte.

	ffmpeg -re -i match.mp4 -c copy -f flv - | xp2p-slice | xp2p-seed --room match
	xp2p-slice --vod match.mp4 -o match.d
	xp2p-slice http://encoder/live.flv | xp2p-slice verify

Usage:

	xp2p-slice [flags] [FILE|URL]
	xp2p-slice cat [flags] [FILE|DIR]
	xp2p-slice verify [flags] [FILE|DIR]
	xp2p-slice inspect [flags] [FILE|DIR]

It reads FLV (classic and enhanced) or fragmented MP4 from stdin, a file or an
http or https URL, finds out which, and writes a slice stream to stdout, or
with -o a directory. Nothing is decoded, rewritten, dropped or reordered: the
bodies of the init and piece records, one behind the other, are the input.
"xp2p-slice cat" writes them.

# Cutting

A live stream is cut by its own decoding times. A segment starts at the first
video sample at or past a multiple of --segment, and that multiple is its
number; two slicers that get the same bytes, one of them from the middle, cut
and number alike. That needs a relay that keeps absolute timestamps (SRS: atc
on); where timestamps are rebased, numbers agree and hashes do not.

The clock is video if a video sample comes within the first second of the
stream's own time (five, if a video configuration announced it), else audio.
What FLV headers and metadata claim is not asked. The clock never changes but
behind a new container header; --clock chooses it.

A jump of more than 5 s either way starts a segment that is marked as
discontinuous; a jump back, and a clock that wraps at 2^31 or 2^32 ms, begin a
new epoch, so that numbers stay unique.

A segment is made of pieces, which viewers exchange. A piece closes at --piece
bytes (one that begins with a keyframe at 8 KiB already) or when the next sample of the
clock is 100 ms past its first, and is written at once; nothing waits for the
segment.

With --vod any file at all is cut by offset, into segments of --segment bytes;
a signed index of their hashes, and for FLV and fragmented MP4 of the keyframes'
times, comes before the end.

# Keys

Every record is signed with the room's Ed25519 key. --key names the file that
holds it, a PKCS #8 private key in PEM as openssl writes it ("openssl pkey -in
FILE -text" shows it); it is made on first use, readable for its owner alone.
One key is one room: what it has signed is good wherever the key is trusted.
Without --key a key is made that lives as long as the run. The public key
stands in the stream's first line and on stderr; viewers may pin it.

# Input that is not as it should be

Wrong sizes, garbage between tags, unknown or encrypted tags and the like stay
where they stand, and a note on stderr says where (-v for all of them). An input that ends
inside a tag or fragment is sliced to its last byte and ends with code 3. An
input that begins neither as FLV nor as MP4 is refused; if it is one that was
joined mid-stream, say which with --format (and for MP4 give --init). Its
first segment is marked partial.

A reader that is slow makes xp2p-slice wait, and that makes its own source wait:
nothing is lost. SIGINT and SIGTERM end the stream with a proper end record.

# Flags

  - --segment SIZE: duration of a segment (default 1s); with --vod its size in bytes (default 1M)
  - --piece BYTES: size of a piece (default 16k)
  - --align grid|key: start segments at any sample, or only at keyframes
  - --clock auto|video|audio: the reference track
  - --vod: cut by offset; any file will do
  - --key FILE: the room's signing key, made on first use
  - -o, --output DIR: write a directory instead of stdout; "-" is stdout even if that is a terminal
  - --format auto|flv|mp4|raw: what the input is, if it does not begin with a header; raw needs --vod
  - --init FILE: ftyp and moov of an MP4 that was joined mid-stream
  - --room-key KEY: verify: the key that must have signed (base64url)
  - --json: inspect: JSON Lines instead of a table

# The directory

	room.json         {"key":…,"container":"flv","mode":"live"}
	index.jsonl       a line per header, init, copy, segment, index and end, appended
	inits/SHA256      bytes of an init or copy
	segments/NAME     the segment's records as a slice stream; the name is EPOCH-SEQ-HASH
	index.bin         of a recording: the signed index

Files appear whole and never change, so any web server can serve and any cache
may keep them. A slicer that is started again on a live directory with the same
--key continues it.

# JSON

"inspect --json" writes an object per record: type first (header, init, copy,
piece, segment, index, end); size_bytes, sha256; of pieces and segments also
epoch, seq, dts_ms, of pieces index and border, the bytes up to the last unit
border; keyframes with offset, dts_ms, pts_ms and init, the hash of what a
decoder must have seen; disc and partial where true. Unknown is absent.

# Exit status

	0    done
	1    failed
	2    wrong flags or arguments
	3    the input, or what is verified, ends inside a tag or fragment, or has no end yet
	4    bad data: not a stream, a truncated slice stream, a wrong hash or signature
	5    the URL does not answer
	130  interrupted by SIGINT, after writing the end
	143  interrupted by SIGTERM, after writing the end
*/
package main
