package attest

import (
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/internal/testname"
)

// checkName blames evidence for a name that no test may have. What is left of the name says for which test it counts
// too.
func (r *Resolver) checkName(e *Evidence) {
	problem := testname.Problem(e.Test.Name)
	if problem != "" {
		e.look = testname.Fold(e.Test.Name)
	}
	if testname.Problem(e.Declared) != "" {
		e.declaredLook = testname.Fold(e.Declared)
	}
	if e.Test.Name != "" && problem != "" {
		e.addProblem(&intoto.FieldError{Field: e.reading.Named, Problem: fmt.Sprintf("%s; run the test again under a good name, or name the statement %s in "+
			"Options.UnsafeIgnoreStatements", problem, e.Digest())})
	}
	if e.look == "" && problem != "" {
		e.Test.Name = "" // nothing of it can be seen
		err := &CandidateError{Manifest: e.Manifest, Err: errors.New("it does not say which test it is of")}
		e.Problem = errors.Join(err, e.Problem)
	}
}

// identify takes the name of the test from the provenance, if that is trusted. Anybody who may run a task can have a
// provenance signed about any record; it must neither turn evidence into that of another test nor give it another time.
// What else a signed provenance names is a claim: a rule of trust that is no longer in force must not hide a failure.
func (r *Resolver) identify(e *Evidence) {
	p, ok := e.bestProvenance()
	if !ok {
		return
	}
	e.Provenance = p.Provenance
	if p.untrusted == nil {
		e.maker = p.task
		r.rename(e, p.task.Name)
	}
	for _, p := range e.signed() {
		if name := p.task.Name; name != "" && name != e.Test.Name {
			e.claims = append(e.claims, name)
		}
	}
}

// rename makes evidence that of the test of a task. Which test it was of, if that could not be read, is still not known: the
// task may have named what others made.
func (r *Resolver) rename(e *Evidence, task string) {
	if task == "" || task == e.Test.Name {
		return
	}
	e.unnamed = e.Test.Name == "" && e.Problem != nil
	e.Declared, e.Test.Name = e.Test.Name, task
	r.opts.Logger.Info("the statement is of another test than it says", zap.Stringer("manifest", e.Manifest),
		zap.String("declared", e.Declared), zap.String("task", task))
}
