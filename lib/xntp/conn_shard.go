package xntp

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/wire"
)

const (
	// maxBlocks is how many blocks of a peer are kept at a time: the one under way and
	// one that lacks something, and one for reordering.
	maxBlocks = 3
	// maxShardBytes bounds what all connections keep of blocks; beyond it there is no
	// recovery.
	maxShardBytes = 16 << 20
	// shardRoom is the place for a shard or a PARITY frame.
	shardRoom = ethernetMTU
)

// blockState is the blocks that we receive.
type blockState struct {
	blocks    []*block // by number
	done      uint64   // blocks with lower numbers are forgotten
	recovered []uint64 // numbers of packets to tell about
}

// shardPacket is what the packet under way has to say of blocks.
type shardPacket struct {
	shard, parity bool
	id            uint64
	index, shards uint8
	data          []byte
}

// A block is a run of packets that can be brought back.
type block struct {
	id     uint64
	have   int
	count  int      // shards in all; 0 until a PARITY says it
	size   int      // of a PARITY's data, the same
	shards [][]byte // nil where one lacks
	parity [][]byte
	index  []int // of the parity frames
	whole  bool
}

// shardBuffer is a place for a shard, if there is one.
func (e *Endpoint) shardBuffer() []byte {
	if n := len(e.freeShards); n > 0 {
		b := e.freeShards[n-1]
		e.freeShards = e.freeShards[:n-1]
		return b[:0]
	}
	if e.shardBytes+shardRoom > maxShardBytes {
		return nil
	}
	e.shardBytes += shardRoom
	return make([]byte, 0, shardRoom)
}

// maxFreeShards is how many places are kept for the next block.
const maxFreeShards = 2 * wire.MaxShards

func (e *Endpoint) freeShard(b []byte) {
	switch {
	case cap(b) < shardRoom:
	case len(e.freeShards) >= maxFreeShards:
		e.shardBytes -= shardRoom
	default:
		e.freeShards = append(e.freeShards, b)
	}
}

func (e *Endpoint) freeBlock(b *block) {
	for _, s := range b.shards {
		e.freeShard(s)
	}
	for _, s := range b.parity {
		e.freeShard(s)
	}
	b.shards, b.parity, b.index = nil, nil, nil
}

// of returns the record of a block; nil if it is over.
func (x *blockState) of(e *Endpoint, id uint64) *block {
	if id < x.done {
		return nil
	}
	i, found := slices.BinarySearchFunc(x.blocks, id, func(b *block, id uint64) int {
		return int(int64(b.id) - int64(id))
	})
	if !found {
		x.blocks = slices.Insert(x.blocks, i, &block{id: id})
	}
	b := x.blocks[i]
	for len(x.blocks) > maxBlocks {
		x.done = x.blocks[0].id + 1
		e.freeBlock(x.blocks[0])
		x.blocks = slices.Delete(x.blocks, 0, 1)
	}
	if b.id < x.done || b.whole {
		return nil
	}
	return b
}

// free lets go of all blocks.
func (x *blockState) free(e *Endpoint) {
	for _, b := range x.blocks {
		e.freeBlock(b)
		x.done = max(x.done, b.id+1)
	}
	x.blocks = nil
}

// keepShard takes what the packet that was just read says of its block.
func (c *conn) keepShard(now time.Time, number uint64, from path) (code uint64) {
	x := &c.blocks
	p := &c.e.shard
	if !p.shard && !p.parity {
		return codeNone
	}
	b := x.of(c.e, p.id)
	if b == nil {
		return codeNone
	}
	i := int(p.index)
	if p.parity {
		if slices.Contains(b.index, i) || b.count > 0 && (b.count != int(p.shards) || b.size != len(p.data)) {
			return codeNone
		}
		s := c.e.shardBuffer()
		if s == nil || len(p.data) > shardRoom {
			return codeNone
		}
		b.count, b.size = int(p.shards), len(p.data)
		b.parity, b.index = append(b.parity, append(s, p.data...)), append(b.index, i)
	} else {
		if i < len(b.shards) && b.shards[i] != nil || len(p.data)+wire.ShardHeaderLen > shardRoom {
			return codeNone
		}
		s := c.e.shardBuffer()
		if s == nil {
			return codeNone
		}
		for len(b.shards) <= i {
			b.shards = append(b.shards, nil)
		}
		b.shards[i] = append(appendShardHeader(s, number, len(p.data)), p.data...)
		b.have++
	}
	return c.recover(now, b, from)
}

func appendShardHeader(b []byte, number uint64, n int) []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint32(b, uint32(number)), uint16(n))
}

// recover brings back what is missing of a block, if that can be done.
func (c *conn) recover(now time.Time, b *block, from path) (code uint64) {
	if b.count == 0 || b.have+len(b.parity) < b.count || len(b.shards) > b.count {
		return codeNone
	}
	b.whole = true
	for len(b.shards) < b.count {
		b.shards = append(b.shards, nil)
	}
	var lost []int
	for i, s := range b.shards {
		if s == nil {
			lost = append(lost, i)
		}
		if len(s) > b.size {
			lost, b.count = nil, 0 // that is no block
			break
		}
	}
	if len(lost) > 0 {
		decode(b.shards, b.parity[:len(lost)], b.index[:len(lost)])
		b.parity = b.parity[len(lost):]
	}
	for _, i := range lost {
		s := b.shards[i]
		n := int(binary.BigEndian.Uint16(s[4:]))
		if n > len(s)-wire.ShardHeaderLen {
			continue
		}
		number := wire.ExpandNumber(c.acks.next(), binary.BigEndian.Uint32(s), 4)
		if c.acks.duplicate(number) {
			continue // it came without its block's mark: who knows
		}
		c.stats.recovered++
		if len(c.blocks.recovered) < wire.MaxRecovered {
			c.blocks.recovered = append(c.blocks.recovered, number)
		}
		c.note(now, Trace{Kind: TraceRecovered, Number: number, Bytes: n})
		c.acks.owe(now)
		if _, _, _, code = c.handleFrames(now, s[wire.ShardHeaderLen:][:n], from, n); code != codeNone || c.state != stateOpen && c.state != stateHalf {
			break
		}
	}
	c.e.freeBlock(b)
	for len(c.blocks.blocks) > 0 && c.blocks.blocks[0].whole {
		c.blocks.done = c.blocks.blocks[0].id + 1
		c.blocks.blocks = slices.Delete(c.blocks.blocks, 0, 1)
	}
	return code
}

// appendRecovered tells which packets were brought back: it comes in front of the ACK
// that shows them to be missing.
func (c *conn) appendRecovered(b []byte, end int) []byte {
	x := &c.blocks
	if len(x.recovered) == 0 {
		return b
	}
	slices.SortFunc(x.recovered, func(a, b uint64) int { return int(int64(b) - int64(a)) })
	x.recovered = slices.Compact(x.recovered)
	f := &c.e.frame
	f.Type = wire.FrameRecovered
	f.SetNumbers(x.recovered)
	if with := f.Append(b); len(with) <= end {
		b, x.recovered = with, x.recovered[:0]
	}
	return b
}
