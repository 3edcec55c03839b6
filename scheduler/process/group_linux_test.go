package process_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/process"
)

func init() {
	helpers["sleep"] = func() int { time.Sleep(time.Hour); return 0 }
	helpers["escape"] = escape
	helpers["headless"] = headless
	helpers["first"] = first
	if os.Getenv(helperVariable) == "headless" {
		runtime.LockOSThread() // helpers run in the first thread
	}
}

// state returns the letter of a process in /proc, 0 if there is none.
func state(pid int) byte {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if at := bytes.LastIndexByte(stat, ')'); at >= 0 {
		return stat[at+2]
	}
	return 0
}

// As long as a process of the group may be signaled, the number of the group stays in use.
func TestNumberIsHeld(t *testing.T) {
	dir := t.TempDir()
	c := shell(`
		echo $$ >leader
		(trap 'echo told; told=1' TERM; touch up; until [ -e go ]; do sleep 0.01; done) &
		until [ -e up ]; do sleep 0.01; done
		exit 0`)
	c.Dir = dir
	var held byte
	look := func() {
		text, _ := os.ReadFile(filepath.Join(dir, "leader"))
		pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		held = state(pid)
		if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o644); err != nil {
			t.Error(err)
		}
	}
	res, err := run(t.Context(), t, process.Runner{Grace: time.Hour, Output: on("told\n", look)}, c)
	res.Output = nil
	check(t, res, err, passed(""))
	if held != 'Z' {
		t.Errorf("state of the leader while its child is told to end: %q; want Z", held)
	}
}

// A process that left the group is not caught, but Run neither waits for it nor loses what the group wrote.
func TestEscape(t *testing.T) {
	c := helper(t, "escape")
	slow := &slowWriter{}
	r := process.Runner{
		Command:   func(scheduler.Task) (process.Command, error) { return c, nil },
		Output:    func(scheduler.Task) io.Writer { return slow },
		MaxOutput: 2 << 20,
	}
	res, err := r.Run(t.Context(), task)
	output := string(res.Output)
	res.Output = nil
	check(t, res, err, passed(""))
	if s := state(slow.escaped); slow.escaped == 0 || s == 0 || s == 'Z' {
		t.Fatalf("output %.100q, state %q of the process that left; want it alive", output, s)
	}
	defer syscall.Kill(slow.escaped, syscall.SIGKILL)
	first, rest, _ := strings.Cut(output, "\n")
	if len(rest) != slow.writes || strings.Trim(rest, "x") != "" {
		t.Errorf("%q, then %d bytes of output; want %d", first, len(rest), slow.writes)
	}
}

// A slowWriter holds up the reader until the leader is gone, with the rest of the output still in the pipe.
type slowWriter struct{ leader, escaped, writes int }

func (w *slowWriter) Write(p []byte) (int, error) {
	if w.leader == 0 {
		fmt.Sscanf(string(p), "leader %d escaped %d writes %d\n", &w.leader, &w.escaped, &w.writes)
		for w.leader > 0 && state(w.leader) != 0 {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return len(p), nil
}

// escape leaves a process in a session of its own that holds the output, and fills half of the largest pipe before it
// ends.
func escape() int {
	program, _ := os.Executable()
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), helperVariable+"=sleep")
	cmd.Stdout = os.Stdout
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		fmt.Println(err)
		return 1
	}
	const setPipeSize, getPipeSize = 1031, 1032
	syscall.RawSyscall(syscall.SYS_FCNTL, 1, setPipeSize, 1<<20)
	size, _, _ := syscall.RawSyscall(syscall.SYS_FCNTL, 1, getPipeSize, 0)
	fmt.Printf("leader %d escaped %d writes %d\n", os.Getpid(), cmd.Process.Pid, size/2)
	io.WriteString(os.Stdout, strings.Repeat("x", int(size/2)))
	return 0
}

// A process whose first thread has ended is alive, and is told to end.
func TestHeadless(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	res, err := run(ctx, t, process.Runner{Grace: time.Hour, Output: on("headless\n", cancel)}, helper(t, "headless"))
	if want := "headless\ntold\n"; string(res.Output) != want || !errors.Is(err, context.Canceled) {
		t.Errorf("output %q, error %v; want %q, and that the context was canceled", res.Output, err, want)
	}
}

// headless goes on without its first thread until it is told to end.
func headless() int {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	go func() {
		for state(os.Getpid()) != 'Z' {
			time.Sleep(time.Millisecond)
		}
		fmt.Println("headless")
		<-told
		fmt.Println("told")
		os.Exit(0)
	}()
	syscall.RawSyscall(syscall.SYS_EXIT, 0, 0, 0)
	return 1
}

// In a container where this program is the first process, it waits for the orphans.
func TestFirstProcess(t *testing.T) {
	res, err := run(t.Context(), t, process.Runner{}, helper(t, "first"))
	check(t, res, err, passed("passed, no child processes\n"))
}

// first carries out a command that leaves an orphan, as a program to which orphans go.
func first() int {
	const setChildSubreaper = 36
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, setChildSubreaper, 1, 0); errno != 0 {
		fmt.Println(errno)
		return 1
	}
	os.Unsetenv(helperVariable)
	r := process.Runner{Command: func(scheduler.Task) (process.Command, error) {
		return shell(`(sleep 1000 &); sleep 1000 & exit 0`), nil
	}}
	res, err := r.Run(context.Background(), task)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	_, err = syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
	fmt.Printf("%s, %v\n", res.Phase, err)
	return 0
}
