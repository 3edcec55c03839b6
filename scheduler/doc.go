// Package scheduler decides which scenarios of a graph to start, to stop and to leave alone.
//
// The decision is [Next], a pure function from a [dag.Graph] and a [Snapshot] of what has been observed to a [Plan]. It
// reads no clock, starts no goroutine and keeps no memory; equal arguments give equal plans. A controller calls it with
// what it finds on its cluster, a test calls it with what it can think of, and both get the same answer:
//
//	for _, a := range scheduler.Next(g, s).Actions {
//		if a.Kind == scheduler.Stop {
//			cluster.Stop(a.Ref) // what comes of it is news later: scheduler.Finished(a.Ref, scheduler.PhaseStopped)
//			continue
//		}
//		cluster.Start(a.Ref, a.Basis) // makes an object named after a.Ref; if it is there already, that is the one
//		s = s.Observe(scheduler.Started(a))
//	}
//
// A plan repeats an action until it is observed to be done, so a controller that crashes in between does it again, and
// finds what it did before. The example of Next is a whole controller.
//
// Everything else is convenience around it: [Machine] remembers a Snapshot and finds what an event changes without looking
// at the whole graph, [Run] carries plans out in this process with a [Runner], [Conclude] and [Explain] tell what the
// rules conclude and why. Package schedulertest holds a scheduler or runner of your own against the same rules.
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
// An edge may ask for less than a pass ([dag.Condition]). To the letter, the rules stand in the file scheduler/rules.go,
// numbered, in the order in which they apply: what an edge comes to, canceled by a person, a broken edge, an open edge,
// all edges met, forced runs.
//
// Seven files hold all that Next needs: rules, event, snapshot, plan, next, explain and json. The files machine_*.go
// hold Machine, and run_*.go hold Run; a reader of the rules may skip both. Who writes a Runner begins with run_runner.go.
//
// # Words
//
// A run is one execution of a scenario. Runs are counted from 1 and named by a [Ref], written scan#2; a run that has
// started and is not over is live. The [Phase] of a run is observed: running, passed, failed, canceled (by a person, or
// from outside), stopped (by a plan). The [Verdict] on a scenario is concluded from the phases of its own newest run and
// of what it waits for: waiting, ready, running, passed, failed, canceled. Verdicts are never stored, so cancellation by
// a failed parent ends by itself when the parent passes, and nothing that was observed is ever overwritten.
//
// What a run left, such as a statement about an image, is an [Artifact]. It is observed with the run and kept with the
// newest one, for whoever judges the evidence on the image; no rule looks at it.
//
// # What callers promise
//
//   - Outside objects are named after the run, so that starting a run twice finds the first.
//   - A run is observed with its basis: that of the action that started it, kept on the outside object, in a label for
//     example. A run without the basis it had counts as out of date.
//   - A run that a plan stopped ends as [PhaseStopped], unless it had an end of its own before; one that somebody else
//     stopped ends as [PhaseCanceled]. An adapter marks what it stops to tell the two apart.
//   - A stopped run is over only when its runner says so: its scenario is not started again before that.
//
// # What it leaves out
//
// The rules know no durations, retries, priorities or resources. Run has limits and timeouts, since it is a runner's
// business when a run is given up; for the rules that is a run that failed.
package scheduler
