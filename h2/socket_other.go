//go:build !unix

package h2

// rawReads says that readRaw can be used here.
const rawReads = false

// readRaw is never called.
func (*Socket) readRaw(uintptr) bool { return true }
