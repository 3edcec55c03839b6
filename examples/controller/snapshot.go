package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kmeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/konflux"
)

// snapshots are the Snapshots of Konflux. The scenarios are those of their application or of their group.
type snapshots struct{}

func (snapshots) version() schema.GroupVersionKind { return snapshotVersion.WithKind("Snapshot") }
func (snapshots) resource() schema.GroupVersionResource {
	return snapshotVersion.WithResource("snapshots")
}
func (snapshots) one() client.Object      { return &snapshot{} }
func (snapshots) many() client.ObjectList { return &snapshotList{} }

func (snapshots) keys() konflux.Keys {
	return konflux.Keys{
		Test: "test.appstudio.openshift.io", Pipelines: "pipelines.appstudio.openshift.io", Resource: "appstudio.openshift.io",
		PAC: "pac.test.appstudio.openshift.io", Own: "own.testdag.dev",
	}
}

// An owner is what a Snapshot or a scenario belongs to: the two are those of the same application, or of the same group.
type owner struct {
	Application    string `json:"application"`
	ComponentGroup string `json:"componentGroup"`
}

func (a owner) has(b owner) bool {
	return a.ComponentGroup != "" && a.ComponentGroup == b.ComponentGroup || a.Application != "" && a.Application == b.Application
}

func ownerOf(s *snapshot) (o owner, err error) {
	if err := json.Unmarshal(s.Spec, &o); err != nil {
		return o, &InputError{"spec", err}
	}
	return o, nil
}

func (snapshots) read(ctx context.Context, r client.Reader, object client.Object) (in konflux.Objects, err error) {
	s := object.(*snapshot)
	in.Snapshot = konflux.Snapshot{Meta: meta(&s.ObjectMeta), Spec: s.Spec}
	in.Superseded = isSuperseded(s)
	of, err := ownerOf(s)
	if err != nil {
		return in, err
	}
	var all scenarioList
	if err := r.List(ctx, &all, client.InNamespace(s.Namespace)); err != nil {
		return in, fmt.Errorf("listing scenarios: %w", err)
	}
	for i := range all.Items {
		spec := &all.Items[i].Spec
		if of.has(owner{spec.Application, spec.ComponentGroup}) {
			in.Scenarios = append(in.Scenarios, toScenario(&all.Items[i]))
		}
	}
	if of.ComponentGroup == "" {
		return in, nil
	}
	var g group
	switch err := r.Get(ctx, types.NamespacedName{Namespace: s.Namespace, Name: of.ComponentGroup}, &g); {
	case apierrors.IsNotFound(err): // its scenarios run all the same, in no order
	case err != nil:
		return in, fmt.Errorf("reading the group: %w", err)
	default:
		in.Group = toGroup(&g)
	}
	return in, nil
}

func (k snapshots) watch(b *builder.Builder, r client.Reader) *builder.Builder {
	return b.
		Watches(&scenario{}, handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) []reconcile.Request {
			spec := o.(*scenario).Spec
			return k.of(ctx, r, o.GetNamespace(), owner{spec.Application, spec.ComponentGroup})
		})).
		Watches(&group{}, handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) []reconcile.Request {
			return k.of(ctx, r, o.GetNamespace(), owner{ComponentGroup: o.GetName()})
		}))
}

// of returns the Snapshots of an application or a group.
func (snapshots) of(ctx context.Context, r client.Reader, namespace string, o owner) (requests []reconcile.Request) {
	var all snapshotList
	if err := r.List(ctx, &all, client.InNamespace(namespace)); err != nil {
		return nil // only without its cache, and then nothing works
	}
	for i := range all.Items {
		if of, err := ownerOf(&all.Items[i]); err == nil && of.has(o) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&all.Items[i])})
		}
	}
	return requests
}

// The conditions of a Snapshot that others wait for.
const (
	integrationStatus = "AppStudioIntegrationStatus"
	testSucceeded     = "AppStudioTestSucceeded"
)

// status tells in the conditions that Konflux waits for whether the tests are over, and how they ended.
func (snapshots) status(o client.Object, p *konflux.Plan) []byte {
	s := o.(*snapshot)
	conditions := slices.Clone(s.Status.Conditions)
	changed := false
	for _, c := range conclusion(p, s) {
		changed = kmeta.SetStatusCondition(&conditions, c) || changed
	}
	if !changed {
		return nil
	}
	patch, _ := json.Marshal(map[string]any{ // maps and conditions have a form in JSON
		"metadata": map[string]any{"resourceVersion": s.ResourceVersion},
		"status":   map[string]any{"conditions": conditions},
	})
	return patch
}

// conclusion returns the conditions that say what a plan says. Whether a newer Snapshot took the place of this one is
// for others to say.
func conclusion(p *konflux.Plan, s *snapshot) []metav1.Condition {
	whole := metav1.Condition{Type: integrationStatus, Status: metav1.ConditionUnknown, Reason: "InProgress", Message: "tests are running"}
	tests := metav1.Condition{Type: testSucceeded, Status: metav1.ConditionUnknown, Reason: "InProgress", Message: "tests are running"}
	if p.Done() {
		whole.Status, whole.Reason, whole.Message = metav1.ConditionTrue, "Finished", "tests are over: "+p.Outcome.String()
		tests.Status, tests.Reason, tests.Message = metav1.ConditionFalse, "Failed", whole.Message
		if p.Outcome == scheduler.OutcomePassed {
			tests.Status, tests.Reason = metav1.ConditionTrue, "Passed"
		}
	}
	if isSuperseded(s) {
		return []metav1.Condition{tests}
	}
	return []metav1.Condition{whole, tests}
}

func isSuperseded(s *snapshot) bool {
	c := kmeta.FindStatusCondition(s.Status.Conditions, integrationStatus)
	return c != nil && c.Reason == "Canceled"
}
