package scheduler_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

// Whatever is read as a snapshot is written and read back equal, and there is a plan for it.
func FuzzSnapshotJSON(f *testing.F) {
	f.Add([]byte(goldenJSON))
	f.Add([]byte(`{"version":1,"scenarios":[{"id":"a","run":1,"phase":"running","new":{}},{"id":"b","run":2147483647,"phase":"stopped","on":[0,1]}]}`))
	f.Add([]byte(`{"version":1,"scenarios":[{"id":"build","cancel":1},{"id":"scan","want":3,"force":true}]}`))
	f.Add([]byte(`{"version":1,"scenarios":[{"id":"scan","run":1,"artifacts":[{"uri":"b","digest":"c"},{"uri":"a","digest":"c"}]}]}`))
	f.Add([]byte(`{"version":2}`))
	g, err := dag.New(
		dag.Scenario{ID: "build"},
		dag.Scenario{ID: "scan", After: dag.After("build")},
		dag.Scenario{ID: "deploy", After: []dag.Parent{{ID: "scan", Condition: dag.Always}}},
	)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var s scheduler.Snapshot
		if json.Unmarshal(text, &s) != nil {
			return
		}
		back := roundTrip(t, s)
		if diff := cmp.Diff(scheduler.Next(g, s), scheduler.Next(g, back), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("the plan after JSON:\n%s", diff)
		}
		for id := range g.All() {
			scheduler.Explain(g, s, id)
		}
	})
}
