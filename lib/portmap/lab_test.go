//go:build linux

package portmap

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/huin/goupnp/dcps/internetgateway2"

	"github.com/xp2p/xp2p/lib/netlab"
	"github.com/xp2p/xp2p/lib/wire"
)

// inLab makes this program a host that keeps port 4000 mapped until its standard
// input ends, and writes what it has.
const inLab = "XP2P_PORTMAP_LAB"

func TestMain(m *testing.M) {
	switch by := os.Getenv(inLab); by {
	case "":
		os.Exit(m.Run())
	case "1":
	default:
		if err := beGuest(by); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if err := Keep(ctx, Config{}, 4000, func(m Mapping) { fmt.Println(m.By, m.External) }); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A host that knows nothing finds its router: by its route for PCP, by multicast for
// UPnP.
func TestARouterIsFound(t *testing.T) {
	if err := netlab.Available(); err != nil {
		t.Skip(err)
	}
	for _, by := range []string{"pcp", "upnp"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			var hosts []netlab.Host
			for _, n := range netlab.Zoo() {
				if n.Name == "port-restricted-cone" {
					hosts = n.Hosts(netlab.Link{}, netlab.Link{}, false)
				}
			}
			l, err := netlab.New(netlab.Config{Hosts: hosts})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(l.Close)
			r := newRouter(t)
			if err := l.Do("router", func() error {
				if by == "pcp" {
					r.pcp = true
					r.listen("192.168.1.1")
					return nil
				}
				return r.advertise()
			}); err != nil {
				t.Fatal(err)
			}
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			c := l.Command(netlab.Client, self)
			c.Env = append(os.Environ(), inLab+"=1")
			c.Stderr = os.Stderr
			in, _ := c.StdinPipe()
			out, _ := c.StdoutPipe()
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			stop := time.AfterFunc(20*time.Second, func() { c.Process.Kill() })
			defer stop.Stop()
			line, err := bufio.NewReader(out).ReadString('\n')
			if want := by + " " + outside.String() + ":4000\n"; line != want {
				t.Errorf("%q, %v; want %q", line, err, want)
			}
			in.Close()
			if err := c.Wait(); err != nil {
				t.Error(err)
			}
			r.wantNone()
		})
	}
}

// advertise serves a gateway device at 192.168.1.1, and answers those who search for
// it. In the router's namespace.
func (r *router) advertise() error {
	const urn = internetgateway2.URN_WANIPConnection_1
	ln, err := net.Listen("tcp4", "192.168.1.1:0")
	if err != nil {
		return err
	}
	s := &http.Server{Handler: r.device(urn)}
	go s.Serve(ln)
	r.t.Cleanup(func() { s.Close() })
	inside, err := net.InterfaceByName("in0")
	if err != nil {
		return err
	}
	conn, err := net.ListenMulticastUDP("udp4", inside, net.UDPAddrFromAddrPort(netip.MustParseAddrPort("239.255.255.250:1900")))
	if err != nil {
		return err
	}
	r.t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, wire.MaxPCP)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if q := string(buf[:n]); strings.HasPrefix(q, "M-SEARCH") && strings.Contains(q, urn) {
				fmt.Fprintf(asked{conn, from}, "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nEXT:\r\nLOCATION: http://%s/root.xml\r\nSERVER: test\r\nST: %s\r\nUSN: uuid:1::%s\r\n\r\n", ln.Addr(), urn, urn)
			}
		}
	}()
	return nil
}

// asked writes to whoever asked.
type asked struct {
	conn *net.UDPConn
	from netip.AddrPort
}

func (a asked) Write(b []byte) (int, error) { return a.conn.WriteToUDPAddrPort(b, a.from) }
