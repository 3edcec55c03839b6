package provenance

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/internal/pattern"
)

// Trust says which provenance is believed: who may have built, and with which tasks. The zero Trust believes nothing.
//
// In patterns a * stands for any text, also for none and for one with slashes; nothing else has a meaning of its own. It
// stands after the scheme and the host, since "oci://quay.io*" would match oci://quay.io.example.com too.
type Trust struct {
	Builders []string // ids of builders, or patterns of them: "https://tekton.dev/chains/v2"

	// Tasks are the rules that the definition of every task that ran must satisfy: one rule in force that matches it,
	// and none in force that matches it and denies.
	Tasks []TaskRule
}

// A TaskRule trusts definitions of tasks, or denies them.
type TaskRule struct {
	Pattern string // of Task.Ref: "oci://quay.io/konflux-ci/tekton-catalog/task-*"
	Digest  string // if set, only the definition with this digest: "sha256:...", or "sha1:..." of a commit

	// Deny says that no task that matches is trusted, whatever other rules say. The same definition can be asked for with a
	// tag or a path and without, by its digest alone. So a rule that denies a tag or a path denies what names none too, and a
	// rule without one denies every tag and path of what it names. Upper and lower case are the same to it. Beside a digest
	// a tag is the word of the pipeline's author alone, so a rule against one definition under any tag needs its Digest.
	Deny bool

	EffectiveOn time.Time // in force from this instant; zero: from ever
	ExpiresOn   time.Time // in force until before this instant; zero: for ever
}

// Validate returns every mistake, each a [*intoto.FieldError].
func (t Trust) Validate() error {
	var c fault.Checklist
	for i, builder := range t.Builders {
		checkPattern(&c, fmt.Sprintf("Builders[%d]", i), builder)
	}
	for i, r := range t.Tasks {
		field := fmt.Sprintf("Tasks[%d]", i)
		if r.Deny {
			c.Require(field+".Pattern", r.Pattern != "")
		} else {
			checkPattern(&c, field+".Pattern", r.Pattern)
		}
		if strings.HasPrefix(r.Pattern, bundleScheme) && strings.Contains(r.Pattern, "@") {
			c.Add(field+".Pattern", fmt.Sprintf("%q has a digest, and matches nothing; put that into Digest", r.Pattern))
		}
		if r.Digest != "" && !pinnedDigest.MatchString(r.Digest) {
			c.Add(field+".Digest", fmt.Sprintf("%q is neither sha256 nor sha1 in lower-case hex", r.Digest))
		}
		if !r.ExpiresOn.IsZero() && !r.EffectiveOn.Before(r.ExpiresOn) {
			c.Add(field+".ExpiresOn", "not later than EffectiveOn")
		}
	}
	return errors.Join(c...)
}

func checkPattern(c *fault.Checklist, field, text string) {
	switch {
	case text == "":
		c.Add(field, "required")
	case !pattern.Anchored(text):
		c.Add(field, fmt.Sprintf("%q has a * that is not behind scheme://host/", text))
	}
}

// An UntrustedError reports a builder or a task that no rule of [Trust] trusts, or that provenance does not say enough
// about.
type UntrustedError struct {
	Builder string // id, if it is the builder that is not trusted
	Task    Task   // the task that is not trusted, zero if it is the builder or the provenance as a whole
	Reason  string // why
}

func (e *UntrustedError) Error() string {
	task := e.Task.PipelineTask
	if task == "" {
		task = e.Task.Name
	}
	switch {
	case e.Task.Ref != "":
		return fmt.Sprintf("attest: task %q from %s is not trusted: %s", task, e.Task.Ref, e.Reason)
	case task != "":
		return fmt.Sprintf("attest: task %q is not trusted: %s", task, e.Reason)
	case e.Builder != "":
		return fmt.Sprintf("attest: builder %q is not trusted: %s", e.Builder, e.Reason)
	}
	return "attest: provenance is not trusted: " + e.Reason
}

// Check returns an [*UntrustedError] for the builder and for each task that is not trusted, joined.
func (t Trust) Check(p *Provenance, now time.Time) error {
	var untrusted []error
	trusts := func(builder string) bool { return pattern.Matches(builder, p.Builder) }
	switch {
	case p.Builder == "":
		untrusted = append(untrusted, &UntrustedError{Reason: "it names no builder"})
	case !slices.ContainsFunc(t.Builders, trusts):
		untrusted = append(untrusted, &UntrustedError{Builder: p.Builder, Reason: "not one of Trust.Builders"})
	}
	switch {
	case len(p.Tasks) == 0:
		untrusted = append(untrusted, &UntrustedError{Reason: "it lists no task"})
	case !p.Complete:
		untrusted = append(untrusted, &UntrustedError{Reason: fmt.Sprintf("build type %q does not list every task", p.BuildType)})
	}
	for _, task := range p.Tasks {
		reason := t.distrust(task, now)
		if reason != "" && len(untrusted) < fault.MostMistakes {
			untrusted = append(untrusted, &UntrustedError{Task: task, Reason: reason})
		}
	}
	return errors.Join(untrusted...)
}

// distrust returns why a task is not trusted, and nothing if it is.
func (t Trust) distrust(task Task, now time.Time) string {
	switch {
	case task.Ref == "":
		return "nothing says where its definition is from"
	case task.Digest == "":
		return "no digest pins its definition"
	}
	reason := "not one of Trust.Tasks"
	for i, r := range t.Tasks {
		if r.Digest != "" && r.Digest != task.Digest {
			continue
		}
		switch inForce := r.inForce(now); {
		case r.Deny:
			if why := denies(r.Pattern, task.Ref); inForce && why != "" {
				return fmt.Sprintf("Trust.Tasks[%d] denies %s", i, why)
			}
		case !pattern.Matches(r.Pattern, task.Ref):
		case inForce:
			reason = ""
		case reason != "":
			reason = fmt.Sprintf("Trust.Tasks[%d], which matches it, is not in force", i)
		}
	}
	return reason
}

func (r TaskRule) inForce(now time.Time) bool {
	return !now.Before(r.EffectiveOn) && (r.ExpiresOn.IsZero() || now.Before(r.ExpiresOn))
}
