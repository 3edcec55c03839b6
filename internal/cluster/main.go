package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

const (
	// In the environment, set to 1, it has tests fail where there cannot be a control plane.
	requiredVariable = "TESTDAG_CLUSTER"

	// In the environment of the isolated program: who started it, and the network that one has.
	outsideVariable = "TESTDAG_CLUSTER_OUTSIDE"
)

// Main is a TestMain for tests that start a cluster: it builds what is needed, isolates the program and runs m, which is
// a *testing.M. All components are built if none is named.
//
//	func TestMain(m *testing.M) { cluster.Main(m, cluster.Etcd, cluster.APIServer) }
//
// What fails to build fails the tests. Where there cannot be a control plane, because this is no Linux or the kernel
// gives no namespaces, it says why and runs no test; if TESTDAG_CLUSTER is 1 in the environment, it fails then too.
func Main(m interface{ Run() int }, components ...Component) {
	if err := prepare(components); err != nil {
		os.Exit(exitCode(err))
	}
	os.Exit(m.Run())
}

// prepare builds and isolates. It returns nil in the isolated program alone.
func prepare(components []Component) error {
	if !isolated() && !startedIsolated() {
		if err := buildTold(components); err != nil {
			return err
		}
	}
	return Isolate()
}

func buildTold(components []Component) error {
	begin := time.Now()
	err := Build(context.Background(), os.Stdout, components...)
	fmt.Printf("cluster: binaries after %s\n", time.Since(begin).Round(time.Millisecond))
	return err
}

// exitCode says why there are no tests, and returns what to exit with.
func exitCode(err error) int {
	fmt.Println(err)
	if errors.Is(err, errors.ErrUnsupported) && os.Getenv(requiredVariable) != "1" {
		fmt.Println("cluster: no test was run")
		return 0
	}
	return 1
}
