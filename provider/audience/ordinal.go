package audience

// AppNumber is the provider's number for an app, dense from 1.
type AppNumber uint32

// Ordinal is the number of an installation within its app, dense from 0. It is
// never given to another.
type Ordinal uint32

// ChunkWidth is how many ordinals a chunk has.
const ChunkWidth = 1 << 13

// Chunk is a range of ChunkWidth ordinals: the unit in which an audience is
// frozen, sent to and accounted for.
type Chunk uint32

// Chunk returns the chunk that o is in.
func (o Ordinal) Chunk() Chunk { return Chunk(o / ChunkWidth) }

// Slot returns the place of o in its chunk.
func (o Ordinal) Slot() Slot { return Slot(o % ChunkWidth) }

// Slot is the place of an installation in its chunk, below ChunkWidth.
type Slot uint16

// Ordinal returns the installation at a place of c.
func (c Chunk) Ordinal(s Slot) Ordinal { return Ordinal(c)*ChunkWidth + Ordinal(s) }
