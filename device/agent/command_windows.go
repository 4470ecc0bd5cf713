package agent

import (
	"context"
	"os/exec"
	"syscall"
)

// shell returns a command line to run. cmd.exe reads it as it is: its rules of
// quoting are not those by which arguments are joined.
func shell(ctx context.Context, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "cmd.exe")
	cmd.SysProcAttr = &syscall.SysProcAttr{CmdLine: "cmd.exe /d /c " + line}
	return cmd
}
