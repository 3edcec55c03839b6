package provenance

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/internal/fault"
)

// built is provenance by builder b with tasks that are pinned.
func built(refs ...string) *Provenance {
	p := &Provenance{Builder: "https://tekton.dev/chains/v2", Complete: true}
	for _, ref := range refs {
		p.Tasks = append(p.Tasks, Task{PipelineTask: "t", Ref: ref, Digest: clamavDigest})
	}
	return p
}

const goodTask = "oci://quay.io/org/task-scan:0.3"

func TestTrust(t *testing.T) {
	rules := func(r ...TaskRule) Trust { return Trust{Builders: []string{"https://tekton.dev/chains/v2"}, Tasks: r} }
	org := TaskRule{Pattern: "oci://quay.io/org/task-*"}
	change := func(change func(*TaskRule)) TaskRule {
		r := org
		change(&r)
		return r
	}
	const none, stale = "not one of Trust.Tasks", "Trust.Tasks[0], which matches it, is not in force"
	for _, tt := range []struct {
		name  string
		trust Trust
		p     *Provenance
		want  []string // reasons
	}{
		{"trusted", rules(org), built(goodTask), nil},
		{"all of several", rules(org, TaskRule{Pattern: "git+https://example.com/*"}), built(goodTask, "git+https://example.com/x.git//a"), nil},
		{"builder by pattern", Trust{Builders: []string{"https://tekton.dev/*"}, Tasks: []TaskRule{org}}, built(goodTask), nil},
		{"nobody is trusted", Trust{}, built(goodTask), []string{"not one of Trust.Builders", none}},
		{"another builder", Trust{Builders: []string{"https://tekton.dev/chains/v1"}, Tasks: []TaskRule{org}}, built(goodTask), []string{"not one of Trust.Builders"}},
		{"no builder", Trust{Builders: []string{""}, Tasks: []TaskRule{org}}, &Provenance{Complete: true, Tasks: built(goodTask).Tasks}, []string{"it names no builder"}},
		{"no task", rules(org), built(), []string{"it lists no task"}},
		{"not every task listed", rules(org), &Provenance{Builder: "https://tekton.dev/chains/v2", BuildType: "b", Tasks: built(goodTask).Tasks}, []string{`build type "b" does not list every task`}},
		{"one of two", rules(org), built(goodTask, "oci://quay.io/other/task-scan"), []string{none}},
		{"each of two", rules(org), built("oci://quay.io/x/y", "oci://quay.io/other/task-scan"), []string{none, none}},
		{"inlined", Trust{Builders: rules().Builders, Tasks: []TaskRule{{Pattern: "*"}, {Pattern: ""}}}, built(""), []string{"nothing says where its definition is from"}},
		{"not pinned", rules(org), &Provenance{Builder: "https://tekton.dev/chains/v2", Complete: true, Tasks: []Task{{Ref: goodTask}}}, []string{"no digest pins its definition"}},
		{"the digest", rules(change(func(r *TaskRule) { r.Digest = clamavDigest })), built(goodTask), nil},
		{"another digest", rules(change(func(r *TaskRule) { r.Digest = "sha256:" + attesttest.SomeHex })), built(goodTask), []string{none}},

		{"since now", rules(change(func(r *TaskRule) { r.EffectiveOn = attesttest.Noon })), built(goodTask), nil},
		{"soon", rules(change(func(r *TaskRule) { r.EffectiveOn = attesttest.Noon.Add(1) })), built(goodTask), []string{stale}},
		{"just not any more", rules(change(func(r *TaskRule) { r.ExpiresOn = attesttest.Noon })), built(goodTask), []string{stale}},
		{"still", rules(change(func(r *TaskRule) { r.ExpiresOn = attesttest.Noon.Add(1) })), built(goodTask), nil},
		{"expired, but another rule holds", rules(change(func(r *TaskRule) { r.ExpiresOn = attesttest.Noon }), org), built(goodTask), nil},
		{"a rule holds, another expired", rules(org, change(func(r *TaskRule) { r.ExpiresOn = attesttest.Noon })), built(goodTask), nil},

		{"denied later", rules(org, change(func(r *TaskRule) { r.Deny = true })), built(goodTask), []string{"Trust.Tasks[1] denies it"}},
		{"denied first", rules(change(func(r *TaskRule) { r.Deny = true }), org), built(goodTask), []string{"Trust.Tasks[0] denies it"}},
		{"another one denied", rules(org, TaskRule{Pattern: "oci://quay.io/org/task-other*", Deny: true}), built(goodTask), nil},
		{"another digest denied", rules(org, TaskRule{Pattern: "*", Digest: "sha256:" + attesttest.SomeHex, Deny: true}), built(goodTask), nil},
		{"denied from tomorrow", rules(org, change(func(r *TaskRule) { r.Deny, r.EffectiveOn = true, attesttest.Noon.Add(24*time.Hour) })), built(goodTask), nil},
		{"to deny is not to trust", rules(change(func(r *TaskRule) { r.Deny, r.ExpiresOn = true, attesttest.Noon })), built(goodTask), []string{none}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.trust.Check(tt.p, attesttest.Noon)
			if diff := cmp.Diff(tt.want, reasons(t, err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// One definition has several spellings: with the tag or the path that it was asked for by, and without, since its digest is
// enough. A rule that denies one of them denies them all, unless two tags or paths tell them apart.
func TestDenyMeetsEverySpelling(t *testing.T) {
	const whole, some = ", whatever its tag or path", "some tags or paths of it, and nothing says which one this is"
	for _, tt := range []struct{ pattern, ref, want string }{
		{"oci://quay.io/org/scan:0.3", "oci://quay.io/org/scan:0.3", "it"},
		{"oci://quay.io/org/scan:0.3", "oci://quay.io/org/scan", some},
		{"oci://quay.io/org/scan:0.3", "oci://quay.io/org/scan:0.4", ""},
		{"oci://quay.io/org/scan:0.3", "oci://quay.io/org/scanner", ""},
		{"oci://quay.io/org/scan:0.*", "oci://quay.io/org/scan", some},
		{"oci://quay.io/org/scan*-old", "oci://quay.io/org/scan", some},
		{"oci://quay.io/*:0.3", "oci://quay.io/org/scan", some},
		{"oci://quay.io/org/scan", "oci://quay.io/org/scan", "it"},
		{"oci://quay.io/org/scan", "oci://quay.io/org/scan:0.3", "oci://quay.io/org/scan" + whole},
		{"oci://quay.io/org/scan", "oci://quay.io/org/scanner:0.3", ""},
		{"oci://quay.io/org/scan*", "oci://quay.io/org/scan:0.3", "it"},
		{"oci://localhost:5000/scan", "oci://localhost:5000/scan:1", "oci://localhost:5000/scan" + whole},
		{"oci://localhost:5000/scan:1", "oci://localhost:5000/scan", some},
		{"oci://localhost:5000/scan:1", "oci://localhost:5000/other", ""},
		{"git+https://example.com/tasks.git//scan.yaml", "git+https://example.com/tasks.git", some},
		{"git+https://example.com/tasks.git//scan.yaml", "git+https://example.com/tasks.git//lint.yaml", ""},
		{"git+https://example.com/tasks.git", "git+https://example.com/tasks.git//scan.yaml", "git+https://example.com/tasks.git" + whole},
		{"git+https://example.com/tasks.git//scan.yaml", "git+https://example.com/other.git", ""},
		{"git+https://example.com/org/tasks.git*", "git+https://example.com/Org/Tasks.git//scan.yaml", "it"},
		{"git+https://example.com/Org/*.git", "git+https://EXAMPLE.com/org/tasks.git//scan.yaml", "git+https://EXAMPLE.com/org/tasks.git" + whole},
		{"git+https://example.com/org/tasks.git//Scan.yaml", "git+https://example.com/ORG/tasks.git", some},
		{"/apis/tekton.dev/v1/namespaces/x/task/y*", "/apis/tekton.dev/v1/namespaces/x/task/y@z", "it"},
	} {
		if got := denies(tt.pattern, tt.ref); got != tt.want {
			t.Errorf("%s denies of %s: %q, want %q", tt.pattern, tt.ref, got, tt.want)
		}
	}
}

func reasons(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	var got []string
	for _, err := range all {
		got = append(got, attesttest.As[*UntrustedError](t, err).Reason)
	}
	return got
}

// Only what Trust says is trusted: of the recordings the pipeline has a task that is written into it.
func TestTrustInRecordings(t *testing.T) {
	trust := Trust{
		Builders: []string{"https://tekton.dev/chains/v2"},
		Tasks:    []TaskRule{{Pattern: clamavRepo + "*"}, {Pattern: lintRepo + "//*"}},
	}
	if err := trust.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"taskrun-v1":                       nil,
		"taskrun-v2alpha3-slsa":            nil,
		"taskrun-v2alpha4-slsa-tekton":     nil,
		"pipelinerun-v1":                   {"nothing says where its definition is from"},
		"pipelinerun-v2alpha4-slsa-tekton": {"nothing says where its definition is from"},
		"pipelinerun-v2alpha4-slsa":        {`build type "https://tekton.dev/chains/v2/slsa" does not list every task`},
	} {
		if diff := cmp.Diff(want, reasons(t, trust.Check(recording(t, name), attesttest.Noon))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestUntrustedErrorText(t *testing.T) {
	for want, err := range map[string]*UntrustedError{
		`attest: builder "b" is not trusted: why`:           {Builder: "b", Reason: "why"},
		`attest: task "p" from oci://x is not trusted: why`: {Task: Task{Name: "n", PipelineTask: "p", Ref: "oci://x"}, Reason: "why"},
		`attest: task "n" is not trusted: why`:              {Task: Task{Name: "n"}, Reason: "why"},
		`attest: provenance is not trusted: why`:            {Reason: "why"},
	} {
		if got := err.Error(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestTrustValidate(t *testing.T) {
	attesttest.Field(t, Trust{
		Builders: []string{"", "*", "https://a.example*", "https://*/x", "http*", "https://a.example/*", "https://a.example"},
		Tasks: []TaskRule{
			{},
			{Pattern: "oci://quay.io*"},
			{Pattern: "*/task"},
			{Pattern: "oci://quay.io/*", Digest: "sha256:AB"},
			{Pattern: "oci://quay.io/*", Digest: "sha512:" + attesttest.SomeHex + attesttest.SomeHex},
			{Pattern: "git+https://example.com/*", Digest: lintDigest, EffectiveOn: attesttest.Noon, ExpiresOn: attesttest.Noon},
			{Pattern: "git+https://example.com/*", EffectiveOn: attesttest.Noon, ExpiresOn: attesttest.Noon.Add(1)},
			{Pattern: "/apis/tekton.dev/v1/namespaces/x/task/y@z", Digest: clamavDigest},
			{Pattern: "*", Deny: true},
			{Deny: true},
			{Pattern: "oci://quay.io/org/task-scan@sha256:" + attesttest.SomeHex, Deny: true},
			{Pattern: "git+https://git@example.com/org/*"},
		},
	}.Validate(),
		"Builders[0]", "Builders[1]", "Builders[2]", "Builders[3]", "Builders[4]",
		"Tasks[0].Pattern", "Tasks[1].Pattern", "Tasks[2].Pattern", "Tasks[3].Digest", "Tasks[4].Digest", "Tasks[5].ExpiresOn", "Tasks[9].Pattern", "Tasks[10].Pattern")
	if err := (Trust{}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestMistakesOfAProvenanceAreBounded(t *testing.T) {
	p := built()
	p.Tasks = make([]Task, 5*fault.MostMistakes)
	err := Trust{}.Check(p, attesttest.Noon)
	if n := len(reasons(t, err)); n > fault.MostMistakes+2 || n < fault.MostMistakes {
		t.Errorf("%d mistakes", n)
	}
	var u *UntrustedError
	if !errors.As(err, &u) {
		t.Error(err)
	}
}
