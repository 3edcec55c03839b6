// Package config holds the manifests of the controller, for kubectl apply -k and for the tests that check them.
//
//	base     the controller, in the namespace testdag
//	default  base, for graphs in ConfigMaps
//	konflux  base, for the Snapshots of Konflux
//	example  a graph of six scenarios, and a pipeline for each
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
