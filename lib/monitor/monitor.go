// Package monitor is what an operator looks at: the log endpoint that peers
// report to, Prometheus metrics made of it, /healthz and /stat.
//
// A peer counts what it received and says from whom. So a room's share is made
// of receivers' words, and what somebody uploaded is what others vouch for; his
// own claim stands beside it and counts for nothing. Where the tracker is in this
// process it holds receipts that receivers signed (package tracker), and the
// share that they make (xp2p_share_vouched_ratio) is the one to show: nobody can
// write them in another's name, and what cannot be true is cut. A log without a
// tracker has no more than unsigned words.
package monitor

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/xp2p/xp2p/lib/measure"
)

// Bounds. A peer that is silent for so long has left; its bytes stay counted.
const (
	maxPeers   = 20_000 // remembered in a room
	silentTime = 2 * time.Minute
	maxSenders = 50_000 // vouched for in a room
)

// Config configures a Monitor.
type Config struct {
	// Rooms says which rooms there are now: reports for others are refused.
	Rooms func() []Room
	// Account returns what the tracker's receipts come to in a room. Nil without a
	// tracker; false if it has no such room.
	Account func(room string) (Account, bool)
	// Ways returns how viewers behind NATs met, by the tracker's counters. Nil without
	// a tracker.
	Ways func() []Way
}

// A Way is how often viewers behind two kinds of NAT met by a path, or failed to: its
// words are few, and bounded by their number.
type Way struct {
	A, B, Path string
	Count      uint64
}

// A Room is what the tracker knows of a room.
type Room struct {
	Name  string
	Peers int
	Seeds int
}

// An Account is a room by the receipts that receivers signed.
type Account struct {
	PayloadBytes int64   `json:"payload_bytes"`       // that peers had, from wherever
	VouchedBytes int64   `json:"vouched_bytes"`       // that receivers signed for
	LocalBytes   int64   `json:"vouched_local_bytes"` // of these, between two at one address
	ClaimedBytes int64   `json:"claimed_bytes"`       // that senders say they gave
	CutBytes     int64   `json:"cut_bytes"`           // signed for, and more than can have been
	VouchedShare float64 `json:"vouched_share_ratio"` // VouchedBytes of PayloadBytes
	Refused      int64   `json:"refused_receipts"`
	FreeRiders   int     `json:"free_riders"`
	Polluters    int     `json:"polluters"`
}

// A Monitor gathers reports. Its methods may be called from any goroutine.
type Monitor struct {
	cfg      Config
	registry *prometheus.Registry
	lag      *prometheus.HistogramVec
	reports  *prometheus.CounterVec

	mu    sync.Mutex
	rooms map[string]*room
}

type room struct {
	peers   map[string]*peer
	retired totals // of those who left or began anew
	vouched map[string]int64
	claimed map[string]int64
}

type peer struct {
	last *measure.Report
	at   time.Time
}

// totals are sums over reports.
type totals struct {
	peer, seed, origin, relay, interZone, uploaded, duplicate, polluted, overhead int64
	due, late, missing                                                            int64
}

func (t *totals) add(r *measure.Report) {
	t.peer += r.PeerBytes
	t.seed += r.SeedBytes
	t.origin += r.OriginBytes
	t.relay += r.RelayBytes
	t.interZone += r.InterZoneBytes
	t.uploaded += r.UploadedBytes
	t.duplicate += r.DuplicateBytes
	t.polluted += r.PollutedBytes
	t.overhead += r.OverheadBytes
	t.due += r.DuePieces
	t.late += r.LatePieces
	t.missing += r.MissingPieces
}

// New returns a monitor with a registry of its own.
func New(cfg Config) *Monitor {
	m := &Monitor{
		cfg: cfg, registry: prometheus.NewRegistry(), rooms: map[string]*room{},
		lag: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "xp2p_lag_seconds", Help: "How far behind the origin peers were when they reported.",
			Buckets: []float64{.05, .1, .15, .2, .25, .3, .4, .5, .75, 1, 1.5, 2, 3, 5, 10, 30},
		}, []string{"room"}),
		reports: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "xp2p_reports_total", Help: "Reports of peers, by what became of them.",
		}, []string{"result"}),
	}
	m.registry.MustRegister(m.lag, m.reports, (*collector)(m), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Counter and Gauge register a number that another part of the process counts.
// A name that is taken or is none panics: names are constants of the program.
func (m *Monitor) Counter(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value))
}

// Gauge is Counter for a number that may fall.
func (m *Monitor) Gauge(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

// Report takes the report of the peer called id, which arrived at now. Reports
// are cumulative: the last one counts.
func (m *Monitor) Report(now time.Time, roomName, id string, r *measure.Report) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rm := m.rooms[roomName]
	if rm == nil {
		rm = &room{peers: map[string]*peer{}, vouched: map[string]int64{}, claimed: map[string]int64{}}
		m.rooms[roomName] = rm
	}
	p := rm.peers[id]
	if p == nil {
		if len(rm.peers) >= maxPeers {
			rm.expire(now)
		}
		if len(rm.peers) >= maxPeers {
			m.reports.WithLabelValues("full").Inc()
			return
		}
		p = &peer{}
		rm.peers[id] = p
	}
	old := p.last
	if old != nil && (r.TotalBytes() < old.TotalBytes() || r.UploadedBytes < old.UploadedBytes) {
		rm.retired.add(old) // a new process under an old name
		old = nil
	}
	p.last, p.at = r, now
	rm.claim(id, old, r)
	rm.vouch(old, r)
	if r.LagMS != nil {
		m.lag.WithLabelValues(roomName).Observe(max(0, float64(*r.LagMS)/1000))
	}
	m.reports.WithLabelValues("taken").Inc()
}

func (rm *room) claim(id string, old, r *measure.Report) {
	if _, ok := rm.claimed[id]; !ok && len(rm.claimed) >= maxSenders {
		return
	}
	rm.claimed[id] += r.UploadedBytes
	if old != nil {
		rm.claimed[id] -= old.UploadedBytes
	}
}

// vouch counts what r received since old from each sender.
func (rm *room) vouch(old, r *measure.Report) {
	before := map[string]int64{}
	if old != nil {
		for i := range old.Neighbours {
			before[old.Neighbours[i].ID] += old.Neighbours[i].ReceivedBytes
		}
	}
	for i := range r.Neighbours {
		n := &r.Neighbours[i]
		d := n.ReceivedBytes - before[n.ID]
		delete(before, n.ID)
		if d < 0 {
			d = n.ReceivedBytes // a connection that began anew
		}
		if _, ok := rm.vouched[n.ID]; n.ID == "" || !ok && len(rm.vouched) >= maxSenders {
			continue
		}
		rm.vouched[n.ID] += d
	}
}

// expire retires those who have been silent.
func (rm *room) expire(now time.Time) {
	for id, p := range rm.peers {
		if now.Sub(p.at) > silentTime {
			rm.retired.add(p.last)
			delete(rm.peers, id)
		}
	}
}

// A Summary is a room by its receivers' words.
type Summary struct {
	Room          string   `json:"room"`
	Reporting     int      `json:"reporting"` // peers that reported of late
	PeerBytes     int64    `json:"peer_bytes"`
	SeedBytes     int64    `json:"seed_bytes"`
	OriginBytes   int64    `json:"origin_bytes"`
	RelayBytes    int64    `json:"relay_bytes"`
	UploadedBytes int64    `json:"uploaded_bytes"` // claimed by senders
	VouchedBytes  int64    `json:"vouched_bytes"`  // of it, what receivers confirm
	ShareRatio    float64  `json:"share_ratio"`
	Continuity    *float64 `json:"continuity_ratio,omitempty"`
	Senders       []Sender `json:"senders"` // ascending by id
	Account       *Account `json:"account,omitempty"`

	InterZoneBytes int64 `json:"inter_zone_bytes"` // of what was received, from another zone

	totals totals
}

// A Sender is somebody who uploaded, by his own word and by that of others.
type Sender struct {
	ID            string `json:"id"`
	UploadedBytes int64  `json:"uploaded_bytes"`
	VouchedBytes  int64  `json:"vouched_bytes"`
}

// Summary returns what was reported of a room; ok is false if nothing was.
func (m *Monitor) Summary(now time.Time, name string) (Summary, bool) {
	a, ok := m.account(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	rm := m.rooms[name]
	if rm == nil {
		return Summary{}, false
	}
	s := rm.summary(now, name)
	if ok {
		s.Account = &a
	}
	return s, true
}

// account asks the tracker for a room's account. The tracker may be waiting for mu
// to report to us: it is asked without it.
func (m *Monitor) account(name string) (Account, bool) {
	if m.cfg.Account == nil {
		return Account{}, false
	}
	return m.cfg.Account(name)
}

func (rm *room) summary(now time.Time, name string) Summary {
	rm.expire(now)
	t := rm.retired
	for _, p := range rm.peers {
		t.add(p.last)
	}
	s := Summary{
		Room: name, Reporting: len(rm.peers), PeerBytes: t.peer, SeedBytes: t.seed, OriginBytes: t.origin, RelayBytes: t.relay, InterZoneBytes: t.interZone,
		UploadedBytes: t.uploaded, Senders: []Sender{}, totals: t,
	}
	if all := t.peer + t.seed + t.origin + t.relay; all > 0 {
		s.ShareRatio = float64(t.peer) / float64(all)
	}
	if t.due > 0 {
		c := float64(max(0, t.due-t.late-t.missing)) / float64(t.due)
		s.Continuity = &c
	}
	for id, n := range rm.vouched {
		s.VouchedBytes += n
		s.Senders = append(s.Senders, Sender{ID: id, VouchedBytes: n, UploadedBytes: rm.claimed[id]})
	}
	for id, n := range rm.claimed {
		if _, ok := rm.vouched[id]; !ok && n > 0 {
			s.Senders = append(s.Senders, Sender{ID: id, UploadedBytes: n})
		}
	}
	slices.SortFunc(s.Senders, func(a, b Sender) int { return cmp.Compare(a.ID, b.ID) })
	return s
}

// forget drops rooms that are no more, and their lines in the metrics.
func (m *Monitor) forget(open []Room) {
	for name := range m.rooms {
		if !slices.ContainsFunc(open, func(r Room) bool { return r.Name == name }) {
			delete(m.rooms, name)
			m.lag.DeleteLabelValues(name)
		}
	}
}

// open returns the rooms that there are now.
func (m *Monitor) open() []Room {
	if m.cfg.Rooms == nil {
		return nil
	}
	return m.cfg.Rooms()
}
