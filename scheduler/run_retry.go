package scheduler

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// attempt asks the runner until it can tell, within the budget.
func (e *executor) attempt(run *liveRun, r Runner) Result {
	pause := e.o.Backoff
	for n := 1; ; n++ {
		res, failed := call(&run.ctx, r, run.task)
		if run.ctx.Err() != nil {
			return run.interrupted(res, failed)
		}
		if failed == nil {
			return res
		}
		e.log(func(l Logger) {
			l.Warn("runner could not tell", field("run", run.task.Ref), text("attempt", strconv.Itoa(n)), text("error", failed.text))
		})
		if n >= e.o.Attempts {
			res.Phase, res.Reason = PhaseFailed, fmt.Sprintf("the runner could not tell, asked %d times: %s", n, failed.text)
			return res
		}
		select {
		case <-time.After(pause):
		case <-run.ctx.Done():
			return run.interrupted(res, failed)
		}
		pause = min(2*pause, time.Minute)
	}
}

// call asks the runner once.
func call(ctx context.Context, r Runner, t Task) (res Result, failed *guardedError) {
	err := guard("the runner", func() (err error) {
		res, err = r.Run(ctx, t)
		return err
	})
	switch {
	case err != nil:
		return res, guarded(err)
	case res.Phase == PhasePassed, res.Phase == PhaseFailed, res.Phase == PhaseCanceled:
		return res, nil
	}
	return res, guarded(errNoEnd)
}

// errNoEnd stands for a result that is not the end of a run.
var errNoEnd = errors.New("the runner returned neither an error nor a run that passed, failed or was canceled")
