// Package scheduler decides which scenarios of a graph to start, to stop and to leave alone.
//
// The decision is [Next], a pure function from a [dag.Graph] and a [Snapshot] of what has been observed to a [Plan]. It
// reads no clock, starts no goroutine and keeps no memory; equal arguments give equal plans. A controller calls it with
// what it finds on its cluster, a test calls it with what it can think of, and both get the same answer:
//
//	plan := scheduler.Next(g, s)
//	for _, a := range plan.Actions {
//		// Start or stop the run a.Ref. Doing it twice must find the first.
//		s = s.Observe(scheduler.Started(a))
//	}
//
// Everything else is convenience around it: [Machine] remembers a Snapshot, [Run] carries plans out in this process
// with a [Runner], [Conclude] and [Explain] tell what the rules conclude and why.
//
// # Rules
//
//  1. All parents finish before a child begins.
//  2. If a parent failed or was canceled, its children are canceled.
//  3. If a scenario is run again and passes, its children run again.
//
// Less formally: a run stands on the newest runs of its parents, its basis. When a parent has a newer run, what stood on
// the older one is out of date: it waits for the parent to finish, and if the parent passes, it runs again, once, on
// what is newest then.
//
// To the letter, the rules stand in rules.go, numbered, in the order in which they apply.
//
// # Words
//
// A run is one execution of a scenario. Runs are counted from 1 and named by a [Ref], written scan#2. The [Phase] of a
// run is observed: running, passed, failed, canceled (by a person, or from outside), stopped (by a plan). The [Verdict]
// on a scenario is concluded from the phases of its own newest run and of what it waits for: waiting, ready, running,
// passed, failed, canceled. Verdicts are never stored, so cancellation by a failed parent ends by itself when the parent
// passes, and nothing that was observed is ever overwritten.
//
// # What callers promise
//
//   - Outside objects are named after the run, so that starting a run twice finds the first.
//   - A run that a plan stopped ends as [PhaseStopped], unless it had an end of its own before; one that somebody else
//     stopped ends as [PhaseCanceled]. An adapter marks what it stops to tell the two apart.
//   - A stopped run is over only when its runner says so: its scenario is not started again before that.
//
// # What it leaves out
//
// The rules know no durations, retries, priorities or resources. Run has limits and timeouts, since it is a runner's
// business when a run is given up; for the rules that is a run that failed.
package scheduler
