package monitor

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The metrics that are made when somebody looks, so that no number is kept
// twice.
var (
	descRooms = prometheus.NewDesc("xp2p_rooms", "Rooms that are open.", nil, nil)
	descPeers = prometheus.NewDesc("xp2p_peers", "Members of a room, by role.", []string{"room", "role"}, nil)
	descBytes = prometheus.NewDesc("xp2p_received_bytes_total", "Payload that peers received, by where it came from.",
		[]string{"room", "source"}, nil)
	descUpload = prometheus.NewDesc("xp2p_uploaded_bytes_total", "Payload that peers handed to others: by their own word (claimed) and by that of the receivers (vouched).",
		[]string{"room", "word"}, nil)
	descWaste = prometheus.NewDesc("xp2p_wasted_bytes_total", "Bytes that were no new payload: duplicate, polluted, overhead.",
		[]string{"room", "kind"}, nil)
	descPieces = prometheus.NewDesc("xp2p_pieces_total", "Pieces that the model player was due, and those that were late or missing.",
		[]string{"room", "state"}, nil)
	descShare     = prometheus.NewDesc("xp2p_share_ratio", "Peer share: peer bytes of all payload, by the receivers' word.", []string{"room"}, nil)
	descReporting = prometheus.NewDesc("xp2p_reporting_peers", "Peers that reported of late.", []string{"room"}, nil)
)

// collector is a Monitor as Prometheus sees it.
type collector Monitor

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descRooms, descPeers, descBytes, descUpload, descWaste, descPieces, descShare, descReporting} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	m := (*Monitor)(c)
	rooms := m.open()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge(descRooms, float64(len(rooms)))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(rooms)
	for _, r := range rooms {
		gauge(descPeers, float64(r.Peers), r.Name, "peer")
		gauge(descPeers, float64(r.Seeds), r.Name, "seed")
		rm := m.rooms[r.Name]
		if rm == nil {
			continue
		}
		s := rm.summary(time.Now(), r.Name)
		t := s.totals
		gauge(descReporting, float64(s.Reporting), r.Name)
		gauge(descShare, s.ShareRatio, r.Name)
		count(descBytes, t.peer, r.Name, "peer")
		count(descBytes, t.seed, r.Name, "seed")
		count(descBytes, t.origin, r.Name, "origin")
		count(descBytes, t.relay, r.Name, "relay")
		count(descUpload, t.uploaded, r.Name, "claimed")
		count(descUpload, s.VouchedBytes, r.Name, "vouched")
		count(descWaste, t.duplicate, r.Name, "duplicate")
		count(descWaste, t.polluted, r.Name, "polluted")
		count(descWaste, t.overhead, r.Name, "overhead")
		count(descPieces, t.due, r.Name, "due")
		count(descPieces, t.late, r.Name, "late")
		count(descPieces, t.missing, r.Name, "missing")
	}
}
