//go:build !linux

package agent

import (
	"io/fs"
	"runtime"
	"syscall"
)

// privateSocket does nothing: elsewhere a socket gets its mode after its name,
// or none at all, and the mode of its folder is what protects it.
func privateSocket(_, _ string, _ syscall.RawConn) error { return nil }

// isSocket also takes what Windows calls irregular, as some versions do with
// sockets.
func isSocket(info fs.FileInfo) bool {
	return info.Mode().Type() == fs.ModeSocket || runtime.GOOS == "windows" && info.Mode().Type() == fs.ModeIrregular
}
