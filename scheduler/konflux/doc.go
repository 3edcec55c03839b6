// Package konflux puts the rules of package scheduler in the place of the integration-service's own gating.
//
// Konflux tests a Snapshot, a set of images, with IntegrationTestScenarios, each run as a PipelineRun; a ComponentGroup
// says in testGraph which waits for which. [Next] is [scheduler.Next] for these objects: it takes what is on the cluster
// and returns what to write, to create and to cancel. Objects are plain structs with the JSON form of Kubernetes; nothing
// of Kubernetes is imported, and nothing is read or written here.
//
//	plan, err := konflux.Next(konflux.Objects{
//		Scenarios: scenarios, Group: &group, Snapshot: snapshot, PipelineRuns: runs, TaskRuns: tasks,
//	}, konflux.Options{
//		Keys: konflux.Keys{
//			Test:      "test.appstudio.openshift.io",
//			Pipelines: "pipelines.appstudio.openshift.io",
//			Resource:  "appstudio.openshift.io",
//			PAC:       "pac.test.appstudio.openshift.io",
//			Own:       "testdag.example.com",
//		},
//		Profile: dag.ComponentGroup,
//		Skipped: pipelinerun.SkippedPasses,
//	}, time.Now())
//
// # How it works
//
// What is to be started is written before it is done. A run is in the state, the annotation that this package keeps on
// the Snapshot, before its PipelineRun is created; the write carries the resourceVersion that was read, so that of two
// controllers one does it and the other begins anew. The name of the PipelineRun follows from the run
// ([pipelinerun.RunName]), so that creating it again finds the first; it is created again until it is seen. Its
// finalizer holds it until its end is in the state. So a controller may die between any two requests, work on a cache
// that lags, and miss events or see them twice.
//
// Two things are asked of the surroundings. Whoever copies a Snapshot leaves its annotations out: with them the copy counts
// as tested. And a PipelineRun whose end is kept must not be deleted while a controller is still between the write and the
// creation of that run, or it is created a second time. Those who prune after minutes are far from it.
//
// There are two annotations. The status annotation is for others: the user interface, the reporters to forges, pipelines
// that poll it. It has one entry for each scenario, in canonical order ([ParseStatuses], [FormatStatuses]). The state is
// for this package ([State]). If the state is missing, it is rebuilt from the status annotation ([Recover]); so Snapshots
// that the integration-service has begun are gone on with. If the status annotation cannot be read, it is rebuilt from the
// state.
//
// # What is decided here
//
// The rules are those of package scheduler. Where Konflux leaves them open:
//
//   - A scenario that is for other contexts, or of which there is no IntegrationTestScenario, is left out, and what waits
//     for it waits for its parents: order is never lost, and nobody waits for what is not there.
//   - failFast: true and onFail: skip are [dag.OnPass], failFast: false and onFail: run are [dag.OnFinish]; if neither is
//     given, [Options.Profile] decides. A scenario that never ran because its parent failed has not finished, so its own
//     children are canceled too, whatever they ask of it. An entry under dependents is OnPass in the opposite direction.
//   - A rerun by name is forced: it starts although a parent failed, but waits for a parent that is running. A rerun of all
//     keeps the order. A scenario outside the graph that is asked for by name runs alone, and is optional.
//   - A run that passes makes its children run again, whatever their last result.
//   - A canceled PipelineRun counts as canceled by a person unless it bears the mark of a plan; so does one that is deleted
//     before it is over. A run that cannot be created, or whose scenario is invalid, has failed.
//   - Optional scenarios decide neither when others start nor what the whole comes to. The outcome is pending until
//     nothing can start any more, optional or not.
//   - A canceled scenario is TestFail in the status annotation, which has no other word, with details that begin with
//     "Canceled:" and name the run that failed. It has no testPipelineRunName.
//   - With [Options.Signed] a run is not over before Tekton Chains has signed it: a child that judges the evidence on the
//     image finds that of its parents.
//
// # In the place of what a controller has
//
// What the integration-service does by hand, and what does it instead. The names on the left are its own, of mid-2026.
//
//	webhook v1beta2: ValidateCreate, ValidateUpdate          Validate; as errors what Graph refuses, the rest as warnings
//	    (dag.ValidateTestGraph)                              (*UnknownScenarioError, *OptionalParentError)
//	snapshot: EnsureIntegrationPipelineRunsExist             list PipelineRuns and TaskRuns of the Snapshot; Next; carry
//	                                                         out the Plan in its order
//	    HaveAppStudioTestsFinished                           stays: a Snapshot that is marked as finished, after Plan.Done,
//	                                                         is left alone until its label asks for a rerun
//	    ResetSnapshotStatusConditions                        stays, before the patch that removes the label: a Snapshot
//	                                                         that is still marked would be left alone with a run begun
//	    initializeOrLoadTestStatuses, InitStatuses           Next; delete them
//	    findScenariosReadyToRunWithoutPLR,                   Next; delete them
//	    areRunAfterRequirementsSatisfiedForScenario
//	    cascadeFailFastFromFailedScenarios,                  Next; delete them
//	    CascadeFailFastDependents
//	    createEligibleIntegrationPipelineRuns,               for each of Plan.Create: the builder that is there, with name,
//	    createIntegrationPipelineRun                         labels, annotations, params and finalizer of the Plan in the
//	                                                         place of GenerateName; AlreadyExists is success
//	    HandlePipelineCreationError                          IsInvalid, or denied by a webhook: Objects.Refused; otherwise
//	                                                         requeue
//	snapshot: EnsureRerunPipelineRunsExist,                  Next reads the label; Plan.Update removes it in the write
//	    handleScenarioReruns                                 that keeps the request
//	gitops: IsScenarioApplicableToSnapshotsContext,          Next, Graph
//	    FilterIntegrationTestScenariosWithContext
//	integrationpipeline: EnsureStatusReportedInSnapshot      enqueue the Snapshot; nothing is written from here
//	    GetIntegrationPipelineRunStatus                      pipelinerun.Judge, within Next
//	    RemoveFinalizerFromPipelineRun                       Plan.Release; stays where the Snapshot is gone or being deleted:
//	                                                         nobody plans for it, and its PipelineRuns would stay
//	statusreport:                                            Plan.Done and Plan.Outcome: passed, failed, canceled
//	    determineIfAllRequiredIntegrationTestsFinishedAndPassed
//	    labelSnapshotToTriggerUntriggeredTest                delete it: a scenario that is new is in the graph
//	gitops: CancelPipelineRuns when superseded               Objects.Superseded; Plan.Cancel
//	    WriteIntegrationTestStatusesIntoSnapshot             one patch of metadata with Plan.Update and resourceVersion
//
// A reconciler then has one body for Snapshots, woken by changes of the Snapshot, its PipelineRuns, the scenarios and the
// group, and at Plan.Wake:
//
//	plan, err := konflux.Next(objects, options, time.Now())
//	if err != nil {
//		return err // names what is wrong, and nothing was done
//	}
//	if !plan.Update.IsZero() || len(plan.Create)+len(plan.Cancel) > 0 {
//		if err := patchMetadata(snapshot, plan.Update); err != nil { // with the resourceVersion of snapshot
//			return err // on a conflict too: begin anew
//		}
//	}
//	for _, run := range plan.Create { ... }
//	for _, c := range plan.Cancel { ... }
//	for _, name := range plan.Release { ... } // remove plan.Finalizers
//	if plan.Done() {
//		return markFinished(snapshot, plan.Outcome) // with the resourceVersion too: what was read may be old
//	}
//
// # Limits
//
// All annotations of an object together must not have more than 256 KiB. [Next] fails with a *[SizeError] before it would
// write more; [Options.StateBytes] bounds its own part. What is read is bounded too.
package konflux
