// Package chains proves that attest and Tekton Chains understand each other: that Chains signs a provenance for what
// pipelinerun.WriteArtifact writes, that attest reads the provenance, and that in-toto's own Go types read the statements. It is
// a module of its own, so that Chains' dependencies, Kubernetes among them, never reach users of the library.
//
// The runs are made up, since a test needs no cluster; formats, signer and storage are Chains' own code. What Chains says
// of the runs is kept in attest/provenance/testdata, where the tests of attest read it. Run the tests here, which takes
// minutes the first time, and make those files anew:
//
//	go test ./...
//	go test -run Recordings -update
package chains
