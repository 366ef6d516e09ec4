package congestion

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A bottleneck is a link that packets queue for, in virtual time.
type bottleneck struct {
	rate  float64 // bytes per second
	free  time.Duration
	delay time.Duration
}

func (b *bottleneck) pass(at time.Duration, bytes int) time.Duration {
	b.free = max(b.free, at) + time.Duration(float64(bytes)/b.rate*1e9)
	return b.free + b.delay
}

func TestATrainTellsTheCapacity(t *testing.T) {
	for _, tc := range []struct {
		name   string
		n      int
		spoil  func(i int, at time.Duration) time.Duration
		within float64 // 0: it must tell nothing
	}{
		{"of sixteen", 16, nil, 0.01},
		{"of four", 4, nil, 0.01},
		{"of three", 3, nil, 0},
		{"with stamps of 4 µs", 16, func(_ int, at time.Duration) time.Duration { return at.Truncate(4 * time.Microsecond) }, 0.01},
		{"with one stamp a millisecond late", 16, func(i int, at time.Duration) time.Duration {
			if i == 7 {
				at += time.Millisecond
			}
			return at
		}, 0.02},
		{"by twos, as an aggregate", 16, func(i int, at time.Duration) time.Duration {
			return at + time.Duration(i&1^1)*550*time.Microsecond
		}, 0},
		{"in one heap", 16, func(int, time.Duration) time.Duration { return time.Second }, 0},
	} {
		var m capacityMeter
		b := bottleneck{rate: 2.5e6, delay: 20 * time.Millisecond}
		for i := range tc.n {
			at := b.pass(0, 1400)
			if tc.spoil != nil {
				at = tc.spoil(i, at)
			}
			m.arrived(Arrival{Sent: 0, At: at, Bytes: 1400})
		}
		m.arrived(Arrival{Sent: time.Second, At: 2 * time.Second, Bytes: 1400})
		off := math.Abs(m.value-b.rate) / b.rate
		if tc.within == 0 && m.value != 0 || tc.within > 0 && off > tc.within {
			t.Errorf("%s: %.0f bytes a second, is %.0f", tc.name, m.value, b.rate)
		}
	}
}

func TestPacketsThatLeftSlowlyTellNothing(t *testing.T) {
	var m capacityMeter
	b := bottleneck{rate: 100e6}
	for i := range 17 { // 30 µs apart, which is what they arrive with
		at := time.Duration(i) * 30 * time.Microsecond
		m.arrived(Arrival{Sent: at, At: b.pass(at, 1400), Bytes: 1400})
	}
	if m.value != 0 {
		t.Errorf("%.0f bytes a second", m.value)
	}
}

func TestLossIsCountedByBytesAndByEvents(t *testing.T) {
	var m lossMeter
	now := time.Unix(100, 0)
	// A hundred packets, a loss of two in one round trip, each second.
	for i := range 20 {
		now = now.Add(time.Second)
		m.acked(100 * 1000)
		for range 2 {
			m.lost(Loss{Now: now.Add(time.Millisecond), Sent: now, Bytes: 1000}, 0)
		}
		if i >= 2 {
			m.turn(now, 1000)
		}
	}
	if m.events != 20 {
		t.Errorf("%d events", m.events)
	}
	if got := m.interval(); math.Abs(got-100e3) > 1 {
		t.Errorf("an event each %v bytes", got)
	}
	if p := m.share(); math.Abs(p-2.0/102) > 0.001 {
		t.Errorf("a share of %v", p)
	}
	// A CUBIC flow that loses each second, at 50 ms, is one that grows like Reno: 20
	// round trips of 0.53 packets are 0.3 of its window.
	if got, want := m.cubicRate(now, 1000, 50*time.Millisecond), 0.9*20*0.529/0.3*1000/0.05; math.Abs(got-want) > want/100 {
		t.Errorf("CUBIC would have %.0f, want %.0f", got, want)
	}
	// A long time without loss counts, a short one does not.
	if a, b := m.cubicRate(now.Add(time.Second/2), 1000, 50*time.Millisecond), m.cubicRate(now.Add(time.Minute), 1000, 50*time.Millisecond); b < 2*a {
		t.Errorf("%.0f after half a second, %.0f after a minute", a, b)
	}
}

// A path drives controllers over one link in virtual time: paced, with acknowledgements
// for each packet a round trip later.
type path struct {
	link   bottleneck
	queue  time.Duration // what fits
	loss   float64
	rng    *rand.Rand
	now    time.Duration
	flows  []*pathFlow
	events []pathEvent
	waits  []time.Duration
	mark   time.Duration // queue from which packets are marked
}

type pathFlow struct {
	Controller
	next     time.Duration
	inFlight int
	got      float64
	roundEnd time.Duration
	minRTT   time.Duration
	srtt     time.Duration
}

type pathEvent struct {
	at   time.Duration
	flow *pathFlow
	sent time.Duration
	ack  Ack
	loss Loss
}

var pathEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func (p *path) run(d time.Duration) {
	end := p.now + d
	for p.now < end {
		// The next thing is the earliest of all events and of all senders.
		next, who := end, (*pathFlow)(nil)
		for _, f := range p.flows {
			if f.inFlight+mtu <= f.Window() && f.next < next {
				next, who = f.next, f
			}
		}
		if len(p.events) > 0 && p.events[0].at <= next {
			e := p.events[0]
			p.events = p.events[1:]
			p.now = max(p.now, e.at)
			p.tell(&e)
			continue
		}
		p.now = max(p.now, next)
		if who != nil {
			p.send(who)
		}
	}
}

func (p *path) send(f *pathFlow) {
	f.inFlight += mtu
	now := pathEpoch.Add(p.now)
	f.OnSent(now, mtu, f.inFlight)
	burst := 1
	if f.srtt == 0 {
		burst = f.Burst() / mtu
	}
	if f.inFlight >= burst*mtu {
		f.next = p.now + time.Duration(mtu/f.Rate(max(f.srtt, 333*time.Millisecond*b2i(f.srtt == 0)))*1e9)
	}
	wait := max(0, p.link.free-p.now)
	p.waits = append(p.waits, wait)
	if wait > p.queue || p.rng.Float64() < p.loss {
		p.push(pathEvent{at: p.now + wait + 2*p.link.delay + 10*time.Millisecond, flow: f, sent: p.now, loss: Loss{Sent: now, Bytes: mtu}})
		return
	}
	at := p.link.pass(p.now, mtu)
	e := pathEvent{at: at + p.link.delay, flow: f, sent: p.now}
	e.ack = Ack{Sent: now, Bytes: mtu, Arrivals: []Arrival{{Sent: p.now, At: at, Bytes: mtu}}}
	p.push(e)
	if p.mark > 0 && wait > p.mark {
		p.push(pathEvent{at: e.at, flow: f, sent: p.now, loss: Loss{Sent: now, CE: true}})
	}
}

func b2i(b bool) time.Duration {
	if b {
		return 1
	}
	return 0
}

func (p *path) push(e pathEvent) {
	i, _ := slices.BinarySearchFunc(p.events, e.at, func(x pathEvent, at time.Duration) int {
		if x.at > at {
			return 1
		}
		return -1
	})
	p.events = slices.Insert(p.events, i, e)
}

func (p *path) tell(e *pathEvent) {
	f := e.flow
	now := pathEpoch.Add(e.at)
	if e.ack.Bytes == 0 {
		f.inFlight -= e.loss.Bytes
		e.loss.Now, e.loss.InFlight = now, f.inFlight
		f.OnLoss(e.loss)
		return
	}
	f.inFlight -= mtu
	f.got += mtu
	rtt := e.at - e.sent
	if f.minRTT == 0 || rtt < f.minRTT {
		f.minRTT = rtt
	}
	if f.srtt == 0 {
		f.srtt = rtt
	}
	f.srtt += (rtt - f.srtt) / 8
	a := &e.ack
	a.Now, a.InFlight, a.RTT, a.SRTT, a.MinRTT = now, f.inFlight, rtt, f.srtt, f.minRTT
	if a.RoundEnd = e.sent >= f.roundEnd; a.RoundEnd {
		f.roundEnd = e.at
	}
	f.OnAck(*a)
}

func newPath(loss float64, controllers ...Controller) *path {
	p := &path{link: bottleneck{rate: 2.5e6, delay: 20 * time.Millisecond}, queue: 80 * time.Millisecond, loss: loss, rng: rand.New(rand.NewPCG(1, 2))}
	for _, c := range controllers {
		p.flows = append(p.flows, &pathFlow{Controller: c})
	}
	return p
}

// use is the part of the link that each flow had in the last d.
func (p *path) use(d time.Duration) (parts []float64) {
	before := make([]float64, len(p.flows))
	for i, f := range p.flows {
		before[i] = f.got
	}
	p.waits = p.waits[:0]
	p.run(d)
	for i, f := range p.flows {
		parts = append(parts, (f.got-before[i])/d.Seconds()/p.link.rate)
	}
	return parts
}

func (p *path) wait95() time.Duration {
	slices.Sort(p.waits)
	return p.waits[len(p.waits)*95/100]
}

func TestAModelFillsTheLinkAndHardlyTheQueue(t *testing.T) {
	p := newPath(0, NewModel(mtu))
	p.run(time.Second)
	if u := p.use(10 * time.Second)[0]; u < 0.97 {
		t.Errorf("%.1f %% of the link", 100*u)
	}
	if w := p.wait95(); w > 4*time.Millisecond {
		t.Errorf("a queue of %v", w)
	}
}

func TestRandomLossDoesNotSlowAModel(t *testing.T) {
	for _, loss := range []float64{0.01, 0.05, 0.10} {
		p := newPath(loss, NewModel(mtu))
		p.run(3 * time.Second)
		if u := p.use(10 * time.Second)[0]; u < 0.94*(1-loss) {
			t.Errorf("%.0f %% of loss: %.1f %% of the link", 100*loss, 100*u)
		}
	}
}

func TestTooMuchLossBreaksTheCircuit(t *testing.T) {
	p := newPath(0.3, NewModel(mtu))
	p.run(5 * time.Second)
	if u := p.use(5 * time.Second)[0]; u > 0.1 {
		t.Errorf("%.1f %% of the link at 30 %% of loss", 100*u)
	}
}

func TestModelsShareEvenly(t *testing.T) {
	p := newPath(0, NewModel(mtu), NewModel(mtu), NewModel(mtu))
	p.run(10 * time.Second)
	for i, u := range p.use(10 * time.Second) {
		if u < 0.27 || u > 0.40 {
			t.Errorf("flow %d has %.0f %%", i, 100*u)
		}
	}
}

func TestBackgroundYields(t *testing.T) {
	p := newPath(0, NewModel(mtu), NewBackground(mtu))
	p.run(10 * time.Second)
	u := p.use(10 * time.Second)
	if u[1] > 0.25 || u[0] < 0.70 {
		t.Errorf("%.0f %% and %.0f %% of background", 100*u[0], 100*u[1])
	}
	p = newPath(0, NewBackground(mtu))
	p.run(3 * time.Second)
	if u := p.use(5 * time.Second); u[0] < 0.9 {
		t.Errorf("alone it uses %.0f %%", 100*u[0])
	}
	p = newPath(0, NewCUBIC(mtu), NewBackground(mtu))
	p.run(10 * time.Second)
	if u := p.use(20 * time.Second); u[1] > 0.25 {
		t.Errorf("it takes %.0f %% from CUBIC", 100*u[1])
	}
}

func TestAModelAnswersMarks(t *testing.T) {
	m := NewModel(mtu)
	p := newPath(0, m)
	p.run(time.Second)
	before := m.rate
	now := pathEpoch.Add(p.now)
	m.OnLoss(Loss{Now: now, Sent: now, CE: true})
	m.OnLoss(Loss{Now: now, Sent: now, CE: true}) // of the same round trip
	if got := m.rate / before; math.Abs(got-0.8) > 0.01 {
		t.Errorf("%.2f of the rate after a mark, want 0.8", got)
	}
}

func TestAModelKeepsAShareAgainstCUBIC(t *testing.T) {
	p := newPath(0, NewCUBIC(mtu), NewModel(mtu))
	p.run(15 * time.Second)
	if u := p.use(40 * time.Second); u[1] < 0.25 || u[1] > 0.65 {
		t.Errorf("%.0f %% beside CUBIC's %.0f", 100*u[1], 100*u[0])
	}
}

func TestAHintIsUsedBeforeAnythingIsHeard(t *testing.T) {
	m := NewModel(mtu)
	m.Hint(1e6, 0)
	if got := m.Rate(333 * time.Millisecond); got != 1e6 {
		t.Errorf("paced at %v", got)
	}
	if w := m.Window(); w < int(1e6*hintTime.Seconds()) {
		t.Errorf("a window of %d", w)
	}
}

func TestALinkThatIsMuchTooSlowEndsTheStart(t *testing.T) {
	m := NewModel(mtu)
	p := newPath(0, m)
	p.link.rate, p.queue = 60e3, 50*time.Millisecond // half a megabit, two packets
	p.run(3 * time.Second)
	if m.mode == modeStart || m.rate > 2*p.link.rate {
		t.Errorf("%v", m)
	}
}

func TestTFRCFollowsItsEquation(t *testing.T) {
	// RFC 5348 §3.1 at 1 % of loss events and 100 ms: s/(R·(0.0816 + 0.4·0.184·1.0032)).
	f := NewTFRC(1000)
	f.srtt = 100 * time.Millisecond
	f.loss.events, f.loss.intervals[0] = 1, 100*1000
	if got, want := f.equation(), 1000/(0.1*(0.08165+4*3*0.06124*0.01*1.0032)); math.Abs(got-want) > want/100 {
		t.Errorf("%.0f, want %.0f", got, want)
	}
	p := newPath(0, NewTFRC(mtu))
	p.run(5 * time.Second)
	if u := p.use(10 * time.Second)[0]; u > 1.01 {
		t.Errorf("%.2f of the link", u)
	}
}

// On the loopback, and wherever stamps come in heaps, trains tell nothing, and a round
// trip is so short that the pace keeps a window from ever being filled. As long as there
// is something to send the rate doubles all the same.
func TestTheStartDoublesWhereTheWindowIsNeverFilled(t *testing.T) {
	const mtu = 1400
	grown := func(starved bool) float64 {
		m := NewModel(mtu)
		now, clock := time.Unix(0, 0), time.Duration(0)
		first := m.Rate(0)
		for range 200 {
			step := time.Duration(trainPackets * mtu / m.Rate(100*time.Microsecond) * 1e9)
			now, clock = now.Add(step), clock+step
			var heap []Arrival
			for range trainPackets {
				m.OnSent(now, mtu, mtu)
				heap = append(heap, Arrival{Sent: clock, At: clock + 50*time.Microsecond, Bytes: mtu})
			}
			m.OnAck(Ack{Now: now.Add(100 * time.Microsecond), Sent: now, Bytes: len(heap) * mtu, RTT: 100 * time.Microsecond, SRTT: 100 * time.Microsecond,
				MinRTT: 100 * time.Microsecond, Arrivals: heap, DeliveryRate: m.Rate(100 * time.Microsecond), AppLimited: true, Starved: starved, RoundEnd: true})
		}
		return m.Rate(100*time.Microsecond) / first
	}
	if x := grown(false); x < 100 {
		t.Errorf("the rate has grown to %.1f times what it was", x)
	}
	if x := grown(true); x > 10 {
		t.Errorf("there was nothing to send, and the rate has grown to %.1f times what it was", x)
	}
}

// Where trains tell nothing, and what there is to send is little, the path has shown that
// it carries so little, and not that it carries no more.
func TestWhoHasLittleToSendKeepsHisRate(t *testing.T) {
	const mtu, trip = 1400, 200 * time.Microsecond
	m := NewModel(mtu)
	now, clock := time.Unix(0, 0), time.Duration(0)
	first := m.Rate(0)
	for range 100 {
		now, clock = now.Add(100*time.Millisecond), clock+100*time.Millisecond
		var heap []Arrival
		for range 9 {
			m.OnSent(now, mtu, mtu)
			heap = append(heap, Arrival{Sent: clock, At: clock + trip/2, Bytes: mtu})
		}
		m.OnAck(Ack{Now: now.Add(trip), Sent: now, Bytes: len(heap) * mtu, RTT: trip, SRTT: trip, MinRTT: trip,
			Arrivals: heap, DeliveryRate: float64(len(heap)*mtu) * 10, AppLimited: true, RoundEnd: true})
		if rate := m.Rate(trip); rate < first {
			t.Fatalf("after %v: %.2f Mbit/s, and %.2f before anything was known", clock, rate*8/1e6, first*8/1e6)
		}
	}
}

// A fastPath has no more than a machine to cross: stamps come in heaps.
type fastPath struct {
	*Model
	clock, queue time.Duration
}

const (
	fastPacket = 1400
	fastTrip   = 200 * time.Microsecond
	fastTurn   = 250 * time.Microsecond
)

// turn sends packets at once, or a little apart, and acknowledges them together, the
// last of them with stamps.
func (f *fastPath) turn(packets, stamped int, apart time.Duration) {
	begin := time.Unix(0, 0)
	f.clock += fastTurn + 1
	var heap []Arrival
	for i := range packets {
		f.OnSent(begin.Add(f.clock), fastPacket, fastPacket)
		if i >= packets-stamped {
			late := time.Duration(i) * apart
			heap = append(heap, Arrival{Sent: f.clock + late/2, At: f.clock + fastTrip/2 + f.queue + late, Bytes: fastPacket})
		}
	}
	f.OnAck(Ack{Now: begin.Add(f.clock + fastTrip + f.queue), Sent: begin.Add(f.clock), Bytes: packets * fastPacket,
		RTT: fastTrip + f.queue, SRTT: fastTrip + f.queue, MinRTT: fastTrip,
		Arrivals: heap, DeliveryRate: float64(packets*fastPacket) / (fastTurn + time.Duration(f.clock%3)).Seconds(), RoundEnd: true})
}

// Once in a while a few packets left and arrived a little apart, because a process
// was held up, and look like a train on a slow link.
func TestAFalseTrainDoesNotSlowAFastPathDown(t *testing.T) {
	for _, begun := range []int{100, 6} { // turns; at 6 it is still doubling
		f := fastPath{Model: NewModel(fastPacket)}
		for range begun {
			f.turn(128, 128, 0) // 5.7 Gbit/s
		}
		before := f.Rate(fastTrip)
		f.turn(4, 4, 40*time.Microsecond) // 280 Mbit/s
		after := before
		for range 20 {
			f.turn(128, 128, 0)
			after = min(after, f.Rate(fastTrip))
		}
		if c := f.Capacity(); f.mode != modeAlone || c > 0 && c < before/3 || after < 0.4*before {
			t.Errorf("after %d turns: capacity %.0f Mbit/s, rate %.0f, before %.0f", begun, c*8e-6, after*8e-6, before*8e-6)
		}
	}
}

func TestWhatIsAcknowledgedWithoutAStampHasArrived(t *testing.T) {
	f := fastPath{Model: NewModel(fastPacket)}
	for range 100 {
		f.turn(128, 128, 0)
	}
	if f.mode != modeAlone {
		t.Fatal(f.String())
	}
	before := f.Rate(fastTrip)
	f.queue = 1200 * time.Microsecond // a little more than it should be
	for range 40 {
		f.turn(512, 16, 0)
	}
	if after := f.Rate(fastTrip); after < 0.5*before {
		t.Errorf("rate %.0f Mbit/s, before %.0f: of 512 packets 16 were counted", after*8e-6, before*8e-6)
	}
}

func TestWhoDoubledRetreatsToWhatWasDelivered(t *testing.T) {
	f := fastPath{Model: NewModel(fastPacket)}
	// The first packets leave slowly, as a chirp does.
	for range 30 {
		f.clock += time.Millisecond
		f.turn(3, 3, 0)
	}
	for range 4 {
		f.turn(128, 128, 0)
	}
	f.OnLoss(Loss{Now: time.Unix(0, 0).Add(f.clock), Bytes: 1 << 20, InFlight: 1 << 20})
	if got := f.Rate(fastTrip); got < 128*fastPacket/fastTurn.Seconds()/2 {
		t.Errorf("rate %.1f Mbit/s", got*8e-6)
	}
}
