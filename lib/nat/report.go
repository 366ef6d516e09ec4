package nat

// A Report is what a probe found out about a network, in the form in which tools
// hand it on as JSON. What is unknown is absent. Scripts rely on the names.
type Report struct {
	Type string `json:"type"` // "nat"
	// Class is one of the eight, if the facts leave one; Candidates has those that
	// they leave.
	Class      string   `json:"class,omitempty"`
	Candidates []string `json:"candidates"`
	// Mapping and Filtering are RFC 4787's words. Of a host behind no NAT the
	// mapping is endpoint-independent.
	Mapping   string `json:"mapping,omitempty"`
	Filtering string `json:"filtering,omitempty"`
	// Confidence is high (one class, and every question was answered or asked often
	// enough), medium (one class, but what it rests on was seen only once or through
	// heavy loss) or low (several are possible).
	Confidence string `json:"confidence"`
	// Undecided says what would tell the candidates apart.
	Undecided []string `json:"undecided,omitempty"`

	PublicAddrs []string `json:"public_addrs"` // address and port as servers saw them
	LocalAddrs  []string `json:"local_addrs,omitempty"`

	Translated      *bool    `json:"translated,omitempty"` // servers see another address than this machine's
	PortPreserving  *bool    `json:"port_preserving,omitempty"`
	Allocation      string   `json:"allocation,omitempty"` // port-preserving, sequential, block, random
	AllocationDelta *int     `json:"allocation_delta,omitempty"`
	AllocationRange []int    `json:"allocation_range,omitempty"` // lowest and highest port seen
	AllocationBlock int      `json:"allocation_block,omitempty"` // ports
	Hairpin         *bool    `json:"hairpin,omitempty"`
	CGNAT           *bool    `json:"cgnat,omitempty"`
	CGNATEvidence   []string `json:"cgnat_evidence,omitempty"`
	GatewayAddr     string   `json:"gateway_addr,omitempty"` // the router's outside address, by its own word (NAT-PMP)
	UDP             *bool    `json:"udp,omitempty"`
	TCP             *bool    `json:"tcp,omitempty"`
	IPv6            *bool    `json:"ipv6,omitempty"`

	RTTms   float64        `json:"rtt_ms,omitempty"` // of the nearest server
	Servers []ServerReport `json:"servers,omitempty"`

	MTUBytes int `json:"mtu_bytes,omitempty"`
	// Lifetimes say after how long without a packet a mapping still lived, and after
	// how long it did not.
	Lifetimes []Lifetime `json:"lifetimes,omitempty"`

	TookMS float64 `json:"took_ms"`
}

// A ServerReport is what became of one server.
type ServerReport struct {
	Addr  string  `json:"addr"`
	RTTms float64 `json:"rtt_ms,omitempty"` // absent: it did not answer
	// Can is what it can tell: mapping, filtering.
	Can []string `json:"can,omitempty"`
}

// A Lifetime is of a mapping that has seen one exchange, or of one that was active
// for more than two seconds.
type Lifetime struct {
	Traffic string  `json:"traffic"` // one-exchange, active
	LivedS  float64 `json:"lived_s,omitempty"`
	DiedS   float64 `json:"died_s,omitempty"`
}
