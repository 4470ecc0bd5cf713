// Package load sends pushes to a gateway on this machine, as fast as it answers
// or at a steady rate, and counts what comes back. It is the load of
// `herald bench`, and no client library: it knows as much of HTTP/2 as it takes
// to send the same small requests over and over, and it costs little, so that a
// server can be measured beside it.
//
// A [Plan] says what to send. [Connect] opens the connections, sends the first
// push on each, which fills the header tables, and warms up; [Load.Run] then
// does what is measured, and returns a [Result]. Requests are encoded before;
// to send one is a copy with a few bytes changed, and to receive its answer
// allocates nothing.
//
// It refuses any address that is not a loopback one.
package load
