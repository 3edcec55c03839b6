//go:build unix

package process

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"
)

// dontWait opens a pipe without waiting for who writes into it.
const dontWait = syscall.O_NONBLOCK

// carryOut starts cmd and returns when it has ended, nothing of its group is left and out has all that the group wrote.
// It reports whether cmd was told to stop before it ended. Where cmd was not started, cmd.Process is nil; where it
// cannot be told how it ended, cmd.ProcessState is; the error says why.
func carryOut(
	ctx context.Context, cmd *exec.Cmd, out io.Writer, grace time.Duration, log runLog,
) (stopped bool, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return false, err
	}
	defer r.Close()
	cmd.Stdout, cmd.Stderr = w, w
	// The leader of a session can leave neither it nor its group, and has no terminal to wait for.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	w.Close()
	if err != nil {
		return false, err
	}
	log.debug("command started", "pid", cmd.Process.Pid)

	copied := make(chan error, 1)
	go func() {
		_, err := io.Copy(out, r)
		copied <- err
	}()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		awaitEnd(cmd)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		select {
		case <-ended:
		default:
			stopped = true
		}
	}
	group(cmd.Process.Pid).end(grace, log)
	<-ended
	err = cmd.Wait() // from here on the number of the group is free

	// All that the group wrote is in the pipe, but its end may never come: somebody who left the group may hold it
	// open.
	r.SetReadDeadline(time.Now())
	if errors.Is(<-copied, os.ErrDeadlineExceeded) {
		r.SetReadDeadline(time.Time{})
		drain(out, r)
	}
	return stopped, err
}

// drain copies what is in the pipe, and waits for nothing.
func drain(out io.Writer, r *os.File) {
	const largestPipe = 1 << 20
	raw, err := r.SyscallConn()
	if err != nil {
		return
	}
	buf := make([]byte, 64<<10)
	for total := 0; total < largestPipe; {
		n, err := 0, error(nil)
		raw.Read(func(fd uintptr) bool {
			n, err = syscall.Read(int(fd), buf)
			return true
		})
		if err == syscall.EINTR {
			continue
		}
		if n <= 0 {
			return
		}
		out.Write(buf[:n])
		total += n
	}
}

// A group is a process group, named by the process ID of its leader.
type group int

// end returns when nothing is left of the group. What is there may end by itself before it is killed.
func (g group) end(grace time.Duration, log runLog) {
	if g.remains() {
		log.debug("processes are told to end", "group", int(g))
		g.signal(syscall.SIGTERM)
		if !g.vanish(grace) {
			log.warn("processes did not end and are killed", "grace", grace)
		}
	}
	// Also where none was seen: remains can overlook one that is born while it looks, but nobody is born after this.
	g.signal(syscall.SIGKILL)
	g.vanish(math.MaxInt64)
}

// vanish waits until nothing is left of the group, or for as long as it may, and reports whether nothing is left.
func (g group) vanish(limit time.Duration) bool {
	end := time.Now().Add(limit)
	for pause := time.Millisecond; g.remains(); pause = min(2*pause, 50*time.Millisecond) {
		left := time.Until(end)
		if left <= 0 {
			return false
		}
		time.Sleep(min(pause, left))
	}
	return true
}

// transient reports whether what the system refused it may grant later.
func transient(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno) && slices.Contains([]syscall.Errno{
		syscall.EAGAIN, syscall.EINTR, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ETXTBSY,
	}, errno)
}
