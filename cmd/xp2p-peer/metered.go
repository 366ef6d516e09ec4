package main

import (
	"bufio"
	"bytes"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
)

// meteredPrefixes begin the names of links that are paid for by the byte, as a
// rule: WWAN by udev's names and the kernel's (wwan0, wwp0s20f0u6), PPP over
// modems, phones on a USB cable, Qualcomm's modems. PPP may be DSL and a phone
// may be an enx…: --metered says what is right.
var meteredPrefixes = []string{"ww", "ppp", "usb", "rmnet"}

// maxRoutes bounds what is read of a table of routes: a router on a backbone
// has a million of them, and is no viewer.
const maxRoutes = 256 << 10

// onMeteredLink reports whether what goes out goes over a metered link. It
// reads where Linux keeps its routes; elsewhere no link is metered.
func onMeteredLink() bool {
	read := func(file string) []byte {
		f, err := os.Open(file)
		if err != nil {
			return nil
		}
		defer f.Close()
		b, _ := io.ReadAll(io.LimitReader(f, maxRoutes))
		return b
	}
	return isMetered(defaultLink4(read("/proc/net/route"))) || isMetered(defaultLink6(read("/proc/net/ipv6_route")))
}

func isMetered(link string) bool {
	return slices.ContainsFunc(meteredPrefixes, func(p string) bool { return strings.HasPrefix(link, p) })
}

// Of a route's flags (linux/route.h).
const (
	routeUp     = 0x1
	routeReject = 0x200
)

// defaultLink4 returns the link of the best default route of a table as
// /proc/net/route has it; "" if there is none. Its lines are: link, destination,
// gateway, flags, references, uses, metric, mask.
func defaultLink4(table []byte) string {
	return best(table, func(f []string) (link string, flags, metric uint64, ok bool) {
		if len(f) < 8 || f[1] != "00000000" || f[7] != "00000000" {
			return "", 0, 0, false
		}
		flags, err := strconv.ParseUint(f[3], 16, 32)
		metric, err2 := strconv.ParseUint(f[6], 10, 32)
		return f[0], flags, metric, err == nil && err2 == nil
	})
}

// defaultLink6 does it for IPv6. The lines are: destination and its length,
// source and its length, gateway, metric, references, uses, flags, link.
func defaultLink6(table []byte) string {
	return best(table, func(f []string) (link string, flags, metric uint64, ok bool) {
		if len(f) < 10 || strings.Trim(f[0], "0") != "" || f[1] != "00" {
			return "", 0, 0, false
		}
		flags, err := strconv.ParseUint(f[8], 16, 32)
		metric, err2 := strconv.ParseUint(f[5], 16, 32)
		return f[9], flags, metric, err == nil && err2 == nil
	})
}

// best returns the link of the route with the least metric, of those that read
// takes for a default route and that lead anywhere.
func best(table []byte, read func(fields []string) (link string, flags, metric uint64, ok bool)) (link string) {
	least := uint64(math.MaxUint64)
	for lines := bufio.NewScanner(bytes.NewReader(table)); lines.Scan(); {
		l, flags, metric, ok := read(strings.Fields(lines.Text()))
		if ok && flags&routeUp != 0 && flags&routeReject == 0 && metric < least {
			link, least = l, metric
		}
	}
	return link
}
