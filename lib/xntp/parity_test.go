package xntp

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

func TestAnyShardsGiveTheOthers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		k, parities := 1+r.IntN(wire.MaxShards), 1+r.IntN(wire.MaxParity)
		size := 1 + r.IntN(40)
		want := make([][]byte, k)
		for i := range want {
			want[i] = make([]byte, 1+r.IntN(size)) // shorter ones count as if zeros followed
			for j := range want[i] {
				want[i][j] = byte(r.Uint32())
			}
		}
		shards := slices.Clone(want)
		lost := r.Perm(k)[:min(k, r.IntN(parities+1))]
		for _, i := range lost {
			shards[i] = nil
		}
		var parity [][]byte
		index := r.Perm(parities)[:len(lost)]
		for _, j := range index {
			p := make([]byte, size)
			encode(p, want, j)
			parity = append(parity, p)
		}
		decode(shards, parity, index)
		for i := range want {
			if !bytes.Equal(shards[i][:len(want[i])], want[i]) {
				t.Fatalf("shard %d of %d with %d lost, by parities %v", i, k, len(lost), index)
			}
		}
	}
}

// fetch sends an object of so many bytes, in pieces, over a link that has lost
// packets before, and returns how long it took, and what the sender did meanwhile.
func fetch(t *testing.T, seed uint64, l link, size int, change ...func(*Config)) (took time.Duration, before, after Stats) {
	w := newWorld(t, seed)
	a, b := w.add("a", l, change...), w.add("b", l, change...)
	ac, _ := w.dial(a, b)
	a.Send(w.now, ac, Object{Data: [][]byte{make([]byte, 1<<20)}})
	w.run(10 * time.Second)
	b.took()
	before, _ = a.Stats(ac)
	start := w.now
	for left := size; left > 0; left -= 16384 {
		a.Send(w.now, ac, Object{Data: [][]byte{pattern(uint64(left), min(left, 16384))}})
	}
	got := 0
	if !w.until(time.Minute, func() bool { got += b.took(); return got >= size }) {
		t.Fatalf("%d of %d bytes", got, size)
	}
	took = w.now.Sub(start)
	w.run(time.Second)
	after, _ = a.Stats(ac)
	return took, before, after
}

func TestParitySavesTheRoundTripOfTheTail(t *testing.T) {
	l := link{delay: 100 * time.Millisecond, rate: 50e6, queue: 1 << 20, loss: 0.05}
	var with, without []time.Duration
	const size, runs = 300_000, 5
	for i := range runs {
		took, before, after := fetch(t, uint64(i), l, size)
		with = append(with, took)
		parity := after.ParityBytes - before.ParityBytes
		if parity == 0 || parity > size/4 {
			t.Errorf("%d bytes of parity for %d", parity, size)
		}
		if after.LostPackets-after.SpuriousPackets <= before.LostPackets-before.SpuriousPackets {
			t.Error("what was recovered is hidden from congestion control")
		}
		took, _, _ = fetch(t, uint64(i), l, size, func(c *Config) { c.NoParity = true })
		without = append(without, took)
	}
	slices.Sort(with)
	slices.Sort(without)
	t.Logf("with parity %v, without %v", with, without)
	if with[runs/2] > without[runs/2]-150*time.Millisecond {
		t.Errorf("the median is %v, and %v without parity", with[runs/2], without[runs/2])
	}
}

// What leaves when the first acknowledgements come is as late as a tail, if it is lost and
// sent again, and nothing may be known of loss yet.
func TestWhatFollowsTheFirstFlightHasParity(t *testing.T) {
	const rtt = 200 * time.Millisecond
	lost := 0
	l := newLab(t, 1, linkOf(50, rtt, 0))
	f := l.add(model, rtt, mbyte)
	sent := 0
	l.w.Tap(func(_ time.Time, from, _ netip.AddrPort, data []byte) bool {
		if from.Addr() != l.host.Addr() || len(data) < 1000 || data[0]&0x80 != 0 {
			return true
		}
		sent++
		// One of the first flight, which tells of loss before the next block ends, and three
		// of that.
		drop := sent == 20 || sent > 170 && sent < 220 && sent%16 == 0
		if drop {
			lost++
		}
		return !drop
	})
	l.w.RunUntil(func() bool { return f.done > 0 }, time.Minute)
	limit := rtt + mbyte*1033*8/50*time.Microsecond/1000
	t.Logf("%v, of which physics wants %v, with %d packets lost and %d bytes sent again", f.done, limit, lost, f.stats().RepeatedBytes)
	if lost != 4 || f.done > limit+rtt {
		t.Error("it waited for what was sent again")
	}
}

func TestWithoutLossThereIsNoParity(t *testing.T) {
	l := link{delay: 20 * time.Millisecond, rate: 50e6, queue: 1 << 20}
	_, before, after := fetch(t, 1, l, 300_000)
	if n := after.ParityBytes - before.ParityBytes; n > 0 || after.ParityBytes > 2*ethernetMTU {
		t.Errorf("%d bytes of parity, %d in all", n, after.ParityBytes)
	}
}

func TestAFirstFlightThatIsAllThereIsHasParity(t *testing.T) {
	// Any two packets of the answer are lost, and it is there after a round trip.
	for lost := range 20 {
		w := newWorld(t, 9)
		l := link{delay: 50 * time.Millisecond, rate: 50e6}
		a, b := w.add("a", l), w.add("b", l)
		w.dial(a, b)
		bc := b.Conns(nil)[0]
		n := 0
		w.meddle = func(from, _ *node, p *machine.Packet) {
			if from == b && len(p.Data) > 200 {
				if n++; n == 1+lost || n == 2+lost {
					p.Data = nil
				}
			}
		}
		start := w.now
		b.Send(w.now, bc, Object{Data: [][]byte{make([]byte, 30_000)}})
		if !w.until(10*time.Second, func() bool { return a.took() > 0 }) {
			t.Fatal("it has not arrived")
		}
		if took := w.now.Sub(start); took > 100*time.Millisecond {
			t.Errorf("packets %d and %d lost: %v", lost, lost+1, took)
		}
	}
}

// A first flight is kept for parity where a lost packet costs a round trip that can be
// noticed.
func TestAFirstFlightToAPeerNearByNeedsNoParity(t *testing.T) {
	for delay, want := range map[time.Duration]bool{200 * time.Microsecond: false, 20 * time.Millisecond: true} {
		_, a, b, ac, _ := pair(t, link{delay: delay, rate: 50e6})
		a.Send(a.w.now, ac, Object{Data: [][]byte{make([]byte, 30_000)}})
		a.w.until(time.Second, func() bool { return b.took() > 0 })
		if got := a.conns[ac].parity.next > 0; got != want {
			t.Errorf("over %v: kept for parity is %v", delay, got)
		}
	}
}

// Deadlines that leave no time to send again are met all the same, from the first
// message on.
func TestParityMeetsDeadlines(t *testing.T) {
	for _, c := range []struct {
		trip, deadline time.Duration
		loss           float64
		delivered      float64       // at least
		late           time.Duration // 99 % are not later
		dear           float64       // bytes of parity, as a part of the others
	}{
		{100 * time.Millisecond, 120 * time.Millisecond, 0.01, 0.9985, 100 * time.Millisecond, 0.12},
		{200 * time.Millisecond, 260 * time.Millisecond, 0.05, 0.9985, 210 * time.Millisecond, 0.2},
		{200 * time.Millisecond, 400 * time.Millisecond, 0.05, 0.9995, 210 * time.Millisecond, 0.21}, // there is time to send once more
	} {
		w, a, b, ac, _ := pair(t, link{delay: c.trip / 2, rate: 50e6, queue: 1 << 20, loss: c.loss})
		written := map[ObjectID]time.Time{}
		var waits []time.Duration
		const messages, pause = 3000, 1750 * time.Microsecond // 6 Mbit/s
		n := 0
		next := w.now
		var tick func()
		tick = func() {
			id, err := a.Send(w.now, ac, Object{Class: Deadline, Deadline: w.now.Add(c.deadline), Data: [][]byte{make([]byte, 1300)}})
			if err != nil {
				t.Fatal(err)
			}
			written[id] = w.now
			if n++; n < messages {
				next = next.Add(pause)
				w.after(next.Sub(w.now), tick)
			}
		}
		w.after(time.Millisecond, tick)
		b.step = func(now time.Time) {
			for _, ev := range b.events {
				if ev.Kind == EventObject {
					waits = append(waits, now.Sub(written[ev.Object]))
				}
			}
			b.events = b.events[:0]
		}
		w.run(messages*pause + time.Second)
		slices.Sort(waits)
		s, _ := a.Stats(ac)
		share, dear, late := float64(len(waits))/messages, float64(s.ParityBytes)/float64(s.ObjectBytes), waits[len(waits)*99/100]
		t.Logf("%v in %v, %.0f %% lost: %.2f %% arrived, half after %v, 99 %% after %v; parity %.1f %%", c.trip, c.deadline, 100*c.loss, 100*share, waits[len(waits)/2], late, 100*dear)
		if share < c.delivered || late > c.late || dear > c.dear {
			t.Error("that is not enough, or too dear")
		}
	}
}

func TestBlocksOfAPeerAreBounded(t *testing.T) {
	_, a, _, ac, _ := pair(t, near)
	c := a.conns[ac]
	send := func(frames ...wire.Frame) uint64 {
		var b []byte
		for _, f := range frames {
			b = f.Append(b)
		}
		a.shard = shardPacket{}
		_, _, _, code := c.handleFrames(a.w.now, b, c.path.path, len(b))
		if code == codeNone {
			code = c.keepShard(a.w.now, 99, c.path.path)
		}
		return code
	}
	ping := wire.Frame{Type: wire.FramePing}
	for id := range uint64(1000) {
		for i := range 20 {
			send(wire.Frame{Type: wire.FrameShard, ID: id, Index: uint8(i)}, ping)
		}
		send(wire.Frame{Type: wire.FrameParity, ID: id, Shards: 128, Index: 1, Data: make([]byte, 100)})
	}
	used := a.shardBytes/shardRoom - len(a.freeShards)
	if len(c.blocks.blocks) > maxBlocks || used > maxBlocks*(wire.MaxShards+wire.MaxParity) || a.shardBytes > maxShardBytes {
		t.Errorf("%d blocks and %d packets are kept", len(c.blocks.blocks), used)
	}
	// Parity of nothing, and that does not fit its shards, breaks nothing.
	for _, size := range []int{wire.ShardHeaderLen, 7, 1000} {
		send(wire.Frame{Type: wire.FrameShard, ID: 5000 + uint64(size), Index: 0}, ping, ping, ping)
		for i := range 3 {
			if code := send(wire.Frame{Type: wire.FrameParity, ID: 5000 + uint64(size), Shards: 3, Index: uint8(i), Data: bytes.Repeat([]byte{0xff}, size)}); code != codeNone && code != codeFrame {
				t.Errorf("code %d", code)
			}
		}
	}
	a.remove(c)
	if used := a.shardBytes/shardRoom - len(a.freeShards); used != 0 {
		t.Errorf("%d packets are kept of a connection that is gone", used)
	}
}
