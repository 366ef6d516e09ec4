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
	descInterZone = prometheus.NewDesc("xp2p_inter_zone_bytes_total", "Of the payload that peers received, what came from another zone.",
		[]string{"room"}, nil)
	descUpload = prometheus.NewDesc("xp2p_uploaded_bytes_total", "Payload that peers handed to others: by their own word (claimed) and by that of the receivers (vouched).",
		[]string{"room", "word"}, nil)
	descWaste = prometheus.NewDesc("xp2p_wasted_bytes_total", "Bytes that were no new payload: duplicate, polluted, overhead.",
		[]string{"room", "kind"}, nil)
	descPieces = prometheus.NewDesc("xp2p_pieces_total", "Pieces that the model player was due, and those that were late or missing.",
		[]string{"room", "state"}, nil)
	descShare     = prometheus.NewDesc("xp2p_share_ratio", "Peer share: peer bytes of all payload, by the receivers' word.", []string{"room"}, nil)
	descReporting = prometheus.NewDesc("xp2p_reporting_peers", "Peers that reported of late.", []string{"room"}, nil)

	// By what viewers report to the tracker in this process.
	descWays = prometheus.NewDesc("xp2p_traversals_total", "Pairs of viewers that met, by their kinds of NAT and the path; failed are those that did not within some seconds.",
		[]string{"a", "b", "path"}, nil)

	// By what receivers signed; only where the tracker is in this process.
	descVouched      = prometheus.NewDesc("xp2p_peer_bytes_vouched_total", "Payload between peers that its receivers signed for.", []string{"room"}, nil)
	descLocal        = prometheus.NewDesc("xp2p_peer_bytes_vouched_local", "Of the vouched bytes, those between two at one address.", []string{"room"}, nil)
	descVouchedShare = prometheus.NewDesc("xp2p_share_vouched_ratio", "Peer share: payload that receivers signed for, of all payload. Receipts are some ten to twenty seconds late.", []string{"room"}, nil)
	descCut          = prometheus.NewDesc("xp2p_peer_bytes_cut", "Payload that receivers signed for and cannot have received: not counted.", []string{"room"}, nil)
	descRefused      = prometheus.NewDesc("xp2p_receipts_refused_total", "Receipts that were not good.", []string{"room"}, nil)
	descFreeRiders   = prometheus.NewDesc("xp2p_free_riders", "Peers that take from others and give them next to nothing: they are served last.", []string{"room"}, nil)
	descPolluters    = prometheus.NewDesc("xp2p_polluters", "Peers that sent bytes that did not verify, and meet nobody for a while.", []string{"room"}, nil)
)

// collector is a Monitor as Prometheus sees it.
type collector Monitor

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descRooms, descPeers, descBytes, descInterZone, descUpload, descWaste, descPieces, descShare, descReporting,
		descVouched, descLocal, descVouchedShare, descCut, descRefused, descFreeRiders, descPolluters, descWays} {
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
	if m.cfg.Ways != nil {
		for _, w := range m.cfg.Ways() {
			count(descWays, int64(w.Count), w.A, w.B, w.Path)
		}
	}
	for _, r := range rooms {
		a, ok := m.account(r.Name)
		if !ok {
			continue
		}
		count(descVouched, a.VouchedBytes, r.Name)
		gauge(descLocal, float64(a.LocalBytes), r.Name)
		gauge(descVouchedShare, a.VouchedShare, r.Name)
		gauge(descCut, float64(a.CutBytes), r.Name)
		count(descRefused, a.Refused, r.Name)
		gauge(descFreeRiders, float64(a.FreeRiders), r.Name)
		gauge(descPolluters, float64(a.Polluters), r.Name)
	}
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
		count(descInterZone, t.interZone, r.Name)
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
