package wire

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v2"
)

var (
	testTransaction = STUNTransaction{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	testTokenKey    = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	testTime        = time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
)

// unhex reads the layout of RFC 5769: hexadecimal with white space.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The sample messages of RFC 5769 §2.2 and §2.3.
const (
	vectorIPv4 = `0101003c 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220
		00200008 0001a147 e112a643 00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7 80280004 c07d4c96`
	vectorIPv6 = `01010048 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220
		00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9 00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41
		80280004 c8fb0b4c`
)

func TestSTUNReadsTheSampleMessagesOfRFC5769(t *testing.T) {
	for _, c := range []struct{ vector, want string }{
		{vectorIPv4, "192.0.2.1:32853"},
		{vectorIPv6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853"},
	} {
		var m STUN
		if err := m.Parse(unhex(t, c.vector)); err != nil {
			t.Fatal(err)
		}
		if m.Class != STUNSuccess || m.Method != STUNBinding || m.Mapped.String() != c.want || !m.Fingerprint || len(m.Unknown) != 0 {
			t.Errorf("got %+v, want mapped %s", m, c.want)
		}
	}
}

func TestSTUNRoundTrips(t *testing.T) {
	var m STUN
	if err := m.Parse(AppendSTUNRequest(nil, testTransaction, false)); err != nil || m.Class != STUNRequest || m.WantsToken || m.Transaction != testTransaction {
		t.Fatalf("request: %+v, %v", m, err)
	}
	if err := m.Parse(AppendSTUNRequest(nil, testTransaction, true)); err != nil || !m.WantsToken || len(m.Unknown) != 0 {
		t.Fatalf("padded request: %+v, %v", m, err)
	}
	for _, s := range []string{"203.0.113.9:4711", "[2001:db8::9]:4711", "[::ffff:203.0.113.9]:4711"} {
		addr := netip.MustParseAddrPort(s)
		plain := netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
		token := Token(AppendToken(nil, testTokenKey, addr, testTime))
		b := AppendSTUNSuccess(nil, testTransaction, addr, token, true)
		if err := m.Parse(b); err != nil || m.Class != STUNSuccess || m.Mapped != plain || !bytes.Equal(m.Token, token) {
			t.Fatalf("success for %s: %+v, %v", s, m, err)
		}
		// What DESIGN and RFC 5389's critics ask: no reflector worth the name.
		overhead, limit := 28, 125
		if plain.Addr().Is6() {
			overhead = 48
		}
		padded := len(AppendSTUNRequest(nil, testTransaction, true)) + overhead
		if got := (len(b) + overhead) * 100; got > limit*padded {
			t.Errorf("%s: %d bytes answer %d", s, got/100, padded)
		}
	}
	b := AppendSTUNError(nil, testTransaction, 420, []uint16{3, 0x26, 0x27}, true)
	if err := m.Parse(b); err != nil || m.Class != STUNError || m.ErrorCode != 420 {
		t.Fatalf("error: %+v, %v", m, err)
	}
	i := bytes.Index(b, []byte{0x00, 0x0a, 0x00, 0x06, 0, 3, 0, 0x26, 0, 0x27, 0, 0})
	if i < 0 {
		t.Errorf("UNKNOWN-ATTRIBUTES is not two bytes an attribute: %x", b)
	}
}

// message builds a STUN message of raw attributes.
func message(class stun.MessageClass, attrs ...stun.RawAttribute) []byte {
	m := startSTUN(class, testTransaction)
	for _, a := range attrs {
		m.Add(a.Type, a.Value)
	}
	return m.Raw
}

func TestSTUNRefusesWhatTheCodecWouldChokeOn(t *testing.T) {
	integrity := stun.RawAttribute{Type: stun.AttrMessageIntegrity, Value: make([]byte, 20)}
	good := AppendSTUNSuccess(nil, testTransaction, netip.MustParseAddrPort("192.0.2.1:1"), nil, true)
	wrongCRC := bytes.Clone(good)
	wrongCRC[len(wrongCRC)-1] ^= 1
	fingerprintFirst := message(stun.ClassSuccessResponse, stun.RawAttribute{Type: stun.AttrFingerprint, Value: make([]byte, 4)},
		stun.RawAttribute{Type: stun.AttrRealm, Value: []byte("x")})
	short := bytes.Clone(good[:len(good)-4])
	many := startSTUN(stun.ClassRequest, testTransaction)
	for range maxSTUNAttrs + 1 {
		many.Add(stun.AttrRealm, nil)
	}
	for name, b := range map[string][]byte{
		"nothing":                        nil,
		"a header cut short":             good[:19],
		"a length that promises more":    short,
		"a byte behind the message":      append(bytes.Clone(good), 0, 0, 0, 0),
		"another protocol's first byte":  append([]byte{0x40}, good[1:]...),
		"no cookie":                      append(append(bytes.Clone(good[:4]), 0, 0, 0, 0), good[8:]...),
		"empty XOR-MAPPED-ADDRESS":       message(stun.ClassSuccessResponse, stun.RawAttribute{Type: stun.AttrXORMappedAddress}),
		"XOR-MAPPED-ADDRESS of 4":        message(stun.ClassSuccessResponse, stun.RawAttribute{Type: stun.AttrXORMappedAddress, Value: make([]byte, 4)}),
		"XOR-MAPPED-ADDRESS of family 9": message(stun.ClassSuccessResponse, stun.RawAttribute{Type: stun.AttrXORMappedAddress, Value: []byte{0, 9, 0, 0, 0, 0, 0, 0}}),
		"empty MAPPED-ADDRESS":           message(stun.ClassSuccessResponse, stun.RawAttribute{Type: stun.AttrMappedAddress}),
		"empty OTHER-ADDRESS":            message(stun.ClassSuccessResponse, stun.RawAttribute{Type: stun.AttrOtherAddress}),
		"RESPONSE-ORIGIN of 12":          message(stun.ClassSuccessResponse, stun.RawAttribute{Type: stun.AttrResponseOrigin, Value: make([]byte, 12)}),
		"empty RESPONSE-PORT":            message(stun.ClassRequest, stun.RawAttribute{Type: stun.AttrResponsePort}),
		"empty CHANGE-REQUEST":           message(stun.ClassRequest, stun.RawAttribute{Type: stun.AttrChangeRequest}),
		"empty ERROR-CODE":               message(stun.ClassErrorResponse, stun.RawAttribute{Type: stun.AttrErrorCode}),
		"attributes behind integrity":    message(stun.ClassRequest, integrity, stun.RawAttribute{Type: stun.AttrRealm}),
		"integrity twice":                message(stun.ClassRequest, integrity, integrity),
		"a wrong fingerprint":            wrongCRC,
		"a fingerprint that is not last": fingerprintFirst,
		"an army of attributes":          many.Raw,
	} {
		var m STUN
		if err := m.Parse(b); !errors.Is(err, ErrSTUN) {
			t.Errorf("%s: parsed as %+v, %v", name, m, err)
		}
	}
}

func TestSTUNNamesWhatItDoesNotUnderstand(t *testing.T) {
	var m STUN
	b := message(stun.ClassRequest,
		stun.RawAttribute{Type: stun.AttrPriority, Value: []byte{0, 7, 0, 0}},
		stun.RawAttribute{Type: 0x8fff, Value: []byte("optional")},
		stun.RawAttribute{Type: 0x7001},
		stun.RawAttribute{Type: 0x7001})
	if err := m.Parse(b); err != nil {
		t.Fatal(err)
	}
	if len(m.Unknown) != 2 || m.Unknown[0] != 0x24 || m.Unknown[1] != 0x7001 {
		t.Errorf("unknown %x, want PRIORITY and 7001, once each", m.Unknown)
	}
}

func TestSTUNBehaviourDiscoveryRoundTrips(t *testing.T) {
	seen := netip.MustParseAddrPort("203.0.113.9:4711")
	token := Token(AppendToken(nil, testTokenKey, seen, testTime))
	q := STUNQuery{Change: ChangeAddr | ChangePort, Ports: true, AssistFor: STUNTransaction{9}, AssistToken: token, Size: 600}
	b := AppendSTUNQuery(nil, testTransaction, q)
	var m STUN
	if err := m.Parse(b); err != nil || m.Class != STUNRequest || m.Change != q.Change || !m.WantsPorts || m.AssistFor != q.AssistFor || !bytes.Equal(m.AssistToken, token) || len(b) != 600 {
		t.Fatalf("%d bytes, %+v, %v", len(b), m, err)
	}
	if err := m.Parse(AppendSTUNQuery(nil, testTransaction, STUNQuery{Delay: 30, DelayToken: token})); err != nil || m.Delay != 30 || !bytes.Equal(m.DelayToken, token) {
		t.Fatalf("%+v, %v", m, err)
	}
	for _, at := range []string{"198.51.100.1:3478", "[2001:db8::1]:3478"} {
		a := STUNAnswer{Mapped: seen, Origin: netip.MustParseAddrPort(at), Other: netip.MustParseAddrPort(at), Ports: true, OtherPort: 3479, Help: HelpDelay, Fingerprint: true}
		b := AppendSTUNAnswer(nil, testTransaction, a)
		if err := m.Parse(b); err != nil || m.Mapped != seen || m.Origin != a.Origin || m.Other != a.Other || m.OtherPort != 3479 || m.Help != HelpDelay || !m.OwnServer {
			t.Errorf("%+v, %v", m, err)
		}
		if a.Size(false) != len(b) {
			t.Errorf("%d bytes, %d foretold", len(b), a.Size(false))
		}
	}
}

func TestSTUNOldServersMappedAddressCounts(t *testing.T) {
	v := binary.BigEndian.AppendUint16([]byte{0, 1}, 4711)
	b := message(stun.ClassSuccessResponse, stun.RawAttribute{Type: stun.AttrMappedAddress, Value: append(v, 192, 0, 2, 7)})
	var m STUN
	if err := m.Parse(b); err != nil || m.Mapped.String() != "192.0.2.7:4711" {
		t.Errorf("mapped %s, %v", m.Mapped, err)
	}
}

func TestNATPMPAnswersAreRead(t *testing.T) {
	good := []byte{0, 128, 0, 0, 0, 0, 1, 0, 203, 0, 113, 5}
	if a, err := ParseNATPMP(good); err != nil || a.String() != "203.0.113.5" || !bytes.Equal(AppendNATPMPQuery(nil), []byte{0, 0}) {
		t.Errorf("%v, %v", a, err)
	}
	for name, b := range map[string][]byte{
		"nothing": nil, "cut short": good[:11], "a byte more": append(bytes.Clone(good), 0), "of PCP": append([]byte{2}, good[1:]...),
		"another opcode": append([]byte{0, 129}, good[2:]...), "refused": append([]byte{0, 128, 0, 2}, good[4:]...),
		"no address yet": {0, 128, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0},
	} {
		if a, err := ParseNATPMP(b); err == nil {
			t.Errorf("%s: %v", name, a)
		}
	}
}

func FuzzSTUN(f *testing.F) {
	f.Add(unhex(f, vectorIPv4))
	f.Add(unhex(f, vectorIPv6))
	f.Add(AppendSTUNRequest(nil, testTransaction, true))
	f.Add(AppendSTUNError(nil, testTransaction, 420, []uint16{3}, true))
	f.Add(AppendSTUNQuery(nil, testTransaction, STUNQuery{Change: ChangeAddr, Ports: true, Delay: 1, DelayToken: AppendToken(nil, testTokenKey, netip.MustParseAddrPort("192.0.2.1:1"), testTime)}))
	f.Add(AppendSTUNAnswer(nil, testTransaction, STUNAnswer{Mapped: netip.MustParseAddrPort("192.0.2.1:1"), Other: netip.MustParseAddrPort("192.0.2.2:2"), Ports: true}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m STUN
		whole := append(make([]byte, 0, len(b)), b...) // exactly sized: reading past the end shows
		if err := m.Parse(whole); err != nil {
			if !errors.Is(err, ErrSTUN) || strings.Contains(err.Error(), "codec:") {
				t.Fatalf("%v", err)
			}
			return
		}
		if len(m.Token) > MaxTokenSize || len(m.Unknown) > maxSTUNAttrs {
			t.Fatalf("out of bounds: %+v", m)
		}
		var again STUN
		if m.Class == STUNSuccess && m.Method == STUNBinding && m.Mapped.IsValid() {
			token := bytes.Clone(m.Token)
			if err := again.Parse(AppendSTUNSuccess(nil, m.Transaction, m.Mapped, token, m.Fingerprint)); err != nil {
				t.Fatal(err)
			}
			if again.Mapped != m.Mapped || !bytes.Equal(again.Token, token) || again.Transaction != m.Transaction {
				t.Fatalf("%+v became %+v", m, again)
			}
		}
	})
}
