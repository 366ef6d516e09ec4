package node

import (
	"time"

	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/wire"
)

// Stats returns what the node knows of itself in a room.
func (n *Node) Stats(now time.Time, name string) (measure.Report, bool) {
	r := n.room(name)
	if r == nil {
		return measure.Report{}, false
	}
	rep := r.report(now)
	// It is the owner's, and goes to no log.
	if left, ok := n.polite.QuotaLeft(); ok {
		rep.QuotaLeftBytes = &left
	}
	return *rep, true
}

func (r *room) report(now time.Time) *measure.Report {
	c, d := r.sw.Meter, &r.counted
	for s := range c.Received {
		r.meter.Received(measure.Source(s), int(c.Received[s]-d.Received[s]))
	}
	r.meter.Uploaded(int(c.Uploaded - d.Uploaded))
	r.meter.Duplicate(int(c.Duplicate - d.Duplicate))
	r.meter.Polluted(int(c.Polluted - d.Polluted))
	r.meter.InterZone(int(c.InterZone - d.InterZone))
	r.counted = c
	if r.pl != nil {
		r.meter.Buffer(r.pl.Buffered(now))
	}
	rep := &measure.Report{Room: r.cfg.Name, ID: r.n.self.String(), Role: string(r.n.cfg.Role),
		AgeMS: now.Sub(r.joined).Milliseconds(), StreamBytes: r.offered}
	r.meter.Fill(rep)
	rep.UplinkBPS = max(0, r.sw.Uplink())
	rep.RateBPS = r.rate.BPS()
	up, why := r.sw.Uploads()
	rep.UploadAllowed, rep.UploadReason = &up, why
	if r == r.n.rooms[0] {
		rep.OverheadBytes = r.n.overhead()
	}
	for _, x := range r.sw.Neighbours() {
		if !x.Ready || len(rep.Neighbours) == measure.MaxReportNeighbours {
			continue
		}
		nb := measure.Neighbour{ID: x.ID.String(), Role: string(wire.RolePeer), Path: nat.Direct.String(), RTTMS: float64(x.RTT) / float64(time.Millisecond),
			RateBPS: int64(8 * x.Rate), SentBytes: x.Out, ReceivedBytes: x.In}
		if x.Seed {
			nb.Role = string(wire.RoleSeed)
		}
		if p := r.n.peer(x.ID); p != nil && p.conn != nil {
			nb.Addr, nb.Path = p.conn.addr, p.conn.way.String()
			took := p.conn.took.Milliseconds()
			nb.ConnectMS = &took
			if f := p.conn.punched; f.Took > 0 {
				punched := f.Took.Milliseconds()
				nb.PunchMS, nb.PunchRounds, nb.PunchSockets, nb.PunchProbes = &punched, f.Rounds, f.Sockets, f.Probes
			}
			if st, ok := r.n.xn.Stats(p.conn.id); ok {
				nb.LossRatio = st.Loss
			}
		}
		rep.Neighbours = append(rep.Neighbours, nb)
	}
	addPolluters(rep, r.sw.Polluters())
	return rep
}

// overhead is what went over the connections and was not payload: headers,
// acknowledgements, descriptors, buffer maps. A connection serves several
// rooms, so it is the node's and not a room's. The bytes of a piece that is
// under way become payload only when it is whole; as counters never fall, what
// is told is the most that was seen, too much by such a piece or two. Streams
// carry what is counted where they are read.
func (n *Node) overhead() int64 {
	wireBytes, payload := n.spent.wire, n.spent.payload
	for _, c := range n.conns.list {
		wireBytes += n.wireOf(c) - c.streamed
		payload += c.payload
	}
	n.overheadTold = max(n.overheadTold, wireBytes-payload)
	return n.overheadTold
}
