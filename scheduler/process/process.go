package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

// A Command says what to start.
type Command struct {
	// Args are the program and its arguments. A program named without a slash is looked for in the PATH of this
	// program, a relative one with a slash from Dir on. There is no shell unless Args name one.
	Args []string

	// Dir is the directory to start it in. The default, "", is the one of this program.
	Dir string

	// Env is added to the environment of this program, in the form "name=value". The last of equal names counts.
	Env []string
}

// Commands returns a function for [Runner] that looks up the command of a scenario. A scenario without one fails.
func Commands(commands map[dag.ID]Command) func(scheduler.Task) (Command, error) {
	return func(t scheduler.Task) (Command, error) {
		c, ok := commands[t.Ref.ID]
		if !ok {
			return c, fmt.Errorf("there is no command for scenario %q", t.Ref.ID)
		}
		return c, nil
	}
}

// A Runner is a [scheduler.Runner] whose scenarios are commands on this machine. Only Command is required.
type Runner struct {
	// Command returns what to start for a run. An error fails the run, with the error as its reason.
	Command func(scheduler.Task) (Command, error)

	// Grace is how long processes may take to end after SIGTERM before they are sent SIGKILL. It should be shorter than
	// scheduler.Options.Grace. The default, 0, is 10 seconds.
	Grace time.Duration

	// MaxOutput limits how many bytes of output are kept for the result. Of more, the head and the tail are kept, with
	// a line between that says how much is missing. The default, 0, is 64 KiB.
	MaxOutput int

	// Output returns where to write the output of a run as it comes, all of it. The run waits for each Write; after one
	// that returns an error nothing more is written. The default is nowhere, and so is a nil Writer.
	Output func(scheduler.Task) io.Writer

	// Logger, a *zap.Logger, hears of what is started and of what has to be killed. The default logs nothing.
	Logger scheduler.Logger
}

var _ scheduler.Runner = Runner{}

// Run carries out one run as the package documentation tells.
func (r Runner) Run(ctx context.Context, t scheduler.Task) (scheduler.Result, error) {
	r, err := r.complete()
	if err != nil {
		return scheduler.Result{}, err
	}
	if err := cmp.Or(ctx.Err(), supported()); err != nil {
		return scheduler.Result{}, err
	}
	c, err := r.Command(t)
	if err != nil {
		return failed("%v", err), nil
	}
	if len(c.Args) == 0 {
		return failed("the command for scenario %q is empty", t.Ref.ID), nil
	}
	if problem := c.badDir(); problem != nil {
		return failed("cannot start %q in %q: %v", c.Args[0], c.Dir, problem), nil
	}
	log := runLog{to: r.Logger, run: t.Ref}
	out := &output{limit: r.MaxOutput, log: log}
	if r.Output != nil {
		out.live = r.Output(t)
	}
	dir, err := newResults()
	if err != nil {
		return scheduler.Result{}, err
	}
	defer removeResults(dir, log)
	cmd := c.prepare(t, dir)
	stopped, err := carryOut(ctx, cmd, out, r.Grace, log)
	result, err := conclude(ctx, cmd, out.kept(), stopped, err)
	addResults(&result, dir, log)
	return result, err
}

// addResults adds to a result what the command says it left. What the command says of the test stays, whatever it left.
func addResults(result *scheduler.Result, dir string, log runLog) {
	artifacts, err := readResults(dir)
	result.Artifacts = artifacts
	if err == nil {
		return
	}
	log.warn("results cannot be read", "error", err)
	if result.Reason != "" {
		result.Reason += "; "
	}
	result.Reason += "results: " + strings.ReplaceAll(err.Error(), "\n", "; ")
}

func removeResults(dir string, log runLog) {
	if err := os.RemoveAll(dir); err != nil {
		log.warn("results are left behind", "error", err)
	}
}

// complete returns the runner with defaults filled in.
func (r Runner) complete() (Runner, error) {
	switch {
	case r.Command == nil:
		return r, errors.New("process: Runner.Command is nil; set it to what returns the command of a run")
	case r.Grace < 0:
		return r, fmt.Errorf("process: Runner.Grace is %s; want 0 or more", r.Grace)
	case r.MaxOutput < 0:
		return r, fmt.Errorf("process: Runner.MaxOutput is %d; want 0 or more", r.MaxOutput)
	}
	r.Grace = cmp.Or(r.Grace, 10*time.Second)
	r.MaxOutput = cmp.Or(r.MaxOutput, 64<<10)
	return r, nil
}

// badDir says what is wrong with the directory. Asked to start a program there, the system would not say which of the
// two is missing.
func (c Command) badDir() error {
	if c.Dir == "" {
		return nil
	}
	info, err := os.Stat(c.Dir)
	switch {
	case err != nil:
		return cause(err)
	case !info.IsDir():
		return errors.New("not a directory")
	}
	return nil
}

// prepare returns the command with its environment. What names the run comes last, so that nothing hides it.
func (c Command) prepare(t scheduler.Task, results string) *exec.Cmd {
	basis := make([]string, len(t.Basis))
	for i, ref := range t.Basis {
		basis[i] = ref.String()
	}
	cmd := exec.Command(c.Args[0], c.Args[1:]...)
	cmd.Dir = c.Dir
	cmd.Env = append(cmd.Environ(), c.Env...)
	cmd.Env = append(cmd.Env,
		"TESTDAG_SCENARIO="+string(t.Ref.ID),
		"TESTDAG_RUN="+strconv.Itoa(t.Ref.Run),
		"TESTDAG_BASIS="+strings.Join(basis, " "),
		"TESTDAG_RESULTS="+results)
	return cmd
}

// conclude is the result of a command that is gone, or was never there.
func conclude(ctx context.Context, cmd *exec.Cmd, out []byte, stopped bool, err error) (scheduler.Result, error) {
	end := cmd.ProcessState
	switch {
	case cmd.Process == nil && transient(err):
		return scheduler.Result{}, fmt.Errorf("process: cannot start %q now: %w", cmd.Args[0], err)
	case cmd.Process == nil:
		return failed("cannot start %q: %v", cmd.Args[0], cause(err)), nil
	case stopped:
		return scheduler.Result{Output: out}, ctx.Err()
	case end == nil:
		return scheduler.Result{Output: out}, fmt.Errorf("process: cannot tell how %q ended: %w", cmd.Args[0], err)
	}
	result := scheduler.Result{Phase: scheduler.PhasePassed, Output: out}
	if !end.Success() {
		result.Phase, result.Reason = scheduler.PhaseFailed, end.String()
		if end.ExitCode() < 0 {
			result.Reason = "killed by " + end.String()
		}
	}
	return result, nil
}

func failed(format string, args ...any) scheduler.Result {
	return scheduler.Result{Phase: scheduler.PhaseFailed, Reason: fmt.Sprintf(format, args...)}
}

// cause strips what a reason says already: the program or the directory, and what was tried.
func cause(err error) error {
	var lookup *exec.Error
	var path *fs.PathError
	switch {
	case errors.As(err, &lookup):
		return lookup.Err
	case errors.As(err, &path):
		return path.Err
	}
	return err
}
