package stage

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// An Event is what the controller told of a graph.
type Event struct {
	Reason string
	Note   string
}

// Follow returns what the controller tells of a graph from the beginning on, each news once, until ctx ends.
func (s *Stage) Follow(ctx context.Context, g *Graph) <-chan Event {
	events := make(chan Event)
	go func() {
		seen := map[string]bool{}
		for ctx.Err() == nil {
			s.follow(ctx, g, func(o *unstructured.Unstructured) {
				if name, _, _ := unstructured.NestedString(o.Object, "regarding", "name"); name != g.Name || seen[o.GetName()] {
					return
				}
				seen[o.GetName()] = true
				reason, _, _ := unstructured.NestedString(o.Object, "reason")
				note, _, _ := unstructured.NestedString(o.Object, "note")
				select {
				case events <- Event{reason, note}:
				case <-ctx.Done():
				}
			})
			time.Sleep(100 * time.Millisecond)
		}
	}()
	return events
}

// follow calls f with every event that is there or comes, until the watch ends.
func (s *Stage) follow(ctx context.Context, g *Graph, f func(*unstructured.Unstructured)) {
	resource := s.Client.Resource(Events).Namespace(g.Namespace)
	list, err := resource.List(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	for i := range list.Items {
		f(&list.Items[i])
	}
	watch, err := resource.Watch(ctx, metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
	if err != nil {
		return
	}
	defer watch.Stop()
	for change := range watch.ResultChan() {
		if o, ok := change.Object.(*unstructured.Unstructured); ok {
			f(o)
		}
	}
}
