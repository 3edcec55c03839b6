// Package config holds the manifests of the controller, for kubectl apply -k and for the tests that check them.
//
//	base     the controller, in the namespace testdag
//	default  base, for graphs in ConfigMaps
//	konflux  base, for the Snapshots of Konflux
//	example  a graph of six scenarios, and a pipeline for each
//
// The image is the one of the Containerfile, and is nowhere to be had: build it, push it, and say where it is:
//
//	podman build -f examples/controller/Containerfile -t REGISTRY/testdag-controller . && podman push REGISTRY/testdag-controller
//	(cd examples/controller/config/default && kustomize edit set image testdag-controller=REGISTRY/testdag-controller)
//	kubectl apply -k examples/controller/config/default
//
// The controller works in the namespaces that -namespaces names, and may do there what the ClusterRoles say that a
// RoleBinding gives it: testdag-controller and, after what holds the graphs, testdag-controller-graph or
// testdag-controller-konflux.
package config

import "embed"

// Files are the manifests.
//
//go:embed base default konflux example
var Files embed.FS
