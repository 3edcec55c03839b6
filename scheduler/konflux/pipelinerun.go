package konflux

import (
	"encoding/json"
	"maps"
	"strings"
)

// pipelineRun returns the PipelineRun of a scenario, without what tells one run of it from another.
func (d *decision) pipelineRun(name string, t *IntegrationTestScenario) PipelineRun {
	k := d.o.Keys
	run := PipelineRun{Meta: Meta{
		Name:       name,
		Namespace:  d.Snapshot.Namespace,
		Finalizers: []string{k.finalizer()},
		Labels:     withPrefix(d.Snapshot.Labels, k.PAC),
		// What the Snapshot says of its tests is no business of a run, however alike the prefixes are.
		Annotations: withPrefix(d.Snapshot.Annotations, k.PAC),
	}}
	maps.Copy(run.Annotations, withPrefix(t.Annotations, k.Test))
	maps.Copy(run.Labels, map[string]string{k.pipeline(): "test", k.scenario(): t.Name, k.snapshot(): d.Snapshot.Name})
	if component, ok := d.o.find(d.Snapshot.Labels, Keys.component); ok {
		run.Labels[k.component()] = component
	}
	if optional, ok := d.o.find(t.Labels, Keys.optional); ok {
		run.Labels[k.optional()] = optional
	}
	run.Spec.Params = d.params(t)
	if !strings.EqualFold(t.Spec.ResolverRef.ResourceKind, "pipelinerun") {
		ref := t.Spec.ResolverRef
		ref.ResourceKind = "" // Tekton knows no such field
		run.Spec.PipelineRef = &ref
	}
	return run
}

// withPrefix returns the labels or annotations of a prefix.
func withPrefix(m map[string]string, prefix string) map[string]string {
	out := map[string]string{}
	for key, value := range m {
		if strings.HasPrefix(key, prefix+"/") {
			out[key] = value
		}
	}
	return out
}

// params are the Snapshot, as text, and what the scenario hands to its runs.
func (d *decision) params(t *IntegrationTestScenario) []Param {
	spec := d.Snapshot.Spec
	if len(spec) == 0 {
		spec = json.RawMessage("{}")
	}
	params := []Param{{"SNAPSHOT", quoted(string(spec))}}
	for _, p := range t.Spec.Params {
		if len(p.Values) > 0 && p.Value == "" {
			params = append(params, Param{p.Name, quoted(p.Values)})
		} else {
			params = append(params, Param{p.Name, quoted(p.Value)})
		}
	}
	return params
}

// quoted returns text, or a list of it, as JSON, which cannot fail.
func quoted[T string | []string](v T) json.RawMessage {
	text, _ := json.Marshal(v)
	return text
}
