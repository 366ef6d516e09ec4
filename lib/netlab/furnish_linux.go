package netlab

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// furnish gives a host what goes beyond one TUN device: further addresses, a
// gateway, rules.
func (p *place) furnish(gateway *place) error {
	for _, a := range p.More {
		if err := p.run("", "ip", "addr", "add", a.String()+"/32", "dev", tunName); err != nil {
			return err
		}
	}
	if gateway != nil {
		if err := p.join(gateway); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Sysctls)) {
		file := "/proc/sys/" + strings.ReplaceAll(name, ".", "/")
		if err := p.ns.do(func() error { return os.WriteFile(file, []byte(p.Sysctls[name]), 0) }); err != nil {
			return err
		}
	}
	if p.Rules == "" {
		return nil
	}
	return p.run(p.Rules, "nft", "-f", "-")
}

// join lays an Ethernet between the host and its gateway, whose end is in0.
func (p *place) join(gateway *place) error {
	inside := fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), p.ns.fd())
	a := p.Addr.As4()
	a[3] = 1
	router := netip.AddrFrom4(a).String()
	for _, step := range []struct {
		at   *place
		args string
	}{
		{gateway, "link add in0 type veth peer name " + tunName + " netns " + inside},
		{gateway, "addr add " + router + "/24 dev in0"},
		{gateway, "link set in0 up"},
		{p, "addr add " + p.Addr.String() + "/24 dev " + tunName},
		{p, "link set " + tunName + " up"},
		{p, "route add default via " + router},
	} {
		if err := step.at.run("", "ip", strings.Fields(step.args)...); err != nil {
			return err
		}
	}
	return nil
}

// run runs a command in the host, to its end.
func (p *place) run(input, name string, args ...string) error {
	ns := fmt.Sprintf("--net=/proc/%d/fd/%d", os.Getpid(), p.ns.fd())
	cmd := exec.Command("nsenter", append([]string{ns, "--", name}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}
