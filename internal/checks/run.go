package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path"
	"slices"
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
	carryOut func(ctx context.Context, out io.Writer, env []string, command []string) error

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
		fmt.Fprintf(r.out, "== %s: %.0fs of %.0fs\n", s.name, u.took.Seconds(), s.budget.Seconds())
	}()
	fmt.Fprintf(r.out, "\n== %s\n", s.name)
	if s.always {
		u.ran = 1
		return r.commands(ctx, s, nil, r.out)
	}
	todo, keys, err := r.toDo(s)
	if err != nil {
		return err
	}
	u.tookOver = len(s.parts) - len(todo)
	if s.sampled && u.tookOver > 0 {
		allowance = s.budget / 5 // the sample grows with every commit
	}
	if s.sampled && r.isSampled(s, len(todo)) {
		u.leftOut = len(todo)
		return nil
	}
	r.shuffle(s, todo)
	for group := range slices.Chunk(todo, groupOf(s, len(todo))) {
		if s.sampled && u.ran > 0 && time.Since(begin) >= allowance {
			u.leftOut += len(group)
			continue
		}
		if err := r.group(ctx, s, group, keys); err != nil {
			return err
		}
		u.ran += len(group)
	}
	if s.sampled && u.leftOut > 0 {
		r.keep(r.sampleKey(s), pass{Step: s.name, Part: "sample", At: time.Now(), Took: time.Since(begin)})
	}
	return nil
}

// sampleKey stands for the sample of a step in this content of the repository.
func (r *run) sampleKey(s *step) string {
	sum := r.tree.sum()
	return fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "sample %q %q %x", s.name, s.commands, sum)))
}

// isSampled reports whether a sampled step has spent its budget on this very content before.
func (r *run) isSampled(s *step, left int) bool {
	found, ok := r.passed.find(r.sampleKey(s))
	if !ok || r.fresh || left == 0 {
		return false
	}
	fmt.Fprintf(r.out, "taken over: a sample, passed %s, key %.16s; left out: %d parts\n", stamp(found.At), r.sampleKey(s), left)
	return true
}

// shuffle chooses the sample by the content of the repository.
func (r *run) shuffle(s *step, todo []part) {
	if !s.sampled {
		return
	}
	sum := r.tree.sum()
	rand.New(rand.NewChaCha8(sum)).Shuffle(len(todo), func(i, k int) { todo[i], todo[k] = todo[k], todo[i] })
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
				stamp(found.At), found.Took.Round(time.Second/10), key)
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

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// group carries out parts together, and keeps the keys of those that passed if they are still the same.
func (r *run) group(ctx context.Context, s *step, parts []part, keys map[string]string) error {
	begin := time.Now()
	var told bytes.Buffer
	out := r.out
	if s.together {
		out = io.MultiWriter(out, &told)
	}
	failed := r.commands(ctx, s, parts, out)
	after, err := r.read()
	if err != nil {
		return errors.Join(failed, err)
	}
	for _, p := range parts {
		if failed != nil && !bytes.Contains(told.Bytes(), []byte("ok  \t"+path.Join(module, p.name)+"\t")) {
			continue
		}
		switch key, err := after.key(r.machine, s, p); {
		case err != nil:
			return errors.Join(failed, err)
		case key != keys[p.name]:
			fmt.Fprintf(r.out, "not kept: %sit reads files that changed while it ran\n", prefix(p.name, ": "))
		default:
			r.keep(key, pass{Step: s.name, Part: p.name, At: time.Now(), Took: time.Since(begin)})
		}
	}
	return failed
}

// keep keeps a pass. It is a pass also if it cannot be kept.
func (r *run) keep(key string, one pass) {
	if err := r.passed.add(key, one); err != nil {
		fmt.Fprintf(r.out, "not kept: %v\n", err)
	}
}

// commands carries out the commands of a step for some parts.
func (r *run) commands(ctx context.Context, s *step, parts []part, out io.Writer) error {
	for _, command := range s.commands {
		var words []string
		for _, word := range strings.Fields(command) {
			if word != "{part}" {
				words = append(words, word)
				continue
			}
			for _, p := range parts {
				words = append(words, p.args...)
			}
		}
		fmt.Fprintf(r.out, "$ %s\n", strings.Join(append(slices.Clone(s.env), words...), " "))
		if err := r.carryOut(ctx, out, s.env, words); err != nil {
			return err
		}
	}
	return nil
}

// table prints what each step used of its budget.
func (r *run) table() {
	var budget time.Duration
	fmt.Fprintln(r.out)
	w := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "step\tused\tof\tran\ttaken over\tleft out\tnote")
	for _, u := range r.used {
		budget += u.step.budget
		fmt.Fprintf(w, "%s\t%.0fs\t%.0fs\t%d\t%d\t%d\t%s\n",
			u.step.name, u.took.Seconds(), u.step.budget.Seconds(), u.ran, u.tookOver, u.leftOut, u.note())
	}
	fmt.Fprintf(w, "together\t%.0fs\t%.0fs\n", time.Since(r.begin).Seconds(), budget.Seconds())
	_ = w.Flush()
}

// note says that a step used more than its budget. A slow machine does that to all; one step alone needs a larger budget, or
// a sample. The last part of a sampled step may end late.
func (u usage) note() string {
	if over := u.took - u.step.budget; over > u.step.budget/5 {
		return fmt.Sprintf("over by %.0fs", over.Seconds())
	}
	return ""
}
