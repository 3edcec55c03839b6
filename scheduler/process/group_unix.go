//go:build unix && !linux

package process

import (
	"os/exec"
	"syscall"
)

// awaitEnd returns when cmd has ended.
func awaitEnd(cmd *exec.Cmd) { cmd.Wait() }

// signal sends a signal to every process of the group. It looks first, since the number of an empty group may come to
// belong to somebody else.
func (g group) signal(sig syscall.Signal) {
	if g.remains() {
		syscall.Kill(-int(g), sig)
	}
}

// remains reports whether anything of the group is left.
func (g group) remains() bool { return syscall.Kill(-int(g), 0) == nil }

func supported() error { return nil }
