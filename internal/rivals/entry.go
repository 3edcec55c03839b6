package main

import (
	"fmt"
	"slices"
)

// A work is one of the things that a scheduler of tests has to do.
type work int

const (
	run     work = iota // every scenario once, with functions that do nothing, by the executor of the library
	decide              // the same as a state machine: one thread, event by event, told after each what may begin
	cascade             // scenario 0 fails: until everything that waits for it is canceled
	wave                // all have passed, scenario 0 runs again and passes: until all below it have run again, in order
	build               // from names and edges to a graph that is known to have no cycle and no unknown name
)

var works = [...]string{run: "run", decide: "decide", cascade: "cascade", wave: "rerun wave", build: "build"}

func (w work) String() string { return works[w] }

// A role tells whose an entry is.
type role int

const (
	rival role = iota
	ours
	baseline // plain code on flat slices, which nobody would publish
	floor    // the baseline that does all of the work; the others are compared to it
)

// A mistake is one that a build must find.
type mistake int

const (
	cycle       mistake = 1 << iota // scenarios wait for one another
	unknownName                     // a scenario waits for a name that is none
)

func (m mistake) String() string {
	if m == cycle {
		return "a cycle"
	}
	return "an unknown name"
}

// An entry is one way to do one work.
type entry struct {
	work work
	name string
	role role

	// most is the size above which the entry is left out because it is known to need more memory than a common machine
	// has. 0 is no bound.
	most int

	// late is for executors that leave traces: what the runtime keeps of the goroutines and memory that they took changes
	// how often it collects garbage, and so what is in the processor's caches, for all that is measured afterwards.
	late bool

	// blind says which mistakes of a graph a build does not find.
	blind mistake

	// prepare does what is not measured. Of a work that carries something out, visit is the scenario's function: to be
	// called once for each run with the number of the scenario. For a graph that it refuses it returns an error.
	prepare func(g *graph, visit func(i int)) (job, error)
}

func (e entry) String() string { return fmt.Sprintf("%v/%s", e.work, e.name) }

// A job is work ready to be done, once.
type job struct {
	do       func() error
	canceled func(i int) bool              // of a cascade, afterwards: whether scenario i is canceled
	size     func() (scenarios, edges int) // of a build, afterwards; nil if the library does not tell
	close    func()                        // lets go of what prepare took; may be nil
}

// entries lists everything, in the order of the table.
var entries = slices.Concat(
	plain, teams, machines, testdag, taskflow, natessilva, terraform, dagGo, buildkit, azure, gonum, tekton, heimdalr, kro,
)
