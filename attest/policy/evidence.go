package policy

import (
	"errors"
	"fmt"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/internal/testname"
)

// A piece is evidence of one test.
type piece struct {
	*attest.Evidence
	misnamed bool // it only says that it is of the test
}

// endOfTime is the time of what has none: it may be the newest.
var endOfTime = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)

// when is the time of the evidence. What is missing, or is gone, may be newer than what is left.
func (p piece) when() time.Time {
	if p.Time.IsZero() || lost(p.Problem) {
		return endOfTime
	}
	return p.Time
}

// takeEvidence orders evidence by test. What could not be read may be of any test, so it blocks if one is required.
func (j *judge) takeEvidence(required bool) {
	for i := range j.in.Evidence {
		e := &j.in.Evidence[i]
		if e.Image.DigestStr() != j.in.Image.DigestStr() {
			continue
		}
		j.take(e)
		for i := 1; i < len(e.Tied); i++ { // the first is e itself
			j.take(&e.Tied[i])
		}
		if e.Test.Name == "" && required {
			j.passedOver.add(problemOf("", piece{Evidence: e}))
		}
	}
}

func (j *judge) take(e *attest.Evidence) {
	for _, name := range e.Alike {
		j.names[name] = true
	}
	if absent(e.Problem) {
		return
	}
	if !errors.Is(e.Problem, attest.Misnamed) { // with it, it was asked for by the name that it gives itself
		j.file(e.Test.Name, piece{Evidence: e})
	}
	if e.Declared != "" && !looksLike(e.Declared, e.Test.Name) {
		j.file(e.Declared, piece{e, true})
	}
}

// file puts a piece to its test. With a name that no test may have it counts for the test that it looks like.
func (j *judge) file(name string, p piece) {
	j.names[name] = true
	if misspelled(name) {
		look := testname.Fold(name)
		j.lookalikes[look] = append(j.lookalikes[look], p)
		return
	}
	j.pieces[name] = append(j.pieces[name], p)
}

// misspelled reports whether evidence has a name that no test may have.
func misspelled(name string) bool { return name != "" && testname.Problem(name) != "" }

func looksLike(name, test string) bool {
	return misspelled(name) && testname.Fold(name) == testname.Fold(test)
}

// alike warns of other tests whose names differ from a required one only by letters of another script that look the same.
func (j *judge) alike(task AnyOf) verdict {
	var v verdict
	for _, name := range task {
		for other := range j.names {
			if testname.Alike(name, other) {
				v.warn(Note{
					Msg:      fmt.Sprintf("%s and %s look alike and are two tests", spelled(name), spelled(other)),
					Metadata: Metadata{Code: CodeAlike, Term: Term{name}},
				})
			}
		}
	}
	return v
}

// spelled is a name in ASCII, with the letters that are not Latin.
func spelled(name string) string {
	text := fmt.Sprintf("%+.40q", name)
	if foreign := testname.Foreign(name); foreign != "" {
		text += " (" + foreign + ")"
	}
	return text
}

// absent reports whether a problem only says that there is no evidence. That a run which is over left none, and that some
// was seen before, is more.
func absent(problem error) bool {
	return errors.Is(problem, attest.ErrNotFound) && !lost(problem)
}

// lost reports whether there was evidence, or should be, that is not there.
func lost(problem error) bool {
	return errors.Is(problem, attest.Missing) || errors.Is(problem, attest.RolledBack)
}

func isA[E error](err error) bool {
	if err == nil {
		return false
	}
	var e E
	return errors.As(err, &e)
}

// byIntegration judges the newest statements of a test: the newest vulns, and the newest test-result unless newer vulns
// answer it. Vulns are answered by vulns alone: that a scan ran well, which is what its test-result says, does not say what
// it found.
func (j *judge) byIntegration(test string) (v verdict, newest time.Time, ok bool) {
	byType := map[string][]piece{}
	for _, p := range slices.Concat(j.pieces[test], j.lookalikes[testname.Fold(test)]) {
		byType[p.Test.PredicateType] = append(byType[p.Test.PredicateType], p)
	}
	for predicate, all := range byType {
		byType[predicate] = newestOf(all, piece.when)
		if when := byType[predicate][0].when(); !ok || when.After(newest) {
			newest, ok = when, true
		}
	}
	for predicate, pieces := range byType {
		if predicate != intoto.VulnsType && pieces[0].when().Before(newest) {
			continue
		}
		for _, p := range pieces {
			v.add(j.piece(test, p.beside(byType[intoto.TestResultType])))
		}
	}
	return v, newest, ok
}

// beside returns vulns without the problem that a test-result is newer and is no pass, if that is judged too: what then
// becomes of the image, the policy says.
func (p piece) beside(results []piece) piece {
	judged := func(err error) bool {
		newer, ok := err.(*attest.Problem)
		return ok && newer.Kind == attest.Overruled && slices.ContainsFunc(results, func(r piece) bool { return r.Manifest == newer.Manifest })
	}
	e := *p.Evidence
	e.Problem = without(p.Problem, judged)
	return piece{&e, p.misnamed}
}

// without returns an error without the parts, as errors.Join puts them together, that drop names.
func without(err error, drop func(error) bool) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok && err != nil && drop(err) {
		return nil
	}
	if !ok {
		return err
	}
	var kept []error
	for _, part := range joined.Unwrap() {
		kept = append(kept, without(part, drop))
	}
	return errors.Join(kept...)
}

func (j *judge) piece(test string, p piece) verdict {
	if p.problematic() {
		return problemOf(test, p)
	}
	sources := []Source{p.source()}
	switch predicate := p.Predicate.(type) {
	case intoto.TestResult:
		return j.weighed(test, j.result(test, predicate.Result, "", sources))
	case intoto.Vulns:
		if predicate.Scanner.Result != nil { // which is not the same as nothing found
			return j.weighed(test, j.vulns(test, predicate, p.Time, sources))
		}
	}
	var v verdict
	v.violate(Note{
		Msg:      fmt.Sprintf("%s: the evidence has no predicate that could be judged", shown(test)),
		Metadata: Metadata{Code: CodeInvalid, Term: Term{test}}, Evidence: sources,
	})
	return v
}

// weighed is what a test tells, which only warns if the test is informative.
func (j *judge) weighed(test string, v verdict) verdict {
	if slices.Contains(j.policy.Informative, test) {
		return v.softened("the test is informative")
	}
	return v
}

// result judges how a test ended. What could not tell has not passed, and what was skipped has not unless the policy
// says so.
func (j *judge) result(test string, r intoto.Result, where string, sources []Source) verdict {
	effect, code, what := Deny, CodeErrored, fmt.Sprintf("has the result %q, which is none", r)
	switch r {
	case intoto.Passed:
		effect, code, what = Allow, CodePassed, "passed"
	case intoto.Warned:
		effect, code, what = Warn, CodeWarned, "passed with warnings"
	case intoto.Skipped:
		effect, code, what = j.policy.Skipped, CodeSkipped, "was skipped, so nothing is known"
	case intoto.Failed:
		code, what = CodeFailed, "failed"
	case intoto.Errored:
		code, what = CodeErrored, "could not tell"
	}
	v := verdict{excused: r == intoto.Skipped}
	v.tell(effect, Note{Msg: shown(test) + " " + what + where, Metadata: Metadata{Code: code, Term: Term{test}}, Evidence: sources})
	return v
}

// problemOf says why evidence does not count for a test, or for any. It blocks, since older evidence is never a fallback.
func problemOf(test string, p piece) verdict {
	n := Note{Metadata: Metadata{Code: codeOf(p)}}
	what := "something at the image may be its newest evidence"
	if test != "" {
		n.Metadata.Term = Term{test}
		what = shown(test) + ": the newest evidence does not count"
	}
	why := p.Problem
	switch {
	case why != nil:
	case p.misnamed:
		why = &attest.Problem{Kind: attest.Misnamed, Declared: p.Declared, Task: p.Test.Name}
	case misspelled(p.Test.Name):
		why = errors.New(testname.Problem(p.Test.Name))
	case p.VerifiedBy != (attest.Identity{}):
		why = errors.New("it has no time")
	}
	n.Msg = what + ": " + shownError(why)
	if p.Statement != nil {
		n.Evidence = []Source{p.source()}
	}
	var v verdict
	v.violate(n)
	return v
}

// problematic reports whether evidence does not count. Without voucher or time it was not a Resolver that made it.
func (p piece) problematic() bool {
	return p.Problem != nil || p.misnamed || misspelled(p.Test.Name) || p.VerifiedBy == (attest.Identity{}) || p.Time.IsZero()
}

// codes are the words for what is wrong with evidence: the first that fits is told.
var codes = []struct {
	fits func(problem error) bool
	code Code
}{
	{is(attest.Misnamed), CodeMisnamed},
	{is(attest.Missing), CodeMissingRun},
	{is(attest.RolledBack), CodeRolledBack},
	{is(attest.Unverified), CodeUnverified},
	{isA[*attest.CandidateError], CodeUnreadable},
	{is(attest.Future), CodeFuture},
	{is(attest.Aged), CodeAged},
}

func is(kind attest.ProblemKind) func(error) bool {
	return func(problem error) bool { return errors.Is(problem, kind) }
}

// codeOf tells what is wrong in one word. Of several problems the first here is told.
func codeOf(p piece) Code {
	if p.misnamed || misspelled(p.Test.Name) {
		return CodeMisnamed
	}
	if p.Problem == nil && p.VerifiedBy == (attest.Identity{}) {
		return CodeUnverified
	}
	for _, c := range codes {
		if c.fits(p.Problem) {
			return c.code
		}
	}
	return CodeInvalid
}

func (p piece) source() Source {
	s := Source{
		Test: p.Test.Name, Origin: InIntegration, PredicateType: p.Test.PredicateType, Manifest: p.Manifest.String(),
		Clock: p.Clock, By: voucher(p.VerifiedBy), Completeness: p.Completeness,
	}
	if statement := p.Digest(); statement != (v1.Hash{}) {
		s.Statement = statement.String()
	}
	if !p.Time.IsZero() {
		t := p.Time.UTC()
		s.Time = &t
	}
	return s
}

func voucher(by attest.Identity) string {
	if by == (attest.Identity{}) {
		return ""
	}
	return by.Kind + " " + by.Name
}
