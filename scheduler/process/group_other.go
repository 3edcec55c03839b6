//go:build !unix

package process

import (
	"context"
	"io"
	"os/exec"
	"time"

	"go.uber.org/zap"
)

// carryOut starts cmd, waits for it and reports whether it was told to stop before it ended. An error means that cmd was not
// started, which leaves cmd.Process nil, or that its end could not be told, which leaves cmd.ProcessState nil.
func carryOut(ctx context.Context, cmd *exec.Cmd, out io.Writer, grace time.Duration, log *zap.Logger) (stopped bool, err error) {
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = grace
	if err := cmd.Start(); err != nil {
		return false, err
	}
	log.Debug("command started", zap.Int("pid", cmd.Process.Pid))
	ended := context.AfterFunc(ctx, func() { cmd.Process.Kill() })
	err = cmd.Wait()
	return !ended(), err
}

func transient(error) bool { return false }

func supported() error { return nil }
