//go:build linux

package portmap

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/netlab"
)

// daemonSite has an address that is somebody's, though in the lab alone: miniupnpd maps
// no ports at one that nobody reaches, such as those of documents.
var daemonSite = netlab.Site{
	Client: netlab.Client, Router: "router",
	Public: netip.MustParseAddr("11.22.33.44"), Inside: netip.MustParseAddr("192.168.1.7"), Second: netip.MustParseAddr("100.64.7.1"),
}

// daemonRules are those of a router that leaves room for miniupnpd's.
const daemonRules = `table inet filter {
	chain forward { type filter hook forward priority 0; policy drop; iifname "in0" accept; ct state established,related accept; jump miniupnpd; }
	chain before { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
	chain after { type nat hook postrouting priority 100; jump postrouting_miniupnpd; oifname "lab0" masquerade; }
	chain miniupnpd { }
	chain prerouting_miniupnpd { }
	chain postrouting_miniupnpd { }
}`

// The router that most homes have: miniupnpd, with nftables. By each protocol a port is
// mapped, a stranger's datagram comes in there, and when it is given back none does.
func TestMiniupnpd(t *testing.T) {
	if err := netlab.Available(); err != nil {
		t.Skip(err)
	}
	daemon, err := exec.LookPath("miniupnpd")
	if err != nil {
		t.Skip(err)
	}
	for _, by := range []string{"pcp", "nat-pmp", "upnp", "any"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			var hosts []netlab.Host
			for _, n := range netlab.Zoo() {
				if n.Name == "port-restricted-cone" {
					hosts = n.HostsAt(daemonSite, netlab.Link{}, netlab.Link{}, false)
				}
			}
			for i := range hosts {
				if hosts[i].Name == daemonSite.Router {
					hosts[i].Rules = daemonRules
				}
			}
			hosts = append(hosts, netlab.Host{Name: "stranger", Addr: netip.MustParseAddr("11.99.0.1")})
			l, err := netlab.New(netlab.Config{Hosts: hosts})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(l.Close)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			stop := startDaemon(ctx, t, l, daemon, "system_uptime=yes") // it counts from when this machine began

			h := startHost(ctx, t, l, by)
			said := h.next()
			what, at, _ := strings.Cut(said, " ")
			external, err := netip.ParseAddrPort(at)
			if err != nil || external.Addr() != daemonSite.Public || by != "any" && what != by {
				t.Fatalf("the host says %q", said)
			}
			t.Log(said)
			knock := func(word string) {
				if err := l.Do("stranger", func() error {
					c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(external))
					if err != nil {
						return err
					}
					defer c.Close()
					_, err = io.WriteString(c, word)
					return err
				}); err != nil {
					t.Fatal(err)
				}
			}
			knock("in")
			if got := h.next(); got != "in" {
				t.Errorf("the host says %q", got)
			}
			mapped := func() bool {
				rules, err := l.Command(daemonSite.Router, "nft", "list", "ruleset").Output()
				if err != nil {
					t.Fatal(err)
				}
				return strings.Contains(string(rules), "dnat")
			}
			if by == "any" { // a router that starts anew has forgotten us
				stop()
				if out, err := l.Command(daemonSite.Router, "nft", "flush chain inet filter prerouting_miniupnpd; flush chain inet filter miniupnpd").CombinedOutput(); err != nil {
					t.Fatal(err, out)
				}
				startDaemon(ctx, t, l, daemon, "")
				for !mapped() {
					if ctx.Err() != nil {
						t.Fatal("the port is not mapped anew")
					}
				}
				knock("again")
				if got := h.next(); got != "again" {
					t.Errorf("the host says %q", got)
				}
			}
			io.WriteString(h.in, "\n") // give it back
			if got := h.next(); got != "given back" {
				t.Errorf("the host says %q", got)
			}
			if mapped() {
				t.Error("it is mapped for ever")
			}
			knock("late")
			h.in.Close()
			if got := h.next(); got != "" {
				t.Errorf("after all: %q", got)
			}
		})
	}
}

// startDaemon starts miniupnpd, and waits until it has said that it listens.
func startDaemon(ctx context.Context, t *testing.T, l *netlab.Lab, daemon, option string) (stop func()) {
	dir := t.TempDir()
	config := filepath.Join(dir, "conf")
	if err := os.WriteFile(config, []byte(option+`
ext_ifname=lab0
listening_ip=in0
ipv6_disable=yes
enable_natpmp=yes
enable_upnp=yes
secure_mode=yes
uuid=6f1f33c8-6f0e-4b3a-8c0e-5f8a33b0c0de
allow 1024-65535 192.168.1.0/24 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
`), 0o600); err != nil {
		t.Fatal(err)
	}
	c := l.CommandContext(ctx, daemonSite.Router, daemon, "-d", "-f", config, "-P", filepath.Join(dir, "pid"))
	out, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stdout = c.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		c.Process.Kill()
		c.Wait()
	})
	t.Cleanup(stop)
	ready := make(chan bool, 1)
	var said strings.Builder
	go func() {
		for r := bufio.NewScanner(out); r.Scan(); {
			fmt.Fprintln(&said, r.Text())
			if strings.Contains(r.Text(), "NAT-PMP") {
				ready <- true
				break
			}
		}
		io.Copy(io.Discard, out)
		close(ready)
	}()
	if !<-ready {
		t.Fatalf("miniupnpd ended: %s", said.String())
	}
	return stop
}

// A guest is a host behind the router: this program, see inLab.
type guest struct {
	in    io.WriteCloser
	lines *bufio.Scanner
}

func (g *guest) next() string {
	g.lines.Scan()
	return g.lines.Text()
}

func startHost(ctx context.Context, t *testing.T, l *netlab.Lab, by string) *guest {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := l.CommandContext(ctx, netlab.Client, self)
	c.Env = append(os.Environ(), inLab+"="+by)
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		c.Process.Kill()
		c.Wait()
	})
	return &guest{in, bufio.NewScanner(out)}
}

// beGuest has port 4000 mapped by a protocol, writes what it has, then all datagrams that
// come, until a line comes in: then it gives the port back, and listens on until its
// input ends.
func beGuest(by string) error {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{Port: 4000})
	if err != nil {
		return err
	}
	go func() {
		b := make([]byte, 100)
		for {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			fmt.Println(string(b[:n]))
		}
	}()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	input := bufio.NewReader(os.Stdin)
	line := make(chan struct{})
	go func() {
		input.ReadString('\n')
		close(line)
	}()
	c := Config{lookEvery: 50 * time.Millisecond}
	if by == "any" {
		go func() {
			<-line
			cancel()
		}()
		if err := Keep(ctx, c, 4000, func(m Mapping) { fmt.Println(m.By, m.External) }); err != nil {
			return err
		}
	} else {
		if c.Gateway, err = Gateway(); err != nil {
			return err
		}
		open := map[string]func(context.Context, Config) (protocol, error){"pcp": openPCP, "nat-pmp": openNATPMP, "upnp": openUPnP}[by]
		p, err := open(ctx, c)
		if err != nil {
			return err
		}
		m, err := p.add(ctx, 4000, Mapping{})
		if err != nil {
			return err
		}
		if m, err = p.add(ctx, 4000, m); err != nil { // renewed
			return err
		}
		if s, err := p.look(ctx); err != nil || m.state.forgot(s, 0) {
			return fmt.Errorf("%+v, before %+v: %w", s, m.state, err)
		}
		fmt.Println(m.By, m.External)
		<-line
		if err := p.remove(ctx, 4000, m); err != nil {
			return err
		}
		p.close()
	}
	fmt.Println("given back")
	io.Copy(io.Discard, input)
	return nil
}
