package flownet

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/simnet"
	"github.com/xp2p/xp2p/lib/xntp"
)

// A party is an endpoint on a host of its own, and what it has heard.
type party struct {
	*Endpoint
	name string
	lab  *lab
	heard
}

type heard []happening

type happening struct {
	at time.Duration
	xntp.Event
}

// A lab is a world with a few parties.
type lab struct {
	t *testing.T
	w *simnet.World
	n *Net
	a []*party
}

func newLab(t *testing.T) *lab {
	w := simnet.New(1)
	return &lab{t: t, w: w, n: New(w)}
}

func (l *lab) add(up, down simnet.Link) *party {
	l.t.Helper()
	i := len(l.a)
	host := l.w.AddHost(simnet.HostConfig{Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), Up: up, Down: down})
	key, err := xntp.GenerateKey(rand.NewChaCha8([32]byte{byte(i + 1)}))
	if err != nil {
		l.t.Fatal(err)
	}
	p := &party{Endpoint: l.n.Endpoint(host, key), name: string(rune('a' + i)), lab: l}
	p.Bind(netip.AddrPortFrom(host.Addr(), 4000), func() {
		for {
			e, ok := p.NextEvent()
			if !ok {
				return
			}
			p.heard = append(p.heard, happening{l.w.Elapsed(), e})
		}
	})
	l.a = append(l.a, p)
	return p
}

// plain is an access link without a rate.
func plain(delay time.Duration) simnet.Link { return simnet.Link{Delay: delay} }

func (p *party) dial(q *party, early ...byte) xntp.ConnID {
	p.lab.t.Helper()
	id, err := p.Dial(p.lab.w.Now(), xntp.DialOptions{Remote: q.Public(), Addr: q.addr, Early: early})
	if err != nil {
		p.lab.t.Fatal(err)
	}
	return id
}

// meet connects two parties, and forgets what they heard meanwhile.
func (l *lab) meet(p, q *party) (xntp.ConnID, xntp.ConnID) {
	l.t.Helper()
	id := p.dial(q)
	l.w.RunFor(time.Second)
	if len(p.find(xntp.EventConnected)) != 1 || len(q.find(xntp.EventConnected)) != 1 {
		l.t.Fatal("they did not meet")
	}
	other := q.find(xntp.EventConnected)[0].Conn
	p.heard, q.heard = nil, nil
	return id, other
}

func (p *party) send(c xntp.ConnID, size int, prio uint8, within ...time.Duration) xntp.ObjectID {
	p.lab.t.Helper()
	o := xntp.Object{Class: xntp.Reliable, Priority: prio, Data: [][]byte{make([]byte, size)}}
	if len(within) > 0 {
		o.Class, o.Deadline = xntp.Deadline, p.lab.w.Now().Add(within[0])
	}
	id, err := p.Send(p.lab.w.Now(), c, o)
	if err != nil {
		p.lab.t.Fatal(err)
	}
	return id
}

func (h heard) find(kind xntp.EventKind) (list []happening) {
	for _, e := range h {
		if e.Kind == kind {
			list = append(list, e)
		}
	}
	return list
}

// objects are the names of those that came, or were acknowledged.
func (h heard) objects(kind xntp.EventKind) (ids []xntp.ObjectID) {
	for _, e := range h.find(kind) {
		ids = append(ids, e.Object)
	}
	return ids
}

func (l *lab) near(what string, got, want time.Duration) {
	l.t.Helper()
	if d := got - want; d < -50*time.Microsecond || d > 50*time.Microsecond {
		l.t.Errorf("%s: after %v, want %v", what, got, want)
	}
}

const ms = time.Millisecond

func TestATransferTakesItsUplinkTheWayAndTheDownlink(t *testing.T) {
	l := newLab(t)
	a := l.add(simnet.Link{Rate: simnet.Mbps, Delay: 10 * ms}, plain(10*ms))
	b := l.add(plain(5*ms), simnet.Link{Rate: 4 * simnet.Mbps, Delay: 5 * ms})
	c, _ := l.meet(a, b)
	began := l.w.Elapsed()
	id := a.send(c, 1000, 3)
	l.w.RunFor(time.Second)
	// 1000 bytes in one packet of 40 more, in a datagram of 28 more.
	onUplink := time.Duration(float64(1068*8) * 1e9 / 1e6)
	there := onUplink + 15*ms + onUplink/4
	if got := b.objects(xntp.EventObject); !slices.Equal(got, []xntp.ObjectID{id}) || len(b.heard[0].Data) != 1000 || b.heard[0].Priority != 3 {
		t.Fatalf("%v came: %+v", got, b.heard)
	}
	l.near("the object", b.find(xntp.EventObject)[0].at-began, there)
	l.near("its acknowledgement", a.find(xntp.EventDelivered)[0].at-began, there+15*ms)

	// What is no endpoint's takes the same way.
	began = l.w.Elapsed()
	var at time.Duration
	l.n.Of(a.host).Send(b.host, 1000, 3, func(time.Time) { at = l.w.Elapsed() })
	l.w.RunFor(time.Second)
	l.near("a plain message", at-began, there)
	if s := l.n.Stats; s.Objects != 1 || s.ObjectBytes != 1000 || s.Messages != 1 || s.PlainBytes != 1040 {
		t.Errorf("counted %+v", s)
	}
}

func TestTheUplinkServesTheMostUrgentFirstAndNothingTwiceAtOnce(t *testing.T) {
	l := newLab(t)
	a := l.add(simnet.Link{Rate: simnet.Mbps, Delay: ms}, plain(ms))
	b, c := l.add(plain(ms), plain(ms)), l.add(plain(ms), plain(ms))
	ab, _ := l.meet(a, b)
	ac, _ := l.meet(a, c)
	var order []string
	for i := range 3 {
		a.send(ab, 10_000, 3)
		order = append(order, fmt.Sprint("b", i+1))
	}
	a.send(ac, 10_000, 1)
	a.send(ac, 50, 0)
	began := l.w.Elapsed()
	if q := l.n.Of(a.host); q.Queued != 3 || q.Backlog < 30_000 {
		t.Errorf("%d transfers of %d bytes wait", q.Queued, q.Backlog)
	}
	l.w.RunFor(2 * time.Second)
	var all []happening
	for _, e := range b.find(xntp.EventObject) {
		e.Reason = 'b'
		all = append(all, e)
	}
	for _, e := range c.find(xntp.EventObject) {
		e.Reason = 'c'
		all = append(all, e)
	}
	slices.SortStableFunc(all, func(x, y happening) int { return int(x.at - y.at) })
	var got []string
	for _, e := range all {
		got = append(got, fmt.Sprint(string(rune(e.Reason)), e.Object))
	}
	// The first had begun already.
	if want := []string{order[0], "c2", "c1", order[1], order[2]}; !slices.Equal(got, want) {
		t.Errorf("they came as %v, want %v", got, want)
	}
	// Four of 10,000 bytes at 1 Mbit/s, with headers; and each began when the other ended.
	wire, packets := wireSize(10_000)
	if last, want := all[4].at-began, 4*nanos(wire, packets, simnet.Mbps); last < want || last > want+15*ms {
		t.Errorf("the last came after %v, want %v and little more", last, want)
	}
}

func TestAHandshakeTakesARoundTripAndItsFirstHalfCarriesARequest(t *testing.T) {
	l := newLab(t)
	a, b := l.add(plain(10*ms), plain(10*ms)), l.add(plain(5*ms), plain(5*ms))
	c := a.dial(b, 1, 2, 3)
	id := a.send(c, 100, 0) // waits for the handshake
	l.w.RunFor(time.Second)
	kinds := func(p *party) (s string) {
		for _, e := range p.heard {
			s += " " + e.Kind.String()
		}
		return strings.TrimSpace(s)
	}
	if kinds(a) != "connected delivered" || kinds(b) != "accepted connected object" {
		t.Fatalf("a heard %q, b heard %q", kinds(a), kinds(b))
	}
	if e := b.heard[0]; string(e.Early) != "\x01\x02\x03" || e.Key != a.Public() || e.Addr != a.addr {
		t.Errorf("accepted %+v", e)
	}
	l.near("accepted", b.heard[0].at, 15*ms)
	l.near("connected", a.heard[0].at, 30*ms)
	l.near("proved", b.heard[1].at, 45*ms)
	if b.heard[2].Object != id || b.heard[2].at < 45*ms {
		t.Errorf("the object came as %v after %v", b.heard[2].Object, b.heard[2].at)
	}
	if s, ok := a.Stats(c); !ok || !s.Connected || s.MinRTT != 30*ms || s.SRTT < 30*ms || s.SRTT > 40*ms {
		t.Errorf("stats %+v", s)
	}
	if _, err := a.Dial(l.w.Now(), xntp.DialOptions{Remote: b.Public(), Addr: b.addr}); !errors.Is(err, xntp.ErrConnected) {
		t.Errorf("dialing again: %v", err)
	}
	if _, err := a.Dial(l.w.Now(), xntp.DialOptions{Remote: a.Public(), Addr: b.addr}); !errors.Is(err, xntp.ErrKey) {
		t.Errorf("dialing itself: %v", err)
	}
}

func TestTwoWhoDialEachOtherGetOneConnection(t *testing.T) {
	l := newLab(t)
	a, b := l.add(plain(10*ms), plain(10*ms)), l.add(plain(5*ms), plain(5*ms))
	c, d := a.dial(b, 7), b.dial(a, 8)
	l.w.RunFor(time.Second)
	for _, p := range []*party{a, b} {
		if len(p.find(xntp.EventConnected)) != 1 || len(p.find(xntp.EventClosed)) != 0 || len(p.conns) != 2 || p.conn(1) == nil {
			t.Errorf("%s heard %+v", p.name, p.heard)
		}
	}
	a.send(c, 10, 0)
	b.send(d, 20, 0)
	l.w.RunFor(time.Second)
	if x, y := b.find(xntp.EventObject), a.find(xntp.EventObject); len(x) != 1 || len(y) != 1 || x[0].Conn != d || y[0].Conn != c {
		t.Errorf("b got %+v, a got %+v", x, y)
	}
}

func TestACloseIsHeardOneWayLaterAndAKillNever(t *testing.T) {
	l := newLab(t)
	a, b := l.add(plain(10*ms), plain(10*ms)), l.add(plain(5*ms), plain(5*ms))
	c, d := l.meet(a, b)
	began := l.w.Elapsed()
	a.Close(l.w.Now(), c, 42)
	l.w.RunFor(time.Second)
	if e := a.find(xntp.EventClosed); len(e) != 1 || e[0].Reason != xntp.ClosedByUs {
		t.Errorf("a heard %+v", e)
	}
	if e := b.find(xntp.EventClosed); len(e) != 1 || e[0].Reason != xntp.ClosedByPeer || e[0].Code != 42 || e[0].Conn != d {
		t.Errorf("b heard %+v", e)
	} else {
		l.near("the close", e[0].at-began, 15*ms)
	}
	if _, err := a.Send(l.w.Now(), c, xntp.Object{Data: [][]byte{{1}}}); !errors.Is(err, xntp.ErrClosed) {
		t.Errorf("sending on it: %v", err)
	}

	// Killed: the other hears nothing, and gives up what nobody acknowledges.
	c, _ = l.meet(a, b)
	b.Kill()
	began = l.w.Elapsed()
	lasting := a.send(c, 100, 0)
	brief := a.send(c, 100, 0, 2*time.Second)
	l.w.RunFor(lostAfter - ms)
	if e := a.find(xntp.EventClosed); len(e) != 0 {
		t.Errorf("given up too early: %+v", e)
	}
	if e := a.find(xntp.EventExpired); len(e) != 1 || e[0].Object != brief || lasting == brief {
		t.Errorf("expired %+v, want object %d", e, brief)
	} else {
		l.near("what was of use for two seconds", e[0].at-began, 2*time.Second)
	}
	l.w.RunFor(2 * ms)
	if e := a.find(xntp.EventClosed); len(e) != 1 || e[0].Reason != xntp.ClosedLost {
		t.Errorf("after %v a heard %+v", lostAfter, e)
	}
	if len(b.heard) != 0 {
		t.Errorf("the dead heard %+v", b.heard)
	}
}

func TestWhatIsCancelledDoesNotLeaveAndNothingElseIsHarmed(t *testing.T) {
	l := newLab(t)
	a := l.add(simnet.Link{Rate: simnet.Mbps, Delay: ms}, plain(ms))
	b, c := l.add(plain(ms), plain(ms)), l.add(plain(ms), plain(ms))
	ab, _ := l.meet(a, b)
	ac, _ := l.meet(a, c)
	var sent []xntp.ObjectID
	for range 4 {
		sent = append(sent, a.send(ab, 10_000, 3))
	}
	before := l.n.Of(a.host).SentBytes
	a.Cancel(l.w.Now(), ab, sent[2])
	l.w.RunFor(time.Second)
	if got := b.objects(xntp.EventObject); !slices.Equal(got, []xntp.ObjectID{sent[0], sent[1], sent[3]}) {
		t.Errorf("%v came of %v", got, sent)
	}
	if got := a.objects(xntp.EventDelivered); len(got) != 3 || slices.Contains(got, sent[2]) {
		t.Errorf("delivered: %v", got)
	}
	if n := l.n.Of(a.host).SentBytes - before; n > 31_000 {
		t.Errorf("%d bytes left", n)
	}

	// What was lost on its way to one who is offline is cancelled later: by then
	// its place in the books is another's.
	b.host.SetOnline(false)
	lost := a.send(ab, 1000, 3)
	l.w.RunFor(time.Second)
	other := a.send(ac, 20_000, 3)
	a.Cancel(l.w.Now(), ab, lost)
	l.w.RunFor(time.Second)
	if got := c.objects(xntp.EventObject); !slices.Equal(got, []xntp.ObjectID{other}) {
		t.Errorf("what went to another was cancelled with it: %v", got)
	}
	if n := len(l.n.slots) - len(l.n.free); n != 0 {
		t.Errorf("%d transfers are never released", n)
	}
}

func TestWhatWaitsBehindItsDeadlineExpires(t *testing.T) {
	l := newLab(t)
	a := l.add(simnet.Link{Rate: simnet.Mbps, Delay: ms}, plain(ms))
	b := l.add(plain(ms), plain(ms))
	c, _ := l.meet(a, b)
	first := a.send(c, 50_000, 3, time.Second) // 400 ms
	late := a.send(c, 10_000, 3, 200*ms)
	last := a.send(c, 10_000, 3, time.Second)
	l.w.RunFor(2 * time.Second)
	if got := b.objects(xntp.EventObject); !slices.Equal(got, []xntp.ObjectID{first, last}) {
		t.Errorf("%v came, want %v and %v", got, first, last)
	}
	if got := a.objects(xntp.EventExpired); !slices.Equal(got, []xntp.ObjectID{late}) {
		t.Errorf("expired: %v", got)
	}
}

func TestTwoWhoCannotReachEachOtherGiveUp(t *testing.T) {
	l := newLab(t)
	a, b, c := l.add(plain(ms), plain(ms)), l.add(plain(ms), plain(ms)), l.add(plain(ms), plain(ms))
	l.n.Blocked = func(x, y *simnet.Host) bool { return x != c.host && y != c.host }
	a.dial(b)
	b.dial(a)
	a.dial(c)
	l.w.RunFor(handshakeTime - ms)
	if len(a.find(xntp.EventClosed))+len(b.heard) != 0 || len(a.find(xntp.EventConnected)) != 1 {
		t.Errorf("a heard %+v, b heard %+v", a.heard, b.heard)
	}
	l.w.RunFor(2 * ms)
	for _, p := range []*party{a, b} {
		if e := p.find(xntp.EventClosed); len(e) != 1 || e[0].Reason != xntp.ClosedHandshake {
			t.Errorf("%s heard %+v", p.name, e)
		}
	}
	// Nobody is at this address, or somebody else is.
	a.heard = nil
	if _, err := a.Dial(l.w.Now(), xntp.DialOptions{Remote: b.Public(), Addr: netip.MustParseAddrPort("10.9.9.9:1")}); err != nil {
		t.Fatal(err)
	}
	l.w.RunFor(handshakeTime + ms)
	if e := a.find(xntp.EventClosed); len(e) != 1 {
		t.Errorf("dialing nobody: %+v", a.heard)
	}
}

func TestALargeObjectWaitsForItsFirstAcknowledgement(t *testing.T) {
	l := newLab(t)
	a, b := l.add(plain(50*ms), plain(50*ms)), l.add(plain(50*ms), plain(50*ms)) // 200 ms and no rate
	c, _ := l.meet(a, b)
	took := func(size int) time.Duration {
		began := l.w.Elapsed()
		b.heard = nil
		a.send(c, size, 3)
		l.w.RunFor(5 * time.Second)
		return b.find(xntp.EventObject)[0].at - began
	}
	small, first := took(1000), took(100_000)
	if small > 110*ms {
		t.Errorf("a small one took %v", small)
	}
	if first < 300*ms {
		t.Errorf("100 kB took %v, and the first window holds %d", first, firstWindow)
	}
	for range 3 {
		took(100_000)
	}
	if later := took(100_000); later > first-150*ms {
		t.Errorf("with an open window it took %v, at first %v", later, first)
	}
}

// A viewer of a mesh once stood still for three quarters of a minute, for what
// comes late from one had kept a place at his downlink, and all others stood
// behind it; the round trips that this made slowed the pacing, and so again what
// came.
func TestWhoIsFarOrPacesHoldsUpNobodyElse(t *testing.T) {
	l := newLab(t)
	down := simnet.Link{Rate: 40 * simnet.Mbps, Delay: ms}
	a := l.add(plain(ms), down)
	far, near, paced := l.add(plain(150*ms), plain(150*ms)), l.add(plain(4*ms), plain(4*ms)), l.add(plain(40*ms), plain(40*ms))
	fc, _ := l.meet(far, a)
	nc, _ := l.meet(near, a)
	pc, _ := l.meet(paced, a)
	for range 12 {
		paced.send(pc, 16_384, 3) // three times the first window
	}
	far.send(fc, 500, 0)
	began := l.w.Elapsed()
	near.send(nc, 1000, 0)
	l.w.RunFor(5 * time.Second)
	at := map[xntp.ConnID][]time.Duration{}
	for _, e := range a.find(xntp.EventObject) {
		at[e.Conn] = append(at[e.Conn], e.at-began)
	}
	if len(a.find(xntp.EventObject)) != 14 || at[1][0] < 151*ms || at[2][0] > 6*ms || at[3][11] < 100*ms {
		t.Errorf("they came after %v", at)
	}

	// At a steady rate the round trip stays what the way makes it.
	for i := range 400 {
		l.w.After(time.Duration(i)*100*ms, func() {
			for range 3 {
				paced.send(pc, 16_384, 3)
			}
			paced.send(pc, 100, 0)
		})
	}
	l.w.RunFor(45 * time.Second)
	if s, _ := paced.Stats(pc); s.SRTT > 2*s.MinRTT {
		t.Errorf("a round trip is %v, of an empty way %v", s.SRTT, s.MinRTT)
	}
}

func TestOfAQuietObjectNothingIsHeardAfterwards(t *testing.T) {
	l := newLab(t)
	a, b := l.add(plain(20*ms), plain(20*ms)), l.add(plain(5*ms), plain(5*ms))
	c, _ := l.meet(a, b)
	for _, size := range []int{100, 5000} {
		if _, err := a.Send(l.w.Now(), c, xntp.Object{Quiet: true, Data: [][]byte{make([]byte, size)}}); err != nil {
			t.Fatal(err)
		}
	}
	l.w.RunFor(time.Second)
	if s, _ := a.Stats(c); len(a.heard) != 0 || len(b.find(xntp.EventObject)) != 2 || s.SRTT < 50*ms || s.SRTT > 60*ms {
		t.Errorf("a heard %+v, b heard %+v; a round trip of %v", a.heard, b.heard, s.SRTT)
	}
	if len(a.conn(c).flying) != 0 || len(l.n.slots) != len(l.n.free) {
		t.Errorf("%d are still on their way", len(a.conn(c).flying))
	}
}

func TestAnEndpointsQueueIsBounded(t *testing.T) {
	l := newLab(t)
	a := l.add(simnet.Link{Rate: simnet.Kbps, Delay: ms}, plain(ms))
	b := l.add(plain(ms), plain(ms))
	c := a.dial(b)
	l.w.RunFor(20 * time.Second)
	var err error
	n := 0
	for ; err == nil && n < 2*xntp.DefaultQueueLen; n++ {
		_, err = a.Send(l.w.Now(), c, xntp.Object{Data: [][]byte{{1}}})
	}
	if !errors.Is(err, xntp.ErrBlocked) || n != xntp.DefaultQueueLen+1 {
		t.Errorf("the %dth object: %v", n, err)
	}
}

func TestATapSeesEveryObjectAndMayReplaceIt(t *testing.T) {
	l := newLab(t)
	a, b := l.add(plain(ms), plain(ms)), l.add(plain(ms), plain(ms))
	c, _ := l.meet(a, b)
	body := []byte("body")
	l.n.Tap = func(from, to *simnet.Host, data [][]byte) [][]byte {
		if from != a.host || to != b.host {
			t.Errorf("an object from %v to %v", from.Addr(), to.Addr())
		}
		if string(data[1]) == "body" {
			return [][]byte{data[0], []byte("soul")}
		}
		return data
	}
	if _, err := a.Send(l.w.Now(), c, xntp.Object{Data: [][]byte{[]byte("head"), body}}); err != nil {
		t.Fatal(err)
	}
	l.w.RunFor(time.Second)
	if e := b.find(xntp.EventObject); len(e) != 1 || string(e[0].Data) != "head" || string(e[0].Tail) != "soul" || string(body) != "body" {
		t.Errorf("%+v", e)
	}
}

func TestTheSameSeedGivesTheSameFlows(t *testing.T) {
	trace := func() uint64 {
		l := newLab(t)
		dice := l.w.Rand("dice")
		for range 6 {
			l.add(simnet.Link{Rate: simnet.Rate(1+dice.IntN(8)) * simnet.Mbps, Delay: time.Duration(1+dice.IntN(40)) * ms}, plain(5*ms))
		}
		for i, p := range l.a {
			for _, q := range l.a[i+1:] {
				c := p.dial(q)
				for range 5 {
					l.w.After(time.Duration(dice.IntN(2000))*ms, func() {
						p.Send(l.w.Now(), c, xntp.Object{Priority: uint8(dice.IntN(8)), Data: [][]byte{make([]byte, 1+dice.IntN(30_000))}})
					})
				}
			}
		}
		l.w.RunFor(4 * time.Second)
		return l.w.Trace()
	}
	if x, y := trace(), trace(); x != y {
		t.Errorf("two runs: %x and %x", x, y)
	}
}
