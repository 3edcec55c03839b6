package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/pipelinerun"
	"github.com/testdag/testdag/scheduler/schedulertest"
	"github.com/testdag/testdag/scheduler/tekton"
)

// A team is a bench on which Runners of package tekton work, in a namespace and a scope of its own.
type team struct {
	*bench
	scope string
}

var teams atomic.Int64

// team makes a namespace and a scope.
func (b *bench) team(t *testing.T) *team {
	t.Helper()
	n := teams.Add(1)
	c := b.in(t)
	c.namespace = fmt.Sprintf("team-%d", n)
	if err := c.Namespace(t.Context(), c.namespace); err != nil {
		t.Fatal(err)
	}
	return &team{c, fmt.Sprintf("scope-%d", n)}
}

// The scenarios that a team knows, by what their one task does.
var scenarios = map[dag.ID]task{
	"pass":  {name: "test", annotations: map[string]string{AnnotationResults: `{"TEST_OUTPUT":` + quote(testOutput("SUCCESS")) + `}`}, results: []string{"TEST_OUTPUT"}},
	"bad":   {name: "test", annotations: map[string]string{AnnotationResults: `{"TEST_OUTPUT":` + quote(testOutput("FAILURE")) + `}`}, results: []string{"TEST_OUTPUT"}},
	"fail":  {name: "test", annotations: map[string]string{AnnotationExitCode: "1"}},
	"slow":  {name: "test", annotations: map[string]string{AnnotationAfter: "5s"}},
	"block": {name: "test", annotations: map[string]string{AnnotationAfter: "1h"}},
	"other": {name: "test", annotations: map[string]string{AnnotationAfter: "1h"}},
}

func testOutput(result string) string {
	return `{"result":"` + result + `","timestamp":"2026-11-24T08:00:00Z","successes":1,"failures":0,"warnings":0}`
}

func quote(text string) string {
	quoted, _ := json.Marshal(text)
	return string(quoted)
}

// pipelineRun is what a scenario does. A task may declare an object as its result.
func pipelineRun(t scheduler.Task) (run pipelinerun.PipelineRun, err error) {
	k, ok := scenarios[t.Ref.ID]
	if !ok {
		return run, fmt.Errorf("there is no pipeline for scenario %q", t.Ref.ID)
	}
	run.Spec.PipelineSpec, err = json.Marshal(map[string]any{"tasks": []any{k.spec()}})
	return run, err
}

func (s *team) options() tekton.Options {
	return tekton.Options{Scope: s.scope, PipelineRun: pipelineRun, Skipped: pipelinerun.SkippedFails, Logger: zaptest.NewLogger(s.t, zaptest.Level(zap.WarnLevel))}
}

func (s *team) carrier(config *rest.Config) *tekton.Client {
	s.t.Helper()
	config.QPS = -1
	cluster, err := dynamic.NewForConfig(config)
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := tekton.NewClient(cluster, s.namespace, tekton.Limits{})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *team) runner(o tekton.Options) *tekton.Runner {
	s.t.Helper()
	r, err := tekton.NewRunner(s.t.Context(), s.carrier(s.Config()), o)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *team) runs() dynamic.ResourceInterface {
	return s.client.Resource(pipelineRuns).Namespace(s.namespace)
}

func ref(id dag.ID) scheduler.Ref { return scheduler.Ref{ID: id, Run: 1} }

// Package tekton at work on a cluster that is shared, since a start takes longer than all else. The last one kills it.
func TestTekton(t *testing.T) {
	b := newBench(t, Options{})
	for _, test := range []struct {
		name string
		run  func(*testing.T, *bench)
	}{
		{"contract", runnerContract}, {"ends", runnerEnds}, {"answers", runnerAnswers}, {"rights", runnerRights},
		{"requests", runnerRequests}, {"plans", clientCarriesOut}, {"without an API server", runnerWithoutAPIServer},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, b) })
	}
}

// A Runner keeps the contract of runners.
func runnerContract(t *testing.T, b *bench) {
	schedulertest.TestRunner(t, func(t *testing.T) schedulertest.Subject {
		s := b.team(t)
		r := s.runner(s.options())
		return schedulertest.Subject{
			Runner: r,
			Pass:   "pass", Fail: "fail", Block: "block", Other: "other",
			Again: func() scheduler.Runner { return s.runner(s.options()) },
			Executions: func(run scheduler.Ref) int {
				list, err := s.runs().List(context.Background(), metav1.ListOptions{LabelSelector: fmt.Sprintf(
					"testdag.dev/scope=%s,testdag.dev/scenario=%s,testdag.dev/run=%d", s.scope, run.ID, run.Run)})
				if err != nil {
					t.Error(err)
					return 0
				}
				return len(list.Items)
			},
			Left: s.live,
		}
	})
}

// live returns the PipelineRuns that are not over.
func (s *team) live() (names []string) {
	list, err := s.runs().List(context.Background(), metav1.ListOptions{})
	if err != nil {
		s.t.Error(err)
	}
	for i := range list.Items {
		if status, _ := condition(&list.Items[i]); status != "True" && status != "False" {
			names = append(names, list.Items[i].GetName())
		}
	}
	return names
}

// A call is a call of Run.
type call struct {
	name   string
	cancel context.CancelFunc
	end    chan end
}

type end struct {
	result scheduler.Result
	err    error
}

func (s *team) start(r *tekton.Runner, id dag.ID) *call {
	ctx, cancel := context.WithCancel(context.Background())
	s.t.Cleanup(cancel)
	c := &call{name: r.Name(ref(id)), cancel: cancel, end: make(chan end, 1)}
	go func() {
		result, err := r.Run(ctx, scheduler.Task{Ref: ref(id)})
		c.end <- end{result, err}
	}()
	return c
}

func (c *call) wait(t *testing.T) end {
	t.Helper()
	select {
	case e := <-c.end:
		return e
	case <-time.After(2 * time.Minute):
		t.Fatalf("the run %s does not end", c.name)
		return end{}
	}
}

func (c *call) returns(t *testing.T, phase scheduler.Phase, reason string) {
	t.Helper()
	e := c.wait(t)
	if e.err != nil || e.result.Phase != phase || !strings.Contains(e.result.Reason, reason) || reason == "" && e.result.Reason != "" {
		t.Errorf("%s returned %s, %q, %v; want %s, %q", c.name, e.result.Phase, e.result.Reason, e.err, phase, reason)
	}
}

func (s *team) patch(resource schema.GroupVersionResource, name, patch string, subresources ...string) {
	s.t.Helper()
	_, err := s.client.Resource(resource).Namespace(s.namespace).Patch(s.t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, subresources...)
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *team) delete(resource schema.GroupVersionResource, name string) {
	s.t.Helper()
	if err := s.client.Resource(resource).Namespace(s.namespace).Delete(s.t.Context(), name, metav1.DeleteOptions{}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *team) apply(format string, args ...any) {
	s.t.Helper()
	if err := s.Apply(s.t.Context(), fmt.Appendf(nil, format, args...)); err != nil {
		s.t.Fatal(err)
	}
}

// What happens to a run from outside, and what comes of it.
func runnerEnds(t *testing.T, b *bench) {
	for name, test := range map[string]struct {
		scenario dag.ID
		happens  func(*team, string)
		phase    scheduler.Phase
		reason   string
	}{
		"a task fails":         {"fail", nil, scheduler.PhaseFailed, "failed: Failed: Tasks Completed: 1 (Failed: 1"},
		"a test fails":         {"bad", nil, scheduler.PhaseFailed, "failed: test says FAILURE"},
		"canceled by a person": {"block", func(s *team, name string) { s.patch(pipelineRuns, name, `{"spec":{"status":"CancelledRunFinally"}}`) }, scheduler.PhaseCanceled, "Canceled: Cancelled"},
		"deleted":              {"block", func(s *team, name string) { s.delete(pipelineRuns, name) }, scheduler.PhaseCanceled, "deleted before it was over"},
		"its pod is deleted, and made anew by Tekton":     {"slow", func(s *team, name string) { s.delete(pods, taskRun(name, "test")+"-pod") }, scheduler.PhasePassed, ""},
		"its TaskRun is deleted, and made anew by Tekton": {"slow", func(s *team, name string) { s.delete(taskRuns, taskRun(name, "test")) }, scheduler.PhasePassed, ""},
		"its TaskRun is canceled": {"block", func(s *team, name string) {
			s.patch(taskRuns, taskRun(name, "test"), `{"spec":{"status":"TaskRunCancelled"}}`)
		}, scheduler.PhaseCanceled, "Canceled: Cancelled: Tasks Completed: 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := b.team(t)
			c := s.start(s.runner(s.options()), test.scenario)
			if test.happens != nil {
				s.bench.runs(c.name, "test")
				test.happens(s, c.name)
			}
			c.returns(t, test.phase, test.reason)
		})
	}
}

// What the API server answers to a creation, and what comes of it.
func runnerAnswers(t *testing.T, b *bench) {

	t.Run("a quota", func(t *testing.T) {
		t.Parallel()
		s := b.team(t)
		s.apply(`{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"runs","namespace":"%s"},"spec":{"hard":{"count/pipelineruns.tekton.dev":"1"}}}`, s.namespace)
		used := func(n int) {
			s.patch(quotas, "runs", fmt.Sprintf(`{"status":{"hard":{"count/pipelineruns.tekton.dev":"1"},"used":{"count/pipelineruns.tekton.dev":"%d"}}}`, n), "status")
		}
		used(1)
		s.refuses("forbidden: exceeded quota: runs", `{"apiVersion":"tekton.dev/v1","kind":"PipelineRun","metadata":{"name":"probe"},"spec":{"pipelineRef":{"name":"none"}}}`)
		o := s.options()
		o.Retry = 2 * time.Second
		e := s.start(s.runner(o), "pass").wait(t)
		if !tekton.Retryable(e.err) || !strings.Contains(e.err.Error(), "exceeded quota: runs") {
			t.Errorf("got %+v", e)
		}
		c := s.start(s.runner(s.options()), "pass")
		time.Sleep(time.Second) // to be refused; if it takes longer, less is tested
		used(0)
		c.returns(t, scheduler.PhasePassed, "")
	})

	t.Run("a policy", func(t *testing.T) {
		t.Parallel()
		s := b.team(t)
		s.apply(`{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingAdmissionPolicy","metadata":{"name":"%[1]s"},"spec":{
			"matchConstraints":{"resourceRules":[{"apiGroups":["tekton.dev"],"apiVersions":["v1"],"operations":["CREATE"],"resources":["pipelineruns"]}]},
			"validations":[{"expression":"has(object.metadata.labels) && 'approved' in object.metadata.labels","message":"not approved"}]}}`, s.namespace)
		s.apply(`{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingAdmissionPolicyBinding","metadata":{"name":"%[1]s"},"spec":{
			"policyName":"%[1]s","validationActions":["Deny"],"matchResources":{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"%[1]s"}}}}}`, s.namespace)
		s.refuses("ValidatingAdmissionPolicy", `{"apiVersion":"tekton.dev/v1","kind":"PipelineRun","metadata":{"name":"probe"},"spec":{"pipelineRef":{"name":"none"}}}`)
		r := s.runner(s.options())
		s.start(r, "pass").returns(t, scheduler.PhaseFailed, fmt.Sprintf(
			`PipelineRun %s is refused: pipelineruns.tekton.dev %[1]q is forbidden: ValidatingAdmissionPolicy '%s' with binding '%[2]s' denied request: not approved`, r.Name(ref("pass")), s.namespace))
	})

	t.Run("a policy that cannot be evaluated", func(t *testing.T) {
		t.Parallel()
		s := b.team(t)
		s.apply(`{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingAdmissionPolicy","metadata":{"name":"%[1]s"},"spec":{
			"paramKind":{"apiVersion":"v1","kind":"ConfigMap"},
			"matchConstraints":{"resourceRules":[{"apiGroups":["tekton.dev"],"apiVersions":["v1"],"operations":["CREATE"],"resources":["pipelineruns"]}]},
			"validations":[{"expression":"params.data.allowed == 'yes'"}]}}`, s.namespace)
		s.apply(`{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingAdmissionPolicyBinding","metadata":{"name":"%[1]s"},"spec":{
			"policyName":"%[1]s","validationActions":["Deny"],"paramRef":{"name":"rules","namespace":"%[1]s","parameterNotFoundAction":"Deny"},
			"matchResources":{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"%[1]s"}}}}}`, s.namespace)
		s.refuses("failed to configure binding", `{"apiVersion":"tekton.dev/v1","kind":"PipelineRun","metadata":{"name":"probe"},"spec":{"pipelineRef":{"name":"none"}}}`)
		c := s.start(s.runner(s.options()), "pass")
		time.Sleep(time.Second) // to be refused; if it takes longer, less is tested
		s.apply(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"rules","namespace":"%s"},"data":{"allowed":"yes"}}`, s.namespace)
		c.returns(t, scheduler.PhasePassed, "")
	})

	t.Run("a webhook that cannot be reached", func(t *testing.T) {
		t.Parallel()
		s := b.team(t)
		s.apply(`{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingWebhookConfiguration","metadata":{"name":"%[1]s"},"webhooks":[{
			"name":"nobody.example.com","clientConfig":{"url":"https://127.0.0.1:1/"},"failurePolicy":"Fail","sideEffects":"None","admissionReviewVersions":["v1"],
			"rules":[{"apiGroups":["tekton.dev"],"apiVersions":["v1"],"operations":["CREATE"],"resources":["pipelineruns"]}],
			"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"%[1]s"}}}]}`, s.namespace)
		s.refuses("failed calling webhook", `{"apiVersion":"tekton.dev/v1","kind":"PipelineRun","metadata":{"name":"probe"},"spec":{"pipelineRef":{"name":"none"}}}`)
		c := s.start(s.runner(s.options()), "pass")
		time.Sleep(time.Second) // to be refused; if it takes longer, less is tested
		webhooks := s.client.Resource(schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingwebhookconfigurations"})
		if err := webhooks.Delete(t.Context(), s.namespace, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		c.returns(t, scheduler.PhasePassed, "")
	})

	t.Run("what is invalid", func(t *testing.T) {
		t.Parallel()
		s := b.team(t)
		o := s.options()
		for reason, spoil := range map[string]func(*pipelinerun.PipelineRun){
			"metadata.annotations":             func(r *pipelinerun.PipelineRun) { r.Annotations = map[string]string{"no key!": ""} },
			"spec.timeouts":                    func(r *pipelinerun.PipelineRun) { r.Spec.Timeouts = json.RawMessage(`"long"`) },
			"limit is 3145728":                 func(r *pipelinerun.PipelineRun) { r.Spec.Params = large(4 << 20) },
			"etcdserver: request is too large": func(r *pipelinerun.PipelineRun) { r.Spec.Params = large(1800 << 10) },
			"message larger than max":          func(r *pipelinerun.PipelineRun) { r.Spec.Params = large(2500 << 10) },
			"json: error calling MarshalJSON":  func(r *pipelinerun.PipelineRun) { r.Spec.Timeouts = json.RawMessage(`{`) },
		} {
			o.PipelineRun = func(t scheduler.Task) (pipelinerun.PipelineRun, error) {
				run, err := pipelineRun(t)
				spoil(&run)
				return run, err
			}
			s.start(s.runner(o), "pass").returns(t, scheduler.PhaseFailed, reason)
		}
	})

	t.Run("a name that is taken", func(t *testing.T) {
		t.Parallel()
		s := b.team(t)
		early := s.runner(s.options())
		name := early.Name(ref("block"))
		s.apply(`{"apiVersion":"tekton.dev/v1","kind":"PipelineRun","metadata":{"name":"%s","namespace":"%s"},"spec":{"pipelineSpec":{"tasks":[%s]}}}`,
			name, s.namespace, marshal(scenarios["block"].spec()))
		s.bench.runs(name, "test")
		for _, r := range []*tekton.Runner{early, s.runner(s.options())} {
			s.start(r, "block").returns(t, scheduler.PhaseFailed, `is there and is another one: its label testdag.dev/run is "", not "1"; delete it`)
		}
		if live := s.live(); !cmp.Equal(live, []string{name}) {
			t.Errorf("there is %q", live)
		}
	})

	t.Run("no namespace", func(t *testing.T) {
		t.Parallel()
		s := b.team(t)
		s.namespace = "nowhere"
		o := s.options()
		o.Retry = time.Second
		if e := s.start(s.runner(o), "pass").wait(t); !tekton.Retryable(e.err) || !apierrors.IsNotFound(e.err) {
			t.Errorf("got %+v", e)
		}
	})
}

var (
	quotas     = schema.GroupVersionResource{Version: "v1", Resource: "resourcequotas"}
	configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
)

// large is a parameter of so many bytes.
func large(bytes int) []pipelinerun.Param {
	return []pipelinerun.Param{{Name: "large", Value: json.RawMessage(quote(strings.Repeat("a", bytes)))}}
}

func marshal(v any) []byte {
	text, _ := json.Marshal(v)
	return text
}

// refuses waits until the API server refuses to create an object, as what it was told takes a moment to be in force.
func (s *team) refuses(message, object string) {
	s.t.Helper()
	probe := &unstructured.Unstructured{}
	if err := probe.UnmarshalJSON([]byte(object)); err != nil {
		s.t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for {
		_, err := s.runs().Create(s.t.Context(), probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil && strings.Contains(err.Error(), message) {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the API server does not refuse it: %v", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// The rights that the documentation names are enough, and without them a Runner says what is missing.
func runnerRights(t *testing.T, b *bench) {
	s := b.team(t)
	as := func(user string) *rest.Config {
		config := s.Config()
		config.Impersonate = rest.ImpersonationConfig{UserName: user}
		return config
	}
	o := s.options()
	o.Retry = 2 * time.Second
	if _, err := tekton.NewRunner(t.Context(), s.carrier(as("nobody")), o); !apierrors.IsForbidden(err) || !tekton.Retryable(err) {
		t.Errorf("got %v", err)
	}
	allow := func(user, rules string) {
		s.apply(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"%s","namespace":"%s"},"rules":[%s]}`, user, s.namespace, rules)
		s.apply(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"%[1]s","namespace":"%[2]s"},
			"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"%[1]s"},"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"%[1]s"}]}`, user, s.namespace)
	}
	allow("reader", `{"apiGroups":["tekton.dev"],"resources":["pipelineruns"],"verbs":["list","watch"]}`)
	allow("runner", `{"apiGroups":["tekton.dev"],"resources":["pipelineruns"],"verbs":["create","get","list","watch","patch"]},
		{"apiGroups":["tekton.dev"],"resources":["taskruns"],"verbs":["list"]}`)
	runner := func(user string) (r *tekton.Runner) {
		for deadline := time.Now().Add(time.Minute); ; { // rights take a moment to be in force
			r, err := tekton.NewRunner(t.Context(), s.carrier(as(user)), o)
			if err == nil {
				return r
			}
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
	}
	e := s.start(runner("reader"), "pass").wait(t)
	if !apierrors.IsForbidden(e.err) || !tekton.Retryable(e.err) || !strings.Contains(e.err.Error(), `User "reader" cannot create resource "pipelineruns"`) {
		t.Errorf("got %+v", e)
	}
	o.Resync = time.Second
	r := runner("runner")
	s.start(r, "pass").returns(t, scheduler.PhasePassed, "")
	s.start(runner("runner"), "pass").returns(t, scheduler.PhasePassed, "")
	c := s.start(r, "block")
	s.bench.runs(c.name, "test")
	time.Sleep(2 * time.Second) // to be read
	c.cancel()
	if e := c.wait(t); !errors.Is(e.err, context.Canceled) {
		t.Errorf("got %+v", e)
	}
	if live := s.live(); live != nil {
		t.Errorf("there is %q", live)
	}
}

// A counter counts requests.
type counter struct {
	mu    sync.Mutex
	made  []string
	inner http.RoundTripper
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	_, resource, _ := strings.Cut(r.URL.Path, "/namespaces/")
	_, resource, _ = strings.Cut(resource, "/")
	c.made = append(c.made, r.Method+" "+resource)
	c.mu.Unlock()
	return c.inner.RoundTrip(r)
}

// A run costs two requests, one more if it is stopped.
func runnerRequests(t *testing.T, b *bench) {
	s := b.team(t)
	count := &counter{}
	config := s.Config()
	config.Wrap(func(inner http.RoundTripper) http.RoundTripper {
		count.inner = inner
		return count
	})
	r, err := tekton.NewRunner(t.Context(), s.carrier(config), s.options())
	if err != nil {
		t.Fatal(err)
	}
	s.start(r, "pass").returns(t, scheduler.PhasePassed, "")
	c := s.start(r, "block")
	s.bench.runs(c.name, "test")
	time.Sleep(2 * time.Second) // for the watch to tell of what Tekton wrote
	c.cancel()
	<-c.end
	want := []string{"POST pipelineruns", "GET taskruns", "POST pipelineruns", "PATCH pipelineruns/" + c.name, "GET taskruns"}
	count.mu.Lock()
	defer count.mu.Unlock()
	made := slices.DeleteFunc(count.made, func(r string) bool { return r == "GET pipelineruns" }) // the watch
	if diff := cmp.Diff(want, made); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The API server is away for a while, in the middle of runs.
func runnerWithoutAPIServer(t *testing.T, b *bench) {
	s := b.team(t)
	r := s.runner(s.options())
	slow, block := s.start(r, "slow"), s.start(r, "block")
	s.bench.runs(slow.name, "test")
	s.bench.runs(block.name, "test")
	if err := s.Kill(APIServer); err != nil {
		t.Fatal(err)
	}
	block.cancel()
	late := s.start(r, "pass")
	time.Sleep(15 * time.Second)
	if err := s.StartAgain(t.Context(), APIServer); err != nil {
		t.Fatal(err)
	}
	slow.returns(t, scheduler.PhasePassed, "")
	late.returns(t, scheduler.PhasePassed, "")
	if e := block.wait(t); !errors.Is(e.err, context.Canceled) {
		t.Errorf("got %+v", e)
	}
	if live := s.live(); live != nil {
		t.Errorf("there is %q", live)
	}
}

// What tasks say that they left is the result's, in both forms; with Chains a run lasts until it is signed.
func TestTektonWithChains(t *testing.T) {
	b := newBench(t, Options{Chains: "in-toto"})
	s := b.team(t)
	image := s.push("app")
	artifact := scheduler.Artifact{URI: image.Context().Name(), Digest: image.DigestStr()}
	o := s.options()
	o.Signed = true
	o.PipelineRun = func(scheduler.Task) (run pipelinerun.PipelineRun, err error) {
		text := scenarios["pass"]
		text.annotations = map[string]string{AnnotationResults: string(marshal(map[string]string{"ARTIFACT_URI": artifact.URI, "ARTIFACT_DIGEST": artifact.Digest}))}
		text.results = []string{"ARTIFACT_URI", "ARTIFACT_DIGEST"}
		object := scenarios["pass"]
		object.name = "object"
		object.annotations = map[string]string{AnnotationResults: string(marshal(map[string]any{"SCAN_ARTIFACT_OUTPUTS": map[string]string{
			"uri": artifact.URI, "digest": artifact.Digest, "isBuildArtifact": "true"}}))}
		object.results = nil
		spec := object.spec()
		property := map[string]any{"type": "string"}
		spec["taskSpec"].(map[string]any)["results"] = []any{map[string]any{"name": "SCAN_ARTIFACT_OUTPUTS", "type": "object",
			"properties": map[string]any{"uri": property, "digest": property, "isBuildArtifact": property}}}
		run.Spec.PipelineSpec, err = json.Marshal(map[string]any{"tasks": []any{text.spec(), spec}})
		return run, err
	}
	c := s.start(s.runner(o), "pass")
	e := c.wait(t)
	want := scheduler.Result{Phase: scheduler.PhasePassed, Artifacts: []scheduler.Artifact{artifact}}
	if diff := cmp.Diff(want, e.result); diff != "" || e.err != nil {
		t.Errorf("%v (-want +got):\n%s", e.err, diff)
	}
	run, err := s.runs().Get(t.Context(), c.name, metav1.GetOptions{})
	if err != nil || run.GetAnnotations()["chains.tekton.dev/signed"] != "true" {
		t.Errorf("the run is over, and has the annotations %v, %v", run.GetAnnotations(), err)
	}
}

// Plans are carried out by the rules of a real API server: one that is out of date is not, not even if it changes nothing.
func clientCarriesOut(t *testing.T, b *bench) {
	s := b.team(t)
	c := s.carrier(s.Config())
	s.apply(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"graph","namespace":"%s","labels":{"rerun":"all"},"annotations":{"old":"1"}}}`, s.namespace)
	read := func() tekton.Object {
		object, err := s.client.Resource(configMaps).Namespace(s.namespace).Get(t.Context(), "graph", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return tekton.Object{Resource: configMaps, Name: "graph", ResourceVersion: object.GetResourceVersion()}
	}
	run := func(name string, id dag.ID) pipelinerun.PipelineRun {
		run, err := pipelineRun(scheduler.Task{Ref: ref(id)})
		if err != nil {
			t.Fatal(err)
		}
		run.Name, run.Labels, run.Finalizers = name, map[string]string{"graph": "graph"}, []string{"testdag.example.com/run", "example.com/other"}
		return run
	}
	old := read()
	plan := pipelinerun.Changes{Update: pipelinerun.Update{Annotations: map[string]string{"state": "1"}, RemoveAnnotations: []string{"old"}, RemoveLabels: []string{"rerun"}},
		Create: []pipelinerun.PipelineRun{run("a", "pass"), run("b", "block")}}
	for range 2 { // a controller that died after it had carried it out makes the same plan for what it reads
		if refused, err := c.CarryOut(t.Context(), read(), plan); err != nil || refused != nil {
			t.Fatal(refused, err)
		}
	}
	var conflict *tekton.ConflictError
	for _, plan := range []pipelinerun.Changes{plan, {Create: []pipelinerun.PipelineRun{run("c", "pass")}}} {
		if _, err := c.CarryOut(t.Context(), old, plan); !errors.As(err, &conflict) {
			t.Errorf("a plan that is out of date: %v", err)
		}
	}
	b.in(t).absent(pipelineRuns, "c")
	s.ended("a")
	s.bench.runs("b", "test")
	mark := map[string]string{"testdag.example.com/stopped": "true"}
	end := pipelinerun.Changes{Cancel: []pipelinerun.Cancellation{{Name: "a", Annotations: mark}, {Name: "b", Annotations: mark}, {Name: "c", Annotations: mark}}, Release: []string{"a", "c"}, Finalizers: []string{"testdag.example.com/run"}}
	for range 2 {
		if _, err := c.CarryOut(t.Context(), read(), end); err != nil {
			t.Error(err)
		}
	}
	s.ended("b")
	runs, tasks, err := c.Runs(t.Context(), "graph=graph")
	if err != nil || len(runs) != 2 || len(tasks) != 2 {
		t.Fatalf("%d PipelineRuns, %d TaskRuns, %v", len(runs), len(tasks), err)
	}
	if runs[0].Annotations["testdag.example.com/stopped"] != "" || !cmp.Equal(runs[0].Finalizers, []string{"example.com/other"}) {
		t.Errorf("a, which was over, has %v and %q", runs[0].Annotations, runs[0].Finalizers)
	}
	if runs[1].Annotations["testdag.example.com/stopped"] != "true" || runs[1].Spec.Status != "CancelledRunFinally" || len(runs[1].Finalizers) != 2 {
		t.Errorf("b, which was live, has %v, %q and %q", runs[1].Annotations, runs[1].Spec.Status, runs[1].Finalizers)
	}
	few, err := tekton.NewClient(s.client, s.namespace, tekton.Limits{Page: 1})
	if err != nil {
		t.Fatal(err)
	}
	if runs, tasks, err := few.Runs(t.Context(), "graph=graph"); err != nil || len(runs) != 2 || len(tasks) != 2 {
		t.Errorf("by pages: %d PipelineRuns, %d TaskRuns, %v", len(runs), len(tasks), err)
	}
}
