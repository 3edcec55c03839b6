// Package pipelinerun knows what a PipelineRun of Tekton is to a scenario: the name of a run, how a run ended, and what
// its tasks say in their results. It is what packages konflux and tekton have in common.
//
// The objects are plain structs with the JSON form of Kubernetes. Nothing of Kubernetes is imported, and no request is
// made here; a clock is an argument. Only WriteArtifact touches files.
//
//   - [RunName] names the PipelineRun of a run, and [RunNumber] reads the name.
//   - [Judge] says how a PipelineRun ended, by its conditions and by the TEST_OUTPUT of its tasks.
//   - [ParseTestOutput] reads a TEST_OUTPUT, and [TestOutput.Format] writes one.
//   - [Artifacts] reads the results that name what a run left: ARTIFACT_URI, ARTIFACT_DIGEST and *ARTIFACT_OUTPUTS.
//     [WriteArtifact] writes them as files, for the step of a task.
//   - [Changes] are requests to the cluster, which package tekton carries out.
package pipelinerun
