package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/konflux"
	"github.com/testdag/testdag/scheduler/pipelinerun"
	"github.com/testdag/testdag/scheduler/tekton"
)

// A reconciler carries out the graph of one object after the other. It keeps nothing that matters: what is refused while
// it is down is refused again.
type reconciler struct {
	kind    kind
	options konflux.Options
	cluster client.Client // reads from the cache
	events  events.EventRecorder
	metrics *metrics
	log     *zap.Logger
	now     func() time.Time

	requests           dynamic.Interface // for what is carried out
	timeout            time.Duration     // of a request
	template, timeouts json.RawMessage   // of PipelineRuns

	refused sync.Map // object's name: names of runs that are refused, and why, as a map[string]string
}

// Reconcile does what is to be done now about one object. It is called again when the object, one of its runs or what it
// names has changed, and at the time that it asks for.
func (r *reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	object := r.kind.one()
	err := r.cluster.Get(ctx, request.NamespacedName, object)
	if client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, fmt.Errorf("reading the object: %w", err)
	}
	gone := err != nil || object.GetDeletionTimestamp() != nil
	runs, tasks, err := r.runs(ctx, request.NamespacedName)
	if err != nil {
		return reconcile.Result{}, err
	}
	if err := r.letGo(ctx, request.Namespace, r.strangers(runs, object, gone)); err != nil {
		return reconcile.Result{}, err
	}
	if gone || r.finished(object) {
		r.refused.Delete(request.NamespacedName)
		return reconcile.Result{}, nil
	}
	plan, err := r.decide(ctx, object, runs, tasks)
	if err != nil {
		return reconcile.Result{}, r.doubt(object, err)
	}
	if plan.Changes.IsZero() {
		return reconcile.Result{RequeueAfter: r.until(plan.Wake)}, r.conclude(ctx, object, plan)
	}
	return r.carryOut(ctx, object, plan)
}

// runs returns the PipelineRuns of an object, whoever they belong to, and those of their TaskRuns that are over. One
// that is not may be what the cache still holds of one that has ended and has a result: then it counts as one that is
// not there yet.
func (r *reconciler) runs(ctx context.Context, name types.NamespacedName) ([]pipelineRun, []pipelinerun.TaskRun, error) {
	var runs pipelineRunList
	var tasks taskRunList
	ours := []client.ListOption{client.InNamespace(name.Namespace), client.MatchingFields{bySnapshot: name.Name}}
	if err := errors.Join(r.cluster.List(ctx, &runs, ours...), r.cluster.List(ctx, &tasks, ours...)); err != nil {
		return nil, nil, fmt.Errorf("listing runs: %w", err)
	}
	ended := make([]pipelinerun.TaskRun, 0, len(tasks.Items))
	for i := range tasks.Items {
		if over(tasks.Items[i].Status.Conditions) {
			ended = append(ended, toTaskRun(&tasks.Items[i]))
		}
	}
	return runs.Items, ended, nil
}

// outcomeKey is the annotation that says that all is over, and how.
func (r *reconciler) outcomeKey() string { return r.options.Keys.Own + "/outcome" }

// finished reports whether all is over and nobody asks for a rerun. What is finished is left alone: a graph that changes
// afterwards is for the next object.
func (r *reconciler) finished(o client.Object) bool {
	_, marked := o.GetAnnotations()[r.outcomeKey()]
	_, asked := o.GetLabels()[r.options.Keys.Test+"/run"]
	return marked && !asked
}

// decide reads what the object holds or names, and asks the rules.
func (r *reconciler) decide(ctx context.Context, o client.Object, runs []pipelineRun, tasks []pipelinerun.TaskRun) (*konflux.Plan, error) {
	begin := time.Now()
	defer func() { r.metrics.decisions.Observe(time.Since(begin).Seconds()) }()
	in, err := r.kind.read(ctx, r.cluster, o)
	if err != nil {
		return nil, err
	}
	in.PipelineRuns = make([]pipelinerun.PipelineRun, len(runs))
	for i := range runs {
		in.PipelineRuns[i] = toPipelineRun(&runs[i])
	}
	in.TaskRuns = tasks
	if refused, ok := r.refused.Load(client.ObjectKeyFromObject(o)); ok {
		in.Refused = refused.(map[string]string)
	}
	return konflux.Next(in, r.options, r.now())
}

// doubt returns an error that keeps the object from being decided about. What somebody has to mend is not tried again
// until it is changed.
func (r *reconciler) doubt(o client.Object, err error) error {
	var status apierrors.APIStatus
	if errors.As(err, &status) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	r.tell(o, []news{problem(err)})
	return reconcile.TerminalError(err)
}

// until returns how long it is until a time; 0 if there is none.
func (r *reconciler) until(wake time.Time) time.Duration {
	if wake.IsZero() {
		return 0
	}
	return max(wake.Sub(r.now()), time.Millisecond)
}

// carryOut does what a plan says. What is begun is finished, also when the program is asked to end.
func (r *reconciler) carryOut(ctx context.Context, o client.Object, plan *konflux.Plan) (reconcile.Result, error) {
	ctx = context.WithoutCancel(ctx)
	name := client.ObjectKeyFromObject(o)
	carrier, err := r.carrier(name.Namespace)
	if err != nil {
		return reconcile.Result{}, err
	}
	if _, marked := o.GetAnnotations()[r.outcomeKey()]; marked && !plan.Update.IsZero() {
		plan.Update.RemoveAnnotations = append(plan.Update.RemoveAnnotations, r.outcomeKey())
	}
	r.furnish(o, plan.Create)
	version := tekton.Object{Resource: r.kind.resource(), Name: name.Name, ResourceVersion: o.GetResourceVersion()}
	refused, err := carrier.CarryOut(ctx, version, plan.Changes)
	if conflict := new(tekton.ConflictError); errors.As(err, &conflict) {
		r.metrics.conflicts.Inc()
		return reconcile.Result{RequeueAfter: time.Second}, nil // the change that was missed comes before
	}
	if err != nil && !begun(err) {
		return reconcile.Result{}, err
	}
	r.count(plan, refused)
	r.tell(o, whatChanges(o.GetAnnotations()[r.options.Keys.Test+"/status"], plan))
	return r.remember(name, refused, plan.Wake), r.complain(o, err)
}

// begun reports whether an error is of what comes after the state was written: those are joined.
func begun(err error) bool {
	_, several := err.(interface{ Unwrap() []error })
	return several
}

// remember keeps what was refused for the next decision, which is due at once. If there is none any more the runs are
// refused again.
func (r *reconciler) remember(name types.NamespacedName, refused map[string]string, wake time.Time) reconcile.Result {
	if len(refused) == 0 {
		r.refused.Delete(name) // what was refused before is in the state now
		return reconcile.Result{RequeueAfter: r.until(wake)}
	}
	r.refused.Store(name, refused)
	return reconcile.Result{RequeueAfter: time.Millisecond}
}

// complain tells of an error that will not go away by itself, and returns it: it is tried again all the same.
func (r *reconciler) complain(o client.Object, err error) error {
	if err != nil && !tekton.Retryable(err) {
		r.tell(o, []news{problem(err)})
	}
	return err
}

// furnish adds what the plan does not know to the runs that are to be created: to whom they belong, and what the flags
// say.
func (r *reconciler) furnish(o client.Object, runs []pipelinerun.PipelineRun) {
	yes := true
	kind := r.kind.version()
	for i := range runs {
		runs[i].OwnerReferences = []pipelinerun.OwnerReference{{
			APIVersion: kind.GroupVersion().String(), Kind: kind.Kind, Name: o.GetName(), UID: string(o.GetUID()), Controller: &yes,
		}}
		runs[i].Spec.TaskRunTemplate, runs[i].Spec.Timeouts = r.template, r.timeouts
	}
}

func (r *reconciler) count(plan *konflux.Plan, refused map[string]string) {
	r.metrics.created.Add(float64(len(plan.Create) - len(refused)))
	r.metrics.refused.Add(float64(len(refused)))
	r.metrics.canceled.Add(float64(len(plan.Cancel)))
	r.metrics.released.Add(float64(len(plan.Release)))
}

// conclude tells others in the status of the object what is known, and when all is over marks the object with the
// outcome.
func (r *reconciler) conclude(ctx context.Context, o client.Object, plan *konflux.Plan) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	answer := r.kind.one() // what is in the cache is shared, and must not be written into
	answer.SetNamespace(o.GetNamespace())
	answer.SetName(o.GetName())
	if patch := r.kind.status(o, plan); patch != nil {
		return r.unlessChanged(r.cluster.Status().Patch(ctx, answer, client.RawPatch(types.MergePatchType, patch)))
	}
	if !plan.Done() || o.GetAnnotations()[r.outcomeKey()] != "" {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"resourceVersion": o.GetResourceVersion(), "annotations": map[string]string{r.outcomeKey(): plan.Outcome.String()},
	}})
	if err != nil {
		return err
	}
	if err := r.cluster.Patch(ctx, answer, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return r.unlessChanged(err)
	}
	r.tell(o, []news{{plan.Outcome != scheduler.OutcomePassed, "Finished", "Finish", "outcome: " + plan.Outcome.String()}})
	return nil
}

// unlessChanged returns an error that is none if the object has changed: then it is looked at again anyway.
func (r *reconciler) unlessChanged(err error) error {
	if apierrors.IsConflict(err) {
		r.metrics.conflicts.Inc()
		return nil
	}
	return client.IgnoreNotFound(err)
}

const maxNote = 1024 // bytes of an event's note; Kubernetes refuses more

// tell tells people.
func (r *reconciler) tell(o client.Object, all []news) {
	for _, n := range all {
		kind := "Normal"
		if n.Warning {
			kind = "Warning"
		}
		note := n.Note
		if len(note) > maxNote {
			note = strings.ToValidUTF8(note[:maxNote-3], "") + "..."
		}
		r.events.Eventf(o, nil, kind, n.Reason, n.Action, "%s", note)
		r.log.Debug("told", zap.String("namespace", o.GetNamespace()), zap.String("name", o.GetName()), zap.String("reason", n.Reason), zap.String("note", note))
	}
}

// finalizer is what holds a PipelineRun until its end is kept.
func (r *reconciler) finalizer() string { return r.options.Keys.Test + "/pipelinerun" }

// strangers returns the PipelineRuns that are being deleted and are not those of the object that is there: those of one
// that is gone, of the same name or not. Nobody keeps their end.
func (r *reconciler) strangers(runs []pipelineRun, o client.Object, gone bool) (names []string) {
	for i := range runs {
		run := &runs[i]
		if run.DeletionTimestamp == nil || !slices.Contains(run.Finalizers, r.finalizer()) {
			continue
		}
		if gone || !slices.ContainsFunc(run.OwnerReferences, func(owner metav1.OwnerReference) bool { return owner.UID == o.GetUID() }) {
			names = append(names, run.Name)
		}
	}
	return names
}

// letGo lets PipelineRuns be deleted.
func (r *reconciler) letGo(ctx context.Context, namespace string, names []string) error {
	if len(names) == 0 {
		return nil
	}
	carrier, err := r.carrier(namespace)
	if err != nil {
		return err
	}
	var faults []error
	for _, name := range names {
		faults = append(faults, carrier.Release(ctx, name, r.finalizer()))
	}
	r.metrics.released.Add(float64(len(names)))
	return errors.Join(faults...)
}

func (r *reconciler) carrier(namespace string) (*tekton.Client, error) {
	return tekton.NewClient(r.requests, namespace, tekton.Limits{Timeout: r.timeout})
}
