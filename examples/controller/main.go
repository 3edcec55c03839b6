// Command controller carries out graphs of test scenarios on a Kubernetes cluster with Tekton.
//
// Each scenario runs as a PipelineRun. The controller starts those whose parents are done, cancels what depends on a
// failure, and runs again what stands on an old run: the rules are those of package scheduler, for the objects of
// package scheduler/konflux, and package scheduler/tekton carries the plans out.
//
//	controller -kubeconfig ~/.kube/config -namespaces shop
//
// It reconciles the Snapshots of Konflux where the cluster has them, with the IntegrationTestScenarios and the
// ComponentGroup that they belong to. Elsewhere it reconciles ConfigMaps with the label testdag.dev/graph=true that hold
// the same in their data:
//
//	apiVersion: v1
//	kind: ConfigMap
//	metadata:
//	  name: operator
//	  labels: {testdag.dev/graph: "true"}
//	data:
//	  scenarios.yaml: |
//	    kind: IntegrationTestScenario
//	    metadata: {name: build}
//	    spec: {resolverRef: {name: build}} # a Pipeline of the same namespace; or with a resolver
//	    ---
//	    kind: IntegrationTestScenario
//	    metadata: {name: scan}
//	    spec: {resolverRef: {name: scan}}
//	  group.yaml: |
//	    kind: ComponentGroup
//	    spec: {testGraph: {scan: [{name: build, onFail: skip}]}}
//	  snapshot.yaml: |
//	    image: quay.io/shop/operator@sha256:…
//
// A label asks for a rerun of one scenario, or of all:
//
//	kubectl label configmap operator testdag.dev/run=scan
//
// # How it works
//
// Everything that is known stands in the annotations of the object: testdag.dev/status tells people and programs of
// each scenario, own.testdag.dev/state is what the next decision stands on, and own.testdag.dev/outcome says that all
// is over, and how; after that the object is left alone until the label asks for a rerun. Snapshots have the
// annotations that Konflux gives them, and its conditions. Events tell what happens as it happens; one may be missing
// where the controller was killed.
//
// What is to be started is written down before it is done, with the resourceVersion that was read, and PipelineRuns are
// named after the run that they are. So the controller may be killed between any two requests, and several may be at
// work at once: no run is lost, and none is carried out twice, as long as PipelineRuns are pruned later than a
// controller may stand still. Leader election is there to save work.
//
// PipelineRuns belong to the object and go with it. A finalizer holds each until its end is kept.
//
// # Flags and environment
//
//	-kubeconfig, -namespaces, -kind          which cluster, where in it, and which objects
//	-service-account, -timeout               of the PipelineRuns
//	-profile, -skipped, -signed, -patience   what the rules are, where they leave it open
//	-key-test, -key-own, ...                 prefixes of labels and annotations
//	-leader-election, -workers, -qps         how many do how much at once
//	-metrics-address, -health-address        /metrics; /healthz and /readyz
//
// -h tells of each. Every flag may be given as an environment variable instead: -leader-election is TESTDAG_LEADER_ELECTION. The flag comes
// first. Without -kubeconfig, KUBECONFIG, the service account of the pod and ~/.kube/config are tried.
//
// The program ends with 0 when it is asked to (SIGINT, SIGTERM), having finished what it was doing, and with 1 if it
// cannot begin or loses the leadership.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"go.uber.org/zap"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	err := run(ctx, os.Args[1:], os.LookupEnv)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "controller:", err)
		os.Exit(1)
	}
}

// run is the whole program.
func run(ctx context.Context, args []string, environment func(string) (string, bool)) error {
	s, err := parse(args, environment, os.Stderr)
	if err != nil {
		return err
	}
	log, err := newLogger(s.debug)
	if err != nil {
		return err
	}
	defer log.Sync() //nolint:errcheck // standard error may be a terminal, which cannot be synced
	config, err := connect(s.kubeconfig)
	if err != nil {
		return fmt.Errorf("which cluster: %w", err)
	}
	config.UserAgent = "testdag-controller"
	config.QPS = s.qps // below zero: as fast as the API server lets it
	config.Burst = int(2 * s.qps)
	m, err := newManager(config, s, log)
	if err != nil {
		return err
	}
	return m.Start(ctx)
}

// connect finds the cluster as kubectl does, and in a pod by its service account.
func connect(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" && os.Getenv(clientcmd.RecommendedConfigPathEnvVar) == "" {
		if config, err := rest.InClusterConfig(); !errors.Is(err, rest.ErrNotInCluster) {
			return config, err
		}
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
}

// newLogger writes JSON, a line for each message, to standard error.
func newLogger(debug bool) (*zap.Logger, error) {
	c := zap.NewProductionConfig()
	if debug {
		c.Level.SetLevel(zap.DebugLevel)
	}
	return c.Build()
}
