package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// What is installed of the manifests that Tekton and Chains come with: everything but what only a kubelet, a network of
// services or the admission webhook could make use of.
var installed = []string{
	"Namespace", "CustomResourceDefinition", "ConfigMap", "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding",
}

// install applies the manifests in folders of the config that a component comes with.
func (c *Cluster) install(ctx context.Context, component Component, folders ...string) error {
	dir, err := pinOf(component).dir()
	if err != nil {
		return err
	}
	var objects []*unstructured.Unstructured
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join(dir, "config", folder, "*.yaml"))
		if err != nil {
			return err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			found, err := decode(text)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			objects = append(objects, found...)
		}
	}
	objects = slices.DeleteFunc(objects, func(o *unstructured.Unstructured) bool { return !slices.Contains(installed, o.GetKind()) })
	if len(objects) == 0 {
		return fmt.Errorf("cluster: no manifests for %s in %s", component, dir)
	}
	for _, o := range objects {
		if err := keepStoredVersion(o); err != nil {
			return fmt.Errorf("cluster: %s %s: %w", o.GetKind(), o.GetName(), err)
		}
	}
	return c.apply(ctx, objects)
}

// keepStoredVersion leaves the version that is stored of a definition of resources, and drops the others: they could be
// had through Tekton's webhook alone, and without it the API server would try and fail for ever.
func keepStoredVersion(o *unstructured.Unstructured) error {
	versions, found, err := unstructured.NestedSlice(o.Object, "spec", "versions")
	if err != nil || !found || o.GetKind() != definition {
		return err
	}
	versions = slices.DeleteFunc(versions, func(v any) bool {
		version, ok := v.(map[string]any)
		return !ok || version["storage"] != true
	})
	unstructured.RemoveNestedField(o.Object, "spec", "conversion")
	return unstructured.SetNestedSlice(o.Object, versions, "spec", "versions")
}

// configure sets entries of a ConfigMap.
func (c *Cluster) configure(ctx context.Context, namespace, name string, data map[string]string) error {
	patch, err := json.Marshal(map[string]any{"data": data})
	if err != nil {
		return err
	}
	maps := c.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace(namespace)
	if _, err := maps.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("cluster: ConfigMap %s: %w", name, err)
	}
	return nil
}

func (c *Cluster) startTekton(ctx context.Context) error {
	if err := c.install(ctx, Tekton, ".", "100-namespace", "300-crds"); err != nil {
		return err
	}
	args := []string{"-disable-ha"}
	for _, image := range []string{
		"entrypoint-image", "nop-image", "sidecarlogresults-image", "workingdirinit-image", "shell-image", "shell-image-win",
	} {
		args = append(args, "-"+image, "registry.test/"+image+"@"+noDigest) // nobody pulls them
	}
	return c.startKnative(ctx, Tekton, "tekton-pipelines", c.token(tektonAccount), nil, []string{
		"CONFIG_DEFAULTS_NAME=config-defaults",
		"CONFIG_LOGGING_NAME=config-logging",
		"CONFIG_OBSERVABILITY_NAME=config-observability",
		"CONFIG_FEATURE_FLAGS_NAME=feature-flags",
		"CONFIG_LEADERELECTION_NAME=config-leader-election-controller",
		"CONFIG_SPIRE=config-spire",
		"METRICS_DOMAIN=tekton.dev/pipeline",
	}, args...)
}

func (c *Cluster) startResolvers(ctx context.Context) error {
	const namespace = "tekton-pipelines-resolvers"
	if err := c.install(ctx, Resolvers, "resolvers"); err != nil {
		return err
	}
	// A resolver that takes office takes up all requests there are, also those for other resolvers, and fails them. So
	// there must be none until all five are in office, and they stay there for their usual term of a minute: a short one
	// would end whenever the API server is away.
	return c.startKnative(ctx, Resolvers, namespace, c.token(resolversAccount), c.leads(namespace, 5), []string{
		"CONFIG_LOGGING_NAME=config-logging",
		"CONFIG_OBSERVABILITY_NAME=config-observability",
		"CONFIG_FEATURE_FLAGS_NAME=feature-flags",
		"CONFIG_LEADERELECTION_NAME=config-leader-election-resolvers",
		"METRICS_DOMAIN=tekton.dev/resolution",
	})
}

func (c *Cluster) startChains(ctx context.Context) error {
	const namespace = "tekton-chains"
	if err := c.install(ctx, Chains, "."); err != nil {
		return err
	}
	settings := map[string]string{
		"artifacts.taskrun.format":        c.opts.Chains,
		"artifacts.taskrun.storage":       "oci,tekton",
		"artifacts.pipelinerun.format":    c.opts.Chains,
		"artifacts.pipelinerun.storage":   "oci,tekton",
		"artifacts.oci.storage":           "oci",
		"storage.oci.repository.insecure": "true",
		"transparency.enabled":            "false",
	}
	if err := c.configure(ctx, namespace, "chains-config", settings); err != nil {
		return err
	}
	shortTerm := map[string]string{"lease-duration": "5s", "renew-deadline": "4s", "retry-period": "1s"} // to be soon followed by itself
	if err := c.configure(ctx, namespace, "tekton-chains-config-leader-election", shortTerm); err != nil {
		return err
	}
	var err error
	if c.publicKey, err = signingKey(); err != nil {
		return err
	}
	return c.startKnative(ctx, Chains, namespace, c.token(chainsAccount), c.leads(namespace, 2), []string{
		"CONFIG_LOGGING_NAME=config-logging",
		"CONFIG_OBSERVABILITY_NAME=tekton-chains-config-observability",
		"CONFIG_LEADERELECTION_NAME=tekton-chains-config-leader-election",
		"METRICS_DOMAIN=tekton.dev/chains",
	})
}

// signingKey returns the public half of the key that Chains signs with, and makes it if there is none yet.
func signingKey() ([]byte, error) {
	path := filepath.Join(secretsDir, "x509.pem")
	publicPath := filepath.Join(secretsDir, "public.pem")
	if public, err := os.ReadFile(publicPath); err == nil {
		return public, nil
	}
	_, private, public, err := newKey()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(path, private, 0o600); err != nil {
		return nil, err
	}
	return public, os.WriteFile(publicPath, public, 0o644)
}

// leads returns a probe that is content when n leases of a namespace are held by who was started last.
func (c *Cluster) leads(namespace string, n int) probe {
	leases := c.client.Resource(schema.GroupVersionResource{Group: "coordination.k8s.io", Version: "v1", Resource: "leases"}).Namespace(namespace)
	return func(ctx context.Context, since time.Time) error {
		list, err := leases.List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		held := 0
		for _, o := range list.Items {
			text, _, err := unstructured.NestedString(o.Object, "spec", "renewTime")
			if err != nil {
				return err
			}
			if renewed, err := time.Parse(time.RFC3339Nano, text); err == nil && renewed.After(since) {
				held++
			}
		}
		if held < n {
			return fmt.Errorf("it holds %d of %d leases", held, n)
		}
		return nil
	}
}

// startKnative starts a controller that is built with Knative's main program, as all of Tekton's are. Its metrics tell
// that it is ready, if ready is nil.
func (c *Cluster) startKnative(ctx context.Context, component Component, namespace, token string, ready probe, env []string, args ...string) error {
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	kubeconfig := string(component) + ".kubeconfig"
	if err := c.writeKubeconfig(kubeconfig, token); err != nil {
		return err
	}
	env = append(env,
		"SYSTEM_NAMESPACE="+namespace,
		"KUBERNETES_MIN_VERSION=v1.28.0",
		"POD_NAME="+string(component),
		"PROBES_PORT="+portOf(ports[0]),
		"PROFILING_PORT="+portOf(ports[1]),
		"METRICS_PROMETHEUS_PORT="+portOf(ports[2]),
		"METRICS_PROMETHEUS_HOST="+loopback,
	)
	// The defaults are for a cluster with a thousand nodes and a kubelet that takes seconds. Here they would be all that is measured.
	args = append(args, "-kubeconfig="+c.file(kubeconfig), "-kube-api-qps=500", "-kube-api-burst=500", "-threads-per-controller=16")
	if ready == nil {
		ready = serves("http://" + ports[2] + "/metrics")
	}
	return c.startProcess(ctx, component, env, ready, args...)
}
