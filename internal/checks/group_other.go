//go:build !unix

package main

import "os/exec"

// group returns how to end a command where there are no process groups.
func group(cmd *exec.Cmd) (interrupt, kill func() error) {
	end := func() error { return cmd.Process.Kill() }
	return end, end
}
