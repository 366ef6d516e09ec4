package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/xp2p/xp2p/lib/wire"
)

// Our choices.
const (
	// nextServer is how long one way to a relay is waited for before the next is
	// tried beside it.
	nextServer = 400 * time.Millisecond
	// oldCredentials are not used any more: whoever gave them has new ones.
	oldCredentials = CredentialLife / 2
)

// Accesses are the relays of a room document that we understand.
func Accesses(doc *wire.RoomDocument) (list []Access) {
	for _, r := range doc.Relays {
		if u, err := ParseURI(r.URL); err == nil {
			list = append(list, Access{URI: u, Username: r.Username, Password: r.Credential, Fingerprint: r.CertSHA256})
		}
	}
	return list
}

// Servers are the TURN servers of a room, best first, and what lets one in for a
// while.
type Servers struct {
	mu    sync.Mutex
	list  []Access
	at    time.Time
	fetch func(context.Context) ([]Access, error)
}

// Set says which they are, as of now, and who says so again when the credentials are
// old.
func (s *Servers) Set(list []Access, fetch func(context.Context) ([]Access, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list, s.at, s.fetch = list, time.Now(), fetch
}

// fresh returns them with credentials that are good for a while.
func (s *Servers) fresh(ctx context.Context) ([]Access, error) {
	s.mu.Lock()
	list, at, fetch := s.list, s.at, s.fetch
	s.mu.Unlock()
	if len(list) == 0 {
		return nil, errors.New("relay: there is none")
	}
	if time.Since(at) < oldCredentials {
		return list, nil
	}
	list, err := fetch(ctx)
	if err != nil {
		return nil, err
	}
	s.Set(list, fetch)
	return list, nil
}

// Dial asks them for a relayed address, each a little after the one before; the first
// that answers is it.
func (s *Servers) Dial(ctx context.Context, log *slog.Logger) (*Allocation, error) {
	list, err := s.fresh(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		a   *Allocation
		err error
	}
	answers := make(chan answer, len(list))
	asked, heard := 0, 0
	defer func() { // of those who answer too late
		late := asked - heard
		go func() {
			for range late {
				if l := <-answers; l.err == nil {
					l.a.Close()
				}
			}
		}()
	}()
	next := time.NewTimer(0)
	defer next.Stop()
	var errs []error
	for heard < len(list) {
		select {
		case <-next.C:
			if asked == len(list) {
				continue
			}
			to := list[asked]
			to.Log = log
			asked++
			go func() {
				a, err := Dial(ctx, to)
				answers <- answer{a, err}
			}()
			next.Reset(nextServer)
		case got := <-answers:
			heard++
			if got.err == nil {
				return got.a, nil
			}
			errs = append(errs, got.err)
			next.Reset(0)
		}
	}
	return nil, fmt.Errorf("no relay answers: %w", errors.Join(errs...))
}
