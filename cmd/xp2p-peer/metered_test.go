package main

import "testing"

const head4 = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"

func TestWhereTheDefaultRouteLeads(t *testing.T) {
	const zero = "00000000000000000000000000000000"
	for _, c := range []struct {
		name, v4, v6 string
		link4, link6 string
		metered      bool
	}{
		{name: "no routes"},
		{name: "only the header", v4: head4},
		{name: "wired", v4: head4 +
			"eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n" +
			"eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n", link4: "eth0"},
		{name: "a network behind a phone is not the way out", v4: head4 +
			"eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n" +
			"usb0\t002AA8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n", link4: "eth0"},
		{name: "wired before mobile", v4: head4 +
			"wwan0\t00000000\t0101A8C0\t0003\t0\t0\t700\t00000000\t0\t0\t0\n" +
			"eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n", link4: "eth0"},
		{name: "mobile alone", v4: head4 +
			"wwp0s20f0u6\t00000000\t00000000\t0001\t0\t0\t700\t00000000\t0\t0\t0\n", link4: "wwp0s20f0u6", metered: true},
		{name: "half the world is no default", v4: head4 +
			"ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0\n" +
			"wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n", link4: "wlan0"},
		{name: "a way that is down, and one that is forbidden", v4: head4 +
			"ppp0\t00000000\t00000000\t0000\t0\t0\t0\t00000000\t0\t0\t0\n" +
			"rmnet0\t00000000\t00000000\t0201\t0\t0\t1\t00000000\t0\t0\t0\n"},
		{name: "IPv6 by a modem", v4: head4 + "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n", link4: "eth0",
			v6: zero + " 00 " + zero + " 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 rmnet_data0\n" +
				zero + " 00 " + zero + " 00 " + zero + " ffffffff 00000001 00000000 00200200       lo\n", link6: "rmnet_data0", metered: true},
		{name: "IPv6 by Wi-Fi first", v6: "20010db8000000000000000000000000 40 " + zero + " 00 " + zero + " 00000100 00000001 00000000 00000001 ppp0\n" +
			zero + " 00 " + zero + " 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 usb0\n" +
			zero + " 00 " + zero + " 00 fe800000000000000000000000000001 00000258 00000001 00000000 00000003 wlp3s0\n", link6: "wlp3s0"},
		{name: "what is no table", v4: "eth0 00000000 x y z 1 2 00000000\n\n\x00", v6: zero + " 00 a b c d e f g h\n"},
	} {
		link4, link6 := defaultLink4([]byte(c.v4)), defaultLink6([]byte(c.v6))
		if link4 != c.link4 || link6 != c.link6 {
			t.Errorf("%s: by %q and %q, want %q and %q", c.name, link4, link6, c.link4, c.link6)
		}
		if got := isMetered(link4) || isMetered(link6); got != c.metered {
			t.Errorf("%s: metered: %v", c.name, got)
		}
	}
	for link, want := range map[string]bool{"ppp0": true, "wwan1": true, "usb0": true, "rmnet_data3": true, "eth0": false, "wlan0": false, "wlp3s0": false, "enp3s0": false, "tun0": false, "wg0": false, "": false} {
		if isMetered(link) != want {
			t.Errorf("%q is metered: %v", link, !want)
		}
	}
	onMeteredLink() // of this machine: whatever it is
}

func FuzzRoutes(f *testing.F) {
	f.Add([]byte(head4 + "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"))
	f.Add([]byte("00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		defaultLink4(b)
		defaultLink6(b)
	})
}

func TestWaysToSayThatALinkIsMetered(t *testing.T) {
	for given, want := range map[string]string{"auto": "auto", "yes": "yes", "no": "no", "1": "yes", "0": "no"} {
		o := options{start: "live", listen: "[::]:0", metered: given}
		if err := o.check([]string{"http://127.0.0.1:8080/match"}); err != nil || o.metered != want {
			t.Errorf("%q means %q, %v", given, o.metered, err)
		}
	}
	o := options{start: "live", listen: "[::]:0", uploadQuota: 1000}
	if err := o.check([]string{"http://127.0.0.1:8080/match"}); err == nil {
		t.Error("a quota of 1000 bytes is taken")
	}
}
