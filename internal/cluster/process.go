package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

// A Component is a part of the control plane that runs as a process of its own.
type Component string

// The components, in the order in which they start.
const (
	Etcd      Component = "etcd"
	APIServer Component = "kube-apiserver"
	Tekton    Component = "tekton-pipelines-controller"
	Resolvers Component = "tekton-pipelines-resolvers"
	Chains    Component = "tekton-chains-controller"
)

// A ComponentError reports what went wrong with a component. Its text ends with the last lines of the component's log.
type ComponentError struct {
	Component Component
	Err       error
	Log       string // path of the log
	Last      string // its last lines
}

func (e *ComponentError) Error() string {
	return fmt.Sprintf("cluster: %s: %v; the last lines of %s:\n%s", e.Component, e.Err, e.Log, e.Last)
}

// Unwrap returns the error without the log.
func (e *ComponentError) Unwrap() error { return e.Err }

// A thread is an operating system's thread that lives as long as the cluster. The kernel ends a child when the thread
// that started it ends, and Go ends threads when it likes; so all children are started by this one.
type thread chan func()

func newThread() thread {
	t := make(thread)
	go func() {
		runtime.LockOSThread() // and never unlocked: it ends with the goroutine
		for f := range t {
			f()
		}
	}()
	return t
}

// do runs f on the thread.
func (t thread) do(f func()) {
	done := make(chan struct{})
	t <- func() { defer close(done); f() }
	<-done
}

// A probe returns nil as soon as a process that was started at a time does what it is for.
type probe func(ctx context.Context, since time.Time) error

// A process is a component that can be killed and started again.
type process struct {
	component Component
	binary    string
	args      []string
	env       []string
	log       string // path
	ready     probe

	mu   sync.Mutex // serializes start and kill
	cmd  *exec.Cmd
	gone chan struct{} // closed when cmd is over
	end  error         // of cmd, once gone
}

// start starts the process and returns when it is ready.
func (p *process) start(ctx context.Context, t thread) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running() {
		return p.failed(errors.New("it is running already"))
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own
	cmd := exec.Command(p.binary, p.args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, log, log
	dieWithParent(cmd)
	begin := time.Now()
	t.do(func() { err = cmd.Start() })
	if err != nil {
		return p.failed(err)
	}
	gone := make(chan struct{})
	p.cmd, p.gone = cmd, gone
	go func() {
		p.end = cmd.Wait()
		close(gone)
	}()
	return p.await(ctx, begin)
}

// await returns when the process is ready, or when it is over or ctx is.
func (p *process) await(ctx context.Context, since time.Time) error {
	for {
		once, cancel := context.WithTimeout(ctx, time.Second)
		err := p.ready(once, since)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-p.gone:
			return p.failed(fmt.Errorf("it ended before it was ready: %s", p.cmd.ProcessState))
		case <-ctx.Done():
			return p.failed(fmt.Errorf("it was not ready in time: %w: %w", context.Cause(ctx), err))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// kill ends the process at once, if it runs, and returns when it is gone.
func (p *process) kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return nil
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return p.failed(err)
	}
	<-p.gone
	return nil
}

// running reports whether the process was started and is not over.
func (p *process) running() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.gone:
		return false
	default:
		return true
	}
}

// failed returns err with the end of the log.
func (p *process) failed(err error) error {
	return &ComponentError{Component: p.component, Err: err, Log: p.log, Last: tail(p.log)}
}

// tail returns the last lines of a file, or why they cannot be read.
func tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	const most = 64 << 10
	if info, err := f.Stat(); err == nil && info.Size() > most {
		_, _ = f.Seek(-most, io.SeekEnd)
	}
	text, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return err.Error()
	}
	return lastLines(text)
}

// lastLines returns the last lines of a text, few and none of them long.
func lastLines(text []byte) string {
	lines := strings.Split(string(bytes.TrimSpace(text)), "\n")
	lines = lines[max(0, len(lines)-15):]
	for i, line := range lines {
		if len(line) > 500 {
			lines[i] = line[:500] + "…"
		}
	}
	return "\t" + strings.Join(lines, "\n\t")
}
