// Package cluster runs a Kubernetes control plane with Tekton on this machine, for tests and demos: a real etcd, a real
// kube-apiserver, the real controllers of Tekton Pipelines and of Tekton Chains, and a kubelet of our own that stands in
// for the nodes. It is a module of its own, so that Kubernetes never reaches users of the library.
//
// A test of another package, or of another module of this repository, reads so:
//
//	func TestMain(m *testing.M) { cluster.Main(m) }
//
//	func TestOnCluster(t *testing.T) {
//		c, err := cluster.Start(t.Context(), cluster.Options{Chains: "in-toto"})
//		if err != nil {
//			t.Fatal(err)
//		}
//		t.Cleanup(func() { _ = c.Close() })
//		if err := c.Namespace(t.Context(), "tests"); err != nil {
//			t.Fatal(err)
//		}
//		client, err := dynamic.NewForConfig(c.Config())
//		…
//		err = c.Kill(cluster.Etcd)
//		err = c.StartAgain(t.Context(), cluster.Etcd)
//	}
//
// and a program calls [Build], [Isolate] and [Start] itself, in this order.
//
// # What is real
//
// The binaries are built from the modules of their projects, at versions that the files in pins fix, once: they are kept
// in the folder testdag-cluster of the user's cache, which may be removed at any time. That takes 15 to 20 minutes of
// processor time, more than go test grants by default; so build them before with
//
//	go -C internal/cluster run ./build
//
// or give -timeout. Afterwards a cluster starts in 5 to 8 seconds and takes 0.5 GB of memory, and 0.1 GB more with
// Chains. The API server authorizes with RBAC, and Tekton's controllers are bound by the roles that they come with. They
// are allowed more requests and threads than by default, which would be all that is measured.
//
// # What is not
//
// There are no nodes and no containers. The kubelet of ours binds every pod at once, says that it runs, and ends it as
// the pod's annotations tell ([AnnotationResults], [AnnotationExitCode], [AnnotationAfter]) or as [Options.Execute] does.
// A pod that is deleted goes at once. Tekton sees what it would see of a real one.
//
// There is no controller manager: a namespace comes with its account only if [Cluster.Namespace] makes it, and is never
// deleted; nothing fills the status of a ResourceQuota. Tekton's admission webhook does not run either, so a
// PipelineRun that makes no sense is refused by the controller, in its status, and resources are served in the version in
// which they are stored alone: tekton.dev/v1 for pipelines and their runs.
//
// # Patience
//
// Clients that watch try again ever more slowly while the API server is away. After an outage of a minute Tekton's
// controller was seen to need more than another minute until it noticed: what waits for it must be patient.
//
// A resolver of Tekton that begins to lead takes up every request there is, also those for other resolvers, and fails
// them. So a PipelineRun whose pipeline is being looked up when [Resolvers] are killed may fail, as in any cluster.
//
// # Loopback
//
// All addresses are on loopback, but for the health and metrics ports of Tekton's controllers, which cannot be told so.
// [Isolate] puts the whole program where there is nothing but loopback, and gives it an /etc of its own, for the key that
// Chains reads there. [Main] does that for tests. Nothing of the machine is changed, and nothing is left running: the
// kernel ends every component when the program ends, also when it is killed.
//
// # Other versions
//
// To renew a pin, copy its two files into an empty folder as go.mod and go.sum, and there
//
//	go get k8s.io/kubernetes@v1.37.2
//	go mod tidy
//
// and copy them back. Kubernetes' own go.mod replaces its parts by folders that are in no module; the pin replaces them
// by the versions that are published, v0.37.2 for v1.37.2. Chains' own replacements must be in its pin too.
package cluster
