// Package provenance reads the SLSA provenance that Tekton Chains signs, and says whom to trust. It asks no registry,
// and verifies no signature: its caller has done both.
//
//	p, err := provenance.Parse(statement)        // what the cluster saw: builder, tasks, times, results
//	task, ok := p.TaskOf(digest)                 // the task whose results named an artifact
//	err = provenance.Trust{...}.Validate()       // which builders and definitions of tasks are good
//
// [Parse] reads both versions, SLSA v1 and v0.2, of a TaskRun and of a PipelineRun, in each of the formats that Chains
// has had. What a provenance does not say stays empty. A [Task] has the name and the place of its definition only if
// what was asked for and what was resolved agree.
//
// [Trust] lists builders and rules about definitions of tasks; each may deny, and may be in force for some time only.
// The zero Trust believes nothing. An [UntrustedError] says of one builder or task why it is not trusted.
package provenance
