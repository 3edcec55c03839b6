package main

import (
	"context"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// bySnapshot is the index of runs by the object that they are for.
const bySnapshot = "snapshot"

// snapshotOf returns the name of the object that a run is for. Tekton hands the labels of a PipelineRun on to its
// TaskRuns.
func (r *reconciler) snapshotOf(o client.Object) []string {
	if name := o.GetLabels()[r.options.Keys.Resource+"/snapshot"]; name != "" {
		return []string{name}
	}
	return nil
}

// toObject returns the object that a run is for.
func (r *reconciler) toObject(_ context.Context, o client.Object) (requests []reconcile.Request) {
	for _, name := range r.snapshotOf(o) {
		requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: o.GetNamespace(), Name: name}})
	}
	return requests
}

// runChanges passes on what a decision may depend on. A run changes many times before it is over.
var runChanges = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	return !sameRun(e.ObjectOld.(*pipelineRun), e.ObjectNew.(*pipelineRun))
}}

func sameRun(a, b *pipelineRun) bool {
	return ending(a.Status.Conditions) == ending(b.Status.Conditions) && a.Spec.Status == b.Spec.Status &&
		(a.Status.StartTime == nil) == (b.Status.StartTime == nil) && (a.Status.CompletionTime == nil) == (b.Status.CompletionTime == nil) &&
		(a.DeletionTimestamp == nil) == (b.DeletionTimestamp == nil) &&
		maps.Equal(a.Labels, b.Labels) && maps.Equal(a.Annotations, b.Annotations) && slices.Equal(a.Finalizers, b.Finalizers)
}

// taskChanges passes on the end of a task.
var taskChanges = predicate.Funcs{
	CreateFunc: func(e event.CreateEvent) bool { return over(e.Object.(*taskRun).Status.Conditions) },
	UpdateFunc: func(e event.UpdateEvent) bool {
		return !over(e.ObjectOld.(*taskRun).Status.Conditions) && over(e.ObjectNew.(*taskRun).Status.Conditions)
	},
}

// over reports whether Tekton is done with a run.
func over(conditions []pipelinerun.Condition) bool {
	end := ending(conditions)
	return end == "True" || end == "False"
}

// ending returns whether and how a run ended, in the words of the condition that says so.
func ending(conditions []pipelinerun.Condition) string {
	for _, c := range conditions {
		if c.Type == "Succeeded" {
			return c.Status
		}
	}
	return ""
}
