package scheduler

import "context"

// A Task is what a [Runner] is asked to carry out: one run of a scenario.
type Task struct {
	Ref    Ref
	Basis  []Ref // newest runs of the parents, by ascending ID; parents without a run are left out
	Forced bool  // a person started it although a parent failed or was canceled
}

// A Result is how a run ended.
type Result struct {
	Phase  Phase  // PhasePassed, PhaseFailed, or PhaseCanceled if somebody outside stopped it
	Reason string // why, in a few words for people; may be empty
	Output []byte // what the run printed, as far as the runner kept it

	// Artifacts are what the run left, in any order, also one that failed or was stopped. Of several attempts, those that
	// the last one returns count.
	Artifacts []Artifact
}

// A Runner carries out runs.
type Runner interface {
	// Run carries out one run and blocks until it is over. It is called again with the same run after a crash and then
	// picks up what is there, or starts it if nothing is there.
	//
	// A canceled context means stop: Run stops what it started, waits until nothing of it is left, and returns an error;
	// or the result, if the run came to its own end all the same, or somebody else canceled it. An error while the context is
	// alive means that the runner could not tell, and it may be asked again. So does a panic. The methods of an error may
	// panic, too: the reason of the run then says so.
	//
	// Run is called by several goroutines at once, for different scenarios. The goroutines are used again for other runs:
	// what is done to one of them, like locking it to a thread, must be undone.
	Run(ctx context.Context, t Task) (Result, error)
}

// A RunnerFunc is a Go function that carries out runs.
type RunnerFunc func(ctx context.Context, t Task) (Result, error)

// Run calls f.
func (f RunnerFunc) Run(ctx context.Context, t Task) (Result, error) { return f(ctx, t) }
