package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/xp2p/xp2p/lib/origin"
	"github.com/xp2p/xp2p/lib/signal"
	"github.com/xp2p/xp2p/lib/tool"
)

const (
	stunPort   = "3478" // RFC 8489 §18.6
	maxServers = 8
)

// serversOf resolves what was named: servers, or rooms whose trackers name some.
// tracked says that a tracker was reached, over TCP.
func serversOf(ctx context.Context, names []string) (list []netip.AddrPort, tracked bool, err error) {
	var hosts []string
	for _, name := range names {
		if !strings.Contains(name, "://") {
			hosts = append(hosts, strings.TrimPrefix(name, "stun:"))
			continue
		}
		room, err := origin.ParseRoomURL(name)
		if err != nil {
			return nil, false, tool.Usage("%s: %w", name, err)
		}
		doc, err := signal.FetchRoom(ctx, nil, room.Base+"/v1/rooms/"+room.Room)
		switch {
		case ctx.Err() != nil:
			return nil, false, context.Cause(ctx)
		case errors.Is(err, signal.ErrBadDocument):
			return nil, false, tool.BadData("%s: %w", name, err)
		case err != nil:
			return nil, false, tool.Unreachable("%s: %w", name, err)
		case len(doc.STUN) == 0:
			return nil, false, tool.Unreachable("%s: its tracker names no STUN server", name)
		}
		tracked = true
		hosts = append(hosts, doc.STUN...)
	}
	var failed error
	for _, h := range hosts {
		addrs, err := resolve(ctx, h)
		if err != nil {
			if ctx.Err() != nil {
				return nil, tracked, context.Cause(ctx)
			}
			failed = errors.Join(failed, err)
		}
		for _, a := range addrs {
			if !slices.Contains(list, a) && len(list) < maxServers {
				list = append(list, a)
			}
		}
	}
	if len(list) == 0 {
		return nil, tracked, failed
	}
	return list, tracked, nil
}

// resolve looks up a server: at most one address of each family.
func resolve(ctx context.Context, server string) (list []netip.AddrPort, err error) {
	bare := server
	if strings.HasPrefix(bare, "[") && strings.HasSuffix(bare, "]") {
		bare = bare[1 : len(bare)-1]
	}
	if ip, err := netip.ParseAddr(bare); err == nil {
		server = net.JoinHostPort(ip.String(), stunPort)
	} else if _, _, err := net.SplitHostPort(server); err != nil {
		server = net.JoinHostPort(server, stunPort)
	}
	host, portName, err := net.SplitHostPort(server)
	if err != nil || host == "" {
		return nil, tool.Usage("%q: want HOST or HOST:PORT", server)
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "udp", portName)
	if err != nil || port == 0 {
		return nil, tool.Usage("%s: %q is no port", server, portName)
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, tool.Unreachable("%w", err)
	}
	for _, v4 := range []bool{true, false} {
		if i := slices.IndexFunc(ips, func(a netip.Addr) bool { return a.Unmap().Is4() == v4 }); i >= 0 {
			list = append(list, netip.AddrPortFrom(ips[i].Unmap(), uint16(port)))
		}
	}
	return list, nil
}
