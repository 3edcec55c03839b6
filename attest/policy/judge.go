package policy

import (
	"context"
	"errors"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest"
)

// Gate asks the resolver for all that the policy asks about in.Image, fills Evidence, Builds, Reports and Platforms of in
// with it, and judges. Statements that a Waiver in force names are passed over. Tasks of builds are found only if the
// resolver's verifier has a part made by [attest.ByProvenance], with p.Trust or another.
//
// Errors: those of [Policy.Judge], [attest.Resolver.NewestAll] and [attest.Resolver.Builds]. An image that does not exist is
// one without evidence.
func (p Policy) Gate(ctx context.Context, r *attest.Resolver, in Input) (Report, error) {
	if err := errors.Join(p.Validate(), in.validate()); err != nil {
		return Report{}, err
	}
	return p.gate(ctx, r, in)
}

// gate is Gate for what is valid.
func (p Policy) gate(ctx context.Context, r *attest.Resolver, in Input) (_ Report, err error) {
	if ignored := p.waiversFor(in).ignored(); len(ignored) > 0 {
		r = r.UnsafeIgnoring(ignored...)
	}
	if tests := p.Tests(); len(tests) > 0 {
		in.Evidence, err = r.NewestAll(ctx, in.Image, tests...)
	}
	if err == nil {
		in.Builds, err = r.Builds(ctx, in.Image)
	}
	if err == nil {
		err = p.readReports(ctx, r, &in)
	}
	if err != nil {
		return Report{}, err
	}
	return p.judge(in), nil
}

// Judge says whether the image may go on. It is a pure function: equal policies and inputs give equal reports, in
// whatever order evidence and builds come.
//
// Errors: those of [Policy.Validate], and a [*FieldError] for an Input without time, or whose image is not a SHA-256
// digest.
func (p Policy) Judge(in Input) (Report, error) {
	if err := errors.Join(p.Validate(), in.validate()); err != nil {
		return Report{}, err
	}
	return p.judge(in), nil
}

// judge is Judge for what is valid.
func (p Policy) judge(in Input) Report {
	p = p.withDefaults()
	j := newJudge(p, in)
	all := j.passedOver
	for _, list := range []struct {
		entries []Entry
		missing Code
		verdict func(task string) (verdict, bool)
	}{{p.RequiredInBuild, CodeMissingInBuild, j.inBuild}, {p.Required, CodeMissing, j.anywhere}} {
		asked := at(list.entries, in.Now)
		for _, task := range asked.now {
			all.add(j.anyOf(task, list.missing, list.verdict, j.waiveTask))
			all.add(j.alike(task))
		}
		for _, task := range asked.later {
			all.add(j.anyOf(task.AnyOf, list.missing, list.verdict, unwaived).later(task.from))
			all.add(j.alike(task.AnyOf))
		}
	}
	all.add(j.waivers.statements(in))
	all.add(j.waivers.notes(in.Now, all))
	return all.report(p, in)
}

func (in Input) validate() error {
	var c checklist
	if h, err := v1.NewHash(in.Image.DigestStr()); err != nil || h.Algorithm != "sha256" {
		c.add("image", "%q is not a SHA-256 digest", in.Image.DigestStr())
	}
	if in.Now.IsZero() {
		c.add("now", "required: the time to judge at")
	}
	return c.err()
}

// A verdict is the notes about one thing. It is met if there are no violations.
type verdict struct {
	violations, warnings, waived, successes []Note

	excused bool // it is met only because the test is informative, or may be skipped
}

func (v verdict) met() bool { return len(v.violations) == 0 }

func (v *verdict) add(w verdict) {
	v.violations = append(v.violations, w.violations...)
	v.warnings = append(v.warnings, w.warnings...)
	v.waived = append(v.waived, w.waived...)
	v.successes = append(v.successes, w.successes...)
	v.excused = v.excused || w.excused
}

func (v *verdict) violate(n Note) { v.violations = append(v.violations, n) }
func (v *verdict) warn(n Note)    { v.warnings = append(v.warnings, n) }
func (v *verdict) succeed(n Note) { v.successes = append(v.successes, n) }

// tell adds a note as a violation, a warning or a success.
func (v *verdict) tell(e Effect, n Note) {
	switch e {
	case Deny:
		v.violate(n)
	case Warn:
		v.warn(n)
	case Allow:
		v.succeed(n)
	}
}

// waive adds notes that would be violations or warnings without the waiver.
func (v *verdict) waive(w *waiver, notes ...Note) {
	for _, n := range notes {
		n.Waiver = &w.Waiver
		v.waived = append(v.waived, n)
	}
}

// softened turns violations into warnings, for the reason given.
func (v verdict) softened(why string) verdict {
	for _, n := range v.violations {
		n.Msg += "; " + why
		v.warn(n)
		v.excused = true
	}
	v.violations = nil
	return v
}

// later turns violations into warnings of what will be violated. What is well already needs no word.
func (v verdict) later(from time.Time) verdict {
	var w verdict
	for _, n := range v.violations {
		n.Msg += "; this will be a violation from " + from.UTC().Format(time.RFC3339) + " on"
		n.Metadata.EffectiveOn = &from
		w.warn(n)
	}
	return w
}

func (v verdict) report(p Policy, in Input) Report {
	if now := slices.Concat(at(p.RequiredInBuild, in.Now).now, at(p.Required, in.Now).now); len(now) == 0 {
		v.warn(Note{Msg: "no task is required yet", Metadata: Metadata{Code: CodeNothing}})
	}
	return Report{
		Success: v.met(), Image: in.Image.String(), Component: in.Component, Time: in.Now.UTC(),
		Violations: sorted(v.violations), Warnings: sorted(v.warnings),
		Waived: sorted(v.waived), Successes: sorted(v.successes),
	}
}

// A judge has what was found, ordered by what is asked.
type judge struct {
	policy     Policy
	in         Input
	builds     []attest.Build     // those that count
	newest     []attest.Build     // of them what tells which tasks ran in the build
	pieces     map[string][]piece // by test
	lookalikes map[string][]piece // with names that no test may have, by what they look like
	names      map[string]bool    // of all tests that something tells of
	waivers    waivers
	passedOver verdict
}

func newJudge(p Policy, in Input) *judge {
	j := &judge{
		policy: p, in: in, pieces: map[string][]piece{}, lookalikes: map[string][]piece{}, names: map[string]bool{},
		waivers: p.waiversFor(in),
	}
	j.takeBuilds()
	j.takeEvidence(len(at(p.Required, in.Now).now) > 0)
	return j
}

// anyOf judges alternatives. One that is met is enough, but for Strict, where each that ran must be. One that is excused, or
// that a waiver lets pass, is not enough beside another that failed. Waivers are asked about each that ran, and about all if
// none did.
func (j *judge) anyOf(task AnyOf, missing Code, of func(string) (verdict, bool), waive func(verdict, ...string) verdict) verdict {
	var met, not verdict
	var ran, well bool
	for _, name := range task {
		v, ok := of(name)
		switch {
		case !ok:
			continue
		case v.met():
			met.add(waive(v, name))
			well = well || !v.excused
		default:
			v.successes = nil // a task has passed or it has not, whatever one of its statements says
			not.add(waive(v, name))
		}
		ran = true
	}
	switch {
	case !ran:
		met.violate(Note{Msg: missingText(task, missing), Metadata: Metadata{Code: missing, Term: Term(task)}})
		met = waive(met, task...)
	case well && !j.policy.Strict:
		met.add(verdict{warnings: slices.Concat(not.violations, not.warnings), waived: not.waived})
	default:
		met.add(not)
	}
	return met
}

// waiveTask takes what speaks against the tasks out of the violations and the warnings, if one of them is waived.
func (j *judge) waiveTask(v verdict, tasks ...string) verdict {
	if len(v.violations)+len(v.warnings) == 0 {
		return v
	}
	w := j.waivers.task(tasks...)
	if w == nil {
		return v
	}
	v.waive(w, slices.Concat(v.violations, v.warnings)...)
	v.violations, v.warnings = nil, nil
	return v
}

// unwaived is for tasks that will be required later: a waiver may have ended by then.
func unwaived(v verdict, _ ...string) verdict { return v }

func missingText(task AnyOf, missing Code) string {
	text := "nothing tells of the required test " + shown(task.String())
	if len(task) > 1 {
		text = "nothing tells of any of the required tests " + shown(task.String())
	}
	if missing == CodeMissingInBuild {
		text += " in a build of the image that counts"
	}
	return text
}

// anywhere judges a test by whatever is newest, the build or an integration run. Of the same instant, and with Strict,
// both count.
func (j *judge) anywhere(test string) (verdict, bool) {
	build, buildTime, inBuild := j.byBuild(test)
	integration, integrationTime, inIntegration := j.byIntegration(test)
	var v verdict
	if inBuild && (!inIntegration || j.policy.Strict || !buildTime.Before(integrationTime)) {
		v.add(build)
	}
	if inIntegration && (!inBuild || j.policy.Strict || !integrationTime.Before(buildTime)) {
		v.add(integration)
	}
	return v, inBuild || inIntegration
}

// newestOf returns those of the latest time.
func newestOf[T any](all []T, when func(T) time.Time) []T {
	var newest []T
	for _, one := range all {
		switch {
		case len(newest) == 0 || when(one).After(when(newest[0])):
			newest = append(newest[:0:0], one)
		case when(one).Equal(when(newest[0])):
			newest = append(newest, one)
		}
	}
	return newest
}
