// Package pain proves that the push server spares its users what those of other push
// servers suffer from. Each of the known pains has a number, and a test with that
// number in its name; the table in docs/promises.md says which, also of those that
// are in other packages.
//
// It holds tests only: a push server over stores in memory or in a folder, with
// gateways that do as they are told, most of them in a bubble where hours cost
// nothing.
package pain
