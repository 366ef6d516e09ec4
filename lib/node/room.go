package node

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/playout"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/swarm"
	"github.com/xp2p/xp2p/lib/wire"
	"github.com/xp2p/xp2p/lib/xntp"
)

// Times of a room, our choices.
const (
	helloPatience = 500 * time.Millisecond // for a STUN server, before the tracker hears of us without an address
	reportEvery   = 10 * time.Second
	reportFirst   = 3 * time.Second // its place in a tree depends on what it says
	askInitEvery  = 500 * time.Millisecond
	startAlone    = 700 * time.Millisecond // without an answer of the origin
	seedPatience  = 2 * time.Second        // for the tracker's list, before the document's seeds are dialed
	maxFed        = 1024                   // groups that a seed at home knows
	startBack     = 2                      // segments before the newest: a keyframe each two seconds is usual
)

// A room is a node's part in one: its swarm, and its player if it is a viewer.
type room struct {
	n     *Node
	cfg   Room
	sw    *swarm.Swarm
	pl    *playout.Player // nil at a seed
	meter *measure.Meter
	born  time.Time // start-up counts from here

	joined time.Time
	busy   bool       // the origin said that it has no room for us
	entry  segment.ID // where the start is looked for among the neighbours

	listed  bool      // the tracker has named our neighbours
	seedsAt time.Time // when to meet the document's seeds all the same

	helloAt    time.Time // when to say hello to the tracker; zero: said
	hello      said      // what was said
	resume     string
	unmetAt    time.Time // when to look whether all were reached
	reportAt   time.Time
	reportedAt time.Time
	offered    int64                      // payload, by a seed's owner
	asked      map[segment.Hash]time.Time // inits that neighbours were asked for
	asks       map[uint64]string          // why the origin was asked, by request
	newest     segment.ID                 // that the player was told of
	epoch      int64                      // of the last output
	lastDTS    int64
	counted    swarm.Counters // what the meter has of them
	leaving    bool
	fed        map[uint64][]wire.SignalMember // by group, at a seed at home

	rate    measure.Rate // of the stream, at a seed
	carries bool         // the tracker has heard what the uplink carries
	origin  originZone
}

// Join enters a room.
func (n *Node) Join(now time.Time, cfg Room) error {
	switch {
	case n.closed:
		return ErrNodeClosed
	case n.room(cfg.Name) != nil:
		return fmt.Errorf("%w: %s", ErrJoined, cfg.Name)
	case len(n.rooms) >= maxRooms:
		return ErrTooMany
	case len(cfg.Key) != ed25519.PublicKeySize:
		return ErrRoomKey
	}
	seed := n.cfg.Role == wire.RoleSeed
	sw, err := swarm.New(swarm.Config{
		Name: cfg.Name, Key: cfg.Key, Self: n.self, Seed: seed, Upload: !n.cfg.NoUpload, Uplink: n.cfg.Uplink,
		Topology: cfg.Topology, Rand: n.cfg.Rand, MaxUpload: n.cfg.MaxUpload, Window: cfg.Window, WindowBytes: int(cfg.WindowBytes),
		Patient: cfg.Patient, Explain: n.cfg.Explain, Verifier: n.cfg.Verifier, Polite: n.polite, ReceiptKey: n.receiptKey,
	})
	if err != nil {
		return err
	}
	r := &room{n: n, cfg: cfg, sw: sw, meter: measure.NewMeter(), born: n.cfg.Born, joined: now, asked: map[segment.Hash]time.Time{}, asks: map[uint64]string{}}
	if r.born.IsZero() {
		r.born = now
	}
	if !seed && !cfg.NoPlayer {
		r.pl = playout.New(now, playout.Config{Start: cfg.Start, Resume: cfg.Resume, Buffer: cfg.Buffer, Edge: cfg.Edge, OriginRTT: cfg.OriginRTT, NoOrigin: cfg.NoOrigin, Turn: sw.Turn})
	}
	n.rooms = append(n.rooms, r)
	r.meet(now)
	n.Advance(now)
	return nil
}

// Leave says goodbye to a room's neighbours and tracker.
func (n *Node) Leave(now time.Time, name string) error {
	r := n.room(name)
	if r == nil {
		return fmt.Errorf("%w: %s", ErrNoRoom, name)
	}
	r.leaving = true
	r.sw.Leave(now)
	r.drainSwarm(now)
	if !r.cfg.NoSignal {
		r.tellReport(now)
		n.tell(Event{Kind: EventSignal, Room: name, Signal: &wire.SignalBye{}})
	}
	n.rooms = slices.DeleteFunc(n.rooms, func(x *room) bool { return x == r })
	for _, p := range slices.Clone(n.peers) {
		p.in = slices.DeleteFunc(p.in, func(x *room) bool { return x == r })
		n.unname(r, p)
	}
	for _, c := range n.conns.list {
		c.objects = slices.DeleteFunc(c.objects, func(o object) bool { return o.room == r })
	}
	n.setServers()
	n.turn(now)
	return nil
}

// Signal brings what the room's tracker said.
func (n *Node) Signal(now time.Time, name string, m wire.Signal) error {
	r := n.room(name)
	if r == nil {
		return fmt.Errorf("%w: %s", ErrNoRoom, name)
	}
	var err error
	switch m := m.(type) {
	case *wire.SignalWelcome:
		r.resume = m.Resume
		r.sw.RepeatReceipts() // it may be another, or the last report went down with the connection
	case *wire.SignalNeighbours:
		r.listed, r.seedsAt = true, time.Time{}
		r.setNamed(now, m.Members)
		r.placeOrigin(m)
		err = r.sw.SetNeighbours(now, m)
	case *wire.SignalFeed:
		r.nameFed(now, m)
		err = r.sw.SetFeed(now, m)
	case *wire.SignalPunch:
		r.punched(now, m)
	case *wire.SignalError:
		err = m
	}
	n.turn(now)
	return err
}

// setNamed knows the members of a new list, and no longer those who are not in
// it.
func (r *room) setNamed(now time.Time, members []wire.SignalMember) {
	for _, p := range slices.Clone(r.n.peers) {
		if !slices.Contains(p.named, r) {
			continue
		}
		key := wire.Key(p.key)
		if !slices.ContainsFunc(members, func(m wire.SignalMember) bool { return m.Key == key }) && !r.isHome(key) {
			r.n.unname(r, p)
		}
	}
	for i := range members {
		m := &members[i]
		if m.ID == wire.PeerIDOf(m.Key) { // names are derived from keys: a list cannot give one peer another's
			r.n.name(now, r, m.Key, m.Addrs, m.NAT, m.Role == wire.RoleSeed)
		}
	}
}

// isHome reports whether a key is of a seed that is the room's origin.
func (r *room) isHome(key wire.Key) bool {
	return r.cfg.AtHome && slices.ContainsFunc(r.cfg.Seeds, func(s wire.RoomSeed) bool { return s.Key == key })
}

// nameFed knows those whom a seed at home feeds, and no longer those whom it does
// not feed any more.
func (r *room) nameFed(now time.Time, m *wire.SignalFeed) {
	if !r.n.cfg.AtHome {
		return
	}
	if r.fed == nil || m.Reset {
		r.fed = map[uint64][]wire.SignalMember{}
	}
	for _, g := range m.Groups {
		if len(g.Members) == 0 {
			delete(r.fed, g.Group)
		} else if r.fed[g.Group] != nil || len(r.fed) < maxFed {
			r.fed[g.Group] = g.Members
		}
	}
	var all []wire.SignalMember
	for _, group := range slices.Sorted(maps.Keys(r.fed)) {
		all = append(all, r.fed[group]...)
	}
	r.setNamed(now, all)
}

// Reconnected tells that the connection to the room's tracker is new.
func (n *Node) Reconnected(now time.Time, name string) error {
	r := n.room(name)
	if r == nil {
		return fmt.Errorf("%w: %s", ErrNoRoom, name)
	}
	r.helloAt = now
	r.advance(now)
	n.turn(now)
	return nil
}

// Offer gives a seed the next record of its room, in stream order. The record
// has been verified; its body is never changed by anybody.
func (n *Node) Offer(now time.Time, name string, rec segment.Record) error {
	r := n.room(name)
	switch {
	case r == nil:
		return fmt.Errorf("%w: %s", ErrNoRoom, name)
	case r.pl != nil:
		return ErrNotSeed
	}
	if rec.Kind == segment.KindPiece {
		r.rate.Add(rec.Piece.DTS, len(rec.Body))
		r.offered += int64(len(rec.Body))
	}
	r.sw.Offer(now, rec, uint64(max(0, now.UnixMilli())))
	n.turn(now)
	return nil
}

// Supply brings a part of the origin's answer to an EventNeedOrigin.
func (n *Node) Supply(now time.Time, name string, s Supply) error {
	r := n.room(name)
	switch {
	case r == nil:
		return fmt.Errorf("%w: %s", ErrNoRoom, name)
	case r.pl == nil:
		return nil
	}
	var err error
	from := measure.Origin
	if r.cfg.AtHome {
		from = measure.Seed
	}
	if s.Record.Kind != 0 && s.Record.Kind != segment.KindHeader {
		if in := s.Record.Init; s.Record.Kind == segment.KindInit && in.Proof.Count == 0 && r.pl.WantsInit(in.Hash) {
			// Asked for by a hash that a signed keyframe names: its bytes prove it to
			// us, and to nobody else, so it is not handed on.
			if err = in.Check(s.Record.Body); err == nil {
				r.pl.Add(now, s.Record, from, s.Ingest, s.ID)
			}
		} else if err = r.sw.Verify(&s.Record); err != nil {
			r.meter.Polluted(len(s.Record.Body))
			err = fmt.Errorf("%w: %w", ErrSignature, err)
		} else {
			v := r.pl.Add(now, s.Record, from, s.Ingest, s.ID)
			ingest := uint64(0)
			if !s.Ingest.IsZero() {
				ingest = uint64(max(0, s.Ingest.UnixMilli()))
			}
			if s.Record.Kind == segment.KindPiece {
				if v == playout.Fresh {
					r.arrived(playout.Output{Record: s.Record, Source: from, Ingest: s.Ingest})
					r.meter.Received(from, len(s.Record.Body))
					r.fromOrigin(len(s.Record.Body))
					r.explain(s.Record.Piece.ID, from, 0, r.asks[s.ID])
				} else {
					r.meter.Duplicate(len(s.Record.Body))
				}
			}
			r.sw.Store(now, s.Record, ingest)
		}
	}
	if s.Done {
		delete(r.asks, s.ID)
		gone, busy := errors.Is(s.Err, ErrGone), errors.Is(s.Err, ErrBusy)
		r.busy = r.busy || busy
		r.pl.Answered(now, s.ID, playout.Answer{Failed: s.Err != nil && !gone, Gone: gone, Busy: busy})
	}
	n.turn(now)
	return err
}

func (r *room) explain(id segment.ID, from measure.Source, who wire.PeerID, why string) {
	if r.n.cfg.Explain {
		r.n.tell(Event{Kind: EventExplain, Room: r.cfg.Name, Piece: id, Source: from, Neighbour: who, Why: why})
	}
}

// observed hears of our address: the tracker waits for it.
func (r *room) observed(now time.Time, server netip.AddrPort, news bool) {
	if r.cfg.NoSignal || !slices.Contains(r.cfg.STUN, server) {
		return
	}
	if news && (r.helloAt.IsZero() || r.helloAt.After(now)) {
		r.helloAt = now
		r.advance(now)
	}
}

// advance does what time has made due.
func (r *room) advance(now time.Time) {
	if !r.helloAt.IsZero() && !now.Before(r.helloAt) {
		r.helloAt = time.Time{}
		r.hello = said{now, r.uploads()}
		h := &wire.SignalHello{Key: wire.Key(r.n.Public()), Tokens: r.n.helloTokens(now), Hosts: r.n.cfg.Hosts, Mapped: r.n.mappedPort(), Role: r.n.cfg.Role,
			Upload: r.hello.upload, UplinkBPS: max(0, r.n.cfg.Uplink), NAT: r.n.saidNAT(), Name: r.n.cfg.Name, Resume: r.resume, ReceiptKey: r.n.receiptPublic()}
		r.n.tell(Event{Kind: EventSignal, Room: r.cfg.Name, Signal: h})
	}
	if !r.carries && !r.reportAt.IsZero() && r.n.cfg.Uplink == 0 && r.sw.Uplink() > 0 {
		r.carries, r.reportAt = true, now
	}
	if !r.unmetAt.IsZero() && !now.Before(r.unmetAt) {
		r.lookUnmet(now)
	}
	if !r.reportAt.IsZero() && !now.Before(r.reportAt) {
		r.tellReport(now)
	}
	if !r.seedsAt.IsZero() && !now.Before(r.seedsAt) {
		r.nameSeeds(now)
	}
	r.sw.Advance(now)
	if r.pl != nil {
		r.pl.Advance(now)
	}
}

func (r *room) nextTimeout() time.Time {
	t := earlier(earlier(r.helloAt, r.reportAt), r.seedsAt)
	t = earlier(t, r.unmetAt)
	t = earlier(t, r.sw.NextTimeout())
	if r.pl != nil {
		t = earlier(t, r.pl.NextTimeout())
	}
	return t
}

// drain passes on between the swarm, the player and the connections.
func (r *room) drain(now time.Time) (moved bool) {
	moved = r.drainSwarm(now)
	r.mindUpload(now)
	if r.pl != nil {
		moved = r.drainPlayer(now) || moved
	}
	return moved
}

func (r *room) drainSwarm(now time.Time) (moved bool) {
	for {
		a, ok := r.sw.Next()
		if !ok {
			return moved
		}
		moved = true
		p := r.n.peer(a.Peer)
		switch a.Kind {
		case swarm.Send:
			r.send(now, p, a)
		case swarm.Cancel:
			r.cancel(now, p, a.Tag)
		case swarm.Got:
			r.got(now, a)
		case swarm.Up:
			e := Event{Kind: EventUp, Room: r.cfg.Name, Neighbour: a.Peer}
			if p != nil && p.conn != nil {
				e.Addr = p.conn.addr
			}
			r.n.tell(e)
		case swarm.Down:
			r.n.tell(Event{Kind: EventDown, Room: r.cfg.Name, Neighbour: a.Peer, Why: a.Why})
			if a.Ban && a.Code == wire.ByePolluted {
				r.hurryReport(now) // others shall not wait for theirs
			}
			if p != nil {
				if a.Ban {
					r.n.unname(r, p)
				}
				if !r.sw.Has(a.Peer) { // it may be back already
					r.n.out(now, p, r)
				}
			}
		}
	}
}

func (r *room) send(now time.Time, p *peer, a swarm.Action) {
	if p == nil || p.conn == nil || !p.conn.up {
		if a.Tag != 0 {
			r.sw.Failed(now, a.Peer, a.Tag)
		}
		return
	}
	o := xntp.Object{Class: xntp.Reliable, Priority: a.Priority, Deadline: a.Deadline, Data: a.Data, Quiet: a.Tag == 0}
	if !a.Deadline.IsZero() {
		o.Class = xntp.Deadline
	}
	id, err := r.n.send(now, p.conn.id, o)
	switch {
	case err != nil && a.Tag != 0:
		r.sw.Failed(now, a.Peer, a.Tag)
	case err == nil && a.Tag != 0:
		size := 0
		if len(a.Data) > 1 {
			size = len(a.Data[1])
		}
		p.conn.note(object{id, r, a.Tag, size})
	}
}

func (r *room) cancel(now time.Time, p *peer, tag uint64) {
	if p == nil || p.conn == nil {
		return
	}
	for _, o := range p.conn.objects {
		if o.room == r && o.tag == tag {
			p.conn.take(o.id)
			r.n.xn.Cancel(now, p.conn.id, o.id)
			return
		}
	}
}

// got takes a verified record from a neighbour.
func (r *room) got(now time.Time, a swarm.Action) {
	if a.Record.Kind == segment.KindPiece {
		r.explain(a.Record.Piece.ID, a.Source, a.Peer, a.Why)
	}
	if r.pl == nil {
		return
	}
	var ingest time.Time
	if a.Ingest > 0 {
		ingest = time.UnixMilli(int64(min(a.Ingest, 1<<53)))
	}
	if r.pl.Add(now, a.Record, a.Source, ingest, 0) == playout.Fresh && a.Record.Kind == segment.KindPiece {
		r.arrived(playout.Output{Record: a.Record, Source: a.Source, Ingest: ingest})
	}
}

// arrived tells the owner of a piece that has come, if he asked for it.
func (r *room) arrived(o playout.Output) {
	if r.cfg.Arrivals {
		r.n.tell(Event{Kind: EventArrival, Room: r.cfg.Name, Output: o, Source: o.Source})
	}
}

// drainPlayer puts out what is in order, asks for what the player wants, and
// tells the swarm where it stands.
func (r *room) drainPlayer(now time.Time) (moved bool) {
	if id, ok := r.sw.Newest(); ok && id.Compare(r.newest) > 0 {
		r.newest = id
		r.pl.Announce(now, id)
	}
	for {
		o, ok := r.pl.Next()
		if !ok {
			break
		}
		moved = true
		if o.Gap {
			r.tellPlayer(playout.Gap) // before what lies behind it
		}
		r.output(now, o)
	}
	moved = r.tellPlayer(0) || moved
	at, started := r.pl.Position()
	if !started && (r.busy || r.cfg.NoOrigin || !r.pl.OriginAnswers()) {
		r.startAmong(now)
	}
	if started {
		line := swarm.Line{}
		if epoch, dts, due, ok := r.pl.Line(); ok {
			line = swarm.Line{Epoch: epoch, DTS: dts, At: due, Backstop: r.pl.Backstop(now), Streams: r.pl.Streaming()}
		}
		r.sw.SetWant(now, at, line)
		r.pl.SetShort(r.sw.Short())
		if id, ok := r.sw.Spoken(r.pl.Front()); ok {
			r.pl.Hear(id)
		}
		if r.pl.Streaming() && r.pl.AtEase(now) && r.sw.Covers(now, at) {
			r.pl.StopStream(now)
		}
	}
	for _, h := range r.pl.MissingInits() {
		if now.Sub(r.asked[h]) >= askInitEvery && len(r.asked) < 1024 {
			r.asked[h] = now
			r.sw.AskInit(h)
		}
	}
	for {
		a, ok := r.pl.NextAsk()
		if !ok {
			return moved
		}
		moved = true
		r.ask(now, a)
	}
}

var playerKinds = [...]EventKind{playout.Stall: EventStall, playout.Resume: EventResume, playout.Gap: EventGap,
	playout.Restart: EventRestart, playout.End: EventEnd}

// tellPlayer passes on what happened to the player, up to the first event of a
// kind.
func (r *room) tellPlayer(upTo playout.EventKind) (moved bool) {
	for {
		e, ok := r.pl.NextEvent()
		if !ok {
			return moved
		}
		moved = true
		r.n.tell(Event{Kind: playerKinds[e.Kind], Room: r.cfg.Name, Piece: e.Piece, Late: e.Late})
		if e.Kind == upTo {
			return true
		}
	}
}

// startAmong looks for a start among the neighbours: the origin, if there is one,
// has not answered by the time that they have, or has no room. They say where their newest keyframe is; of
// those who do not, one is somewhere in their newest segments.
func (r *room) startAmong(now time.Time) {
	id, ok := r.sw.Entry(now)
	if r.cfg.Start.Mode == playout.At {
		id, ok = r.cfg.Start.At, true
	}
	if !ok && now.Sub(r.joined) >= startAlone {
		if id, ok = r.sw.Newest(); ok {
			id = segment.ID{Epoch: id.Epoch, Seq: id.Seq - startBack}
		}
	}
	if ok && id.Compare(r.entry) > 0 {
		r.entry = id
		r.sw.SetWant(now, id, swarm.Line{})
	}
}

func (r *room) ask(now time.Time, a playout.Ask) {
	o := Origin{ID: a.ID, Start: a.Start, After: a.After, For: a.For, Pieces: a.Pieces, Init: a.Init, Deadline: a.Deadline}
	e := Event{Kind: EventNeedOrigin, Room: r.cfg.Name}
	switch a.Kind {
	case playout.AskStart:
		o.Kind = OriginStart
		r.asks[a.ID] = "the start, until neighbours bring what follows"
	case playout.AskAfter:
		o.Kind = OriginAfter
		r.asks[a.ID] = "no neighbour brings what follows"
	case playout.AskPieces:
		o.Kind = OriginPieces
		r.asks[a.ID] = fmt.Sprintf("asked %v before its deadline: no neighbour has brought it", max(0, a.Deadline.Sub(now)).Round(time.Millisecond))
	case playout.AskInit:
		o.Kind = OriginInit
	case playout.AskStop:
		e.Kind = EventStopOrigin
		delete(r.asks, a.ID)
	}
	e.Origin = o
	r.n.tell(e)
}

// output gives a part of the stream to the owner, and to the measures.
func (r *room) output(now time.Time, o playout.Output) {
	if o.Record.Kind == segment.KindPiece {
		d := o.Record.Piece
		switch {
		case o.Begin:
			r.meter.Startup(now.Sub(r.born))
			r.meter.Keyframe(now, d.DTS)
			r.meter.Jump(d.DTS)
		case d.Epoch != r.epoch || d.Disc:
			r.meter.Jump(d.DTS)
		}
		r.meter.Play(d.DTS, now)
		if !o.Ingest.IsZero() {
			r.meter.Lag(now.Sub(o.Ingest))
		}
		r.epoch, r.lastDTS = d.Epoch, d.DTS
	}
	r.n.tell(Event{Kind: EventOutput, Room: r.cfg.Name, Output: o, Source: o.Source})
}
