package scheduler

import (
	"context"
	"errors"
	"time"
)

// save saves what has changed, and reports whether Run goes on. If the context ends meanwhile, Options.Save has the grace
// to return. It is not called again while it has not returned.
func (e *executor) save(ctx context.Context) bool {
	if e.o.Save == nil || !e.unsaved {
		return true
	}
	if e.stuck != nil && e.stuck.Save {
		return false
	}
	done := e.callSave(ctx, e.m.Snapshot())
	select {
	case failed := <-done:
		return e.saved(failed)
	case <-ctx.Done():
	}
	e.interrupt() // the runs need not wait for the save
	select {
	case failed := <-done:
		return e.saved(failed)
	case <-time.After(e.o.Grace):
	}
	select {
	case failed := <-done: // in the last moment
		return e.saved(failed)
	default:
		e.gaveUp().Save = true
		return false
	}
}

// callSave calls Options.Save in a goroutine of its own, since it may not return.
func (e *executor) callSave(ctx context.Context, s Snapshot) <-chan *guardedError {
	done := make(chan *guardedError, 1)
	go func() {
		failed := guarded(errGone)
		defer func() { done <- failed }()
		if err := guard("Options.Save", func() error { return e.o.Save(ctx, s) }); err != nil {
			failed = guarded(err)
			return
		}
		failed = nil
	}()
	return done
}

func (e *executor) saved(failed *guardedError) bool {
	if failed != nil {
		e.fail(failed.in("saving the snapshot"))
		return false
	}
	e.unsaved = false
	return true
}

// errGone stands for a saver that ended its goroutine.
var errGone = errors.New("Options.Save ended its goroutine")
