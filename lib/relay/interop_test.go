package relay

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// need skips where a tool of coturn's is not installed.
func need(t *testing.T, tool string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		t.Skipf("%s is not installed (coturn)", tool)
	}
	if testing.Short() {
		t.Skip("real time: not with -short")
	}
	return path
}

var (
	sentLine = regexp.MustCompile(`tot_send_msgs=(\d+), tot_recv_msgs=(\d+)`)
	lossLine = regexp.MustCompile(`Total lost packets (\d+) \(`)
)

func TestCoturnsClientLosesNothingThroughOurRelay(t *testing.T) {
	uclient := need(t, "turnutils_uclient")
	s := open(t, lab())
	for _, at := range []URI{s.udp, s.tcp, s.tls} {
		t.Run(at.Transport.String(), func(t *testing.T) {
			t.Parallel() // it takes its time
			user, password := s.Credential(time.Now(), "match")
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			args := []string{"-y", "-c", "-X", "-m", "1", "-n", "40", "-l", "1000", "-z", "5", "-u", user, "-w", password, "-p", strconv.Itoa(int(at.Port))}
			switch at.Transport {
			case TCP:
				args = append(args, "-t")
			case TLS:
				args = append(args, "-t", "-S")
			}
			out, err := exec.CommandContext(ctx, uclient, append(args, at.Host)...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			loss := lossLine.FindAllSubmatch(out, -1)
			sent := sentLine.FindAllSubmatch(out, -1)
			if len(loss) == 0 || string(loss[len(loss)-1][1]) != "0" || len(sent) == 0 || string(sent[len(sent)-1][1]) == "0" {
				t.Errorf("it lost something, or sent nothing:\n%s", out)
			}
		})
	}
}

func TestOurClientGoesThroughCoturn(t *testing.T) {
	turnserver := need(t, "turnserver")
	dir := t.TempDir()
	port := freePort(t)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, turnserver, "-n", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", fmt.Sprintf("--listening-port=%d", port),
		"--lt-cred-mech", "--user=me:secret", "--realm=xp2p.test", "--allow-loopback-peers", "--no-cli", "--no-tls", "--no-dtls", "--cli-password=x",
		"--log-file=stdout", "--pidfile="+dir+"/pid", "--db="+dir+"/db", "--no-stdout-log")
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		cmd.Wait()
	})
	waitFor(t, "coturn to listen", func() bool {
		conn, err := net.DialTimeout("tcp4", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	for _, transport := range []Transport{UDP, TCP} {
		t.Run(transport.String(), func(t *testing.T) {
			a, err := Dial(t.Context(), Access{URI: URI{"127.0.0.1", port, transport}, Username: "me", Password: "secret"})
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			p := peer(t)
			for i := range 100 {
				want := fmt.Sprint(i, strings.Repeat("y", 10*i))
				if err := a.WriteTo([]byte(want), addrPortOf(p.LocalAddr())); err != nil {
					t.Fatal(err)
				}
				got, from := receive(t, p.ReadFromUDPAddrPort)
				if got != want || from != a.LocalAddr() {
					t.Fatalf("the peer got %d bytes from %v; want %d from %v", len(got), from, len(want), a.LocalAddr())
				}
				p.WriteToUDPAddrPort([]byte(want), from)
				if got, _ := receive(t, a.ReadFrom); got != want {
					t.Fatalf("the client got %d bytes, want %d", len(got), len(want))
				}
			}
		})
	}
	t.Run("a wrong password", func(t *testing.T) {
		if a, err := Dial(t.Context(), Access{URI: URI{"127.0.0.1", port, TCP}, Username: "me", Password: "x"}); err == nil {
			a.Close()
			t.Error("coturn let us in")
		}
	})
}

// freePort finds a port that is free for UDP and TCP.
func freePort(t *testing.T) uint16 {
	t.Helper()
	for range 20 {
		ln, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		at := ln.Addr().(*net.TCPAddr).AddrPort()
		conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at.Addr(), at.Port())))
		ln.Close()
		if err == nil {
			conn.Close()
			return at.Port()
		}
	}
	t.Fatal("no port is free")
	return 0
}
