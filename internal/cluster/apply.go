package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
)

// Apply applies manifests, as kubectl apply --server-side does: first namespaces, then definitions of resources, which
// it waits for, then the others. Objects that live in a namespace must name it.
func (c *Cluster) Apply(ctx context.Context, manifests []byte) error {
	objects, err := decode(manifests)
	if err != nil {
		return err
	}
	return c.apply(ctx, objects)
}

// The kind of an object that defines resources.
const definition = "CustomResourceDefinition"

// decode returns the objects in a YAML text.
func decode(manifests []byte) ([]*unstructured.Unstructured, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), 4096)
	var objects []*unstructured.Unstructured
	for {
		o := &unstructured.Unstructured{}
		err := decoder.Decode(&o.Object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("cluster: manifest %d: %w", len(objects)+1, err)
		}
		if len(o.Object) > 0 { // else there is nothing but a comment
			objects = append(objects, o)
		}
	}
}

func (c *Cluster) apply(ctx context.Context, objects []*unstructured.Unstructured) error {
	of := func(kinds ...string) (found []*unstructured.Unstructured) {
		for _, o := range objects {
			if slices.Contains(kinds, o.GetKind()) {
				found = append(found, o)
			}
		}
		return found
	}
	if err := each(of("Namespace"), func(o *unstructured.Unstructured) error { return c.applyOne(ctx, o) }); err != nil {
		return err
	}
	if err := each(of(definition), func(o *unstructured.Unstructured) error {
		return errors.Join(c.applyOne(ctx, o), c.established(ctx, o))
	}); err != nil {
		return err
	}
	others := slices.DeleteFunc(slices.Clone(objects), func(o *unstructured.Unstructured) bool {
		return o.GetKind() == "Namespace" || o.GetKind() == definition
	})
	return each(others, func(o *unstructured.Unstructured) error { return c.applyOne(ctx, o) })
}

// each calls f for every object, several at once, and returns all errors.
func each(objects []*unstructured.Unstructured, f func(*unstructured.Unstructured) error) error {
	errs := make([]error, len(objects))
	free := make(chan struct{}, 8)
	var wait sync.WaitGroup
	for i, o := range objects {
		free <- struct{}{}
		wait.Go(func() {
			defer func() { <-free }()
			if err := f(o); err != nil {
				errs[i] = fmt.Errorf("cluster: %s %s: %w", o.GetKind(), o.GetName(), err)
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

func (c *Cluster) applyOne(ctx context.Context, o *unstructured.Unstructured) error {
	_, err := c.resource(o).Apply(ctx, o.GetName(), o, metav1.ApplyOptions{FieldManager: "testdag", Force: true})
	return err
}

// resource returns where an object is kept.
func (c *Cluster) resource(o *unstructured.Unstructured) dynamic.ResourceInterface {
	resource, _ := meta.UnsafeGuessKindToResource(o.GroupVersionKind())
	if namespace := o.GetNamespace(); namespace != "" {
		return c.client.Resource(resource).Namespace(namespace)
	}
	return c.client.Resource(resource)
}

// established returns when the resources that o defines can be listed.
func (c *Cluster) established(ctx context.Context, o *unstructured.Unstructured) error {
	group, _, _ := unstructured.NestedString(o.Object, "spec", "group")
	plural, _, _ := unstructured.NestedString(o.Object, "spec", "names", "plural")
	versions, _, err := unstructured.NestedSlice(o.Object, "spec", "versions")
	if err != nil {
		return err
	}
	for _, v := range versions {
		version, _ := v.(map[string]any)
		if version["served"] != true || version["storage"] != true {
			continue
		}
		name, _ := version["name"].(string)
		resource := c.client.Resource(schema.GroupVersionResource{Group: group, Version: name, Resource: plural})
		for {
			_, err := resource.List(ctx, metav1.ListOptions{Limit: 1})
			if err == nil {
				break
			}
			if stop := pause(ctx, 20*time.Millisecond); stop != nil {
				return fmt.Errorf("%w: %w", stop, err)
			}
		}
	}
	return nil
}
