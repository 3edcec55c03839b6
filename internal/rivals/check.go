package main

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// A ledger records the order in which an executor runs a graph, and its mistakes.
type ledger struct {
	g     *graph
	runs  []atomic.Int32
	ended []atomic.Bool
	among []bool // the scenarios that are to run; nil is all
	pause time.Duration

	mu       sync.Mutex
	mistakes []error
}

func newLedger(g *graph, among []bool) *ledger {
	return &ledger{g: g, runs: make([]atomic.Int32, g.len()), ended: make([]atomic.Bool, g.len()), among: among}
}

func (l *ledger) has(i int) bool { return l.among == nil || l.among[i] }

// visit is the function of scenario i. It takes a moment, so that a child that does not wait for its end is noticed.
func (l *ledger) visit(i int) {
	l.runs[i].Add(1)
	for _, p := range l.g.parents[i] {
		if l.has(int(p)) && !l.ended[p].Load() {
			l.complain("%s begins before %s ends", l.g.names[i], l.g.names[p])
		}
	}
	time.Sleep(l.pause)
	l.ended[i].Store(true)
}

func (l *ledger) complain(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.mistakes) < 10 {
		l.mistakes = append(l.mistakes, fmt.Errorf(format, args...))
	}
}

// close complains of scenarios that did not run once.
func (l *ledger) close() error {
	for i := range l.runs {
		want := int32(0)
		if l.has(i) {
			want = 1
		}
		if got := l.runs[i].Load(); got != want {
			l.complain("%s ran %d times, want %d", l.g.names[i], got, want)
		}
	}
	return errors.Join(l.mistakes...)
}

// check does the work of an entry on small graphs of all shapes, and returns what is wrong with it.
func check(e entry) error {
	var mistakes []error
	for _, s := range shapes {
		for _, n := range []int{1, 2, 3, 40, 120} {
			if err := checkGraph(e, s.make(n)); err != nil {
				mistakes = append(mistakes, fmt.Errorf("%v, %s of %d: %w", e, s.name, n, err))
			}
		}
	}
	if e.work == build {
		mistakes = append(mistakes, checkTakes(e, "a cycle", cyclic(), e.takesCycles),
			checkTakes(e, "an unknown name", unknown(), e.takesUnknown))
	}
	return errors.Join(mistakes...)
}

// checkTakes is about a build of a graph with a mistake: it returns an error, unless it is known to take the graph.
func checkTakes(e entry, mistake string, g *graph, want bool) error {
	j, err := e.prepare(g, func(int) {})
	if err == nil {
		err = j.do()
	}
	if takes := err == nil; takes != want {
		return fmt.Errorf("%v takes %s: %t, want %t", e, mistake, takes, want)
	}
	return nil
}

// checkGraph does the work of an entry on one graph.
func checkGraph(e entry, g *graph) error {
	var among []bool
	if e.work == wave {
		among = g.below()
	}
	l := newLedger(g, among)
	l.pause = 10 * time.Microsecond
	j, err := e.prepare(g, l.visit)
	if err != nil {
		return err
	}
	if j.close != nil {
		defer j.close()
	}
	if err := j.do(); err != nil {
		return err
	}
	switch e.work {
	case build:
		return checkSize(g, j)
	case cascade:
		return checkCanceled(g, j)
	}
	return l.close()
}

func checkSize(g *graph, j job) error {
	if j.size == nil {
		return nil
	}
	if scenarios, edges := j.size(); scenarios != g.len() || edges != g.edges() {
		return fmt.Errorf("the graph has %d scenarios and %d edges, want %d and %d", scenarios, edges, g.len(), g.edges())
	}
	return nil
}

// checkCanceled is about a cascade: everything below scenario 0 is canceled, and nothing else.
func checkCanceled(g *graph, j job) error {
	for i, below := range g.below() {
		if got, want := j.canceled(i), below && i != 0; got != want {
			return fmt.Errorf("%s is canceled: %t, want %t", g.names[i], got, want)
		}
	}
	return nil
}

// done checks what a job did on a layered graph, of which everything is below scenario 0, except for the order: for
// measuring. The tally says how often each scenario ran.
func done(w work, g *graph, j job, tally []int32) error {
	switch w {
	case build:
		return checkSize(g, j)
	case cascade:
		return checkCanceled(g, j)
	}
	for i, runs := range tally {
		if runs != 1 {
			return fmt.Errorf("%s ran %d times, want once", g.names[i], runs)
		}
	}
	return nil
}
