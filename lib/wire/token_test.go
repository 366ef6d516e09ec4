package wire

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"net/netip"
	"testing"
	"time"
)

func TestATokenProvesOneAddressForAWhile(t *testing.T) {
	public := testTokenKey.Public().(ed25519.PublicKey)
	for _, s := range []string{"203.0.113.9:4711", "[2001:db8::9]:4711", "127.0.0.1:9"} {
		addr := netip.MustParseAddrPort(s)
		token := Token(AppendToken(nil, testTokenKey, addr, testTime.Add(time.Minute)))
		if err := VerifyToken(public, token, addr, testTime); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		got, expiry, err := token.Parse()
		if err != nil || got != addr || !expiry.Equal(testTime.Add(time.Minute)) {
			t.Fatalf("%s: says %s until %s, %v", s, got, expiry, err)
		}
		// The same address as an IPv4 socket of IPv6 sees it.
		if addr.Addr().Is4() {
			mapped := netip.AddrPortFrom(netip.AddrFrom16(addr.Addr().As16()), addr.Port())
			if err := VerifyToken(public, token, mapped, testTime); err != nil {
				t.Errorf("%s: %v", mapped, err)
			}
		}
		text, _ := token.MarshalText()
		var back Token
		if err := back.UnmarshalText(text); err != nil || !bytes.Equal(back, token) {
			t.Errorf("%s: text %s: %v", s, text, err)
		}
	}
}

func TestATokenIsRefused(t *testing.T) {
	public := testTokenKey.Public().(ed25519.PublicKey)
	addr := netip.MustParseAddrPort("203.0.113.9:4711")
	good := Token(AppendToken(nil, testTokenKey, addr, testTime.Add(time.Minute)))
	bend := func(i int) Token {
		b := bytes.Clone(good)
		b[i] ^= 1
		return b
	}
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, 32)).Public().(ed25519.PublicKey)
	for name, c := range map[string]struct {
		key   ed25519.PublicKey
		token Token
		addr  string
		now   time.Time
		want  error
	}{
		"after its time":            {public, good, "203.0.113.9:4711", testTime.Add(time.Minute), ErrTokenExpired},
		"from too far ahead":        {public, good, "203.0.113.9:4711", testTime.Add(-MaxTokenLife), ErrTokenExpired},
		"at another port":           {public, good, "203.0.113.9:4712", testTime, ErrTokenAddress},
		"at another address":        {public, good, "203.0.113.8:4711", testTime, ErrTokenAddress},
		"under another key":         {other, good, "203.0.113.9:4711", testTime, ErrTokenSignature},
		"without a key":             {nil, good, "203.0.113.9:4711", testTime, ErrTokenSignature},
		"with its expiry bent":      {public, bend(12), "203.0.113.9:4711", testTime, ErrTokenSignature},
		"with its signature bent":   {public, bend(len(good) - 1), "203.0.113.9:4711", testTime, ErrTokenSignature},
		"cut short":                 {public, good[:len(good)-1], "203.0.113.9:4711", testTime, ErrTokenMalformed},
		"empty":                     {public, nil, "203.0.113.9:4711", testTime, ErrTokenMalformed},
		"for an address of nowhere": {public, Token(AppendToken(nil, testTokenKey, netip.MustParseAddrPort("0.0.0.0:1"), testTime)), "0.0.0.0:1", testTime, ErrTokenMalformed},
	} {
		if err := VerifyToken(c.key, c.token, netip.MustParseAddrPort(c.addr), c.now); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// A signature over an address must not be one over anything that another part
// of the protocol signs with an Ed25519 key.
func TestATokensSignatureIsSeparated(t *testing.T) {
	addr := netip.MustParseAddrPort("203.0.113.9:4711")
	token := AppendToken(nil, testTokenKey, addr, testTime)
	body := token[:len(token)-ed25519.SignatureSize]
	if ed25519.Verify(testTokenKey.Public().(ed25519.PublicKey), body, token[len(body):]) {
		t.Error("the signature holds without its domain")
	}
}

func FuzzToken(f *testing.F) {
	f.Add(AppendToken(nil, testTokenKey, netip.MustParseAddrPort("203.0.113.9:4711"), testTime))
	f.Add(AppendToken(nil, testTokenKey, netip.MustParseAddrPort("[2001:db8::9]:4711"), testTime))
	f.Fuzz(func(t *testing.T, b []byte) {
		addr, expiry, err := Token(b).Parse()
		if err != nil {
			return
		}
		again := AppendToken(nil, testTokenKey, addr, expiry)
		if n := len(b) - ed25519.SignatureSize; !bytes.Equal(again[:n], b[:n]) {
			t.Fatalf("%x became %x", b, again)
		}
		if VerifyToken(testTokenKey.Public().(ed25519.PublicKey), again, addr, expiry.Add(-time.Second)) != nil {
			t.Fatal("a fresh token does not verify")
		}
	})
}
