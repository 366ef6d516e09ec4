// Package origin speaks HTTP: the server that any cache can stand in front of,
// the client that pulls from it (an edge or a peer), and the plain streams and
// the page that ordinary players take.
//
// # URLs
//
// Names are contents. What is named by a hash never changes, so caches may keep
// it for ever and cannot be poisoned by a broadcaster's restart:
//
//	/v1/rooms/{room}/pieces/{sha256}              a piece's bytes
//	/v1/rooms/{room}/segments/{name}              a closed segment's bytes
//	/v1/rooms/{room}/segments/{name}/pieces       the hashes of its pieces, 32 bytes each
//	/v1/rooms/{room}/inits/{sha256}               an init's bytes
//	/v1/rooms/{room}/at/{epoch}-{seq}-{i}         a piece as a slice-stream record, with its proof
//	/v1/rooms/{room}/at/{epoch}-{seq}-{i}..{j}    pieces i to j of a segment
//
// The SHA-256 of what /pieces of a segment answers is the segment's own hash
// (package segment), so the list needs no signature beside the segment's.
//
// Three documents change:
//
//	/v1/rooms/{room}/newest                       [Newest] as JSON, good for one second
//	/v1/rooms/{room}/start?from=live|oldest|90s   the slice stream from there on, until the room ends
//	/v1/rooms/{room}/index                        a recording's signed index record
//
// /start answers in one request all that a viewer needs: the room's key, the
// init of the newest keyframe, the piece that holds it, then every record as it
// is appended. from may also be a piece (epoch-seq-index); after=epoch-seq-index
// goes on behind one, which is how a broken connection is resumed without gap
// or repeat: 404 says that the piece is not there yet (an edge that has just been
// restarted is still filling), 410 that the window has left it behind. pieces=N
// ends the answer after N pieces, for=400ms with the first piece whose DTS is so much
// later than the first one's.
//
// # Ordinary players
//
//	/live/{room}.flv, /live/{room}.mp4            the room's own container: init, newest GOP, then live
//	/, /play/{room}, /play/{room}.json            a page that plays it, and what the page must know
//
// A stream is the broadcaster's own; it is never remuxed. The other container
// is a 404 that says which one there is.
//
// # What a player is given
//
// [Playable] is the one place where records become a player's bytes: the init,
// then an exact, contiguous run of the broadcaster's bytes from a keyframe on,
// that stands on a unit's border whenever it is left (but inside the first
// keyframe, if its user wants that early). Nothing is changed, added or skipped
// within a stream.
//
// Between two streams, when the broadcaster was started again under the same
// room (a new epoch), the run goes on with the new stream's init and bytes, as
// cat would give. Two things are left out there, because no player survives
// them: the 13 bytes of FLV header that stand before the new sequence headers,
// and the incomplete unit that the dying encoder may have left. Measured with
// ffmpeg 5.1 reading a pipe: a second FLV header ends the input ("Unable to
// seek to the next packet"), without it all packets of both streams are read; a
// second ftyp and moov are skipped by ffmpeg and taken by Media Source
// Extensions, so they stay.
//
// # A bounded uplink
//
// With Config.Uplink the handler keeps within an uplink that a seed may use too
// (Handler.Spent): see [Admission]. When it is full, /start and /live are
// answered with 503 and Retry-After; when it is overdrawn, /pieces, /segments
// and /at too. A viewer then begins with what its neighbours have. An ordinary
// player has none and has to come again. What was let in goes on to its end.
//
// # Slow and hostile clients
//
// A reader that does not keep up is cut off, by closing its connection, when
// the room's window has moved past it or a write has been stuck for
// Config.WriteTimeout. [NewServer] sets the timeouts and limits that a server on the open
// internet needs.
package origin
