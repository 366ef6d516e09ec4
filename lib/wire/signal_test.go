package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

func testKey(n byte) (k Key) {
	for i := range k {
		k[i] = n + byte(i)
	}
	return k
}

func testMember(n int) SignalMember {
	key := testKey(byte(n))
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(n)}), 4711)
	return SignalMember{
		ID: PeerID(n), Key: key, Addrs: []netip.AddrPort{addr}, Role: RolePeer, Upload: true, UplinkBPS: 2_000_000,
		Token: AppendToken(nil, testTokenKey, addr, testTime),
	}
}

func testNAT() *SignalNAT {
	return &SignalNAT{Classes: []string{"symmetric"}, Mapping: "address-and-port-dependent", Filtering: "address-and-port-dependent", Allocation: "sequential", Delta: -4, Low: 1024, High: 2048, Block: 512}
}

func testSignals() []Signal {
	members := []SignalMember{testMember(1), testMember(2)}
	members[1].Role = RoleSeed
	members[0].Hard, members[1].NAT = true, testNAT()
	return []Signal{
		testAnnounce("match"),
		&SignalHello{Mapped: 4000,
			Key: testKey(3), Tokens: []Token{members[0].Token}, Hosts: []netip.AddrPort{netip.MustParseAddrPort("192.168.1.7:4711")},
			Role: RolePeer, Upload: true, UplinkBPS: 1_000_000, NAT: testNAT(), Name: "living room", Resume: "abc", ReceiptKey: testKey(4),
		},
		&SignalReport{Report: json.RawMessage(`{"peer_bytes":7}`), Receipts: []Receipt{testReceipt(7, 8, 1), testReceipt(9, 8, MaxReceiptBytes)}, Unreached: []PeerID{5, 6}},
		&SignalBye{},
		&SignalWelcome{ID: PeerIDOf(testKey(3)), TimeUnixMS: testTime.UnixMilli(), Resume: "abc"},
		&SignalNeighbours{Version: 4, Topology: "balanced", Group: 1 << 60, UplinkBPS: 5, Upload: true, Hard: true, SeedCost: 7, Members: members, Banned: []PeerID{77}},
		&SignalFeed{Topology: "balanced", Reset: true, Groups: []SignalGroup{{Group: 1, Version: 2, Members: members}, {Group: 2, Version: 3}}},
		&SignalError{Code: SignalFull, Message: "come back later"},
		&SignalPunch{
			Peer: 5, Session: 1 << 63, Round: 2, Answer: true, Relay: true, NAT: *testNAT(), RTTms: 40, Tokens: []Token{members[0].Token}, Hosts: members[0].Addrs,
			Relayed: members[0].Addrs, Addrs: members[1].Addrs, MAC: testKey(5),
		},
	}
}

func TestSignalsRoundTrip(t *testing.T) {
	for _, m := range testSignals() {
		b, err := AppendSignal([]byte("before "), m)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(b, []byte(`before {"type":"`+m.signalType()+`"`)) {
			t.Errorf("type does not come first: %s", b)
		}
		got, err := ParseSignal(b[len("before "):])
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if !reflect.DeepEqual(got, m) {
			t.Errorf("%s\n became %+v\n   want %+v", b, got, m)
		}
	}
}

func TestSignalsKnowNoLaterVersionsMembers(t *testing.T) {
	got, err := ParseSignal([]byte(`{"type":"bye","reason":"something that comes later"}`))
	if _, ok := got.(*SignalBye); err != nil || !ok {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := ParseSignal([]byte(`{"type":"candidates"}`)); !errors.Is(err, ErrSignalType) {
		t.Errorf("a later type: %v, want ErrSignalType", err)
	}
}

func TestSignalsAreRefused(t *testing.T) {
	key := testKey(1).String()
	hello := func(more string) string { return `{"type":"hello","key":"` + key + `","role":"peer"` + more + `}` }
	member := func(id string, more string) string {
		return `{"id":"` + id + `","key":"` + key + `","role":"peer","upload":true` + more + `}`
	}
	var crowd []string
	for i := range MaxSignalMembers + 1 {
		crowd = append(crowd, member(fmt.Sprintf("%016x", i+1), ""))
	}
	one := member("0000000000000001", "")
	text, _ := testReceipt(1, 2, 3).MarshalText()
	receipt := `"` + string(text) + `"`
	for name, s := range map[string]string{
		"nothing":                    ``,
		"no object":                  `[]`,
		"no type":                    `{}`,
		"two objects":                `{"type":"bye"}{}`,
		"no key":                     `{"type":"hello","role":"peer"}`,
		"a short key":                `{"type":"hello","role":"peer","key":"AAAA"}`,
		"a key with padding":         `{"type":"hello","role":"peer","key":"` + key + `="}`,
		"no role":                    `{"type":"hello","key":"` + key + `"}`,
		"another role":               strings.Replace(hello(""), "peer", "king", 1),
		"an address without a port":  hello(`,"hosts":["10.0.0.1:0"]`),
		"no address":                 hello(`,"hosts":[""]`),
		"a zone":                     hello(`,"hosts":["[fe80::1%eth0]:5"]`),
		"a multicast address":        hello(`,"hosts":["224.0.0.1:5"]`),
		"the broadcast address":      hello(`,"hosts":["255.255.255.255:5"]`),
		"the unspecified address":    hello(`,"hosts":["0.0.0.0:5"]`),
		"IPv4 dressed as IPv6":       hello(`,"hosts":["[::ffff:10.0.0.1]:5"]`),
		"nine addresses":             hello(`,"hosts":["10.0.0.1:5"` + strings.Repeat(`,"10.0.0.1:5"`, 8) + `]`),
		"a broken token":             hello(`,"addr_tokens":["AAAA"]`),
		"an empty token":             hello(`,"addr_tokens":[""]`),
		"a negative uplink":          hello(`,"uplink_bps":-1`),
		"an absurd uplink":           hello(`,"uplink_bps":1000000000000`),
		"a long name":                hello(`,"name":"` + strings.Repeat("x", 65) + `"`),
		"a name that moves a cursor": hello(`,"name":"\u001b[2J"`),
		"a report of nothing":        `{"type":"report"}`,
		"a report that is a list":    `{"type":"report","report":[]}`,
		"a long report":              `{"type":"report","report":{"x":"` + strings.Repeat("x", MaxSignalReport) + `"}}`,
		"a long message":             `{"type":"bye","x":"` + strings.Repeat("x", MaxSignal) + `"}`,
		"a receipt cut short":        `{"type":"report","report":{},"receipts":["AAAA"]}`,
		"a receipt of nobody":        `{"type":"report","report":{},"receipts":["` + strings.Repeat("A", 128) + `"]}`,
		"receipts beyond the bound":  `{"type":"report","report":{},"receipts":[` + receipt + strings.Repeat(","+receipt, MaxSignalReceipts) + `]}`,
		"unreached beyond the bound": `{"type":"report","report":{},"unreached":["0000000000000001"` + strings.Repeat(`,"0000000000000001"`, MaxSignalMembers) + `]}`,
		"a NAT in words":             hello(`,"nat":"symmetric"`),
		"a NAT in many words":        hello(`,"nat":{"mapping":"` + strings.Repeat("x", 33) + `"}`),
		"ports upside down":          hello(`,"nat":{"low":5,"high":4}`),
		"a step beyond all ports":    hello(`,"nat":{"delta":65536}`),
		"a punch at nobody":          `{"type":"punch","session":"1","round":1,"nat":{}}`,
		"a punch of no session":      `{"type":"punch","peer":"0000000000000001","session":"0","round":1,"nat":{}}`,
		"a fourth round":             `{"type":"punch","peer":"0000000000000001","session":"1","round":4,"nat":{}}`,
		"a punch with a short key":   `{"type":"punch","peer":"0000000000000001","session":"1","round":1,"nat":{},"mac_key":"AAAA"}`,
		"a welcome to nobody":        `{"type":"welcome","time_unix_ms":0}`,
		"an id as a number":          `{"type":"welcome","id":5,"time_unix_ms":0}`,
		"a crowd":                    `{"type":"neighbours","version":1,"topology":"mesh","group":"0","members":[` + strings.Join(crowd, ",") + `]}`,
		"a crowd in two groups":      `{"type":"feed","topology":"mesh","groups":[{"group":"1","version":1,"members":[` + strings.Join(crowd[:40], ",") + `]},{"group":"2","version":1,"members":[` + strings.Join(crowd[:40], ",") + `]}]}`,
		"a member twice":             `{"type":"neighbours","version":1,"topology":"mesh","group":"0","members":[` + one + `,` + one + `]}`,
		"a thousand empty groups":    `{"type":"feed","topology":"mesh","groups":[{"group":"1"}` + strings.Repeat(`,{"group":"1"}`, 999) + `]}`,
		"an error without a code":    `{"type":"error"}`,
	} {
		if m, err := ParseSignal([]byte(s)); err == nil {
			t.Errorf("%s: parsed as %+v", name, m)
		}
	}
}

// The bounds of members must not meet the bound of bytes: whatever the tracker
// can say of 64 members fits.
func TestTheLargestListFits(t *testing.T) {
	m := &SignalNeighbours{Topology: strings.Repeat("x", maxSignalName), Version: 1 << 63, Group: 1 << 63}
	long := netip.MustParseAddrPort("[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535")
	token := AppendToken(nil, testTokenKey, long, testTime)
	for i := range MaxSignalMembers {
		x := SignalMember{ID: PeerID(1<<63 | uint64(i)), Key: testKey(9), Role: RolePeer, Upload: true, UplinkBPS: maxUplink, Token: token, Tier: -1, Group: 1 << 63, Cost: 1<<32 - 1, Standing: 255, NAT: testNAT()}
		for range MaxSignalAddrs {
			x.Addrs = append(x.Addrs, long)
		}
		m.Members = append(m.Members, x)
		m.Banned = append(m.Banned, x.ID)
	}
	b, err := AppendSignal(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d members in %d bytes", len(m.Members), len(b))
}

func TestPeerIDsComeFromKeys(t *testing.T) {
	a, b := PeerIDOf(testKey(1)), PeerIDOf(testKey(2))
	if a == b || a == 0 || a != PeerIDOf(testKey(1)) {
		t.Errorf("ids %s and %s", a, b)
	}
	text, _ := a.MarshalText()
	var back PeerID
	if err := back.UnmarshalText(text); err != nil || back != a {
		t.Errorf("%s became %s, %v", a, back, err)
	}
	for _, s := range []string{"", "1", "00000000000000g0", "00000000000000001", "-000000000000001", "+000000000000001"} {
		if err := back.UnmarshalText([]byte(s)); err == nil {
			t.Errorf("%q is an id", s)
		}
	}
}

func testRoom() *RoomDocument {
	token := testKey(8)
	return &RoomDocument{
		Room: "match", Mode: "live", Container: "flv", RoomKey: testKey(7), Newest: json.RawMessage(`{"seq":5}`),
		Origins: []string{"http://127.0.0.1:8080", "/"}, Seeds: []RoomSeed{{Key: testKey(6), Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:9000")}}},
		STUN: []string{"127.0.0.1:3478"}, Log: "/v1/rooms/match/log", Signal: "ws://127.0.0.1:8080/v1/rooms/match/signal",
		TokenKey: &token, Topology: "balanced", TimeUnixMS: testTime.UnixMilli(),
	}
}

func TestRoomDocumentRoundTrips(t *testing.T) {
	want := testRoom()
	b, err := want.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseRoomDocument(b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s\n became %+v", b, got)
	}
}

func TestRoomDocumentIsRefused(t *testing.T) {
	for name, bend := range map[string]func(*RoomDocument){
		"a name with a slash":      func(d *RoomDocument) { d.Room = "a/b" },
		"a name of dots":           func(d *RoomDocument) { d.Room = ".." },
		"a word of URLs":           func(d *RoomDocument) { d.Room = "metrics" },
		"a mode of neither":        func(d *RoomDocument) { d.Mode = "dead" },
		"a container unknown":      func(d *RoomDocument) { d.Container = "avi" },
		"no key":                   func(d *RoomDocument) { d.RoomKey = Key{} },
		"an origin that is a file": func(d *RoomDocument) { d.Origins = []string{"file:///etc/passwd"} },
		"a script to signal to":    func(d *RoomDocument) { d.Signal = "javascript:alert(1)" },
		"a seed without a key":     func(d *RoomDocument) { d.Seeds[0].Key = Key{} },
		"a seed at no port":        func(d *RoomDocument) { d.Seeds[0].Addrs[0] = netip.MustParseAddrPort("127.0.0.1:0") },
		"a list without end":       func(d *RoomDocument) { d.STUN = make([]string, maxRoomList+1) },
	} {
		d := testRoom()
		bend(d)
		if _, err := d.Append(nil); err == nil {
			t.Errorf("%s: written", name)
		}
		b, _ := json.Marshal(d)
		if got, err := ParseRoomDocument(b); err == nil {
			t.Errorf("%s: parsed as %+v", name, got)
		}
	}
}

func FuzzSignal(f *testing.F) {
	for _, m := range testSignals() {
		b, err := AppendSignal(nil, m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseSignal(b)
		if err != nil {
			return
		}
		once, err := AppendSignal(nil, m)
		if err != nil {
			if strings.Contains(err.Error(), "bytes are more than") {
				return // escapes may make it longer than it came
			}
			t.Fatalf("%s parsed and cannot be written: %v", b, err)
		}
		again, err := ParseSignal(once)
		if err != nil && strings.Contains(err.Error(), "longer than") {
			return // as above, for a report
		}
		if err != nil {
			t.Fatalf("%s\n%v", once, err)
		}
		twice, err := AppendSignal(nil, again)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%s\n%s\n%v", once, twice, err)
		}
	})
}

func FuzzRoomDocument(f *testing.F) {
	room := testRoom()
	room.Renditions = testManifest()
	b, err := room.Append(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := ParseRoomDocument(b)
		if err != nil {
			return
		}
		once, err := d.Append(nil)
		if err != nil {
			if strings.Contains(err.Error(), "bytes are more than") {
				return
			}
			t.Fatal(err)
		}
		again, err := ParseRoomDocument(once)
		if err != nil {
			t.Fatalf("%s\n%v", once, err)
		}
		twice, err := again.Append(nil)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%s\n%s\n%v", once, twice, err)
		}
	})
}
