// Package tekton carries out scenarios as PipelineRuns on a cluster.
//
// There are two forms. A [Runner] is for a program that holds the graph itself: it creates a PipelineRun for a run and waits
// for its end.
//
//	client, err := tekton.NewClient(cluster, "team", tekton.Limits{})
//	...
//	runner, err := tekton.NewRunner(ctx, client, tekton.Options{
//		Scope:   "build-4711",
//		Skipped: pipelinerun.SkippedFails,
//		PipelineRun: tekton.PipelineRuns(map[dag.ID]pipelinerun.PipelineRunSpec{
//			"scan":   {PipelineRef: &pipelinerun.ResolverRef{Name: "clamav"}},
//			"deploy": {PipelineRef: &pipelinerun.ResolverRef{Name: "deploy"}},
//		}),
//	})
//	...
//	s, err := scheduler.Run(ctx, g, runner, scheduler.Options{Parallel: 100, Grace: 10 * time.Minute})
//
// A [Client] is for a controller, whose state is on the cluster and which may die between any two requests. It makes the
// requests that a plan asks for, each of which may be made twice:
//
//	in.PipelineRuns, in.TaskRuns, err = client.Runs(ctx, options.Keys.Resource+"/snapshot="+in.Snapshot.Name)
//	...
//	plan, err := konflux.Next(in, options, time.Now())
//	...
//	in.Refused, err = client.CarryOut(ctx, tekton.Object{
//		Resource: snapshots, Name: in.Snapshot.Name, ResourceVersion: in.Snapshot.ResourceVersion,
//	}, plan.Changes)
//
// # How a run of a Runner ends
//
// A PipelineRun is judged by [pipelinerun.Judge]: it passed if Tekton says so and each TEST_OUTPUT of its tasks does.
// What happens on the way comes to this:
//
//	what happens                                       what comes of it
//	the pipeline fails, times out, cannot be resolved  failed, with the reason of Tekton
//	a TEST_OUTPUT is bad or cannot be read             failed
//	a pod or a TaskRun is deleted                      Tekton makes it anew, and the run goes on
//	a TaskRun or the PipelineRun is canceled           canceled
//	the PipelineRun is deleted before it is over       canceled
//	it is deleted when it is over, and seen            as it was; failed, if its TaskRuns went with it unread
//	it is invalid, or too large                        failed, with the reason of the API server
//	an admission webhook or a policy denies it         failed, with the reason of the API server
//	its name is taken by another PipelineRun           failed, with what tells it apart
//	Options.PipelineRun returns an error               failed, with the error
//	a quota is exceeded, rights are missing            tried again for Options.Retry, then an error
//	the namespace is missing or terminating            the same
//	a webhook or a policy cannot be evaluated          the same
//	conflicts, 429, 5xx, time-outs, faults of network  the same; what the server says of when is heeded
//	a watch breaks, or news is lost                    it begins anew; a live run is read each Options.Resync
//	the API server is away while a run is live         it is waited for
//	TaskRuns or the signature of Chains are late       waited for, for Options.Patience
//	the context ends                                   the run is canceled, waited for, and the error returned; or its
//	                                                   result, if it came to its own end or somebody else canceled it
//
// An error means that the runner could not tell, and scheduler.Run asks again. The PipelineRun has the same name then, and
// is found. A run that is found stopped, by a process that did not live to say so, counts as canceled.
//
// "Over" is what Tekton calls so. When a run was canceled, its pods may need their time to end after that.
//
// What a controller gets from a Client is said by the errors: a *[RefusedError] is final, a *[TakenError] is for people, a
// *[ConflictError] says that the plan is out of date, and [Retryable] tells whether to come back. What is held to be final
// fails a scenario, so it must be certain: an answer that is not known to be a refusal is none.
//
// # What is written
//
// These names are promised to stay. With the default of Options.Prefix, a PipelineRun of a Runner has the labels
//
//	testdag.dev/scope     Options.Scope
//	testdag.dev/scenario  the ID of the scenario
//	testdag.dev/run       the number of the run, counted from 1
//
// where a text that is no label is shortened, with a hash of the whole of it, and the annotations
//
//	testdag.dev/scope     Options.Scope, whole
//	testdag.dev/scenario  the ID of the scenario, whole
//	testdag.dev/basis     the runs of the parents, as a JSON list: ["build#1","lint#2"]
//	testdag.dev/forced    "true" if a person forced the run
//	testdag.dev/stopped   "true" once a plan has stopped it
//
// Its name is that of [pipelinerun.RunName], for the scope as name and the UID of the owner. Tekton hands labels and
// annotations on to TaskRuns and pods.
//
// # What a run left
//
// Results of tasks that are named as Tekton Chains wants it, ARTIFACT_URI with ARTIFACT_DIGEST, and objects
// ARTIFACT_OUTPUTS and whatever ends so, become the Artifacts of the result: see [pipelinerun.Artifacts]. What cannot
// be read changes no verdict; the reason names it.
//
// # Requests
//
// A run of a Runner costs two requests: its creation, and a list of its TaskRuns when it is over. One that is found costs
// the list alone. A stop is one more, and so is each Options.Resync that it is live for. Everything else comes through one
// watch for all runs of the scope. A plan of a controller costs one request for its object, one for each PipelineRun
// created, and two for each that is canceled or released. Each takes at most Limits.Timeout. What limits the rate of
// requests is the rest.Config of whoever made the client, and it is low by default.
//
// # What it needs
//
// It speaks tekton.dev/v1. It is tested with Tekton Pipelines v1.12.0 on Kubernetes 1.37.2, by client-go v0.37.2; the
// tests of this package alone, on an API server of their own, use client-go v0.34.1. The rights, in the namespace:
//
//	{apiGroups: [tekton.dev], resources: [pipelineruns], verbs: [create, get, list, watch, patch]}
//	{apiGroups: [tekton.dev], resources: [taskruns], verbs: [list]}
//
// A Client needs no watch, but patch of the objects that plans are made for. Where the API server enforces rights on owner
// references, an owner with blockOwnerDeletion needs update of its subresource finalizers.
//
// # What it leaves out
//
//   - It deletes nothing. PipelineRuns are pruned by others. One that is pruned while no Runner runs, and whose end nobody
//     has saved, is created anew when it is asked for; those who prune after hours are far from it.
//   - It quotes no logs: a Result has no Output.
//   - Children of a PipelineRun that are no TaskRuns have no results here.
package tekton
