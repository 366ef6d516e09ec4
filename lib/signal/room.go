package signal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/xp2p/xp2p/lib/wire"
)

// Reasons why a room cannot be joined.
var (
	ErrUnreachable = errors.New("nobody answers")
	ErrNoRoom      = errors.New("no such room")
	ErrBadDocument = errors.New("not a room document")
	ErrRoomURL     = errors.New("not the URL of a room")
)

// FetchRoom gets a room document and makes the URLs in it absolute. A nil
// client is http.DefaultClient.
func FetchRoom(ctx context.Context, client *http.Client, document string) (*wire.RoomDocument, error) {
	if client == nil {
		client = http.DefaultClient
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, document, nil)
	if err != nil {
		return nil, fmt.Errorf("room: %w: %w", ErrRoomURL, err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("room: %w: %w", ErrUnreachable, err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotFound:
		return nil, fmt.Errorf("room: %w at %s", ErrNoRoom, document)
	case resp.StatusCode >= 500:
		return nil, fmt.Errorf("room: %w: %s says %s", ErrUnreachable, document, resp.Status)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("room: %w: %s says %s", ErrBadDocument, document, resp.Status)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, wire.MaxRoomDocument+1))
	if err != nil {
		return nil, fmt.Errorf("room: %w: %w", ErrUnreachable, err)
	}
	d, err := wire.ParseRoomDocument(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrBadDocument, document, err)
	}
	base := resp.Request.URL
	for i := range d.Origins {
		if d.Origins[i], err = absolute(base, d.Origins[i]); err != nil {
			return nil, err
		}
	}
	refs := []*string{&d.Log, &d.Signal}
	for i := range d.Seeds {
		refs = append(refs, &d.Seeds[i].TCP)
	}
	for _, ref := range refs {
		if *ref == "" {
			continue
		}
		if *ref, err = absolute(base, *ref); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func absolute(base *url.URL, ref string) (string, error) {
	u, err := base.Parse(ref)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrBadDocument, err)
	}
	return u.String(), nil
}

// Resolve looks up the addresses of a document's STUN servers.
func Resolve(ctx context.Context, servers []string) (addrs []netip.AddrPort) {
	for _, server := range servers {
		if a, err := netip.ParseAddrPort(server); err == nil {
			addrs = append(addrs, a)
			continue
		}
		host, port, err := net.SplitHostPort(server)
		if err != nil {
			continue
		}
		n, err := net.DefaultResolver.LookupPort(ctx, "udp", port)
		if err != nil {
			continue
		}
		ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if err != nil || len(ips) == 0 {
			continue
		}
		addrs = append(addrs, netip.AddrPortFrom(ips[0].Unmap(), uint16(n)))
	}
	return addrs
}
