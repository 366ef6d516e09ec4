package topology

// A Way is how the pieces of a room travel: what a member does with one beside
// what Route says, and when it thinks that one is missing.
type Way uint8

const (
	// Dealt: each piece is handed to one member of a group to be handed on, and
	// the others wait for him.
	Dealt Way = iota
	// Asked: pieces are told of, and go to whoever asks for them.
	Asked
	// Flowing: whoever gets a piece, from wherever, hands it to those below.
	Flowing
)

// Way implements Topology.
func (b *Balanced) Way() Way { return Dealt }

// Way implements Topology.
func (t *Mesh) Way() Way { return Asked }

// Way implements Topology.
func (t *Tree) Way() Way { return Flowing }

// SetRate implements Topology. A mesh does not ask how fast the stream is: its
// members find out from whom they get it.
func (t *Mesh) SetRate(int64) Change { return Change{} }

// SetCost implements Topology. A balanced room keeps its groups within zones,
// and needs no more than their names.
func (b *Balanced) SetCost(func(from, to uint32) uint32) {}
