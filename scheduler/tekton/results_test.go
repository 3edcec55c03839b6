package tekton_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/testdag/testdag/scheduler"
)

func digest(c string) string { return "sha256:" + strings.Repeat(c, 64) }

func outputs(uri, digest string) string { return fmt.Sprintf(`{"uri":%q,"digest":%q}`, uri, digest) }

// What a run left is told however it ended, and what cannot be read changes no verdict.
func TestRunLeaves(t *testing.T) {
	app := scheduler.Artifact{URI: "quay.io/team/app", Digest: digest("a")}
	result := `{"name":"ARTIFACT_OUTPUTS","value":` + outputs(app.URI, app.Digest) + `}`
	story(t, func(t *testing.T, w *world) {
		for run, test := range []struct {
			result, status string
			stop           bool
			want           scheduler.Result
		}{
			{result, "True", false, scheduler.Result{Phase: scheduler.PhasePassed, Artifacts: []scheduler.Artifact{app}}},
			{result, "False", false, scheduler.Result{Phase: scheduler.PhaseFailed, Reason: "failed: Reason", Artifacts: []scheduler.Artifact{app}}},
			{`{"name":"ARTIFACT_URI","value":"x"}`, "True", false, scheduler.Result{Phase: scheduler.PhasePassed,
				Reason: "results: ARTIFACT_URI and ARTIFACT_DIGEST of block-scan: there is no ARTIFACT_DIGEST"}},
			{`{"name":"ARTIFACT_URI","value":"x"}`, "False", false, scheduler.Result{Phase: scheduler.PhaseFailed,
				Reason: "failed: Reason; results: ARTIFACT_URI and ARTIFACT_DIGEST of block-scan: there is no ARTIFACT_DIGEST"}},
			{result, "False", true, scheduler.Result{Phase: scheduler.PhaseFailed, Reason: "failed: Reason", Artifacts: []scheduler.Artifact{app}}},
		} {
			r := w.runner(options())
			c := start(t, r, task("block", run+1))
			c.live(t)
			name := r.Name(task("block", run+1).Ref)
			w.task(name, "scan", test.result)
			w.task(name, "other", result) // of a PipelineRun that had this name before
			w.end(name, test.status, "Reason", "scan")
			if test.stop { // too late
				c.cancel()
			}
			e := <-c.end
			e.result.Reason = strings.ReplaceAll(e.result.Reason, name, "block")
			if diff := cmp.Diff(test.want, e.result, cmpopts.EquateEmpty()); diff != "" || e.err != nil {
				t.Errorf("%v (-want +got):\n%s", e.err, diff)
			}
		}
	})
}
