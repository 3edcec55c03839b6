package tekton_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/pipelinerun"
	"github.com/testdag/testdag/scheduler/tekton"
)

// TestMain keeps client-go from making pauses between errors by a clock of the whole program: each bubble has its own.
func TestMain(m *testing.M) {
	utilruntime.ErrorHandlers = nil
	m.Run()
}

// story runs a test in a bubble, where time passes as soon as nobody has anything to do.
func story(t *testing.T, tell func(*testing.T, *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { tell(t, newWorld(t)) })
}

// A call is a call of Run.
type call struct {
	cancel context.CancelFunc
	end    chan end
}

type end struct {
	result scheduler.Result
	err    error
}

func start(t *testing.T, r *tekton.Runner, task scheduler.Task) *call {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	return startWith(ctx, cancel, r, task)
}

func startWith(ctx context.Context, cancel context.CancelFunc, r *tekton.Runner, task scheduler.Task) *call {
	c := &call{cancel: cancel, end: make(chan end, 1)}
	go func() {
		result, err := r.Run(ctx, task)
		c.end <- end{result, err}
	}()
	return c
}

// live checks that a call has not returned when nobody has anything to do.
func (c *call) live(t *testing.T) {
	t.Helper()
	synctest.Wait()
	select {
	case e := <-c.end:
		t.Fatalf("Run returned %+v", e)
	default:
	}
}

func (c *call) returns(t *testing.T, phase scheduler.Phase, reason string) {
	t.Helper()
	e := <-c.end
	if e.err != nil || e.result.Phase != phase || e.result.Reason != reason {
		t.Fatalf("Run returned %s, %q, %v; want %s, %q", e.result.Phase, e.result.Reason, e.err, phase, reason)
	}
}

func (c *call) returnsError(t *testing.T, want error) {
	t.Helper()
	if e := <-c.end; !errors.Is(e.err, want) {
		t.Fatalf("Run returned %+v; want the error %v", e, want)
	}
}

func isMade(t *testing.T, w *world, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, w.made(), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

var (
	block = task("block", 1)
	pass  = task("pass", 1)
)

const (
	blockName = "block-1-ybeikwyjovngvwjp"
	passName  = "pass-1-uctbjs3wr4zwaa5q"
)

// A run costs its creation and a list of its tasks. One that is there costs the list.
func TestRequests(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		r := w.runner(options())
		start(t, r, pass).returns(t, scheduler.PhasePassed, "")
		isMade(t, w, "create pipelineruns "+passName, "list taskruns tekton.dev/pipelineRun="+passName)
		start(t, r, pass).returns(t, scheduler.PhasePassed, "")
		isMade(t, w, "list taskruns tekton.dev/pipelineRun="+passName)

		first := start(t, r, block)
		first.live(t)
		second := start(t, w.runner(options()), block)
		second.live(t)
		isMade(t, w, "create pipelineruns "+blockName)
		second.cancel()
		second.returnsError(t, context.Canceled)
		isMade(t, w, "patch pipelineruns "+blockName)
		<-first.end
	})
}

// A run that is live for long is read now and then.
func TestResync(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		often := options()
		often.Resync = time.Minute
		for run, o := range []tekton.Options{options(), often} {
			r, run := w.runner(o), task("block", run+1)
			c := start(t, r, run)
			c.live(t)
			w.hear(false)
			w.made()
			begun := time.Now()
			w.end(r.Name(run.Ref), "True", "Succeeded")
			c.returns(t, scheduler.PhasePassed, "")
			isMade(t, w, "get pipelineruns "+r.Name(run.Ref))
			if passed := time.Since(begun); passed != map[int]time.Duration{1: 5 * time.Minute, 2: time.Minute}[run.Ref.Run] {
				t.Errorf("the end of %s, of which no news came, was seen after %s", run.Ref, passed)
			}
		}
	})
}

// What a PipelineRun comes to, and why.
func TestEnds(t *testing.T) {
	for name, test := range map[string]struct {
		happens func(*world)
		phase   scheduler.Phase
		reason  string
	}{
		"passes": {func(w *world) { w.end(blockName, "True", "Completed") }, scheduler.PhasePassed, ""},
		"passes with a warning": {func(w *world) {
			w.task(blockName, "scan", output("WARNING"))
			w.end(blockName, "True", "Succeeded", "scan")
		}, scheduler.PhasePassed, "passed with warnings: scan"},
		"a test fails": {func(w *world) {
			w.task(blockName, "scan", output("SUCCESS"))
			w.task(blockName, "lint", output("FAILURE"))
			w.end(blockName, "True", "Succeeded", "scan", "lint")
		}, scheduler.PhaseFailed, "failed: lint says FAILURE"},
		"a test is skipped": {func(w *world) {
			w.task(blockName, "scan", output("SKIPPED"))
			w.end(blockName, "True", "Succeeded", "scan")
		}, scheduler.PhaseFailed, "failed: scan says SKIPPED"},
		"an output that cannot be read": {func(w *world) {
			w.task(blockName, "scan", `{"name":"TEST_OUTPUT","value":"yes"}`)
			w.end(blockName, "True", "Succeeded", "scan")
		}, scheduler.PhaseFailed, "failed: the result of scan cannot be read: invalid character 'y' looking for beginning of value"},
		"times out":  {func(w *world) { w.end(blockName, "False", "PipelineRunTimeout") }, scheduler.PhaseFailed, "failed: PipelineRunTimeout"},
		"canceled":   {func(w *world) { w.end(blockName, "False", "Cancelled") }, scheduler.PhaseCanceled, "Canceled: Cancelled"},
		"is deleted": {func(w *world) { w.delete(pipelineRuns, blockName) }, scheduler.PhaseCanceled, "deleted before it was over"},
		"is deleted, and held": {func(w *world) {
			w.change(pipelineRuns, blockName, `{"metadata":{"finalizers":["chains.tekton.dev/pipelinerun"]}}`)
			w.delete(pipelineRuns, blockName)
		}, scheduler.PhaseCanceled, "deleted before it was over"},
		"ends and is deleted": {func(w *world) {
			w.end(blockName, "True", "Succeeded")
			w.delete(pipelineRuns, blockName)
		}, scheduler.PhasePassed, ""},
		"ends and is deleted, at once": {func(w *world) {
			w.hear(false)
			w.end(blockName, "True", "Succeeded")
			w.hear(true)
			w.delete(pipelineRuns, blockName)
		}, scheduler.PhasePassed, ""},
		"ends and is deleted with its tasks": {func(w *world) {
			w.end(blockName, "True", "Succeeded", "scan")
			w.delete(pipelineRuns, blockName)
		}, scheduler.PhaseFailed, "1 TaskRuns are named, and 1 of them are not there"},
		"is deleted and made anew by somebody": {func(w *world) {
			w.delete(pipelineRuns, blockName)
			w.add(pipelineRuns, `{"apiVersion":"tekton.dev/v1","kind":"PipelineRun","metadata":{"name":"`+blockName+`","labels":{"testdag.dev/scope":"build-1"}}}`)
		}, scheduler.PhaseCanceled, "deleted before it was over"},
		"its watch breaks": {func(w *world) {
			w.breakWatches()
			w.end(blockName, "True", "Succeeded")
		}, scheduler.PhasePassed, ""},
		"its watch breaks, and it is deleted while nobody looks": {func(w *world) {
			w.fail(func(verb string, _ schema.GroupVersionResource, _ string) error {
				if verb == "watch" {
					return apierrors.NewResourceExpired("too old")
				}
				return nil
			})
			w.breakWatches()
			w.delete(pipelineRuns, blockName)
		}, scheduler.PhaseCanceled, "deleted before it was over"},
		"cannot be read for a while": {func(w *world) {
			w.change(pipelineRuns, blockName, `{"status":{"conditions":"odd"}}`)
			synctest.Wait()
			away := true
			w.fail(func(verb string, _ schema.GroupVersionResource, _ string) error {
				if verb == "watch" && away {
					away = false
					return apierrors.NewResourceExpired("too old") // so that it is listed
				}
				return nil
			})
			w.breakWatches()
			time.Sleep(time.Minute)
			w.end(blockName, "True", "Succeeded")
		}, scheduler.PhasePassed, ""},
		"its watch breaks, and it ends while nobody looks": {func(w *world) {
			away := true
			w.fail(func(verb string, _ schema.GroupVersionResource, _ string) error {
				if verb == "watch" && away {
					away = false
					w.end(blockName, "True", "Succeeded")
					return apierrors.NewResourceExpired("too old")
				}
				return nil
			})
			w.breakWatches()
		}, scheduler.PhasePassed, ""},
		"has children that are no TaskRuns": {func(w *world) {
			w.end(blockName, "True", "Succeeded")
			w.change(pipelineRuns, blockName, `{"status":{"childReferences":[{"kind":"CustomRun","name":"approval"}]}}`)
		}, scheduler.PhasePassed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, w *world) {
				r := w.runner(options())
				c := start(t, r, block)
				c.live(t)
				begun := time.Now()
				test.happens(w)
				c.returns(t, test.phase, test.reason)
				if passed := time.Since(begun); passed > 2*time.Minute {
					t.Errorf("it was seen after %s", passed)
				}
				if n := r.Known(); n != 0 {
					t.Errorf("%d are followed when nobody follows", n)
				}
			})
		})
	}
}

func output(result string) string {
	return fmt.Sprintf(`{"name":"TEST_OUTPUT","value":"{\"result\":\"%s\",\"timestamp\":\"1700000000\",\"successes\":1,\"failures\":0,\"warnings\":0}"}`, result)
}

// TaskRuns that come late are waited for, and so is the signature.
func TestPatience(t *testing.T) {
	late := func(t *testing.T, w *world) *call {
		o := options()
		o.Signed, o.Patience = true, 10*time.Minute
		c := start(t, w.runner(o), block)
		c.live(t)
		w.end(blockName, "True", "Succeeded", "scan")
		time.Sleep(time.Minute)
		c.live(t)
		w.task(blockName, "scan", output("SUCCESS"))
		time.Sleep(time.Minute)
		c.live(t)
		return c
	}
	t.Run("signed", func(t *testing.T) {
		story(t, func(t *testing.T, w *world) {
			c := late(t, w)
			w.change(pipelineRuns, blockName, `{"metadata":{"annotations":{"chains.tekton.dev/signed":"true"}}}`)
			c.returns(t, scheduler.PhasePassed, "")
		})
	})
	t.Run("not signed", func(t *testing.T) {
		story(t, func(t *testing.T, w *world) {
			begun := time.Now()
			late(t, w).returns(t, scheduler.PhasePassed, "Tekton Chains did not sign it within 10m0s")
			if passed := time.Since(begun); passed != 10*time.Minute {
				t.Errorf("the signature was waited for for %s", passed)
			}
		})
	})
	t.Run("stopped while it waits", func(t *testing.T) {
		story(t, func(t *testing.T, w *world) {
			c := late(t, w)
			w.made()
			c.cancel()
			c.returns(t, scheduler.PhasePassed, "")
			isMade(t, w) // what is over is not canceled
		})
	})
	t.Run("no TaskRun", func(t *testing.T) {
		story(t, func(t *testing.T, w *world) {
			c := start(t, w.runner(options()), block)
			c.live(t)
			w.made()
			w.end(blockName, "True", "Succeeded", "scan")
			c.returns(t, scheduler.PhaseFailed, "1 TaskRuns are named, and 1 of them are not there")
			if n := len(w.made()); n > 20 {
				t.Errorf("TaskRuns were looked for %d times in 5 minutes", n)
			}
		})
	})
}

var (
	unavailable = apierrors.NewServiceUnavailable("etcd has no leader")
	quota       = apierrors.NewForbidden(pipelineRuns.GroupResource(), blockName,
		errors.New("exceeded quota: runs, requested: count/pipelineruns.tekton.dev=1, used: count/pipelineruns.tekton.dev=5, limited: count/pipelineruns.tekton.dev=5"))
	denied = &apierrors.StatusError{ErrStatus: denial(400, "")}
)

// What cannot be created now is tried again, and in the end the runner could not tell.
func TestCreationIsTriedAgain(t *testing.T) {
	for name, fault := range map[string]error{"the server": unavailable, "a quota": quota, "the network": errors.New("connection refused")} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, w *world) {
				o := options()
				o.Retry = 5 * time.Minute
				r := w.runner(o)
				until := time.Now().Add(2 * time.Minute)
				w.fail(func(verb string, _ schema.GroupVersionResource, _ string) error {
					if verb == "create" && time.Now().Before(until) {
						return fault
					}
					return nil
				})
				start(t, r, pass).returns(t, scheduler.PhasePassed, "")
				if n := len(w.made()); n > 20 {
					t.Errorf("%d requests in 2 minutes", n)
				}

				until = until.Add(time.Hour)
				begun := time.Now()
				e := <-start(t, r, block).end
				if !errors.Is(e.err, fault) || !tekton.Retryable(e.err) || time.Since(begun) > o.Retry {
					t.Errorf("got %+v after %s", e, time.Since(begun))
				}
				if w.live() != nil {
					t.Errorf("there is %q", w.live())
				}
			})
		})
	}
}

// A stop is heeded at once, also between two attempts. Whether there is something to be stopped is asked.
func TestStopBetweenAttempts(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		o := options()
		o.Retry = time.Hour
		r := w.runner(o)
		w.fail(func(verb string, _ schema.GroupVersionResource, _ string) error {
			if verb == "create" {
				return quota
			}
			return nil
		})
		c := start(t, r, block)
		time.Sleep(10 * time.Minute)
		c.live(t)
		w.made()
		stopped := time.Now()
		c.cancel()
		c.returnsError(t, context.Canceled)
		if passed := time.Since(stopped); passed != 0 {
			t.Errorf("the stop took %s", passed)
		}
		isMade(t, w, "get pipelineruns "+blockName)
	})
}

// The server may say when to come back.
func TestServerSaysWhen(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		r := w.runner(options())
		var asked []time.Time
		w.fail(func(verb string, _ schema.GroupVersionResource, _ string) error {
			if verb != "create" {
				return nil
			}
			if asked = append(asked, time.Now()); len(asked) == 1 {
				return apierrors.NewTooManyRequests("slow down", 40)
			}
			return nil
		})
		start(t, r, pass).returns(t, scheduler.PhasePassed, "")
		if len(asked) != 2 || asked[1].Sub(asked[0]) != 40*time.Second {
			t.Errorf("asked at %v", asked)
		}
	})
}

// What is refused fails at once, and says why.
func TestCreationIsRefused(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		r := w.runner(options())
		w.fail(func(verb string, _ schema.GroupVersionResource, _ string) error {
			if verb == "create" {
				return denied
			}
			return nil
		})
		w.made()
		start(t, r, block).returns(t, scheduler.PhaseFailed, "PipelineRun "+blockName+
			` is refused: admission webhook "validation.webhook.pipeline.tekton.dev" denied the request: validation failed: missing field(s): spec.tasks`)
		isMade(t, w, "create pipelineruns "+blockName)
		long := denial(403, "")
		long.Message += strings.Repeat("é", 1000)
		denied := &apierrors.StatusError{ErrStatus: long}
		w.fail(func(string, schema.GroupVersionResource, string) error { return denied })
		if e := <-start(t, r, block).end; len(e.result.Reason) > 1000 || !strings.HasSuffix(e.result.Reason, "é...") || e.err != nil {
			t.Errorf("got %+v", e)
		}
		w.made()
		start(t, r, task("nobody", 1)).returns(t, scheduler.PhaseFailed,
			"PipelineRun "+r.Name(task("nobody", 1).Ref)+` is refused: there is no pipeline for scenario "nobody"`)
		isMade(t, w)
	})
}

// A PipelineRun of the name that is not the run's is left alone.
func TestNameIsTaken(t *testing.T) {
	for name, test := range map[string]struct{ labels, annotations, owners, problem string }{
		"by one without labels": {"{}", "{}", "[]", `its label testdag.dev/run is "", not "1"`},
		"by another scope": {`{"testdag.dev/run":"1","testdag.dev/scenario":"block","testdag.dev/scope":"build-2"}`, "{}", "[]",
			`its label testdag.dev/scope is "build-2", not "build-1"`},
		"by another scenario": {`{"testdag.dev/run":"1","testdag.dev/scenario":"block","testdag.dev/scope":"build-1"}`,
			`{"testdag.dev/scenario":"blocks"}`, "[]", `its annotation testdag.dev/scenario is "blocks", not "block"`},
		"by another owner": {`{"testdag.dev/run":"1","testdag.dev/scenario":"block","testdag.dev/scope":"build-1"}`, "{}",
			`[{"apiVersion":"v1","kind":"ConfigMap","name":"build-1","uid":"other"}]`, "it is not owned by ConfigMap build-1 (4711)"},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, w *world) {
				o := options()
				o.Owner = &pipelinerun.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "build-1", UID: "4711"}
				early, late := w.runner(o), w.runner(o)
				there := early.Name(block.Ref)
				stranger := fmt.Sprintf(`{"apiVersion":"tekton.dev/v1","kind":"PipelineRun","metadata":{"name":"%s","labels":%s,"annotations":%s,"ownerReferences":%s}}`,
					there, test.labels, test.annotations, test.owners)
				w.fail(func(verb string, _ schema.GroupVersionResource, _ string) error {
					if verb == "create" && w.get(pipelineRuns, there) == nil {
						w.add(pipelineRuns, stranger) // just before
					}
					return nil
				})
				want := "PipelineRun " + there + " is there and is another one: " + test.problem + "; delete it, or begin anew under another name"
				start(t, early, block).returns(t, scheduler.PhaseFailed, want)
				synctest.Wait()
				start(t, late, block).returns(t, scheduler.PhaseFailed, want)
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				startWith(ctx, cancel, late, block).returns(t, scheduler.PhaseFailed, want)
				if got := w.live(); len(got) != 1 || w.get(pipelineRuns, there).GetAnnotations()["testdag.dev/stopped"] != "" {
					t.Errorf("what is another's was touched; there is %q", got)
				}
			})
		})
	}
}

// hear lets watches bring news, or not.
func (w *world) hear(news bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deaf = !news
}

// What a program gives a run beside what tells which run it is may be another the next time.
func TestOwnLabelsChange(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		runner := func(queue string) *tekton.Runner {
			o := options()
			o.PipelineRun = func(scheduler.Task) (run pipelinerun.PipelineRun, err error) {
				run.Labels = map[string]string{"kueue.x-k8s.io/queue-name": queue}
				return run, nil
			}
			return w.runner(o)
		}
		one, other := runner("tests"), runner("others")
		w.hear(false) // so that both create it
		first := start(t, one, block)
		first.live(t)
		second := start(t, other, block)
		second.live(t)
		isMade(t, w, "create pipelineruns "+blockName, "create pipelineruns "+blockName, "get pipelineruns "+blockName)
		w.hear(true)
		w.end(blockName, "True", "Succeeded")
		first.returns(t, scheduler.PhasePassed, "")
		second.returns(t, scheduler.PhasePassed, "")
	})
}

// A creation of which no answer came is found when it is tried again, and is not made twice.
func TestAnswerIsLost(t *testing.T) {
	lost := func(w *world) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.deaf = true
		first := true
		w.after = func(verb string, _ schema.GroupVersionResource, _ string) error {
			if verb == "create" && first {
				first = false
				return errors.New("connection reset")
			}
			return nil
		}
	}
	t.Run("and tried again", func(t *testing.T) {
		story(t, func(t *testing.T, w *world) {
			r := w.runner(options())
			lost(w)
			c := start(t, r, block)
			time.Sleep(time.Second)
			c.live(t)
			isMade(t, w, "create pipelineruns "+blockName, "create pipelineruns "+blockName, "get pipelineruns "+blockName)
			c.cancel()
			w.end(blockName, "False", "Cancelled")
			<-c.end
			if n := w.created(blockName); n != 1 {
				t.Errorf("created %d times", n)
			}
		})
	})
	t.Run("and stopped", func(t *testing.T) {
		story(t, func(t *testing.T, w *world) {
			r := w.runner(options())
			lost(w)
			w.fail(func(verb string, _ schema.GroupVersionResource, _ string) error {
				if verb == "get" {
					w.mu.Lock()
					defer w.mu.Unlock()
					w.deaf = false
				}
				return nil
			})
			c := start(t, r, block)
			synctest.Wait()
			c.cancel()
			c.returnsError(t, context.Canceled)
			if w.live() != nil || w.created(blockName) != 1 {
				t.Errorf("created %d times; there is %q", w.created(blockName), w.live())
			}
		})
	})
}

// A creation is not broken off by a stop, so that it is known whether there is something to be stopped.
func TestStopWhileItIsCreated(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(t.Context())
		w.fail(func(verb string, _ schema.GroupVersionResource, _ string) error {
			if verb == "create" {
				cancel()
			}
			return nil
		})
		startWith(ctx, cancel, w.runner(options()), block).returnsError(t, context.Canceled)
		isMade(t, w, "create pipelineruns "+blockName, "patch pipelineruns "+blockName)
		if w.live() != nil {
			t.Errorf("there is %q", w.live())
		}
	})
}

// A stop is one request, which says in one and the same write that a plan stopped the run.
func TestStop(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		o := options()
		o.CancelStatus = "Cancelled"
		for i, r := range []*tekton.Runner{w.runner(options()), w.runner(o)} {
			run := task("block", i+1)
			c := start(t, r, run)
			c.live(t)
			w.made()
			c.cancel()
			c.returnsError(t, context.Canceled)
			isMade(t, w, "patch pipelineruns "+r.Name(run.Ref))
			object := w.get(pipelineRuns, r.Name(run.Ref))
			spec := object.Object["spec"].(map[string]any)
			want := []string{"CancelledRunFinally", "Cancelled"}[i]
			if spec["status"] != want || object.GetAnnotations()["testdag.dev/stopped"] != "true" {
				t.Errorf("got spec %v and annotations %v", spec, object.GetAnnotations())
			}
		}
	})
}

// What comes of a stop when something else happens, too.
func TestStopMeets(t *testing.T) {
	for name, test := range map[string]struct {
		before func(*world) // before it is stopped
		on     func(*world) // before the first patch takes effect
		phase  scheduler.Phase
		reason string
		err    error
	}{
		"a change by Tekton": {on: func(w *world) { w.change(pipelineRuns, blockName, `{"status":{"startTime":"2026-11-24T08:00:00Z"}}`) }, err: context.Canceled},
		"its own end":        {on: func(w *world) { w.end(blockName, "True", "Succeeded") }, phase: scheduler.PhasePassed},
		"its own failure":    {on: func(w *world) { w.end(blockName, "False", "Failed") }, phase: scheduler.PhaseFailed, reason: "failed: Failed"},
		"a person's": {
			on:    func(w *world) { w.change(pipelineRuns, blockName, `{"spec":{"status":"CancelledRunFinally"}}`) },
			phase: scheduler.PhaseCanceled, reason: "Canceled: Cancelled",
		},
		"a person who deletes it": {on: func(w *world) { w.delete(pipelineRuns, blockName) }, err: context.Canceled},
		"a person who deleted it, of which no news came": {before: func(w *world) {
			w.hear(false)
			w.delete(pipelineRuns, blockName)
		}, err: context.Canceled},
		"an API server that is away": {before: func(w *world) {
			back := time.Now().Add(30 * time.Second)
			w.fail(func(string, schema.GroupVersionResource, string) error {
				if time.Now().Before(back) {
					return errors.New("connection refused")
				}
				return nil
			})
		}, err: context.Canceled},
		"an API server that does not come back": {before: func(w *world) {
			w.fail(func(string, schema.GroupVersionResource, string) error { return unavailable })
		}, err: unavailable},
		"an API server that cannot list": {on: func(w *world) {
			w.task(blockName, "scan", output("SUCCESS"))
			w.end(blockName, "True", "Succeeded", "scan")
			back := time.Now().Add(30 * time.Second)
			w.fail(func(verb string, _ schema.GroupVersionResource, _ string) error {
				if verb == "list" && time.Now().Before(back) {
					return unavailable
				}
				return nil
			})
		}, phase: scheduler.PhasePassed},
		"a rule that forbids it": {before: func(w *world) {
			w.fail(func(verb string, _ schema.GroupVersionResource, _ string) error {
				if verb == "patch" {
					return denied
				}
				return nil
			})
		}, err: denied},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, w *world) {
				c := start(t, w.runner(options()), block)
				c.live(t)
				if test.on != nil {
					w.fail(func(verb string, _ schema.GroupVersionResource, _ string) error {
						if verb == "patch" {
							w.fail(nil)
							test.on(w)
						}
						return nil
					})
				}
				if test.before != nil {
					test.before(w)
				}
				begun := time.Now()
				c.cancel()
				if test.err != nil {
					c.returnsError(t, test.err)
				} else {
					c.returns(t, test.phase, test.reason)
				}
				if passed := time.Since(begun); passed > 90*time.Second {
					t.Errorf("it took %s", passed)
				}
			})
		})
	}
}

// A run that is asked for with a context that has ended is stopped if it is there, and not begun if it is not.
func TestStoppedBeforeItIsTakenUp(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	story(t, func(t *testing.T, w *world) {
		startWith(ended, cancel, w.runner(options()), block).returnsError(t, context.Canceled)
		isMade(t, w, "get pipelineruns "+blockName)
		crashed := start(t, w.runner(options()), block)
		crashed.live(t)
		startWith(ended, cancel, w.runner(options()), block).returnsError(t, context.Canceled)
		if w.live() != nil {
			t.Errorf("there is %q", w.live())
		}
		// A process that was told of it, and one that comes later, find a run that nobody will go on with.
		const stopped = "stopped before this process began; ask for a rerun: Canceled: Cancelled"
		crashed.returns(t, scheduler.PhaseCanceled, stopped)
		start(t, w.runner(options()), block).returns(t, scheduler.PhaseCanceled, stopped)
	})
}

// The context of the Runner may be the one of the runs: they are still seen to their ends. After that it serves no more.
func TestContextOfRunner(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(t.Context())
		r, err := tekton.NewRunner(ctx, w.client(tekton.Limits{}), options())
		if err != nil {
			t.Fatal(err)
		}
		c := startWith(ctx, cancel, r, block)
		c.live(t)
		cancel()
		c.returnsError(t, context.Canceled)
		isMade(t, w, "create pipelineruns "+blockName, "patch pipelineruns "+blockName) // its end was seen through the watch
		if _, err := r.Run(t.Context(), pass); err == nil || !strings.Contains(err.Error(), "make another Runner") {
			t.Errorf("got %v", err)
		}
	})
}

// A Runner is only made when the cluster can be looked at.
func TestFirstLook(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		w.fail(func(string, schema.GroupVersionResource, string) error { return unavailable })
		begun := time.Now()
		// The context does not end, and yet nothing is left behind: the bubble would not end either.
		_, err := tekton.NewRunner(context.Background(), w.client(tekton.Limits{}), options())
		if !errors.Is(err, unavailable) || !strings.Contains(err.Error(), "could not be listed within 1m0s") || time.Since(begun) != time.Minute {
			t.Errorf("got %v after %s", err, time.Since(begun))
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := tekton.NewRunner(ctx, w.client(tekton.Limits{}), options()); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// What is there is read by pages.
func TestFirstLookIsByPages(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		r := w.runner(options())
		for run := range 3 {
			start(t, r, task("pass", run+1)).returns(t, scheduler.PhasePassed, "")
		}
		w.mu.Lock()
		w.requests = nil
		w.mu.Unlock()
		again, err := tekton.NewRunner(t.Context(), w.client(tekton.Limits{Page: 1}), options())
		if err != nil {
			t.Fatal(err)
		}
		w.mu.Lock()
		want := slices.Repeat([]string{"list pipelineruns testdag.dev/scope=build-1"}, 3)
		if diff := cmp.Diff(want, w.requests); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
		w.mu.Unlock()
		w.made()
		start(t, again, task("pass", 3)).returns(t, scheduler.PhasePassed, "")
		isMade(t, w, "list taskruns tekton.dev/pipelineRun="+again.Name(task("pass", 3).Ref))
	})
}

// A graph is carried out, killed half way, and gone on with.
func TestGraphIsGoneOnWith(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		g, err := dag.New(dag.Scenario{ID: "pass"}, dag.Scenario{ID: "block", After: dag.After("pass")}, dag.Scenario{ID: "other", After: dag.After("block")})
		if err != nil {
			t.Fatal(err)
		}
		var saved scheduler.Snapshot
		killed, kill := context.WithCancel(t.Context())
		o := scheduler.Options{Save: func(_ context.Context, s scheduler.Snapshot) error {
			if killed.Err() == nil {
				saved = s
			}
			return nil
		}}
		go func() {
			runner := w.runner(options())
			_, _ = scheduler.Run(t.Context(), g, scheduler.RunnerFunc(func(ctx context.Context, task scheduler.Task) (scheduler.Result, error) {
				if task.Ref.ID == "block" {
					go func() { _, _ = runner.Run(t.Context(), task) }()
					<-killed.Done()
					return scheduler.Result{}, nil
				}
				return runner.Run(ctx, task)
			}), o)
		}()
		for len(w.live()) == 0 {
			time.Sleep(time.Second)
		}
		kill()
		synctest.Wait()
		o.Snapshot, o.Save = saved, nil
		time.AfterFunc(time.Minute, func() { w.end(blockName, "True", "Succeeded") })
		time.AfterFunc(2*time.Minute, func() {
			for _, name := range w.live() {
				w.end(name, "False", "Failed")
			}
		})
		s, err := scheduler.Run(t.Context(), g, w.runner(options()), o)
		if err != nil {
			t.Fatal(err)
		}
		want := scheduler.Snapshot{
			"pass":  {Run: 1, Phase: scheduler.PhasePassed},
			"block": {Run: 1, Phase: scheduler.PhasePassed, Basis: []scheduler.Ref{{ID: "pass", Run: 1}}},
			"other": {Run: 1, Phase: scheduler.PhaseFailed, Basis: []scheduler.Ref{{ID: "block", Run: 1}}},
		}
		if diff := cmp.Diff(want, s, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if n := w.created(blockName); n != 1 {
			t.Errorf("created %d times", n)
		}
	})
}
