package wire

import (
	"encoding/hex"
	"net/netip"
	"testing"
)

// RFC 6887, figures 2, 3, 8 and 9, byte by byte.
func TestPCPIsAsItsFiguresSay(t *testing.T) {
	m := &PCPMap{Nonce: [12]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, Client: netip.MustParseAddr("192.168.1.7"), Internal: 0x1234, Lifetime: 7200}
	const want = "02010000" + "00001c20" + "00000000000000000000ffffc0a80107" +
		"0102030405060708090a0b0c" + "11000000" + "12340000" + "00000000000000000000ffff00000000"
	if got := hex.EncodeToString(AppendPCPMap(nil, m)); got != want {
		t.Errorf("MAP\n%s, want\n%s", got, want)
	}
	if got := hex.EncodeToString(AppendPCPAnnounce(nil, m.Client)); got != "0200000000000000"+"00000000000000000000ffffc0a80107" {
		t.Errorf("ANNOUNCE %s", got)
	}
	client, back, err := ParsePCPRequest(AppendPCPMap(nil, m))
	if err != nil || client != m.Client || back.Internal != 0x1234 || back.Nonce != m.Nonce || back.Lifetime != 7200 {
		t.Errorf("a request: %v, %v, %+v", err, client, back)
	}
	const answer = "02810000" + "00000e10" + "0000002a" + "000000000000000000000000" +
		"0102030405060708090a0b0c" + "11000000" + "1234c001" + "00000000000000000000ffffcb007105"
	b, _ := hex.DecodeString(answer)
	a, err := ParsePCP(b)
	if err != nil || a.Result != 0 || a.Lifetime != 3600 || a.Epoch != 42 || a.Map == nil || a.Map.Nonce != m.Nonce ||
		a.Map.External != netip.MustParseAddrPort("203.0.113.5:49153") {
		t.Errorf("an answer: %v, %+v, %+v", err, a, a.Map)
	}
	if got := hex.EncodeToString(AppendPCPAnswer(nil, &a)); got != answer {
		t.Errorf("again\n%s, want\n%s", got, answer)
	}
}

func FuzzPCP(f *testing.F) {
	m := &PCPMap{Internal: 7, External: netip.MustParseAddrPort("203.0.113.5:9")}
	f.Add(AppendPCPAnswer(nil, &PCPAnswer{Epoch: 3}))
	f.Add(AppendPCPAnswer(nil, &PCPAnswer{Result: 2, Map: m}))
	f.Add(AppendPCPMap(nil, m))
	f.Fuzz(func(t *testing.T, b []byte) {
		ParsePCPRequest(b)
		a, err := ParsePCP(b)
		if err != nil {
			return
		}
		again, err := ParsePCP(AppendPCPAnswer(nil, &a))
		if err != nil || (a.Map == nil) != (again.Map == nil) || a.Epoch != again.Epoch || a.Map != nil && *a.Map != *again.Map {
			t.Fatalf("%+v, again %+v, %v", a, again, err)
		}
	})
}
