package xntp

import (
	"encoding/json"
	"testing"
)

func TestKeysAsText(t *testing.T) {
	// RFC 7748 §6.1: Alice's key pair.
	private := PrivateKey{0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1, 0x72, 0x51, 0xb2, 0x66, 0x45,
		0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0, 0x99, 0x2a, 0xb1, 0x77, 0xfb, 0xa5, 0x1d, 0xb9, 0x2c, 0x2a}
	k := private.Public()
	const text = "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"
	if k.String() != text {
		t.Errorf("got %s", k)
	}
	if back, err := ParsePublicKey(text); err != nil || back != k || back.Compare(k) != 0 {
		t.Errorf("got %v, %v back", back, err)
	}
	b, err := json.Marshal(k)
	if err != nil || string(b) != `"`+text+`"` {
		t.Errorf("JSON %s, %v", b, err)
	}
	var again PublicKey
	if err := json.Unmarshal(b, &again); err != nil || again != k {
		t.Errorf("got %v, %v from JSON", again, err)
	}
	for _, bad := range []string{"", text[1:], text + "A", text[:42] + "/", text[:42] + "="} {
		if _, err := ParsePublicKey(bad); err != ErrKey {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
