//go:build unix

package process_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/process"
)

// TestMain runs the tests, or plays a command that a shell cannot. After the tests nothing of package process is at
// work.
func TestMain(m *testing.M) {
	if name := os.Getenv(helperVariable); name != "" {
		os.Exit(helpers[name]())
	}
	code := m.Run()
	if left := leftGoroutines(); code == 0 && left != "" {
		fmt.Printf("goroutines are left:\n%s\n", left)
		code = 1
	}
	os.Exit(code)
}

const helperVariable = "PROCESS_TEST_HELPER"

// helpers are commands that the test program plays, by name.
var helpers = map[string]func() int{}

// helper is the command that plays a helper.
func helper(t *testing.T, name string) process.Command {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return process.Command{Args: []string{program}, Env: []string{helperVariable + "=" + name, "GORACE=atexit_sleep_ms=0"}}
}

// leftGoroutines returns the goroutines that are in package process, after they had time to end.
func leftGoroutines() string {
	var left []string
	for range 100 {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		left = nil
		for stack := range strings.SplitSeq(string(stacks), "\n\n") {
			if strings.Contains(stack, "scheduler/process.") {
				left = append(left, stack)
			}
		}
		if left == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return strings.Join(left, "\n\n")
}

// shell is a command that runs a script.
func shell(script string) process.Command { return process.Command{Args: []string{"sh", "-c", script}} }

var task = scheduler.Task{Ref: scheduler.Ref{ID: "scan", Run: 2}}

var marks atomic.Int64

// run carries out a command, and fails the test if a process that it started outlives the run. Everything it starts can
// be told by a variable in its environment.
func run(ctx context.Context, t *testing.T, r process.Runner, c process.Command) (scheduler.Result, error) {
	t.Helper()
	mark := fmt.Sprintf("PROCESS_TEST_MARK=%d.%d", os.Getpid(), marks.Add(1))
	c.Env = append(c.Env, mark)
	r.Command = func(scheduler.Task) (process.Command, error) { return c, nil }
	res, err := r.Run(ctx, task)
	for _, p := range marked(mark) {
		t.Errorf("left behind: %s", p)
	}
	return res, err
}

// marked lists the living processes that have a variable in their environment, where there is a /proc.
func marked(mark string) (found []string) {
	files, _ := filepath.Glob("/proc/[1-9]*/environ")
	for _, file := range files {
		environ, _ := os.ReadFile(file)
		if bytes.Contains(append([]byte{0}, environ...), []byte("\x00"+mark+"\x00")) {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
			found = append(found, filepath.Dir(file)+" "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

// on returns a function for Runner.Output whose writer calls f, once, when it sees a word.
func on(word string, f func()) func(scheduler.Task) io.Writer {
	return func(scheduler.Task) io.Writer { return &watcher{word: word, f: sync.OnceFunc(f)} }
}

type watcher struct {
	word string
	f    func()
	last []byte
}

func (w *watcher) Write(p []byte) (int, error) {
	w.last = append(w.last, p...)
	if bytes.Contains(w.last, []byte(w.word)) {
		w.f()
	}
	w.last = w.last[max(0, len(w.last)-len(w.word)):]
	return len(p), nil
}

func passed(output string) scheduler.Result {
	return scheduler.Result{Phase: scheduler.PhasePassed, Output: []byte(output)}
}

func failed(reason, output string) scheduler.Result {
	r := scheduler.Result{Phase: scheduler.PhaseFailed, Reason: reason}
	if output != "" {
		r.Output = []byte(output)
	}
	return r
}

func check(t *testing.T, got scheduler.Result, err error, want scheduler.Result) {
	t.Helper()
	if len(got.Output) == 0 {
		got.Output = nil
	}
	if len(want.Output) == 0 {
		want.Output = nil
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("error %v; result (-want +got):\n%s", err, diff)
	}
}

func TestVerdict(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	noInterpreter := filepath.Join(dir, "script")
	for name, mode := range map[string]os.FileMode{plain: 0o644, noInterpreter: 0o755} {
		if err := os.WriteFile(name, []byte("#!/nowhere/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	in := func(dir string, c process.Command) process.Command { c.Dir = dir; return c }
	quoted := func(format string, args ...any) string { return fmt.Sprintf(format, args...) }
	for _, tt := range []struct {
		name    string
		command process.Command
		want    scheduler.Result
	}{
		{"passes", shell("exit 0"), passed("")},
		{"prints", shell("echo out; echo err >&2; echo out"), passed("out\nerr\nout\n")},
		{"reads nothing", shell("cat; echo over"), passed("over\n")},
		{"fails", shell("echo oh; exit 3"), failed("exit status 3", "oh\n")},
		{"is killed", shell("kill -9 $$"), failed("killed by signal: killed", "")},
		{"is terminated by somebody else", shell("kill $$"), failed("killed by signal: terminated", "")},
		{"closes its output", shell("echo last; exec >&- 2>&-; sleep 0.05; exit 4"), failed("exit status 4", "last\n")},
		{"in a directory", in("/", shell("pwd; echo $PWD")), passed("/\n/\n")},
		{"no arguments", process.Command{}, failed(`the command for scenario "scan" is empty`, "")},
		{"no program", process.Command{Args: []string{""}}, failed(`cannot start "": exec: no command`, "")},
		{
			"not found", process.Command{Args: []string{"testdag-no-such-program"}},
			failed(`cannot start "testdag-no-such-program": executable file not found in $PATH`, ""),
		},
		{
			"no such file", process.Command{Args: []string{"/nowhere/scan"}},
			failed(`cannot start "/nowhere/scan": no such file or directory`, ""),
		},
		{
			"not executable", process.Command{Args: []string{plain}},
			failed(quoted("cannot start %q: permission denied", plain), ""),
		},
		{
			"no interpreter", process.Command{Args: []string{noInterpreter}},
			failed(quoted("cannot start %q: no such file or directory", noInterpreter), ""),
		},
		{
			"no such directory", in("/nowhere", shell("true")),
			failed(`cannot start "sh" in "/nowhere": no such file or directory`, ""),
		},
		{
			"directory is a file", in(plain, shell("true")),
			failed(quoted("cannot start \"sh\" in %q: not a directory", plain), ""),
		},
		{"zero byte", process.Command{Args: []string{"sh", "\x00"}}, failed(`cannot start "sh": invalid argument`, "")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			res, err := run(t.Context(), t, process.Runner{}, tt.command)
			check(t, res, err, tt.want)
		})
	}
}

// A command that cannot be started just now may be asked for again.
func TestTransient(t *testing.T) {
	busy := filepath.Join(t.TempDir(), "busy")
	f, err := os.OpenFile(busy, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	res, err := run(t.Context(), t, process.Runner{}, process.Command{Args: []string{busy}})
	if !errors.Is(err, syscall.ETXTBSY) || res.Phase != scheduler.PhaseNone || !strings.Contains(err.Error(), busy) {
		t.Errorf("a program that is being written: result %v, error %v; want no result, and an error that names it", res, err)
	}
}

func TestRunnerMistakes(t *testing.T) {
	command := process.Commands(map[dag.ID]process.Command{"build": shell("exit 0")})
	for want, r := range map[string]process.Runner{
		"process: Runner.Command is nil; set it to what returns the command of a run": {},
		"process: Runner.Grace is -1s; want 0 or more":                                {Command: command, Grace: -time.Second},
		"process: Runner.MaxOutput is -1; want 0 or more":                             {Command: command, MaxOutput: -1},
	} {
		if res, err := r.Run(t.Context(), task); err == nil || err.Error() != want || res.Phase != scheduler.PhaseNone {
			t.Errorf("result %v, error %v; want none, and %s", res, err, want)
		}
	}
	r := process.Runner{Command: command}
	res, err := r.Run(t.Context(), task)
	check(t, res, err, failed(`there is no command for scenario "scan"`, ""))
	r.Command = func(scheduler.Task) (process.Command, error) { return shell("exit 0"), errors.New("no template") }
	res, err = r.Run(t.Context(), task)
	check(t, res, err, failed("no template", ""))
}

// A command is told which run it is, whatever else it is told.
func TestEnvironment(t *testing.T) {
	t.Setenv("TESTDAG_RUN", "7")
	t.Setenv("PROCESS_TEST_A", "ours")
	t.Setenv("PROCESS_TEST_B", "ours")
	c := shell(`echo "$TESTDAG_SCENARIO,$TESTDAG_RUN,$TESTDAG_BASIS,$PROCESS_TEST_A,$PROCESS_TEST_B"`)
	c.Env = []string{"TESTDAG_SCENARIO=other", "PROCESS_TEST_B=first", "PROCESS_TEST_B=last"}
	r := process.Runner{Command: process.Commands(map[dag.ID]process.Command{"scan": c, "build": c})}
	res, err := r.Run(t.Context(), scheduler.Task{
		Ref:   scheduler.Ref{ID: "scan", Run: 2},
		Basis: []scheduler.Ref{{ID: "build", Run: 1}, {ID: "lint", Run: 2}},
	})
	check(t, res, err, passed("scan,2,build#1 lint#2,ours,last\n"))
	res, err = r.Run(t.Context(), scheduler.Task{Ref: scheduler.Ref{ID: "build", Run: 1}})
	check(t, res, err, passed("build,1,,ours,last\n"))
	if len(c.Env) != 3 {
		t.Errorf("Env of the caller became %q", c.Env)
	}
}

// leftovers are scripts that leave processes behind.
var leftovers = map[string]string{
	"holds the output":          `sleep 1000 &`,
	"closed the output":         `sleep 1000 >&- 2>&- &`,
	"ignores the signal":        `trap '' TERM; sleep 1000 & trap - TERM`,
	"forks and exits":           `(sleep 1000 &)`,
	"forks and forks":           `chain() { chain & }; chain`,
	"forks, ignores the signal": `trap '' TERM; chain() { chain & }; chain; trap - TERM`,
	"writes without end":        `yes &`,
	"is stopped":                `sleep 1000 & kill -STOP $!`,
	"many":                      `for i in 1 2 3 4 5 6 7 8 9 10; do sleep 1000 & done`,
}

// However a run ends, nothing that the command started outlives it.
func TestNothingIsLeft(t *testing.T) {
	for name, leave := range leftovers {
		for _, end := range []struct {
			script string
			want   scheduler.Result
		}{
			{"exit 0", passed("")},
			{"exit 3", failed("exit status 3", "")},
			{"kill -9 $$", failed("killed by signal: killed", "")},
		} {
			t.Run(name+", "+end.script, func(t *testing.T) {
				t.Parallel()
				res, err := run(t.Context(), t, process.Runner{Grace: 50 * time.Millisecond}, shell(leave+"\n"+end.script))
				res.Output = nil
				check(t, res, err, end.want)
			})
		}
		for leader, script := range map[string]string{
			"canceled":                     `echo ready; while :; do sleep 1000; done`,
			"canceled, ignores the signal": `trap '' TERM; echo ready; while :; do sleep 1000; done`,
			"canceled, closed the output":  `echo ready; exec >&- 2>&-; while :; do sleep 1000; done`,
		} {
			t.Run(name+", "+leader, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithCancel(t.Context())
				r := process.Runner{Grace: 50 * time.Millisecond, Output: on("ready\n", cancel)}
				res, err := run(ctx, t, r, shell(leave+"\n"+script))
				if !errors.Is(err, context.Canceled) || res.Phase != scheduler.PhaseNone {
					t.Errorf("result %v, error %v; want none, and that the context was canceled", res, err)
				}
			})
		}
	}
}

// A context that is canceled before anything was started starts nothing.
func TestCanceledBefore(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := process.Runner{Command: func(scheduler.Task) (process.Command, error) {
		t.Error("asked for a command")
		return shell("exit 0"), nil
	}}
	if res, err := r.Run(ctx, task); err != context.Canceled || res.Phase != scheduler.PhaseNone {
		t.Errorf("result %v, error %v; want none, and that the context was canceled", res, err)
	}
}

// A command may end by itself after it was told to, in its own time. It is told once, and its output is kept.
func TestCanceledGently(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := process.Runner{Grace: time.Hour, Output: on("ready\n", cancel)}
	res, err := run(ctx, t, r, shell(`
		trap 'echo told; told=1' TERM
		echo ready
		while [ -z "$told" ]; do sleep 0.01; done
		sleep 0.2
		echo bye
		exit 0`))
	if !errors.Is(err, context.Canceled) || res.Phase != scheduler.PhaseNone {
		t.Errorf("phase %v, error %v; want none, and that the context was canceled", res.Phase, err)
	}
	if got, want := strings.ReplaceAll(string(res.Output), "Terminated\n", ""), "ready\ntold\nbye\n"; got != want {
		t.Errorf("output %q; want %q", got, want)
	}
}

// A command that ended by itself has its own result, also if the context is canceled while what it left is cleared
// away.
func TestCanceledAfterEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := process.Runner{Grace: time.Hour, Output: on("told\n", cancel)}
	dir := t.TempDir()
	c := shell(`
		(trap 'echo told; exit' TERM; touch up; while :; do sleep 0.01; done) &
		until [ -e up ]; do sleep 0.01; done
		exit 3`)
	c.Dir = dir
	res, err := run(ctx, t, r, c)
	res.Output = nil
	check(t, res, err, failed("exit status 3", ""))
	if ctx.Err() == nil {
		t.Error("what was left behind was not told to end")
	}
}

// Output without end takes no memory without end.
func TestOutputIsBounded(t *testing.T) {
	var copied bytes.Buffer
	r := process.Runner{MaxOutput: 100, Output: func(scheduler.Task) io.Writer { return &copied }}
	res, err := run(t.Context(), t, r, shell("echo begin; yes | head -c 1000000; echo end"))
	head := "begin\n" + strings.Repeat("y\n", 22)
	tail := strings.Repeat("y\n", 23) + "end\n"
	check(t, res, err, passed(head+"[... 999910 bytes are missing here ...]\n"+tail))
	if want := "begin\n" + strings.Repeat("y\n", 500_000) + "end\n"; copied.String() != want {
		t.Errorf("%d bytes were copied; want all %d", copied.Len(), len(want))
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	res, err = run(ctx, t, process.Runner{Output: on("1000000\n", cancel)}, shell("seq 1 1000000; yes"))
	if !errors.Is(err, context.Canceled) || !bytes.HasPrefix(res.Output, []byte("1\n2\n")) || len(res.Output) > 64<<10+100 {
		t.Errorf("%d bytes of output, error %v; want 64 KiB, and that the context was canceled", len(res.Output), err)
	}
}

// A nil Writer, and one that fails, do no harm.
func TestOutputNowhere(t *testing.T) {
	r := process.Runner{Output: func(scheduler.Task) io.Writer { return nil }}
	res, err := run(t.Context(), t, r, shell("echo text"))
	check(t, res, err, passed("text\n"))

	core, logs := observer.New(zap.WarnLevel)
	closed, w := io.Pipe()
	closed.Close()
	r = process.Runner{Output: func(scheduler.Task) io.Writer { return w }, Logger: zap.New(core)}
	res, err = run(t.Context(), t, r, shell("echo text; echo secret"))
	check(t, res, err, passed("text\nsecret\n"))
	lines := logs.FilterMessage("output is copied no longer").FilterField(zap.Stringer("run", task.Ref))
	if lines.Len() != 1 || logs.Len() != 1 {
		t.Errorf("logged %v; want one line", logs.All())
	}
}

// A Writer that panics does not take this program with it.
func TestOutputPanics(t *testing.T) {
	r := process.Runner{Output: func(scheduler.Task) io.Writer { return panicking{} }}
	res, err := run(t.Context(), t, r, shell("echo text"))
	check(t, res, err, passed("text\n"))
}

type panicking struct{}

func (panicking) Write([]byte) (int, error) { panic("boom") }

// Runs do not get in each other's way.
func TestManyAtOnce(t *testing.T) {
	r := process.Runner{Command: func(scheduler.Task) (process.Command, error) {
		return shell(`sleep 1000 & echo $TESTDAG_SCENARIO; exit $TESTDAG_RUN`), nil
	}}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			id := fmt.Sprintf("s%d", i)
			res, err := r.Run(t.Context(), scheduler.Task{Ref: scheduler.Ref{ID: dag.ID(id), Run: i + 1}})
			check(t, res, err, failed(fmt.Sprintf("exit status %d", i+1), id+"\n"))
		})
	}
	wg.Wait()
}
