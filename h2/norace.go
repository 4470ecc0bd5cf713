//go:build !race

package h2

// spoiling says that text and body of a request that was given back are
// overwritten, so that a handler that looks at them all the same is found out.
const spoiling = false
