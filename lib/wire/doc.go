// Package wire is the grammar of every message that xp2p sends: XNTP packets
// and frames, guarded STUN and address tokens, swarm messages, signalling. It
// knows bytes, not behaviour: nothing here has a state, a clock or a key
// schedule.
//
// Integers are big-endian; "varint" is the variable-length integer of RFC 9000
// §16. Everything appends to a caller's buffer and parses without copying, so
// parsed byte slices alias the input.
package wire
