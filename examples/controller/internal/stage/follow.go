package stage

import (
	"context"
	"slices"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// An Event is what the controller told of a graph.
type Event struct {
	Time   time.Time
	Reason string
	Note   string
}

// Follow returns what the controller tells of a graph from the beginning on, each news once, until ctx ends. News that
// come at about the same time come in the order in which they happened.
func (s *Stage) Follow(ctx context.Context, g *Graph) <-chan Event {
	arrived := make(chan *eventsv1.Event)
	go func() {
		for ctx.Err() == nil {
			s.follow(ctx, g, arrived)
			time.Sleep(100 * time.Millisecond)
		}
	}()
	events := make(chan Event)
	go sorted(ctx, g.Name, arrived, events)
	return events
}

// sorted hands on what arrived for a little while, sorted.
func sorted(ctx context.Context, name string, arrived <-chan *eventsv1.Event, events chan<- Event) {
	seen := map[string]bool{}
	var held []*eventsv1.Event
	for ctx.Err() == nil {
		var enough <-chan time.Time
		if len(held) > 0 {
			enough = time.After(200 * time.Millisecond)
		}
		select {
		case <-ctx.Done():
		case e := <-arrived:
			if e.Regarding.Name == name && !seen[e.Name] {
				seen[e.Name] = true
				held = append(held, e)
			}
		case <-enough:
			slices.SortFunc(held, func(a, b *eventsv1.Event) int { return a.EventTime.Compare(b.EventTime.Time) })
			for _, e := range held {
				select {
				case events <- Event{e.EventTime.Time, e.Reason, e.Note}:
				case <-ctx.Done():
				}
			}
			held = nil
		}
	}
}

// follow hands on every event that is there or comes, until the watch ends.
func (s *Stage) follow(ctx context.Context, g *Graph, arrived chan<- *eventsv1.Event) {
	hand := func(o *unstructured.Unstructured) {
		e := &eventsv1.Event{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, e); err != nil {
			return
		}
		select {
		case arrived <- e:
		case <-ctx.Done():
		}
	}
	resource := s.Client.Resource(Events).Namespace(g.Namespace)
	list, err := resource.List(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	for i := range list.Items {
		hand(&list.Items[i])
	}
	watch, err := resource.Watch(ctx, metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
	if err != nil {
		return
	}
	defer watch.Stop()
	for change := range watch.ResultChan() {
		if o, ok := change.Object.(*unstructured.Unstructured); ok {
			hand(o)
		}
	}
}
