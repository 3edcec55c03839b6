//go:build !unix

package process

import (
	"context"
	"io"
	"os/exec"
	"sync/atomic"
	"time"
)

// dontWait is of use on Unix only.
const dontWait = 0

// carryOut starts cmd, waits for it and reports whether it was stopped before it ended. Where cmd was not started,
// cmd.Process is nil; where it cannot be told how it ended, cmd.ProcessState is; the error says why.
func carryOut(
	ctx context.Context, cmd *exec.Cmd, out io.Writer, grace time.Duration, log runLog,
) (stopped bool, err error) {
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = grace
	if err := cmd.Start(); err != nil {
		return false, err
	}
	log.debug("command started", "pid", cmd.Process.Pid)
	var killed atomic.Bool
	defer context.AfterFunc(ctx, func() { killed.Store(cmd.Process.Kill() == nil) })()
	err = cmd.Wait()
	return killed.Load(), err
}

func transient(error) bool { return false }

func supported() error { return nil }
