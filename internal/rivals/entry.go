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
	floor // plain code on flat slices; the others are compared to it
)

// An entry is one way to do one work.
type entry struct {
	work work
	name string
	role role

	// late is for executors that leave traces: what the runtime keeps of the goroutines and memory that they took changes
	// how often it collects garbage, and so what is in the processor's caches, for all that is measured afterwards.
	late bool

	// A build that does not find a cycle takes cycles, one that does not find an unknown name takes unknown names.
	takesCycles, takesUnknown bool

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

// entries lists everything.
var entries = slices.Concat(floors, testdag, taskflow, natessilva, terraform, buildkit, gonum, tekton)
