package main

import (
	"context"
	"errors"
	"fmt"

	kmeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/testdag/testdag/scheduler/konflux"
)

// A kind is the kind of the objects that are reconciled: the Snapshot of Konflux, or a ConfigMap. It says where the
// scenarios and their order are; nothing else differs.
type kind interface {
	// version and resource are what the API server calls it.
	version() schema.GroupVersionKind
	resource() schema.GroupVersionResource

	// one returns an empty object of the kind, many a list.
	one() client.Object
	many() client.ObjectList

	// read returns what an object holds or names, without runs.
	read(context.Context, client.Reader, client.Object) (konflux.Objects, error)

	// watch adds what else changes what read returns.
	watch(*builder.Builder, client.Reader) *builder.Builder

	// status returns the merge patch that tells others in the status of an object what a plan says; nil if it is told.
	status(client.Object, *konflux.Plan) []byte

	// keys are the prefixes that are used if none are given.
	keys() konflux.Keys
}

// An InputError reports an object that cannot be read. Nothing is done about it until it is changed.
type InputError struct {
	Key string // what of the object, such as "data: scenarios.yaml"
	Err error
}

func (e *InputError) Error() string { return fmt.Sprintf("%s: %v", e.Key, e.Err) }

// Unwrap returns the mistake.
func (e *InputError) Unwrap() error { return e.Err }

// chooseKind returns the kind of a name, or for "auto" Snapshots where the cluster has the kinds of Konflux, and
// ConfigMaps where it has none of them.
func chooseKind(name string, mapper kmeta.RESTMapper) (kind, error) {
	switch name {
	case "snapshot":
		return snapshots{}, nil
	case "configmap":
		return configMaps{}, nil
	case "auto":
	default:
		return nil, fmt.Errorf("-kind: unknown %q; want auto, snapshot or configmap", name)
	}
	all := []schema.GroupVersionKind{
		snapshotVersion.WithKind("Snapshot"), scenarioVersion.WithKind("IntegrationTestScenario"), scenarioVersion.WithKind("ComponentGroup"),
	}
	var missing []error
	for _, k := range all {
		_, err := mapper.RESTMapping(k.GroupKind(), k.Version)
		if err != nil && !kmeta.IsNoMatchError(err) {
			return nil, fmt.Errorf("which kinds the cluster has: %w", err)
		}
		if err != nil {
			missing = append(missing, err)
		}
	}
	switch len(missing) {
	case 0:
		return snapshots{}, nil
	case len(all):
		return configMaps{}, nil
	}
	return nil, fmt.Errorf("-kind=auto: the cluster has some kinds of Konflux and lacks others: %w; install them, or say -kind=configmap", errors.Join(missing...))
}
