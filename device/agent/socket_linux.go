package agent

import (
	"errors"
	"io/fs"
	"syscall"
)

// privateSocket gives a socket its mode before it has a name, so that there is
// no moment in which others could open it.
func privateSocket(_, _ string, raw syscall.RawConn) error {
	var chmod error
	err := raw.Control(func(fd uintptr) { chmod = syscall.Fchmod(int(fd), uint32(fileMode)) })
	return errors.Join(err, chmod)
}

func isSocket(info fs.FileInfo) bool { return info.Mode().Type() == fs.ModeSocket }
