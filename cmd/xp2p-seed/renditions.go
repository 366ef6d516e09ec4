package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/xp2p/xp2p/lib/origin"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/signal"
	"github.com/xp2p/xp2p/lib/store"
	"github.com/xp2p/xp2p/lib/tool"
	"github.com/xp2p/xp2p/lib/wire"
)

// A source is where a room of this seed comes from.
type source struct {
	room, rendition string // the second is empty where there is but one
	from            string // a slice stream in a file or pipe, or a directory; "-" is stdin
}

// checkRenditions reads --rendition NAME=SOURCE, or says that the room is on
// stdin.
func (o *options) checkRenditions(claim func(room, by string) error) error {
	if len(o.renditions) == 0 {
		if o.key != "" {
			return tool.Usage("--key signs the list of --rendition, and there is none")
		}
		if o.room == "" {
			return nil
		}
		o.sources = []source{{room: o.room, from: "-"}}
		return claim(o.room, "--room")
	}
	switch {
	case o.room == "":
		return tool.Usage("--rendition without --room").Hint("xp2p-seed --room match --key room.key --rendition 720p=high.slices --rendition 360p=low.slices")
	case o.key == "":
		return tool.Usage("--rendition without --key: the room's key signs the list of them").Hint("give the slicers and the seed the same --key FILE")
	case len(o.renditions) > wire.MaxRenditions:
		return tool.Usage("%d renditions are more than %d", len(o.renditions), wire.MaxRenditions)
	}
	for i, text := range o.renditions {
		name, from, ok := strings.Cut(text, "=")
		if !ok || !wire.CheckRoomName(name) || from == "" {
			return tool.Usage("--rendition %.100q: want NAME=SOURCE", text).Hint("NAME is letters and digits, and behind the first also . _ -; SOURCE a file, a pipe or a directory")
		}
		s := source{wire.RenditionRoom(o.room, i, name), name, from}
		for _, other := range o.sources {
			if other.rendition == name {
				return tool.Usage("--rendition %s is given twice", name)
			}
		}
		if err := claim(s.room, "--rendition "+name); err != nil {
			return err
		}
		o.sources = append(o.sources, s)
	}
	return nil
}

// readsStdin reports whether a room comes on stdin.
func (o *options) readsStdin() bool {
	for _, s := range o.sources {
		if s.from == "-" {
			return true
		}
	}
	return false
}

// feedSource makes a room of a slice stream.
func (s *seed) feedSource(ctx context.Context, src source) error {
	var in io.Reader = s.t.In
	name := "stdin"
	if src.from != "-" {
		f, err := os.Open(src.from) // of a named pipe this waits for its writer
		if err != nil {
			return err
		}
		defer f.Close()
		in, name = f, src.from
	}
	open := func(h segment.Header) (*store.Room, error) {
		if err := s.checkHeader(src, h); err != nil {
			return nil, err
		}
		dir := s.dirOf(src.room)
		if h.VOD {
			if dir == "" {
				return nil, tool.Usage("a recording on stdin needs a --store to be kept in")
			}
			if _, err := store.OpenRoom(src.room, dir); err == nil {
				return nil, tool.Failed("%s holds a whole recording already", dir).Hint("xp2p-seed %s serves it", dir)
			}
		}
		return s.open(src.room, h, dir)
	}
	return feed(ctx, in, name, open, func(err error) {
		s.t.Log.Error("the room lives on in memory only", "room", src.room, "err", err)
		s.health.set("store", err)
	})
}

// checkHeader says whether a stream can be a rendition of the room.
func (s *seed) checkHeader(src source, h segment.Header) error {
	switch {
	case src.rendition == "":
	case h.VOD:
		return tool.BadData("--rendition %s: %s is a recording, and renditions are live", src.rendition, src.from)
	case !s.key.Public().(ed25519.PublicKey).Equal(h.Key):
		return tool.BadData("--rendition %s: %s is signed with another key than --key", src.rendition, src.from).Hint("xp2p-slice --key %s", s.o.key)
	}
	return nil
}

// checkDir says whether a directory can be a rendition of the room, if it is to
// be one.
func (s *seed) checkDir(room *store.Room, dir string) error {
	for _, src := range s.o.sources {
		if src.room == room.Name() && src.from == dir {
			return s.checkHeader(src, room.Header())
		}
	}
	return nil
}

// Manifests are the lists of renditions that viewers are told, by room.
type manifests struct {
	mu sync.Mutex
	of map[string]*wire.Manifest
}

func (m *manifests) get(room string) *wire.Manifest {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.of[room]
}

// set tells all of a manifest's rooms of it.
func (m *manifests) set(list *wire.Manifest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of == nil {
		m.of = map[string]*wire.Manifest{}
	}
	for _, r := range list.Renditions {
		m.of[r.Room] = list
	}
}

// How often the list is looked at, what a bit rate must change by to be told,
// and over how many segments it is measured.
const (
	listEvery    = time.Second
	rateChange   = 0.1
	rateSegments = 10
)

// list signs and publishes the renditions, as soon as all of them are there, and
// again when their bit rates turn out to be others.
func (s *seed) list(ctx context.Context) error {
	tick := time.NewTicker(listEvery)
	defer tick.Stop()
	select {
	case <-s.opened:
	case <-ctx.Done():
		return nil
	}
	var told *wire.Manifest
	for {
		m := &wire.Manifest{Room: s.o.room, IssuedUnixMS: time.Now().UnixMilli()}
		for _, src := range s.o.sources {
			room, err := s.rooms.Room(src.room)
			if err != nil {
				return err
			}
			m.Renditions = append(m.Renditions, wire.Rendition{Name: src.rendition, Room: src.room, Container: room.Container().String(), BitrateBPS: bitrate(room)})
		}
		if told == nil || differs(told, m) {
			m.Sign(s.key)
			s.manifests.set(m)
			if told == nil {
				close(s.listed)
			}
			told = m
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// bitrate is what a live room's newest segments have, in bits per second.
func bitrate(room *store.Room) int64 {
	segs := room.Snapshot(rateSegments).Segments
	if len(segs) == 0 {
		return 0
	}
	var bytes, ms int64
	for _, g := range segs {
		bytes, ms = bytes+g.Size, ms+max(0, g.EndDTS-g.DTS)
	}
	if ms == 0 {
		return 0
	}
	// A segment lasts a frame longer than to its last frame's time.
	return bytes * 8000 / (ms + ms/25)
}

func differs(a, b *wire.Manifest) bool {
	for i := range a.Renditions {
		x, y := float64(a.Renditions[i].BitrateBPS), float64(b.Renditions[i].BitrateBPS)
		if y > x*(1+rateChange) || y < x*(1-rateChange) {
			return true
		}
	}
	return false
}

// adopt adds the other renditions of the rooms that are pulled from elsewhere.
// The list is the room key's word, so it can be handed on.
func (s *seed) adopt(ctx context.Context) {
	for _, up := range s.o.pulls {
		m := s.renditionsOf(ctx, up)
		if m == nil {
			continue
		}
		s.manifests.set(m)
		for _, r := range m.Renditions {
			if s.clients[r.Room] != nil {
				continue
			}
			other := origin.RoomURL{Base: up.Base, Room: r.Room, Key: up.Key}
			c, err := origin.NewClient(origin.ClientConfig{Base: other.Base, Room: other.Room, Key: other.Key, Log: s.t.Log})
			if err != nil {
				continue
			}
			s.clients[r.Room] = c
			s.o.pulls = append(s.o.pulls, other)
		}
	}
}

// askRenditions bounds how long an edge waits to hear of renditions.
const askRenditions = 3 * time.Second

func (s *seed) renditionsOf(ctx context.Context, up origin.RoomURL) *wire.Manifest {
	ctx, cancel := context.WithTimeout(ctx, askRenditions)
	defer cancel()
	doc, err := signal.FetchRoom(ctx, nil, up.Document())
	if err != nil || doc.Renditions == nil {
		return nil
	}
	key := up.Key
	if key == nil {
		key = doc.RoomKey[:]
	}
	if err := doc.Renditions.Verify(key); err != nil {
		s.t.Log.Warn("an upstream's renditions are not served", "room", up.Room, "err", err)
		return nil
	}
	return doc.Renditions
}

// refresh hears of changes of the list from an upstream.
func (s *seed) refresh(ctx context.Context, up origin.RoomURL) error {
	if m := s.manifests.get(up.Room); m == nil || m.Room != up.Room {
		return nil
	}
	tick := time.NewTicker(rateSegments * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if m := s.renditionsOf(ctx, up); m != nil && m.IssuedUnixMS > s.manifests.get(up.Room).IssuedUnixMS {
			s.manifests.set(m)
		}
	}
}

// feedSources feeds the rooms of this seed until all their streams are over, and
// says how the first went wrong that did. One that breaks off leaves the others
// on the air.
func (s *seed) feedSources(ctx context.Context) error {
	fed := make(chan error, len(s.o.sources))
	n := 0
	for _, src := range s.o.sources {
		if isDir(src.from) {
			continue
		}
		n++
		go func() {
			err := s.feedSource(ctx, src)
			if err != nil && ctx.Err() == nil && src.rendition != "" {
				err = &brokenSource{src, err}
			}
			fed <- err
		}()
	}
	var first error
	for range n {
		select {
		case err := <-fed:
			var broken *brokenSource
			if errors.As(err, &broken) {
				if _, missing := s.rooms.Room(broken.room); missing != nil {
					return err // it never was a room
				}
				s.t.Log.Error("a rendition broke off: the others are served on", "rendition", broken.rendition, "err", broken.error)
				s.health.set(broken.rendition, broken.error)
			}
			if first == nil {
				first = err
			}
		case <-ctx.Done(): // even if stdin stays open
			return context.Cause(ctx)
		}
	}
	return first
}

// A brokenSource is a stream that could not be read to its end.
type brokenSource struct {
	source
	error
}

func (b *brokenSource) Unwrap() error { return b.error }

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
