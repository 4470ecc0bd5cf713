//go:build race

package gateway

// spoiling says that what was borrowed is overwritten when it is taken back, so
// that whoever looks at it all the same is found out.
const spoiling = true
