// Package memory holds the rooms' state in memory: for tests, for a platform
// that is thrown away, and, kept whole in one file after each change, for the
// few hundred records of a development platform. State that grows or must
// take many changes a second wants another backend.
package memory
