package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/origin"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/tool"
	"github.com/xp2p/xp2p/lib/wire"
)

// Times of a room whose origin is somebody's seed at home: the way there is found
// first, and lost when a line fails.
const (
	homeTimeout  = 30 * time.Second // of one request
	homePatience = time.Minute      // without anything that comes
)

// openHome opens a room whose origin is a seed that is reached as viewers reach
// each other. What it is is the tracker's word; the room's key proves the rest.
func openHome(o *options, d *wire.RoomDocument) (*opening, error) {
	container, known := media.ParseContainer(d.Container)
	if !known || len(d.Seeds) == 0 {
		return nil, tool.Unreachable("%s/%s: the room has no seed", o.room.Base, o.room.Room)
	}
	if o.room.Key != nil && !o.room.Key.Equal(d.RoomKey[:]) {
		return nil, fmt.Errorf("%w: the room key is another one", origin.ErrBadData)
	}
	return &opening{home: d, header: segment.Header{Key: d.RoomKey[:], Container: container, VOD: d.Mode == "vod"}}, nil
}

// homeClient pulls from the seed at home, through a tunnel.
func (s *session) homeClient(d *wire.RoomDocument) (*origin.Client, error) {
	id := wire.PeerIDOf(d.Seeds[0].Key)
	const parallel = 8
	return origin.NewClient(origin.ClientConfig{
		Base: "http://seed-" + id.String(), Room: s.name, Key: d.RoomKey[:], Parallel: parallel, Timeout: homeTimeout, Log: s.io.Log,
		HTTP: &http.Client{Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				ctx, cancel := context.WithTimeout(ctx, homeTimeout)
				defer cancel()
				defer context.AfterFunc(s.ctx, cancel)()
				return s.tunnel.Dial(ctx, id)
			},
			ResponseHeaderTimeout: homeTimeout, MaxIdleConnsPerHost: parallel, IdleConnTimeout: time.Minute, DisableCompression: true,
		}},
	})
}

// fetch saves a recording that a seed at home has. There is nothing to play: the
// node is in the room only to reach that seed.
func (s *session) fetch(ctx context.Context, doc *briefing, d *wire.RoomDocument) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	stop, looped, err := s.start(ctx)
	if err != nil {
		return err
	}
	defer s.manners.leave()
	defer stop()
	met := make(chan error, 1)
	meeting, leave := context.WithCancel(ctx)
	defer leave()
	s.ctx = meeting
	err = s.join(node.Room{NoPlayer: true, AtHome: true})
	if err == nil {
		s.client, err = s.homeClient(d)
	}
	if err != nil {
		return err
	}
	go func() { met <- s.meet(meeting, doc) }()
	if s.o.portMap {
		s.work.Go(func() { s.mapPort(meeting) })
	}
	saved := make(chan error, 1)
	go func() { saved <- save(ctx, s.io, s.o, s.client, homePatience) }()
	select {
	case err = <-saved:
	case err = <-looped:
		looped <- err
		err = errors.Join(err, errLoop)
		end(err)
		<-saved
	}
	leave()
	select {
	case <-met:
	case <-time.After(leaveWithin):
	}
	s.leave(stop, looped)
	return err
}

var errLoop = errors.New("the UDP loop has ended")
