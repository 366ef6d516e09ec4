package portmap

import (
	"encoding/binary"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/wire"
)

var outside = netip.MustParseAddr("203.0.113.5")

// A router of our own, which speaks what it is told to.
type router struct {
	t        *testing.T
	pcp, pmp bool
	grant    uint32 // seconds that it gives at most
	taken    uint16 // an outside port that another has
	forever  bool   // its device knows no leases
	slow     bool   // it answers PCP only when a port is mapped already

	mu     sync.Mutex
	epoch  uint32
	maps   map[uint16]uint16 // outside port to inside port
	log    []string
	change chan struct{}
}

func newRouter(t *testing.T) *router {
	return &router{t: t, grant: 7200, epoch: 100, maps: map[uint16]uint16{}, change: make(chan struct{})}
}

func (r *router) did(format string, args ...any) {
	r.log = append(r.log, fmt.Sprintf(format, args...))
	close(r.change)
	r.change = make(chan struct{})
}

// until waits until something holds.
func (r *router) until(what string, cond func() bool) {
	r.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		r.mu.Lock()
		ok, change := cond(), r.change
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-change:
		case <-deadline:
			r.t.Fatalf("%s: never; %v", what, r.log)
		}
	}
}

// wantNone says that nothing is left behind.
func (r *router) wantNone() {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.maps) != 0 {
		r.t.Errorf("left behind: %v, %v", r.maps, r.log)
	}
}

// restart forgets all, as a router without power does.
func (r *router) restart() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epoch, r.maps = 1, map[uint16]uint16{}
}

// give maps a port, or ends the mapping; it returns the outside port.
func (r *router) give(by string, inside, want uint16, life uint32) uint16 {
	if life == 0 {
		for o, i := range r.maps {
			if i == inside {
				delete(r.maps, o)
			}
		}
		r.did("%s ended %d", by, inside)
		return 0
	}
	if want == r.taken || want == 0 {
		want += 1000
	}
	for o, i := range r.maps {
		if i == inside {
			want = o
		}
	}
	r.maps[want] = inside
	r.did("%s maps %d to %d", by, want, inside)
	return want
}

// listen answers PCP and NAT-PMP at an address of the loopback.
func (r *router) listen(at string) netip.Addr {
	r.t.Helper()
	addr := netip.MustParseAddr(at)
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, wire.NATPMPPort)))
	if err != nil {
		r.t.Skip(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 2000)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if b := r.answer(buf[:n], from); b != nil {
				conn.WriteToUDPAddrPort(b, from)
			}
		}
	}()
	return addr
}

func (r *router) answer(b []byte, from netip.AddrPort) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epoch++
	switch {
	case len(b) > 0 && b[0] == 2 && r.pcp:
		if r.slow && len(r.maps) == 0 {
			return nil
		}
		client, m, err := wire.ParsePCPRequest(b)
		if err != nil || client != from.Addr() {
			r.t.Errorf("PCP from %v: %v, %v", from, client, err)
			return nil
		}
		a := &wire.PCPAnswer{Epoch: r.epoch}
		if m == nil {
			r.did("pcp is here")
		} else {
			a.Lifetime = min(m.Lifetime, r.grant)
			m.External = netip.AddrPortFrom(outside, r.give("pcp", m.Internal, m.External.Port(), m.Lifetime))
			a.Map = m
		}
		return wire.AppendPCPAnswer(nil, a)
	case len(b) > 0 && b[0] == 2 && r.pmp:
		return []byte{0, 0x80 | b[1], 0, 1, 0, 0, 0, 0} // RFC 6886 §3.5: unsupported version
	case len(b) == 2 && b[0] == 0 && r.pmp:
		a := outside.As4()
		return append(binary.BigEndian.AppendUint32([]byte{0, 128, 0, 0}, r.epoch), a[:]...)
	case len(b) == 12 && b[0] == 0 && r.pmp:
		inside, want, life := binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:]), binary.BigEndian.Uint32(b[8:])
		out := binary.BigEndian.AppendUint32([]byte{0, 0x80 | b[1], 0, 0}, r.epoch)
		out = binary.BigEndian.AppendUint16(out, inside)
		out = binary.BigEndian.AppendUint16(out, r.give("nat-pmp", inside, want, life))
		return binary.BigEndian.AppendUint32(out, min(life, r.grant))
	}
	return nil
}

// device describes itself and takes actions, as an Internet Gateway Device of a
// version does.
func (r *router) device(urn string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /root.xml", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><specVersion><major>1</major><minor>0</minor></specVersion>
<device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><friendlyName>test</friendlyName><UDN>uuid:1</UDN><serviceList><service>
<serviceType>%s</serviceType><serviceId>urn:upnp-org:serviceId:WANIPConn1</serviceId><SCPDURL>/scpd</SCPDURL><controlURL>/control</controlURL><eventSubURL>/event</eventSubURL>
</service></serviceList></device></root>`, urn)
	})
	mux.HandleFunc("POST /control", func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(q.Body, 1<<16))
		r.mu.Lock()
		defer r.mu.Unlock()
		_, action, _ := strings.Cut(strings.Trim(q.Header.Get("SOAPAction"), `"`), "#")
		code, result := r.act(action, body)
		w.Header().Set("Content-Type", "text/xml")
		const head = `<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>`
		if code != 0 {
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprintf(w, head+`<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail><UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>%d</errorCode></UPnPError></detail></s:Fault></s:Body></s:Envelope>`, code)
			return
		}
		fmt.Fprintf(w, head+`<u:%sResponse xmlns:u="%s">%s</u:%sResponse></s:Body></s:Envelope>`, action, urn, result, action)
	})
	return mux
}

func (r *router) act(action string, body []byte) (code int, result string) {
	var in struct {
		Body struct {
			Action struct {
				External uint16 `xml:"NewExternalPort"`
				Internal uint16 `xml:"NewInternalPort"`
				Client   string `xml:"NewInternalClient"`
				Lease    uint32 `xml:"NewLeaseDuration"`
			} `xml:",any"`
		} `xml:"Body"`
	}
	if err := xml.Unmarshal(body, &in); err != nil {
		r.t.Errorf("%s: %v", action, err)
	}
	a := in.Body.Action
	switch action {
	case "GetExternalIPAddress":
		return 0, "<NewExternalIPAddress>" + outside.String() + "</NewExternalIPAddress>"
	case "AddPortMapping":
		switch {
		case a.External == r.taken:
			return 718, ""
		case r.forever && a.Lease != 0:
			return 725, ""
		case !netip.MustParseAddr(a.Client).IsLoopback() && !netip.MustParseAddr(a.Client).IsPrivate():
			r.t.Errorf("a mapping to %s", a.Client)
		}
		r.maps[a.External] = a.Internal
		r.did("upnp maps %d to %d for %d s", a.External, a.Internal, a.Lease)
		return 0, ""
	case "DeletePortMapping":
		delete(r.maps, a.External)
		r.did("upnp ended %d", a.External)
		return 0, ""
	}
	return 401, ""
}

// igd serves the device on the loopback.
func (r *router) igd(urn string) *url.URL {
	s := httptest.NewServer(r.device(urn))
	r.t.Cleanup(s.Close)
	u, _ := url.Parse(s.URL + "/root.xml")
	return u
}
