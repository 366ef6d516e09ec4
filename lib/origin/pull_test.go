package origin

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/store"
)

// A seed may send its first GOP as one HTTP chunk. A viewer has the first piece
// when that has come, and does not wait for the rest of the chunk.
func TestAPieceIsReadBeforeTheRestOfItsChunk(t *testing.T) {
	recs := slice(t, media.FLV, 1000, film(t, media.FLV))
	header := newRoom(t, store.RoomConfig{Container: media.FLV}).Header()
	body := segment.AppendHeader(nil, header)
	half := 0
	for _, rec := range recs[:6] {
		body = append(segment.AppendRecord(body, &rec), rec.Body...)
		if half == 0 && rec.Kind == segment.KindPiece {
			half = len(body)
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		c.Read(make([]byte, 4096))
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n", len(body))
		c.Write(body[:half+maxRead])
		c.Read(make([]byte, 1)) // the rest never comes
	}()
	client, err := NewClient(ClientConfig{Base: "http://" + ln.Addr().String(), Room: "match"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	p, err := client.Start(ctx, store.Live())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for {
		rec, err := p.Next()
		if err != nil {
			t.Fatal(err)
		}
		if rec.Kind == segment.KindPiece {
			return
		}
	}
}
