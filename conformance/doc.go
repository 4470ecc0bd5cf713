// Package conformance tells whether a gateway speaks Apple's provider protocol:
// cases as data, and a runner that aims them at any gateway over the wire.
//
// The cases are in the files of the folder cases, a theme a file. A [Case] says
// what is sent, frame by frame where that matters, and what must come back; its
// source is a heading of docs/protocol. Pairs of faults, of which the earlier
// one has to be found, are generated from a table of single ones.
//
// A [Target] is a gateway with what is known about it: addresses, keys,
// certificates, device tokens, each under the name that the cases use. Those
// of any gateway come from its operator; [NewHerald] makes all of them on a
// running Herald, through its API and its courier. A case that needs
// what a target lacks is skipped, and the report says what it was. So is one
// about a feature that a probe did not find.
//
// Nothing here knows the inside of a gateway, and nothing is sent to a device
// token that could bring it to somebody unless the target allows it.
package conformance
