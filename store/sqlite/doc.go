// Package sqlite holds the rooms' lasting state in one SQLite database: what a
// platform must still know after any end, kill -9 and loss of power included.
//
// A [Database] has one connection that writes. Changes that come while it
// waits for the disk are done together next time, in one transaction with one
// sync, each in a savepoint of its own: one that fails is taken back alone.
// Those who look have connections of their own, and neither wait for a change
// nor see half of it.
package sqlite
