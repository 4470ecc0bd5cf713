// Package memory holds the rooms' state in memory: for tests, and for a platform
// that is thrown away.
package memory
