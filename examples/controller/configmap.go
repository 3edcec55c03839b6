package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/testdag/testdag/scheduler/konflux"
)

// graphLabel marks the ConfigMaps that are reconciled; its value is "true".
const graphLabel = "testdag.dev/graph"

// configMaps are ConfigMaps that hold a whole graph. Their metadata play the Snapshot's, and their data are
//
//	scenarios.yaml  IntegrationTestScenarios, each a document
//	group.yaml      a ComponentGroup, with testGraph; may be missing
//	snapshot.yaml   what is tested, handed to each run in the parameter SNAPSHOT; may be missing
//
// in the forms of Konflux.
type configMaps struct{}

func (configMaps) version() schema.GroupVersionKind {
	return corev1.SchemeGroupVersion.WithKind("ConfigMap")
}
func (configMaps) resource() schema.GroupVersionResource {
	return corev1.SchemeGroupVersion.WithResource("configmaps")
}
func (configMaps) one() client.Object      { return &corev1.ConfigMap{} }
func (configMaps) many() client.ObjectList { return &corev1.ConfigMapList{} }

func (configMaps) keys() konflux.Keys {
	return konflux.Keys{Test: "testdag.dev", Pipelines: "testdag.dev", Resource: "testdag.dev", PAC: "pac.testdag.dev", Own: "own.testdag.dev"}
}

func (configMaps) watch(b *builder.Builder, _ client.Reader) *builder.Builder { return b }

func (configMaps) status(client.Object, *konflux.Plan) []byte { return nil }

func (configMaps) read(_ context.Context, _ client.Reader, o client.Object) (konflux.Objects, error) {
	return readConfigMap(o.(*corev1.ConfigMap))
}

// readConfigMap reads the graph in a ConfigMap, and reports every mistake in it.
func readConfigMap(m *corev1.ConfigMap) (in konflux.Objects, err error) {
	in.Snapshot.Meta = meta(&m.ObjectMeta)
	var mistakes []error
	if in.Scenarios, err = documents[konflux.IntegrationTestScenario](m, "scenarios.yaml", "IntegrationTestScenario"); err != nil {
		mistakes = append(mistakes, err)
	} else if len(in.Scenarios) == 0 {
		mistakes = append(mistakes, &InputError{"data: scenarios.yaml", errors.New("there is no scenario in it")})
	}
	groups, err := documents[konflux.ComponentGroup](m, "group.yaml", "ComponentGroup")
	switch {
	case err != nil:
		mistakes = append(mistakes, err)
	case len(groups) > 1:
		mistakes = append(mistakes, &InputError{"data: group.yaml", fmt.Errorf("it has %d groups; keep one", len(groups))})
	case len(groups) == 1 && groups[0].Spec.TestGraph == nil: // misspelled, it would let everything start at once
		mistakes = append(mistakes, &InputError{"data: group.yaml", errors.New("it has no spec.testGraph; if nothing waits for anything, leave the file out")})
	case len(groups) == 1:
		in.Group = &groups[0]
	}
	specs, err := documents[json.RawMessage](m, "snapshot.yaml", "")
	switch {
	case err != nil:
		mistakes = append(mistakes, err)
	case len(specs) > 1:
		mistakes = append(mistakes, &InputError{"data: snapshot.yaml", fmt.Errorf("it has %d documents; keep one", len(specs))})
	case len(specs) == 1:
		in.Snapshot.Spec = specs[0]
	}
	in.Superseded = m.Annotations[supersededAnnotation] == "true"
	return in, errors.Join(mistakes...)
}

// supersededAnnotation tells of a ConfigMap that a newer one took its place: what is live is stopped, and nothing
// starts.
const supersededAnnotation = "testdag.dev/superseded"

// documents reads the documents of a file of a ConfigMap. Each says that it is of the kind, if one is asked for.
func documents[T any](m *corev1.ConfigMap, file, kind string) (all []T, err error) {
	decoder := yaml.NewDecoder(bytes.NewReader([]byte(m.Data[file])))
	for n := 1; ; n++ {
		var document any
		switch err := decoder.Decode(&document); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, &InputError{fmt.Sprintf("data: %s: document %d", file, n), err}
		case document == nil:
			continue
		}
		one, err := convert[T](document, kind)
		if err != nil {
			return nil, &InputError{fmt.Sprintf("data: %s: document %d", file, n), err}
		}
		all = append(all, one)
	}
}

// convert turns a document of YAML into what its JSON stands for.
func convert[T any](document any, kind string) (one T, err error) {
	text, err := json.Marshal(document)
	if err != nil {
		return one, fmt.Errorf("it has no form in JSON: %w", err)
	}
	if kind != "" {
		var head struct{ Kind string }
		if err := json.Unmarshal(text, &head); err != nil || head.Kind != kind {
			return one, fmt.Errorf("its kind is %q; want %s", head.Kind, kind)
		}
	}
	return one, json.Unmarshal(text, &one)
}
