package scheduler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"time"

	"github.com/testdag/testdag/dag"
)

// Options tell [Run] more. The zero Options serve.
type Options struct {
	// Snapshot is what has been observed before. Runs that are live in it are taken up again. The default is nothing.
	Snapshot Snapshot

	// Requests brings reruns, forced runs and cancellations while Run works. Run goes on until the channel is closed and
	// nothing is left to do. Whoever sends must not wait for ever: Run may have ended with an error, and receives no more.
	// The default, nil, brings none.
	Requests <-chan Event

	// Parallel limits the runs that are live at once. The default, 0, is the number of processors that Go uses. Runs that
	// are taken up again do not wait for it.
	Parallel int

	// Pool names the pool of a scenario, and Pools limits the runs of a pool that are live at once. A pool that is not in
	// Pools has no limit of its own. Each start takes a look at every limit. By default all scenarios are in the pool "".
	Pool  func(dag.ID) string
	Pools map[string]int

	// Weight estimates how long a scenario takes. Of what can start, the scenario with the longest path to the end of the
	// graph starts first. By default all weigh the same.
	Weight func(dag.ID) time.Duration

	// Timeout limits how long a run may take, all attempts together; it then fails. It begins anew when a run is taken up
	// again. A time of 0 is no limit. The default is none.
	Timeout func(dag.ID) time.Duration

	// Attempts is how often the runner is asked for one run while it returns errors, before the run fails. Backoff is the
	// pause after the first error; it doubles with each further one, up to a minute. The defaults are 3 and one second.
	Attempts int
	Backoff  time.Duration

	// Grace is how long a runner, or Save, may take to return after its context was canceled. One that takes longer has
	// broken its promise, and Run gives up with a *StuckError. The context of the last call of Save is canceled after Grace.
	// The default is one minute.
	Grace time.Duration

	// Save keeps a snapshot. It is called before anything in it is acted upon, so that after a crash Run goes on with the
	// Snapshot that was saved last. The snapshot belongs to Save, and is made anew each time, of the whole graph. An error
	// ends Run, which then calls Save once more with what came of the runs that were live. The default keeps nothing.
	//
	// Save is called in a goroutine of its own, one call at a time, and Run waits for it. Its context is canceled with that
	// of Run; that of the last call, after Grace. Save is not called again after a call that did not return.
	Save func(context.Context, Snapshot) error

	// Observe is told of each step, by the goroutine that called Run, which waits for it. If it panics, it is told no more,
	// and Run ends with an error. The default is nobody.
	Observe func(Step)

	// Logger, a *zap.Logger, hears of what is started, stopped and over. An entry on which it panics is lost. The default
	// logs nothing.
	Logger Logger
}

// An OptionError reports an argument or option that [Run] cannot work with.
type OptionError struct {
	Option  string
	Problem string
}

func (e *OptionError) Error() string { return fmt.Sprintf("scheduler: %s %s", e.Option, e.Problem) }

// check returns every mistake.
func (o Options) check(g *dag.Graph, r Runner) error {
	var mistakes []error
	refuse := func(bad bool, option, problem string, args ...any) {
		if bad {
			mistakes = append(mistakes, &OptionError{option, fmt.Sprintf(problem, args...)})
		}
	}
	refuse(g == nil, "the graph", "is nil; make one with dag.New")
	refuse(r == nil, "the runner", "is nil")
	refuse(o.Parallel < 0, "Options.Parallel", "is %d; want 0 or more", o.Parallel)
	refuse(o.Attempts < 0, "Options.Attempts", "is %d; want 0 or more", o.Attempts)
	refuse(o.Backoff < 0, "Options.Backoff", "is %s; want 0 or more", o.Backoff)
	refuse(o.Grace < 0, "Options.Grace", "is %s; want 0 or more", o.Grace)
	refuse(len(o.Pools) > 0 && o.Pool == nil, "Options.Pools", "has limits, but Options.Pool is nil")
	if err := o.Snapshot.form().check(); err != nil {
		mistakes = append(mistakes, &OptionError{"Options.Snapshot", fmt.Sprintf("cannot be: %v", err)})
	}
	for _, name := range slices.Sorted(maps.Keys(o.Pools)) {
		refuse(o.Pools[name] < 1, "Options.Pools", "limits %q to %d; want 1 or more", name, o.Pools[name])
	}
	return errors.Join(mistakes...)
}

// complete returns the options with defaults filled in.
func (o Options) complete() Options {
	o.Parallel = cmp.Or(o.Parallel, runtime.GOMAXPROCS(0))
	o.Attempts = cmp.Or(o.Attempts, 3)
	o.Backoff = cmp.Or(o.Backoff, time.Second)
	o.Grace = cmp.Or(o.Grace, time.Minute)
	return o
}
