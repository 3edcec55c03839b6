package konflux

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// Keys are the prefixes of labels and annotations, without the slash. They differ from release to release of Konflux, so
// that the caller gives them.
type Keys struct {
	Test      string // of tests: "test.appstudio.openshift.io", later "integration.konflux-ci.dev"
	Pipelines string // of the kinds of PipelineRuns: "pipelines.appstudio.openshift.io", later "pipelines.konflux-ci.dev"
	Resource  string // of names of Snapshots and components: "appstudio.openshift.io"
	PAC       string // of what Pipelines as Code told: "pac.test.appstudio.openshift.io"

	// Own is the prefix of what only this package reads: its state on the Snapshot, and what a run stands on on its
	// PipelineRun. It must be none of the others: what they begin is copied from Snapshots to PipelineRuns.
	Own string
}

func (k Keys) test() string      { return k.Test }
func (k Keys) pac() string       { return k.PAC }
func (k Keys) status() string    { return k.Test + "/status" }
func (k Keys) rerun() string     { return k.Test + "/run" }
func (k Keys) kind() string      { return k.Test + "/type" }
func (k Keys) scenario() string  { return k.Test + "/scenario" }
func (k Keys) optional() string  { return k.Test + "/optional" }
func (k Keys) finalizer() string { return k.Test + "/pipelinerun" }
func (k Keys) pipeline() string  { return k.Pipelines + "/type" }
func (k Keys) snapshot() string  { return k.Resource + "/snapshot" }
func (k Keys) component() string { return k.Resource + "/component" }
func (k Keys) event() string     { return k.PAC + "/event-type" }
func (k Keys) pull() string      { return k.PAC + "/pull-request" }
func (k Keys) branch() string    { return k.PAC + "/source-branch" }
func (k Keys) state() string     { return k.Own + "/state" }
func (k Keys) basis() string     { return k.Own + "/basis" }
func (k Keys) forced() string    { return k.Own + "/forced" }
func (k Keys) stopped() string   { return k.Own + "/stopped" }

// Options are what a caller decides.
type Options struct {
	Keys Keys // what is written, and read

	// LegacyKeys are keys that are read where Keys finds nothing: during a migration, those of before. Nothing is written with
	// them, and what was written with them is removed when the same is written with Keys.
	LegacyKeys []Keys

	// Profile says what a parent means that has neither onFail nor failFast: ADR48 or ComponentGroup. Where none is like
	// that, it may be left out.
	Profile dag.Profile

	Skipped pipelinerun.Skipped // what SKIPPED comes to; must be given

	// Signed makes a run that is over count as running until Tekton Chains has annotated it with chains.tekton.dev/signed, so
	// that a child that judges evidence does not start before its parent's is there. Patience bounds it.
	Signed bool

	// Patience is how long after the end of a run is waited for its signature, and for TaskRuns that it names and that are
	// not there yet. After it a missing signature is forgiven, and told in the details; a run whose TaskRuns are missing is
	// invalid. The default is 5 minutes.
	Patience time.Duration

	// StateBytes bounds the annotation that holds the state. The default is 64 KiB. All annotations of an object together
	// must not have more than 256 KiB, which is checked too.
	StateBytes int

	// PlainPass writes TestPassed where a run passed with warnings, for readers that do not know TestWarning, which came with
	// integration-service in 2026 and makes the whole annotation unreadable for older ones.
	PlainPass bool
}

const defaultStateBytes = 64 << 10

// An OptionError reports an option that cannot be worked with.
type OptionError struct {
	Option  string
	Problem string
}

func (e *OptionError) Error() string { return fmt.Sprintf("konflux: %s: %s", e.Option, e.Problem) }

var prefixPattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

func (k Keys) check(option string) (mistakes []error) {
	for _, p := range []struct{ name, prefix string }{
		{"Test", k.Test}, {"Pipelines", k.Pipelines}, {"Resource", k.Resource}, {"PAC", k.PAC}, {"Own", k.Own},
	} {
		if len(p.prefix) > 253 || !prefixPattern.MatchString(p.prefix) {
			mistakes = append(mistakes, &OptionError{option + "." + p.name, fmt.Sprintf("%q is not a prefix of labels; want a DNS name", p.prefix)})
		}
		if p.name != "Own" && p.prefix != "" && p.prefix == k.Own {
			mistakes = append(mistakes, &OptionError{option + ".Own", fmt.Sprintf("%q is %s too; want one of its own", p.prefix, p.name)})
		}
	}
	return mistakes
}

// complete returns the options with their defaults, or every mistake.
func (o Options) complete() (Options, error) {
	mistakes := o.Keys.check("Keys")
	for i, k := range o.LegacyKeys {
		mistakes = append(mistakes, k.check(fmt.Sprintf("LegacyKeys[%d]", i))...)
	}
	if o.Skipped != pipelinerun.SkippedPasses && o.Skipped != pipelinerun.SkippedFails {
		mistakes = append(mistakes, &OptionError{"Skipped", "want SkippedPasses, as the integration-service has it, or SkippedFails, as Conforma has it"})
	}
	if o.Patience < 0 {
		mistakes = append(mistakes, &OptionError{"Patience", fmt.Sprintf("%v is negative", o.Patience)})
	}
	if o.StateBytes < 0 {
		mistakes = append(mistakes, &OptionError{"StateBytes", fmt.Sprintf("%d is negative", o.StateBytes)})
	}
	if o.Patience == 0 {
		o.Patience = pipelinerun.DefaultPatience
	}
	if o.StateBytes == 0 {
		o.StateBytes = defaultStateBytes
	}
	return o, errors.Join(mistakes...)
}

// rules returns what decides how a run ended.
func (o *Options) rules() pipelinerun.Rules {
	rules := pipelinerun.Rules{Skipped: o.Skipped, Signed: o.Signed, Patience: o.Patience, PlainPass: o.PlainPass}
	for _, k := range o.all() {
		rules.Stopped = append(rules.Stopped, k.stopped())
	}
	return rules
}

// all returns the keys in the order in which they are read.
func (o *Options) all() []Keys { return append([]Keys{o.Keys}, o.LegacyKeys...) }

// find returns what m holds under a key: the first that is there.
func (o *Options) find(m map[string]string, key func(Keys) string) (value string, ok bool) {
	for _, k := range o.all() {
		if value, ok = m[key(k)]; ok {
			return value, true
		}
	}
	return "", false
}

// is reports whether m holds a value under a key.
func (o *Options) is(m map[string]string, key func(Keys) string, value string) bool {
	got, ok := o.find(m, key)
	return ok && got == value
}
