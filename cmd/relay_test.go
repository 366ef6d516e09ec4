package cmd_test

import (
	"bytes"
	"encoding/json"
	"net"
	"net/netip"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v2"

	"github.com/xp2p/xp2p/lib/relay"
	"github.com/xp2p/xp2p/lib/wire"
)

// coturn returns one of coturn's tools, or skips.
func coturn(t *testing.T, tool string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		t.Skipf("%s is not installed (coturn)", tool)
	}
	return path
}

// document is the room document of a seed.
func document(t *testing.T, base string) *wire.RoomDocument {
	t.Helper()
	d, err := wire.ParseRoomDocument(bytes.TrimSpace(get(t, base+"/v1/rooms/"+room)))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// A relay of a seed's is used with what the room document says, by any TURN client;
// each who asks gets a user name of its own.
func TestASeedRelaysForWhoeverHasTheRoomDocument(t *testing.T) {
	t.Parallel()
	plain, secure := freePort(t), freePort(t)
	b := onAir(t, clip{seconds: 30}.live(t, asFLV), "--relay", plain, "--relay-tls", secure)
	d, again := document(t, b.base), document(t, b.base)
	var urls []string
	for i, r := range d.Relays {
		urls = append(urls, r.URL)
		u, err := relay.ParseURI(r.URL)
		if err != nil {
			t.Fatal(err)
		}
		if r.Credential == "" || r.Username == again.Relays[i].Username || (r.CertSHA256 != "") != (u.Transport == relay.TLS) {
			t.Errorf("%+v, and then %+v", r, again.Relays[i])
		}
		a, err := relay.Dial(t.Context(), relay.Access{URI: u, Username: r.Username, Password: r.Credential, Fingerprint: r.CertSHA256})
		if err != nil {
			t.Errorf("%s: %v", r.URL, err)
			continue
		}
		if a.LocalAddr().Addr() != netip.MustParseAddrPort(plain).Addr() {
			t.Errorf("%s: a relayed address %v", r.URL, a.LocalAddr())
		}
		a.Close()
	}
	if want := "turn:" + plain + "?transport=udp turn:" + plain + "?transport=tcp turns:" + secure + "?transport=tcp"; strings.Join(urls, " ") != want {
		t.Errorf("relays %q, want %q", urls, want)
	}
	until(t, 10*time.Second, "the addresses are given back", func() bool {
		return metric(t, b.base, "xp2p_relay_allocated_total") == 3 && metric(t, b.base, "xp2p_relay_allocations") == 0
	})
	t.Run("coturn's client", func(t *testing.T) {
		uclient := coturn(t, "turnutils_uclient")
		_, port, _ := net.SplitHostPort(plain)
		r := d.Relays[0]
		out, err := exec.CommandContext(t.Context(), uclient, "-y", "-c", "-X", "-n", "20", "-u", r.Username, "-w", r.Credential, "-p", port, "127.0.0.1").CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("Total lost packets 0 (")) {
			t.Errorf("%v\n%s", err, out)
		}
		if n := metric(t, b.base, "xp2p_relay_bytes_total"); n < 20*100 {
			t.Errorf("the seed counts %v relayed bytes", n)
		}
	})
}

func TestStandardSTUNClientsUnderstandTheResponder(t *testing.T) {
	b := onAir(t, clip{seconds: 8}.live(t, asFLV))
	at := document(t, b.base).STUN[0]
	t.Run("coturn", func(t *testing.T) {
		client := coturn(t, "turnutils_stunclient")
		host, port, _ := net.SplitHostPort(at)
		out, err := exec.CommandContext(t.Context(), client, "-p", port, host).CombinedOutput()
		if err != nil || !regexp.MustCompile(`reflexive addr: 127\.0\.0\.1:\d+`).Match(out) {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("pion", func(t *testing.T) {
		c, err := stun.Dial("udp4", at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var mapped stun.XORMappedAddress
		err = c.Do(stun.MustBuild(stun.TransactionID, stun.BindingRequest), func(e stun.Event) {
			if e.Error != nil || mapped.GetFrom(e.Message) != nil {
				t.Errorf("%+v", e)
			}
		})
		if err != nil || mapped.IP.String() != "127.0.0.1" || mapped.Port == 0 {
			t.Errorf("%v: %v", err, mapped)
		}
	})
}

// A hundred thousand STUN requests from a thousand addresses, as fast as this machine
// sends them: a viewer gets its stream all the while, and what leaves is bounded by
// what came, on the wire.
func TestAFloodOfSTUNLeavesTheStreamAlone(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs all of 127.0.0.0/8 to be this machine's")
	}
	if testing.Short() {
		t.Skip("takes seconds")
	}
	b := onAir(t, clip{seconds: 40}.live(t, asFLV))
	p := run(t, launch{}, "peer", "-q", b.url)
	p.out.grow(t, 20*time.Second, 1)
	at := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(document(t, b.base).STUN[0]))
	bare := make([]byte, 20)
	copy(bare, []byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42})
	const sources, each, headers = 1000, 100, 28
	conns := make([]*net.UDPConn, sources)
	for i := range conns {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 9, byte(i/250), byte(1+i%250))})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns[i] = conn
	}
	before := p.out.len()
	in := 0
	for n := range sources * each {
		bare[19], bare[18], bare[17] = byte(n), byte(n>>8), byte(n>>16)
		if _, err := conns[n%sources].WriteToUDP(bare, at); err == nil {
			in += len(bare) + headers
		}
	}
	p.out.await(t, 20*time.Second, "the stream goes on", func(o []byte) bool { return len(o) > before })
	requests := func() float64 { return metric(t, b.base, "xp2p_stun_requests_total") }
	until(t, 20*time.Second, "the seed has gone through it", func() bool {
		n := requests()
		return n > 1000 && n == requests()
	})
	out, answers := 0, 0
	buf := make([]byte, 1500)
	for _, conn := range conns {
		conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		for {
			n, err := conn.Read(buf)
			if err != nil {
				break
			}
			out += n + headers
			answers++
		}
	}
	t.Logf("%d bytes brought %d in %d answers: %.3f; the seed took %v requests", in, out, answers, float64(out)/float64(in), requests())
	if answers == 0 || float64(out) > 1.25*float64(in) {
		t.Errorf("%d bytes brought %d", in, out)
	}
	p.out.grow(t, 20*time.Second, 1)
	// Who comes now is answered.
	c, err := stun.Dial("udp4", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Do(stun.MustBuild(stun.TransactionID, stun.BindingRequest), func(e stun.Event) { err = e.Error }); err != nil {
		t.Errorf("a newcomer: %v", err)
	}
	if !json.Valid(get(t, b.base+"/v1/rooms/"+room)) {
		t.Error("the seed does not say what the room is")
	}
}
