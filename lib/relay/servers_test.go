package relay

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"
)

func TestARelayThatDoesNotAnswerHoldsNobodyUp(t *testing.T) {
	s := open(t, lab())
	silent := peer(t) // as behind a firewall that lets no UDP through
	user, password := s.Credential(time.Now(), "match")
	access := func(u URI) Access {
		return Access{URI: u, Username: user, Password: password, Fingerprint: s.fingerprint}
	}
	var servers Servers
	if _, err := servers.Dial(t.Context(), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a relayed address without a relay")
	}
	servers.Set([]Access{access(URI{"127.0.0.1", addrPortOf(silent.LocalAddr()).Port(), UDP}), access(s.tls)}, nil)
	began := time.Now()
	a, err := servers.Dial(t.Context(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if took := time.Since(began); a.Server() != addrPortOf(a.conn.remote()) || a.conn.stream == nil || took < nextServer {
		t.Errorf("from %v after %v", a.Server(), took)
	}
}

func TestOldCredentialsAreAskedForAnew(t *testing.T) {
	s := open(t, lab())
	asked := 0
	var servers Servers
	servers.Set([]Access{{URI: s.udp, Username: "1:match:old", Password: "x"}}, func(context.Context) ([]Access, error) {
		if asked++; asked == 1 {
			return nil, errors.New("the tracker does not answer")
		}
		user, password := s.Credential(time.Now(), "match")
		return []Access{{URI: s.udp, Username: user, Password: password}}, nil
	})
	servers.at = time.Now().Add(-oldCredentials)
	if _, err := servers.Dial(t.Context(), nil); err == nil || asked != 1 {
		t.Errorf("%v, asked %d times", err, asked)
	}
	for range 2 { // the second time they are still good
		a, err := servers.Dial(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		a.Close()
	}
	if asked != 2 {
		t.Errorf("asked %d times, want 2", asked)
	}
}
