package tekton_test

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/konflux"
	"github.com/testdag/testdag/scheduler/pipelinerun"
	"github.com/testdag/testdag/scheduler/tekton"
)

// A program that holds the graph itself, in a pod of the cluster.
func ExampleRunner() {
	run := func(ctx context.Context) error {
		g, err := dag.New(dag.Scenario{ID: "scan"}, dag.Scenario{ID: "deploy", After: dag.After("scan")})
		if err != nil {
			return err
		}
		config, err := rest.InClusterConfig()
		if err != nil {
			return err
		}
		config.QPS = 50
		cluster, err := dynamic.NewForConfig(config)
		if err != nil {
			return err
		}
		client, err := tekton.NewClient(cluster, "team", tekton.Limits{})
		if err != nil {
			return err
		}
		runner, err := tekton.NewRunner(ctx, client, tekton.Options{
			Scope:   "build-4711",
			Skipped: pipelinerun.SkippedFails,
			PipelineRun: tekton.PipelineRuns(map[dag.ID]pipelinerun.PipelineRunSpec{
				"scan":   {PipelineRef: &pipelinerun.ResolverRef{Name: "clamav"}},
				"deploy": {PipelineRef: &pipelinerun.ResolverRef{Name: "deploy"}},
			}),
		})
		if err != nil {
			return err
		}
		s, err := scheduler.Run(ctx, g, runner, scheduler.Options{Parallel: 100, Grace: 10 * time.Minute})
		fmt.Println(scheduler.Next(g, s).Outcome)
		return err
	}
	_ = run
}

// The body of a controller for Snapshots of Konflux. What was refused is kept until the next call, which takes it in.
func ExampleClient_CarryOut() {
	reconcile := func(ctx context.Context, client *tekton.Client, in konflux.Objects, options konflux.Options) (refused map[string]string, err error) {
		in.PipelineRuns, in.TaskRuns, err = client.Runs(ctx, options.Keys.Resource+"/snapshot="+in.Snapshot.Name)
		if err != nil {
			return in.Refused, err
		}
		plan, err := konflux.Next(in, options, time.Now())
		if err != nil {
			return in.Refused, err
		}
		return client.CarryOut(ctx, tekton.Object{
			Resource: snapshots, Name: in.Snapshot.Name, ResourceVersion: in.Snapshot.ResourceVersion,
		}, plan.Changes)
	}
	_ = reconcile
}
