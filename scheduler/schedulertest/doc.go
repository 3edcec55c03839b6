// Package schedulertest is a test kit for those who write a scheduler or a runner of their own.
//
// A scheduler: a function like [scheduler.Next], or whatever remembers news and makes plans. This tests whether it keeps
// the rules:
//
//	func TestRules(t *testing.T) {
//		schedulertest.CheckRules(t, schedulertest.Pure(mine.Next))
//	}
//
// A runner: what carries out the runs of scenarios, on a cluster or in a queue. This tests whether it keeps the contract
// of [scheduler.Runner]:
//
//	func TestContract(t *testing.T) {
//		schedulertest.TestRunner(t, func(t *testing.T) schedulertest.Subject {
//			return schedulertest.Subject{Runner: mine.New(t.TempDir()), Pass: "true", Fail: "false", Block: "sleep"}
//		})
//	}
//
// # The rules
//
// [CheckRules] draws graphs and what happens to them: runs start and finish, in each phase; plans are carried out in part
// or late; people ask for reruns, force and cancel; somebody cancels past the plan; news is late, repeated, out of order or
// makes no sense, brings a basis or force after the run itself, or jumps to run 10; the graph changes. After each event the scheduler is asked for its plan, twice, and both plans must be
// the right one: each action with its run, its basis and its mark of force, in order, and the outcome. Then the same is
// told of a graph that was built in another order, with the news of different scenarios in another order, and with what
// runs left.
//
// What is right is told by this package, anew and apart from package scheduler: the file rules.go tells the rules one by
// one, as plainly as they are written down. It follows from them, and so is tested too, that no scenario has two live
// runs, that one wave starts each descendant once, that late news changes nothing, and that without requests there is an
// end, at which nothing is pending.
//
// A report looks like this. It begins with the rule that is broken:
//
//	# rule 1: no edge is met while the parent has a live run
//	graph
//	a
//	b after a
//	----
//
//	observe
//	a#1 passed
//	rerun a#1
//	----
//	start a#2
//	a ready, b waiting
//
//	observe
//	----
//	a running, b waiting
//
//	# The plan of the scheduler; + is wrong there, - is missing:
//	# + start b#1 on a#1
//	#   outcome pending
//
// It is a script of the kind that stands in scheduler/testdata/rules, and may be kept there: without the spaces by which go
// test indents it. Scripts run only in this repository, in the tests of package scheduler. Below each line of hyphens
// stands what is right: the plan, the verdicts, and the outcome once it is final. At the end of a block the starts of its
// plan are carried out, unless it says hold. At the end of the script stands what the scheduler planned instead. The
// script is the shortest that was found; what no well-behaved world brings is in it only where the way without is longer.
//
// # What it leaves out
//
//   - What becomes of news of a scenario that was never in the graph, and of a request about one: it may be forgotten, or
//     kept until the scenario comes into the graph, and a live run may be stopped. News of a scenario that was removed
//     from the graph is judged.
//   - Snapshots that no history leads to. A scheduler that can be given one is tested with [Snapshots]: it must come to the
//     same as scheduler.Next.
//   - Explanations in words. Verdicts and their causes are judged where a Scheduler tells them.
package schedulertest
