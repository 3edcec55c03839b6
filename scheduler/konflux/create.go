package konflux

import (
	"encoding/json"
	"maps"
	"strings"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// pipelineRun returns the PipelineRun of a scenario, without what it does, and what tells one run of it from another.
func (d *decision) pipelineRun(name string, id dag.ID) pipelinerun.PipelineRun {
	k := d.o.Keys
	run := pipelinerun.PipelineRun{Meta: pipelinerun.Meta{
		Name:       name,
		Namespace:  d.Snapshot.Namespace,
		Finalizers: []string{k.finalizer()},
		Labels:     d.o.carried(d.Snapshot.Labels, Keys.pac),
		// What the Snapshot says of its tests is no business of a run, however alike the prefixes are.
		Annotations: d.o.carried(d.Snapshot.Annotations, Keys.pac),
	}}
	maps.Copy(run.Labels, map[string]string{k.pipeline(): "test", k.scenario(): string(id), k.snapshot(): d.Snapshot.Name})
	if component, ok := d.o.find(d.Snapshot.Labels, Keys.component); ok {
		run.Labels[k.component()] = component
	}
	t, ok := d.byName[string(id)]
	if !ok {
		return run
	}
	maps.Copy(run.Annotations, d.o.carried(t.Annotations, Keys.test))
	if optional, ok := d.o.find(t.Labels, Keys.optional); ok {
		run.Labels[k.optional()] = optional
	}
	return run
}

// spec returns what a run of a scenario does.
func (d *decision) spec(t *IntegrationTestScenario) pipelinerun.PipelineRunSpec {
	spec := pipelinerun.PipelineRunSpec{Params: d.params(t)}
	if !strings.EqualFold(t.Spec.ResolverRef.ResourceKind, "pipelinerun") {
		ref := t.Spec.ResolverRef
		ref.ResourceKind = "" // Tekton knows no such field
		spec.PipelineRef = &ref
	}
	return spec
}

// canceledSpec is what a run does that is canceled from the start: nothing. It asks no resolver, and needs no scenario,
// which may be gone; Tekton wants a pipeline with a task all the same.
func canceledSpec() pipelinerun.PipelineRunSpec {
	return pipelinerun.PipelineRunSpec{
		Status:       "Cancelled",
		PipelineSpec: json.RawMessage(`{"tasks":[{"name":"none","taskSpec":{"steps":[{"name":"none","image":"scratch"}]}}]}`),
	}
}

// carried returns the labels or annotations of a prefix. Those of older keys count where there is none of today, and are
// carried over to the prefix of today.
func (o *Options) carried(m map[string]string, prefix func(Keys) string) map[string]string {
	out := map[string]string{}
	for _, k := range o.all() {
		for key, value := range m {
			name, ok := strings.CutPrefix(key, prefix(k)+"/")
			if key = prefix(o.Keys) + "/" + name; ok && !contains(out, key) {
				out[key] = value
			}
		}
	}
	return out
}

func contains(m map[string]string, key string) bool {
	_, ok := m[key]
	return ok
}

// params are the Snapshot, as text, and what the scenario hands to its runs.
func (d *decision) params(t *IntegrationTestScenario) []pipelinerun.Param {
	spec := d.Snapshot.Spec
	if len(spec) == 0 {
		spec = json.RawMessage("{}")
	}
	params := []pipelinerun.Param{{Name: "SNAPSHOT", Value: quoted(string(spec))}}
	for _, p := range t.Spec.Params {
		if len(p.Values) > 0 && p.Value == "" {
			params = append(params, pipelinerun.Param{Name: p.Name, Value: quoted(p.Values)})
		} else {
			params = append(params, pipelinerun.Param{Name: p.Name, Value: quoted(p.Value)})
		}
	}
	return params
}

// quoted returns text, or a list of it, as JSON, which cannot fail.
func quoted[T string | []string](v T) json.RawMessage {
	text, _ := json.Marshal(v)
	return text
}
