// Command rivals measures the same work side by side: done by testdag, by other libraries, and by plain code on flat
// slices. It is a module of its own, so that the library does not depend on them.
//
//	go -C internal/rivals run .           # prints the table, after a few minutes
//	go -C internal/rivals run . -write    # puts it in the README
//
// # What is measured
//
// The works are those of a scheduler of tests; see the constants of type work. Every entry is given the same names and
// edges. The clock runs while the work is done, not while it is prepared: for a run the graph is there, for a state
// machine its first state too. The function of a scenario counts that it was called, and does nothing else.
//
// Before anything is measured, every entry must do the work right on small graphs of several shapes: every scenario
// runs once, parents end before a child begins, a cascade cancels all scenarios below the failed one and no other, a
// build holds as many scenarios and edges as it was given. Some libraries do not say how many they hold; their runs
// show it. While it is measured, the same is checked again, except for the order. Tests show that wrong executors are
// caught.
//
// Entries take turns at each size, and the best turn counts, so that disturbances of the machine hit all alike. The
// executors of terraform and buildkit have their turns after all the others, because they leave traces in the runtime.
// A library is left out of sizes at which it would take longer than ten seconds, as its cost at smaller sizes shows.
//
// # The floors
//
// The floor of each work is plain code on int32 slices, for one thread except for run:
//
//   - run: a channel and a worker for each processor
//   - decide, cascade, rerun wave: a state machine, with state and attempts of each scenario and a log entry of twelve
//     bytes for each start, end and cancellation, in memory that is allocated before
//   - build: compressed sparse rows, with a map from names to numbers
//
// # The libraries
//
// They are used as their documentation shows, at the versions of go.mod. If a library knows numbers or handles and no
// names, or does not look for unknown names, its user has to, and so does its entry.
//
// Found on the way, and kept by tests: go-taskflow has no check for cycles. Of five tasks of which three wait for one
// another it runs the one that waits for nothing, and returns as if all were done. natessilva/dag finds cycles when it
// runs, not when the graph is built.
//
// No library here runs a scenario again with its descendants, so the rerun wave has no rival. The build of BuildKit is
// left out, because its vertices are the user's own.
//
// BuildKit makes this module big: of the 400 packages beyond the standard library that it compiles, 360 are there for
// BuildKit's solver alone. Terraform's dag is that of v0.15.3, the last one that other programs can import.
package main
