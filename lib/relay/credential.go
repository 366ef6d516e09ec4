package relay

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"
)

// CredentialLife is how long a credential lets somebody begin. Who has begun may
// go on.
const CredentialLife = 10 * time.Minute

// Reasons why a user name is refused. Whether the password is right shows only in
// the message's integrity.
var (
	errUsername = errors.New("not a user name of ours")
	errExpired  = errors.New("expired")
)

// secrets make short-lived credentials in the manner of "A REST API For Access To
// TURN Services" (draft-uberti-behave-turn-rest): the user name is
// "expiry:room:peer", expiry in Unix seconds, and the password its HMAC-SHA1 under
// a secret that nobody else has. A secret is used for as long as a credential lives,
// and is then good for as long again: two are alive, and whoever finds one finds
// nothing that still works a little later.
type secrets struct {
	mu    sync.Mutex
	epoch int64 // of new
	young [20]byte
	old   [20]byte // of the epoch before; zero if there was none
	hasIt bool     // old
}

// roll sees to it that the young secret is of now's epoch.
func (s *secrets) roll(now time.Time) {
	epoch := now.Unix() / int64(CredentialLife/time.Second)
	if epoch == s.epoch {
		return
	}
	s.hasIt = s.epoch != 0 && epoch == s.epoch+1
	s.old, s.epoch = s.young, epoch
	rand.Read(s.young[:]) // never fails
}

// issue makes a credential.
func (s *secrets) issue(now time.Time, room, peer string) (username, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roll(now)
	username = strconv.FormatInt(now.Add(CredentialLife).Unix(), 10) + ":" + room + ":" + peer
	return username, sign(&s.young, username)
}

// password says what the password of a user name must be, and for which room it
// is. The expiry tells when it was issued, and so with which secret.
func (s *secrets) password(now time.Time, username string) (password, room string, err error) {
	expiry, rest, ok := strings.Cut(username, ":")
	room, peer, ok2 := strings.Cut(rest, ":")
	at, err := strconv.ParseInt(expiry, 10, 64)
	if !ok || !ok2 || err != nil || room == "" || peer == "" {
		return "", "", errUsername
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roll(now)
	issued := at - int64(CredentialLife/time.Second)
	switch epoch := issued / int64(CredentialLife/time.Second); {
	case now.Unix() > at:
		return "", "", errExpired
	case epoch == s.epoch:
		return sign(&s.young, username), room, nil
	case epoch == s.epoch-1 && s.hasIt:
		return sign(&s.old, username), room, nil
	}
	return "", "", errUsername
}

func sign(secret *[20]byte, username string) string {
	h := hmac.New(sha1.New, secret[:])
	h.Write([]byte(username))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// longTermKey is the key of a message's integrity (RFC 8489 §9.2.2).
func longTermKey(username, realm, password string) []byte {
	h := md5.Sum([]byte(username + ":" + realm + ":" + password))
	return h[:]
}

// newPeer draws a name for one who asks for credentials: the document is given
// out before anybody says who he is.
func newPeer() string {
	var b [6]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
