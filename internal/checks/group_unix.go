//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// group puts a command into a process group of its own, and returns how to interrupt and to kill that.
func group(cmd *exec.Cmd) (interrupt, kill func() error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	signal := func(s syscall.Signal) func() error { return func() error { return syscall.Kill(-cmd.Process.Pid, s) } }
	return signal(syscall.SIGINT), signal(syscall.SIGKILL)
}
