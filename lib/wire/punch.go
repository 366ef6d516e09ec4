package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
)

// A Punch is a datagram by which two peers look for a way to each other: a check,
// which the receiver answers at once to where it came from, or such an answer. Both
// have PunchLen bytes, so nobody gets more than he sent.
//
//	type     1 byte: 8 for a check, 9 for an answer
//	from     1 byte: 0 from who offered the session, 1 from the other
//	session  8 bytes
//	number   4 bytes, chosen by who checks; an answer repeats it
//	mac      16 bytes: the first of HMAC-SHA256, with the session's key, over all of
//	         the above
type Punch struct {
	Answer   bool
	Answerer bool // sent by the one who did not offer the session
	Session  uint64
	Number   uint32
}

// PunchLen is the length of a check and of its answer.
const PunchLen = 30

const (
	punchCheck  = 8
	punchAnswer = 9
	punchMAC    = 16
)

// IsPunch says whether a datagram claims to be a Punch.
func IsPunch(b []byte) bool { return len(b) > 0 && (b[0] == punchCheck || b[0] == punchAnswer) }

// Append appends the datagram, authenticated with the session's key.
func (p *Punch) Append(b []byte, key *Key) []byte {
	start := len(b)
	kind, from := byte(punchCheck), byte(0)
	if p.Answer {
		kind = punchAnswer
	}
	if p.Answerer {
		from = 1
	}
	b = append(b, kind, from)
	b = binary.BigEndian.AppendUint64(b, p.Session)
	b = binary.BigEndian.AppendUint32(b, p.Number)
	return append(b, punchSum(b[start:], key)...)
}

// ParsePunch reads a datagram; what it says is worth nothing before Verify.
func ParsePunch(b []byte) (p Punch, ok bool) {
	if len(b) != PunchLen || !IsPunch(b) || b[1] > 1 {
		return p, false
	}
	return Punch{Answer: b[0] == punchAnswer, Answerer: b[1] == 1, Session: binary.BigEndian.Uint64(b[2:]), Number: binary.BigEndian.Uint32(b[10:])}, true
}

// VerifyPunch says whether a datagram that ParsePunch took comes from who has the
// session's key.
func VerifyPunch(b []byte, key *Key) bool {
	n := len(b) - punchMAC
	return len(b) == PunchLen && subtle.ConstantTimeCompare(punchSum(b[:n], key), b[n:]) == 1
}

func punchSum(b []byte, key *Key) []byte {
	h := hmac.New(sha256.New, key[:])
	h.Write(b)
	return h.Sum(nil)[:punchMAC]
}
