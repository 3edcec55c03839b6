package tekton_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/testdag/testdag/scheduler/pipelinerun"
	"github.com/testdag/testdag/scheduler/tekton"
)

// All mistakes are told at once.
func TestMistakes(t *testing.T) {
	lines := func(err error) []string {
		if err == nil {
			return nil
		}
		for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
			if tekton.Retryable(e) {
				t.Errorf("%v is retryable", e)
			}
		}
		return strings.Split(err.Error(), "\n")
	}
	_, err := tekton.NewClient(nil, "", tekton.Limits{Timeout: -1, Page: -2, Objects: -3})
	want := []string{
		"tekton: the cluster is nil; make one with dynamic.NewForConfig",
		"tekton: the namespace is empty; name the one of the PipelineRuns",
		"tekton: Limits.Timeout is -1ns; want 0 or more",
		"tekton: Limits.Page is -2; want 0 or more",
		"tekton: Limits.Objects is -3; want 0 or more",
	}
	if diff := cmp.Diff(want, lines(err)); diff != "" {
		t.Errorf("NewClient (-want +got):\n%s", diff)
	}
	_, err = tekton.NewRunner(t.Context(), nil, tekton.Options{
		Owner: &pipelinerun.OwnerReference{Kind: "ConfigMap"}, Prefix: "No Prefix", Patience: -1, CancelStatus: "Stop", Retry: -1, Resync: -1,
	})
	want = []string{
		"tekton: the client is nil; make one with NewClient",
		"tekton: Options.Scope is empty; give what tells these runs from those of others",
		"tekton: Options.PipelineRun is nil; set it to what returns what a run does",
		"tekton: Options.Skipped is not given; want pipelinerun.SkippedPasses, as the integration-service has it, or pipelinerun.SkippedFails, as Conforma has it",
		"tekton: Options.Owner lacks one of apiVersion, kind, name and uid",
		`tekton: Options.Prefix "No Prefix" is no prefix of labels: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`,
		"tekton: Options.Patience is -1ns; want 0 or more",
		`tekton: Options.CancelStatus is "Stop"; want one of CancelledRunFinally, Cancelled, StoppedRunFinally`,
		"tekton: Options.Retry is -1ns; want 0 or more",
		"tekton: Options.Resync is -1ns; want 0 or more",
	}
	if diff := cmp.Diff(want, lines(err)); diff != "" {
		t.Errorf("NewRunner (-want +got):\n%s", diff)
	}
}

// The log tells what is done and what fails, in constant messages.
func TestLog(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		core, logs := observer.New(zap.DebugLevel)
		o := options()
		o.Logger = zap.New(core)
		r := w.runner(o)
		failed := false
		w.fail(func(verb string, _ schema.GroupVersionResource, _ string) error {
			if verb == "create" && !failed {
				failed = true
				return errors.New("connection reset")
			}
			return nil
		})
		c := start(t, r, block)
		c.live(t)
		second := start(t, w.runner(o), block)
		second.live(t)
		c.cancel()
		c.returnsError(t, context.Canceled)
		var got []string
		for _, entry := range logs.All() {
			run, _ := entry.ContextMap()["run"].(string)
			got = append(got, entry.Level.String()+" "+entry.Message+" "+run)
		}
		want := []string{"warn request failed block#1", "info PipelineRun created block#1", "info PipelineRun taken up block#1", "info PipelineRun told to end block#1"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
