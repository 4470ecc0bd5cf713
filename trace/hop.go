package trace

import "strconv"

// Hop says what happened to a notification, and where. Numbers are on disk, so
// they never change their meaning; those that are not listed are of later
// versions.
type Hop uint8

// The hops, with room between those of one place and the next.
const (
	// Accepted says that the gateway took it, and answered 200.
	Accepted Hop = 1
	// Refused says that the gateway did not: Status and Reason say why.
	Refused Hop = 2

	// Stored says that the spool keeps it, durably, until Until.
	Stored Hop = 20
	// Passed says that the spool has it for a device that is connected, and does
	// not store it.
	Passed Hop = 21
	// Missed says that it was not to be stored, and could not go at once: the
	// device is away, or what it told of its topics or of itself holds it back.
	Missed Hop = 22
	// Repeat says that it had been accepted before. Nothing was done.
	Repeat Hop = 23
	// Ignored says that the device ignores its topic.
	Ignored Hop = 24
	// Replaced says that a newer one of the same topic took its place: Other.
	Replaced Hop = 25
	// Expired says that its time was over before the device had it.
	Expired Hop = 26
	// Dropped says that it was not stored, and the device went, or could not
	// take it in time.
	Dropped Hop = 27
	// Overloaded says that the spool was full, so that the gateway refused it.
	Overloaded Hop = 28
	// TakenBack says that the device went without a word about it. It waits
	// again.
	TakenBack Hop = 29

	// Handed says that the courier wrote it to a device, as Message on
	// Connection.
	Handed Hop = 40
	// Acked says that the device answered that: Status says what.
	Acked Hop = 41
	// Processed says that the device has told what came of it after that: Status.
	Processed Hop = 42

	// Tried says, in what a provider keeps of its own pushes, that an attempt has
	// ended, with the number Message on Connection: Status and Reason say how, and a
	// Status of zero that there was no answer.
	Tried Hop = 60
)

// hops are the stable names of hops.
var hops = map[Hop]string{
	Accepted: "accepted", Refused: "refused",
	Stored: "stored", Passed: "passed", Missed: "missed", Repeat: "repeat", Ignored: "ignored", Replaced: "replaced",
	Expired: "expired", Dropped: "dropped", Overloaded: "overloaded", TakenBack: "taken-back",
	Handed: "handed", Acked: "acked", Processed: "processed",
	Tried: "tried",
}

// String returns the stable name of h, such as "taken-back", or its number.
func (h Hop) String() string {
	if s, ok := hops[h]; ok {
		return s
	}
	return "hop-" + strconv.Itoa(int(h))
}
