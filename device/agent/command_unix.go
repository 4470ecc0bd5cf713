//go:build unix

package agent

import (
	"context"
	"os/exec"
	"syscall"
)

// shell returns a command line to run. It has a process group of its own, so
// that the end of ctx ends all of it, and Ctrl-C only the agent.
func shell(ctx context.Context, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", line)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}
