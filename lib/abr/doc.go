// Package abr switches between renditions of one source: it finds where their
// timelines meet, where decoding of a new one can begin and an old one can end
// without a trace, and writes one stream of them.
//
// It is a value without I/O: bytes of renditions go in, bytes of one stream
// come out, and the package that holds sockets and processes says what time it
// is where that matters (a rendition that stalls).
//
// Around that stand what measures and chooses: [Align] finds where timelines
// with other zero points meet, [Inspect] what keeps renditions from being
// switched between and what to tell the encoder, [Rule] which one throughput and
// buffer allow.
package abr
