// Package qlog writes what package xntp traces as qlog files, one for each
// connection: draft-ietf-quic-qlog-main-schema-03 in its JSON-SEQ form (.sqlog)
// with the QUIC events of draft-ietf-quic-qlog-quic-events-03, which is what qvis
// (https://qvis.quictools.info) reads.
//
// XNTP is not QUIC. What has a counterpart there has its name: an object is a
// stream, WINDOW is max_data, CANCEL and EXPIRED are reset_stream, CHALLENGE and
// RESPONSE are path_challenge and path_response, a data packet is 1RTT, a Response
// is of type handshake. OPEN has none and is called open; tools skip it.
//
// A file is called CID_VANTAGE.sqlog, where CID is the initiator's connection ID,
// which both ends know, and VANTAGE client for the end that dialed, server for the
// other. Both ends' files can be looked at together.
package qlog
