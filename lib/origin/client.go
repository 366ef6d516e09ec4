package origin

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/store"
)

// What callers branch on. Everything a Client returns without error has been
// verified against the room's key or is named by its hash.
var (
	// ErrUnreachable: no answer, or none to this question: ask again or elsewhere.
	ErrUnreachable = errors.New("origin does not answer")
	// ErrBusy: it has no room just now (503), and may in a second. It is an
	// ErrUnreachable too.
	ErrBusy = fmt.Errorf("%w: it has no room just now", ErrUnreachable)
	// ErrNotFound: the origin answered that it does not have it.
	ErrNotFound = errors.New("not at the origin")
	// ErrBadData: what came is not what was asked for, or not signed by the room.
	ErrBadData = errors.New("origin sent bad data")
)

// Bounds of a Client.
const (
	defaultTimeout  = 10 * time.Second
	defaultParallel = 16
	maxDocument     = 1 << 20
	maxAt           = 64 << 20
)

// ClientConfig says which room of which origin a Client pulls.
type ClientConfig struct {
	Base string // as in RoomURL
	Room string
	// Key is the room's key. If nil, the first that the origin names is taken
	// and kept.
	Key ed25519.PublicKey
	// HTTP is the client to use; nil is one of its own, with timeouts.
	HTTP *http.Client
	// Parallel bounds the requests that are open at once, streams apart.
	Parallel int64
	// Timeout bounds one request for something of finite size; a stream that is
	// silent for so long is asked for again.
	Timeout time.Duration
	// Backoff returns how long to wait before attempt n (from 1); nil doubles
	// from 100 ms to 5 s, with jitter.
	Backoff func(n int) time.Duration
	Log     *slog.Logger
}

// A Client pulls one room from one origin. Its methods may be called from any
// goroutine; those who ask for the same thing at the same time share one
// request.
type Client struct {
	cfg     ClientConfig
	http    *http.Client
	gate    *semaphore.Weighted
	flights singleflight.Group

	mu   sync.Mutex
	key  ed25519.PublicKey
	gone error // why the last request had no answer
}

// NewClient returns a client; it does not connect.
func NewClient(c ClientConfig) (*Client, error) {
	if err := store.CheckName(c.Room); err != nil {
		return nil, err
	}
	if c.Key != nil && len(c.Key) != ed25519.PublicKeySize {
		return nil, errors.New("room key has a wrong length")
	}
	if c.Parallel <= 0 {
		c.Parallel = defaultParallel
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.Backoff == nil {
		c.Backoff = backoff
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.HTTP == nil {
		c.HTTP = &http.Client{Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
			TLSHandshakeTimeout:   5 * time.Second,
			ResponseHeaderTimeout: c.Timeout,
			MaxIdleConnsPerHost:   int(c.Parallel),
			IdleConnTimeout:       time.Minute,
			DisableCompression:    true, // media does not compress, and a hash names the bytes
		}}
	}
	return &Client{cfg: c, http: c.HTTP, gate: semaphore.NewWeighted(c.Parallel), key: c.Key}, nil
}

// backoff doubles from 100 ms to 5 s; the jitter keeps a thousand clients of a
// restarted origin from coming back at one instant.
func backoff(n int) time.Duration {
	d := 100 * time.Millisecond << min(n-1, 6)
	d = min(d, 5*time.Second)
	return d/2 + rand.N(d/2+1)
}

// Room returns the room's name.
func (c *Client) Room() string { return c.cfg.Room }

// Key returns the room's key, nil if it is not known yet.
func (c *Client) Key() ed25519.PublicKey {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.key
}

// Err says why the origin did not answer the last request; nil if it did.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone
}

func (c *Client) answered(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = err
}

// Pin checks a key that somebody named for the room against the one we know, and
// takes it if we know none. The error is ErrBadData.
func (c *Client) Pin(k ed25519.PublicKey) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(k) != ed25519.PublicKeySize {
		return fmt.Errorf("%w: no room key", ErrBadData)
	}
	if c.key == nil {
		c.key = bytes.Clone(k)
	}
	if !c.key.Equal(k) {
		return fmt.Errorf("%w: the room key is another one", ErrBadData)
	}
	return nil
}

// Newest returns the document that names the newest things. It is not signed:
// what it names has to be verified, and is, by the other methods.
func (c *Client) Newest(ctx context.Context) (*Newest, error) {
	b, err := c.fetch(ctx, "newest", maxDocument)
	if err != nil {
		return nil, err
	}
	n := new(Newest)
	if err := json.Unmarshal(b, n); err != nil || n.Room != c.cfg.Room {
		return nil, fmt.Errorf("%w: %s: not a newest document", ErrBadData, c.url("newest"))
	}
	k, err := ParseKey(n.RoomKey)
	if err == nil {
		err = c.Pin(k)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.url("newest"), err)
	}
	return n, nil
}

// Piece returns the bytes that have the hash h.
func (c *Client) Piece(ctx context.Context, h segment.Hash) ([]byte, error) {
	return c.named(ctx, "pieces/"+h.String(), h, segment.MaxPiece)
}

// Init returns the init that has the hash h.
func (c *Client) Init(ctx context.Context, h segment.Hash) ([]byte, error) {
	return c.named(ctx, "inits/"+h.String(), h, segment.MaxInit)
}

func (c *Client) named(ctx context.Context, path string, h segment.Hash, limit int64) ([]byte, error) {
	b, err := c.fetch(ctx, path, limit)
	if err == nil && sha256.Sum256(b) != h {
		return nil, fmt.Errorf("%w: %s: the hash differs", ErrBadData, c.url(path))
	}
	return b, err
}

// SegmentPieces returns the hashes of the pieces of a segment whose own hash is
// known, from its record or from a signed index.
func (c *Client) SegmentPieces(ctx context.Context, name string, sum segment.Hash) ([]segment.Hash, error) {
	path := "segments/" + name + "/pieces"
	b, err := c.named(ctx, path, sum, maxDocument*32)
	if err != nil {
		return nil, err
	}
	if len(b)%len(sum) != 0 {
		return nil, fmt.Errorf("%w: %s: not a list of hashes", ErrBadData, c.url(path))
	}
	list := make([]segment.Hash, len(b)/len(sum))
	for i := range list {
		copy(list[i][:], b[i*len(sum):])
	}
	return list, nil
}

// Segment returns the pieces of a closed segment, each with its proof.
func (c *Client) Segment(ctx context.Context, name string) ([]segment.Record, error) {
	n, ok := segment.ParseName(name)
	if !ok {
		return nil, fmt.Errorf("%w: segment %q", ErrNotFound, name)
	}
	var recs []segment.Record
	var list []segment.Hash
	for {
		run, err := c.At(ctx, segment.ID{Epoch: n.Epoch, Seq: n.Seq, Index: len(recs)}, maxRun)
		if err != nil && (len(recs) == 0 || !errors.Is(err, ErrNotFound)) {
			return nil, err
		}
		for _, rec := range run {
			list = append(list, rec.Piece.SHA256)
		}
		recs = append(recs, run...)
		if len(run) < maxRun {
			break
		}
	}
	if segment.NameOf(n.Epoch, n.Seq, segment.HashPieces(list)) != n {
		return nil, fmt.Errorf("%w: segment %s has another content", ErrNotFound, name)
	}
	return recs, nil
}

// At returns up to n pieces of one segment from id on, each with its proof, as
// far as the segment goes by now: at least one.
func (c *Client) At(ctx context.Context, id segment.ID, n int) ([]segment.Record, error) {
	path := "at/" + formatRun(id, min(max(n, 1), maxRun))
	b, err := c.fetch(ctx, path, maxAt)
	if err != nil {
		return nil, err
	}
	recs, err := c.parseRun(b, id, n)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrBadData, c.url(path), err)
	}
	return recs, nil
}

// parseRun reads and verifies up to n pieces from id on.
func (c *Client) parseRun(b []byte, id segment.ID, n int) (recs []segment.Record, err error) {
	rd := segment.NewReader(bytes.NewReader(b))
	h, err := rd.Header()
	if err == nil {
		err = c.Pin(h.Key)
	}
	if err != nil {
		return nil, err
	}
	key := segment.NewVerifier(c.Key())
	for {
		rec, err := rd.Next()
		switch {
		case errors.Is(err, segment.ErrTruncated) && len(recs) > 0 && rd.Offset() == int64(len(b)):
			return recs, nil // an answer has no end record
		case err != nil:
			return nil, err
		case rec.Kind == segment.KindHeader:
			continue
		case rec.Kind != segment.KindPiece || rec.Piece.ID != id || len(recs) == n:
			return nil, errors.New("another piece than the one asked for")
		}
		if err := key.Verify(&rec); err != nil {
			return nil, err
		}
		recs = append(recs, rec)
		id.Index++
	}
}

// Index returns a recording's index.
func (c *Client) Index(ctx context.Context) (*segment.Index, error) {
	b, err := c.fetch(ctx, "index", segment.MaxInit)
	if err != nil {
		return nil, err
	}
	if c.Key() == nil {
		if _, err := c.Newest(ctx); err != nil {
			return nil, err
		}
	}
	x, err := segment.ParseIndex(b)
	if err == nil {
		err = x.Verify(c.Key())
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrBadData, c.url("index"), err)
	}
	return x, nil
}

func (c *Client) url(path string) string {
	return c.cfg.Base + "/v1/rooms/" + c.cfg.Room + "/" + path
}

// fetch gets something of finite size. The request belongs to all who ask for
// the same, so that it goes on when the first of them loses interest.
func (c *Client) fetch(ctx context.Context, path string, limit int64) ([]byte, error) {
	flight := c.flights.DoChan(path, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.Timeout)
		defer cancel()
		if err := c.gate.Acquire(ctx, 1); err != nil {
			return nil, fmt.Errorf("%w: %s: too many requests are open", ErrUnreachable, c.url(path))
		}
		defer c.gate.Release(1)
		return c.get(ctx, path, limit)
	})
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case res := <-flight:
		if res.Err != nil {
			return nil, res.Err
		}
		return res.Val.([]byte), nil
	}
}

func (c *Client) get(ctx context.Context, path string, limit int64) ([]byte, error) {
	resp, err := c.do(ctx, path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrUnreachable, c.url(path), err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%w: %s: more than %d bytes", ErrBadData, c.url(path), limit)
	}
	return b, nil
}

// do asks, and turns every answer but 200 into an error.
func (c *Client) do(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url(path), nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrUnreachable, err)
		if ctx.Err() == nil {
			c.answered(err)
		}
		return nil, err
	}
	c.answered(nil)
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	resp.Body.Close()
	kind := ErrUnreachable
	switch resp.StatusCode {
	case http.StatusNotFound:
		kind = ErrNotFound
	case http.StatusGone:
		kind = store.ErrGone
	case http.StatusServiceUnavailable:
		kind = ErrBusy
	}
	return nil, fmt.Errorf("%w: %s: %s", kind, c.url(path), resp.Status)
}
