//go:build race

package h2

// spoiling says that the text of a request that was given back is overwritten, so
// that a handler that looks at it all the same is found out.
const spoiling = true
