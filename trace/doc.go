// Package trace is the room that knows what happened: the story of each
// notification, a line for each hop, kept for days and bounded in size. It
// decides nothing, and nothing depends on it: where a line cannot be kept it is
// dropped and counted, and the notification goes on.
//
// The main type is [Recorder]. The life of a line in it:
//
//  1. [Recorder.Record] encodes it into a buffer in memory and returns. That
//     costs a lock that is hardly ever contended, no allocation and no I/O.
//  2. One goroutine takes what the buffers have to where it is kept: to segments
//     in a folder, or without a folder to memory.
//  3. [Recorder.Story] finds the lines of a notification by its apns-id, and
//     [Recorder.ByDevice] those of a device, without reading all that is kept.
//  4. The oldest segment goes when there are too many bytes, or when all of its
//     lines are too old.
//
// # What is not recorded but worked out
//
// A store replaces and expires what waits for devices that are away in bulk and
// without a word: a line for each would cost a read for each. A story says it
// nevertheless. Another notification that was stored at the same address later
// has taken the place of this one, and one whose time is over has expired. Such
// a line has Derived set.
//
// # What a line never has
//
// No payload, no device token, no credential: a line names the device by its
// ordinal and the topic by its hash.
//
// # The files
//
// A segment is a file of records of one size, each with a checksum:
//
//	header   64 bytes
//	records  96 bytes each
//	filter   64 bytes a block, once the segment is sealed
//	trailer  64 bytes, once the segment is sealed
//
// All integers are little-endian. A process that was killed leaves a segment
// that is not sealed, whose last record may be torn: the next one cuts that off,
// and seals the segment. A record that is damaged is passed over, and a segment
// whose header is damaged is passed over whole.
package trace
