// Package faults makes the push service misbehave on demand, so that providers
// can be tried against what a real one does only on its bad days.
//
// There are two ways to ask for a fault. A magic device token names the answer
// that a push to it gets, such as ReasonToken(apns.Unregistered). A [Plan] says
// which share of connections and pushes meets which fault, and is read from JSON
// by [Parse].
//
// [Machine] decides: an [Event] goes in, a [Fault] comes out. It has no clock and
// no goroutine, and its dice are the plan's seed, so the same events meet the same
// faults. [Simulator] is what a platform has: a Machine that can be exchanged while
// the gateway asks it. What a fault does to a connection is the gateway's business.
//
// The user's side is stated in docs/faults.md.
package faults
