package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

const (
	planned = time.Hour        // all budgets together
	limit   = 85 * time.Minute // for the whole run, whatever the machine
)

// A run carries out steps.
type run struct {
	out      io.Writer
	read     func() (*tree, error)
	machine  *machine
	passed   passed
	fresh    bool // take nothing over
	carryOut func(ctx context.Context, env []string, command []string) error

	begin time.Time
	tree  *tree // as it was last read
	used  []usage
}

// A usage is a line of the table at the end.
type usage struct {
	step                   *step
	took                   time.Duration
	ran, tookOver, leftOut int // parts
}

// A failure is a step whose command failed.
type failure struct {
	step string
	err  error
}

func (f *failure) Error() string { return fmt.Sprintf("step %q failed: %v", f.step, f.err) }

func (f *failure) Unwrap() error { return f.err }

// all carries out every step, and stops at the first that fails. It prints the table of times in any case.
func (r *run) all(ctx context.Context, steps []*step) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the checks took more than %s", limit))
	defer cancel()
	r.begin = time.Now()
	for i, s := range steps {
		if err = r.step(ctx, s, r.allowance(s, steps[i+1:])); err != nil {
			err = &failure{s.name, err}
			break
		}
	}
	r.table()
	return err
}

// allowance returns how long a step may take if it is sampled: its budget, or what the steps before it and those after it
// leave of the hour, but at least a fifth of its budget.
func (r *run) allowance(s *step, after []*step) time.Duration {
	left := planned - time.Since(r.begin)
	for _, a := range after {
		left -= a.budget
	}
	return max(min(s.budget, left), s.budget/5)
}

// step carries out the parts of a step that cannot be taken over.
func (r *run) step(ctx context.Context, s *step, allowance time.Duration) (err error) {
	begin := time.Now()
	if r.tree, err = r.read(); err != nil {
		return err
	}
	u := usage{step: s}
	defer func() {
		u.took = time.Since(begin)
		r.used = append(r.used, u)
	}()
	fmt.Fprintf(r.out, "\n== %s\n", s.name)
	if s.always {
		u.ran = 1
		return r.commands(ctx, s, nil, 0)
	}
	todo, keys, err := r.toDo(s)
	if err != nil {
		return err
	}
	u.tookOver = len(s.parts) - len(todo)
	if s.sampled {
		seed := r.seed()
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(todo), func(i, k int) { todo[i], todo[k] = todo[k], todo[i] })
	}
	for group := range slices.Chunk(todo, groupOf(s, len(todo))) {
		left := allowance - time.Since(begin)
		if s.sampled && u.ran > 0 && left <= 0 {
			u.leftOut += len(group)
			continue
		}
		if err := r.group(ctx, s, group, keys, left); err != nil {
			return err
		}
		u.ran += len(group)
	}
	return nil
}

// groupOf returns how many parts run in one command.
func groupOf(s *step, parts int) int {
	if s.together {
		return max(1, parts)
	}
	return 1
}

// toDo returns the parts that must run, with their keys, and prints the others.
func (r *run) toDo(s *step) (todo []part, keys map[string]string, err error) {
	keys = map[string]string{}
	for _, p := range s.parts {
		key, err := r.tree.key(r.machine, s, p)
		if err != nil {
			return nil, nil, err
		}
		if found, ok := r.passed.find(key); ok && !r.fresh {
			fmt.Fprintf(r.out, "taken over: %spassed %s in %s, key %.16s\n", prefix(p.name, ", "),
				found.At.UTC().Format("2006-01-02 15:04:05 UTC"), found.Took.Round(time.Second/10), key)
			continue
		}
		todo, keys[p.name] = append(todo, p), key
	}
	return todo, keys, nil
}

func prefix(text, separator string) string {
	if text == "" {
		return ""
	}
	return text + separator
}

// group carries out parts together, and keeps their keys if those are still the same.
func (r *run) group(ctx context.Context, s *step, parts []part, keys map[string]string, left time.Duration) error {
	begin := time.Now()
	if err := r.commands(ctx, s, parts, left); err != nil {
		return err
	}
	after, err := r.read()
	if err != nil {
		return err
	}
	for _, p := range parts {
		switch key, err := after.key(r.machine, s, p); {
		case err != nil:
			return err
		case key != keys[p.name]:
			fmt.Fprintf(r.out, "not kept: %sit reads files that changed while it ran\n", prefix(p.name, ": "))
		default:
			if err := r.passed.add(key, pass{Step: s.name, Part: p.name, At: time.Now(), Took: time.Since(begin)}); err != nil {
				fmt.Fprintf(r.out, "not kept: %v\n", err) // it passed all the same
			}
		}
	}
	return nil
}

// commands carries out the commands of a step for some parts.
func (r *run) commands(ctx context.Context, s *step, parts []part, left time.Duration) error {
	for _, command := range s.commands {
		var words []string
		for _, word := range strings.Fields(command) {
			switch word {
			case "{part}":
				for _, p := range parts {
					words = append(words, p.args...)
				}
			case "{seed}":
				words = append(words, strconv.FormatUint(r.seed(), 10))
			case "{time}":
				words = append(words, left.Round(time.Second).String())
			default:
				words = append(words, word)
			}
		}
		fmt.Fprintf(r.out, "$ %s\n", strings.Join(append(slices.Clone(s.env), words...), " "))
		if err := r.carryOut(ctx, s.env, words); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) seed() uint64 {
	sum := r.tree.sum()
	return binary.BigEndian.Uint64(sum[:8])
}

// table prints what each step used of its budget.
func (r *run) table() {
	var budget time.Duration
	fmt.Fprintln(r.out)
	w := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "step\tused\tof\tran\ttaken over\tleft out")
	for _, u := range r.used {
		budget += u.step.budget
		fmt.Fprintf(w, "%s\t%.0fs\t%.0fs\t%d\t%d\t%d\n", u.step.name, u.took.Seconds(), u.step.budget.Seconds(), u.ran, u.tookOver, u.leftOut)
	}
	fmt.Fprintf(w, "together\t%.0fs\t%.0fs\n", time.Since(r.begin).Seconds(), budget.Seconds())
	_ = w.Flush()
}
