// Package store holds rooms: for each, the live window in memory, and on disk
// what shall outlive it.
//
// A [Room] is a log of verified records ([segment.Record]) in the order in which
// the broadcaster's slicer wrote them. One writer appends; any number of
// readers follow it, each with a [Cursor] of its own:
//
//	Append ─▶ │ init │ piece │ piece │ segment │ copy │ piece │ …      the window: bounded in
//	                    ▲                          ▲       ▲           bytes and in media time
//	                  cursor                    cursor   newest
//
// A cursor waits where the log ends and is told when it grows. One that reads
// slower than the window moves is told [ErrFellBehind]; it never holds memory
// or the writer back. Bodies are shared between all readers and never change.
//
// The window is measured on the stream's own timeline, not by a clock: the
// distance from piece to piece counts as long as it is a step forward of at
// most [maxStep]; a jump counts nothing. So the same records always give the
// same window.
//
// A room with a directory keeps every closed segment there in the form that
// xp2p-slice -o writes ([DirWriter]), and serves from it what has left the
// window. A recording (VOD) is a room that is only a directory.
//
// Room names are checked ([CheckName]) before anything is looked up, and the
// names of files come from the catalogue that the directory was opened with,
// never from a request: nothing outside the store can be read.
package store
