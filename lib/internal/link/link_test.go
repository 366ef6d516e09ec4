package link

import (
	"math/rand/v2"
	"testing"
	"time"
)

func line(l Link) *Line {
	n := &Line{Rand: rand.New(rand.NewPCG(1, 2))}
	n.Set(l)
	return n
}

func TestAPacketLeavesWhenThoseBeforeItHaveLeft(t *testing.T) {
	l := line(Link{Rate: 12 * Mbps, Queue: 4500, Delay: 10 * time.Millisecond})
	const packet = time.Millisecond // 1500 bytes at 12 Mbit/s
	for i, c := range []struct {
		at, want time.Duration
		v        Verdict
	}{
		{0, 11 * packet, Passed},
		{0, 12 * packet, Passed},
		{0, 13 * packet, Passed},
		{0, 0, LostQueue}, // three are waiting
		{packet / 2, 0, LostQueue},
		{packet, 14 * packet, Passed}, // one has left
		{50 * packet, 61 * packet, Passed},
	} {
		exit, _, v := l.Pass(int64(c.at), 1500)
		if v != c.v || v == Passed && time.Duration(exit) != c.want {
			t.Errorf("packet %d: out at %v (%d), want %v (%d)", i, time.Duration(exit), v, c.want, c.v)
		}
	}
	l.Set(Link{Rate: 120 * Mbps, Delay: 10 * time.Millisecond})
	if exit, _, _ := l.Pass(int64(50*packet), 1500); time.Duration(exit) != 61*packet+packet/10 {
		t.Errorf("at ten times the rate, behind a packet that came before: out at %v", time.Duration(exit))
	}
}

func TestAPerfectLinkAsksNoDice(t *testing.T) {
	l := line(Link{})
	l.Rand = nil
	if exit, mark, v := l.Pass(42, 1500); exit != 42 || mark || v != Passed || !l.Perfect() {
		t.Errorf("out at %d, marked %v, verdict %d", exit, mark, v)
	}
	for _, l := range []Link{{Rate: 1}, {Delay: 1}, {Jitter: 1}, {Loss: 1}, {Reorder: 1}} {
		if line(l).Perfect() {
			t.Errorf("%+v is not perfect", l)
		}
	}
}

func TestAQueueHasRoomByDefault(t *testing.T) {
	for rate, want := range map[Rate]int{Mbps: 24000, 8 * Mbps: 100_000, 800 * Mbps: 10_000_000} {
		if got := line(Link{Rate: rate}).limit; got != want {
			t.Errorf("%d bit/s: a queue of %d bytes, want %d", rate, got, want)
		}
	}
}
