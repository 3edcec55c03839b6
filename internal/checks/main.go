package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	corpusVariable = "TESTDAG_CORPUS" // the folder of samples of other projects
	freshVariable  = "TESTDAG_FRESH"  // 1: take nothing over
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := check(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Println("checks:", err)
		os.Exit(1)
	}
}

// check carries out the steps that the arguments ask for, in the repository that is the working directory.
func check(ctx context.Context, args []string, out io.Writer) error {
	read := func() (*tree, error) { return readTree(os.DirFS(".")) }
	t, err := read()
	if err != nil {
		return err
	}
	table := steps(t)
	if slices.Equal(args, []string{"format"}) {
		return t.format(out)
	}
	if table, err = chosen(table, args); err != nil {
		return err
	}
	m, err := thisMachine(os.Getenv(corpusVariable))
	if err != nil {
		return err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	kept := passed{filepath.Join(cache, "testdag-checks")}
	kept.tidy()
	r := &run{out: out, read: read, machine: m, passed: kept, fresh: os.Getenv(freshVariable) == "1", carryOut: carryOut}
	return r.all(ctx, table)
}

// chosen returns the steps that the arguments ask for: all, those of the gate, or those that are named.
func chosen(table []*step, args []string) ([]*step, error) {
	var some []*step
	named := func(s *step, arg string) bool { return s.name == arg || arg == "gate" && s.gate }
	for _, arg := range args {
		if !slices.ContainsFunc(table, func(s *step) bool { return named(s, arg) }) {
			return nil, fmt.Errorf("unknown step %q: want none for everything, gate for the quick part, or names of steps", arg)
		}
	}
	for _, s := range table {
		if len(args) == 0 || slices.ContainsFunc(args, func(arg string) bool { return named(s, arg) }) {
			some = append(some, s)
		}
	}
	return some, nil
}

// carryOut runs a command with its output on the terminal, in a process group of its own. At the end of ctx the group is
// interrupted, and killed soon after: go test does not pass an interrupt on to the tests that it runs.
func carryOut(ctx context.Context, out io.Writer, env, command []string) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	interrupt, kill := group(cmd)
	cmd.Cancel = interrupt
	cmd.WaitDelay = 20 * time.Second
	err := cmd.Run()
	if cause := context.Cause(ctx); cause != nil && cmd.Process != nil {
		_ = kill() // what is left of it
		return cause
	}
	return err
}

// format fails if gofmt would change a file.
func (t *tree) format(out io.Writer) error {
	args := []string{"-l"}
	for file := range t.hash {
		if strings.HasSuffix(file, ".go") && !isTestdata(file) {
			args = append(args, file)
		}
	}
	wrong, err := exec.Command("gofmt", args...).CombinedOutput()
	if err == nil && len(bytes.TrimSpace(wrong)) > 0 {
		err = fmt.Errorf("run gofmt -w on these files")
	}
	_, _ = out.Write(wrong)
	return err
}
