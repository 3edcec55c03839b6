// Command rivals measures the same work side by side: done by testdag, by other libraries, and by plain code on flat
// slices. It is a module of its own, so that nobody but it needs those libraries.
//
//	go -C internal/rivals run .           # prints the tables, and how long it took
//	go -C internal/rivals run . -write    # puts the first of them in the README
//
// # What is measured
//
// The works are those of a scheduler of tests; see the constants of type work. Everybody is given the same names and
// edges and makes of them what it likes. The clock runs while the work is done, not while it is prepared: for a run
// the graph is there, for a state machine its first state too. What a function of a scenario does is to count that it
// was called.
//
// Before anything is measured, everybody must do the work right on small graphs of several shapes: every scenario
// once, parents end before a child begins, a cascade cancels what is below the failed scenario and nothing else, a
// build holds as much as it was given. That is looked at where the library tells how much it holds; of the others the
// runs show it. While it is measured, as much of that is looked at again as can be seen without a watch on each
// function. Tests show that wrong executors are caught.
//
// Entries take turns at each size, and their best repetition counts, so that what else the machine does hits all alike.
// The executors of terraform, dag-go, buildkit and go-workflow have theirs after all the others, because they leave
// traces in the runtime. Sizes that a library cannot reach in the time given are left out; how its cost grew tells. So
// are those known to need more memory than a common machine has.
//
// # The floors
//
// What others are compared to is plain code on int32 slices, for one thread except for run:
//
//   - run: a channel and a worker for each processor
//   - decide, cascade, rerun wave: a state machine, with state and attempts of each scenario and a log entry of twelve
//     bytes for each start, end and cancellation, in memory that is there before
//   - build: compressed sparse rows, with a map from names to numbers
//
// # The libraries
//
// They are used as their documentation shows, at the versions of go.mod. Where one knows numbers or handles and no
// names, or does not look for unknown names, its user has to, and so does its entry.
//
// Found on the way, and kept by tests: go-taskflow has no check for cycles. Of five tasks of which three wait for one
// another it runs the one that waits for nothing, and returns as if all were done. natessilva/dag and
// Azure/go-workflow find cycles when they run, not when the graph is built.
//
// No library here runs a scenario again with what waits for it, so nobody is compared to testdag in the rerun wave.
// Left out are cascades of libraries that tell of no state other than by running (dag-go, go-workflow), and the build
// of BuildKit, whose vertices are the user's own.
//
// BuildKit and Tekton make this module big: the first build takes a minute or two. Terraform's dag is that of v0.15.3,
// the last one that other programs can import.
package main
