package tekton_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
)

var (
	pipelineRuns = schema.GroupVersionResource{Group: "tekton.dev", Version: "v1", Resource: "pipelineruns"}
	taskRuns     = schema.GroupVersionResource{Group: "tekton.dev", Version: "v1", Resource: "taskruns"}
	snapshots    = schema.GroupVersionResource{Group: "appstudio.redhat.com", Version: "v1alpha1", Resource: "snapshots"}
)

// An apiServer keeps objects as the API server does: with versions, conflicts, selectors, pages, finalizers, and a watch
// that begins where a list ended. The fake of client-go has none of these.
type apiServer struct {
	t *testing.T

	mu       sync.Mutex
	version  int
	kept     map[schema.GroupVersionResource]map[string]*unstructured.Unstructured
	events   []change
	watchers []*watcher
	requests []string // but for the watch: "create pipelineruns a"

	// before and after are asked about each request, before and after it takes effect; an error is the answer. They may
	// make requests.
	before, after func(verb string, r schema.GroupVersionResource, name string) error
	deaf          bool // watches bring nothing
}

type change struct {
	version  int
	resource schema.GroupVersionResource
	kind     watch.EventType
	object   *unstructured.Unstructured
}

func newAPIServer(t *testing.T) *apiServer {
	return &apiServer{t: t, kept: map[schema.GroupVersionResource]map[string]*unstructured.Unstructured{
		pipelineRuns: {}, taskRuns: {}, snapshots: {},
	}}
}

// Resource makes it a dynamic.Interface.
func (s *apiServer) Resource(r schema.GroupVersionResource) dynamic.NamespaceableResourceInterface {
	return endpoint{server: s, resource: r}
}

// An endpoint answers requests about one resource in one namespace. Requests that nobody makes are not there.
type endpoint struct {
	dynamic.NamespaceableResourceInterface
	server   *apiServer
	resource schema.GroupVersionResource
}

func (e endpoint) Namespace(namespace string) dynamic.ResourceInterface {
	if namespace != "team" {
		e.server.t.Errorf("a request is about namespace %q", namespace)
	}
	return e
}

// serve makes a request, with the faults that are wanted.
func (e endpoint) serve(ctx context.Context, verb, name string, do func() (*unstructured.Unstructured, error)) (*unstructured.Unstructured, error) {
	s := e.server
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, bounded := ctx.Deadline(); !bounded {
		s.t.Errorf("%s %s %s may take for ever", verb, e.resource.Resource, name)
	}
	s.mu.Lock()
	s.requests = append(s.requests, strings.TrimSpace(verb+" "+e.resource.Resource+" "+name))
	before, after := s.before, s.after
	s.mu.Unlock()
	if before != nil {
		if err := before(verb, e.resource, name); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	object, err := do()
	s.mu.Unlock()
	if after != nil && err == nil {
		if err := after(verb, e.resource, name); err != nil {
			return nil, err
		}
	}
	if lost := ctx.Err(); lost != nil {
		return nil, lost
	}
	if err != nil {
		return nil, err
	}
	return object.DeepCopy(), nil
}

func (e endpoint) Create(ctx context.Context, object *unstructured.Unstructured, _ metav1.CreateOptions, _ ...string) (*unstructured.Unstructured, error) {
	return e.serve(ctx, "create", object.GetName(), func() (*unstructured.Unstructured, error) {
		if e.server.kept[e.resource][object.GetName()] != nil {
			return nil, apierrors.NewAlreadyExists(e.resource.GroupResource(), object.GetName())
		}
		object = object.DeepCopy()
		object.SetNamespace("team")
		object.SetUID(types.UID("uid-" + strconv.Itoa(e.server.version+1)))
		return e.server.keep(e.resource, watch.Added, object), nil
	})
}

func (e endpoint) Get(ctx context.Context, name string, _ metav1.GetOptions, _ ...string) (*unstructured.Unstructured, error) {
	return e.serve(ctx, "get", name, func() (*unstructured.Unstructured, error) {
		if object := e.server.kept[e.resource][name]; object != nil {
			return object, nil
		}
		return nil, apierrors.NewNotFound(e.resource.GroupResource(), name)
	})
}

func (e endpoint) Patch(ctx context.Context, name string, kind types.PatchType, patch []byte, _ metav1.PatchOptions, _ ...string) (*unstructured.Unstructured, error) {
	if kind != types.MergePatchType {
		e.server.t.Errorf("a patch of type %s", kind)
	}
	return e.serve(ctx, "patch", name, func() (*unstructured.Unstructured, error) {
		old := e.server.kept[e.resource][name]
		if old == nil {
			return nil, apierrors.NewNotFound(e.resource.GroupResource(), name)
		}
		var changes map[string]any
		if err := json.Unmarshal(patch, &changes); err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
		object := &unstructured.Unstructured{Object: merge(old.DeepCopy().Object, changes)}
		if v := object.GetResourceVersion(); v != old.GetResourceVersion() {
			return nil, apierrors.NewConflict(e.resource.GroupResource(), name, fmt.Errorf("it is at version %s", old.GetResourceVersion()))
		}
		return e.server.keep(e.resource, watch.Modified, object), nil
	})
}

// merge does what RFC 7386 says.
func merge(object, changes map[string]any) map[string]any {
	for key, value := range changes {
		switch value := value.(type) {
		case nil:
			delete(object, key)
		case map[string]any:
			inner, _ := object[key].(map[string]any)
			if inner == nil {
				inner = map[string]any{}
			}
			object[key] = merge(inner, value)
		default:
			object[key] = value
		}
	}
	return object
}

func (e endpoint) List(ctx context.Context, o metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	list := &unstructured.UnstructuredList{}
	_, err := e.serve(ctx, "list", o.LabelSelector, func() (*unstructured.Unstructured, error) {
		selector, err := labels.Parse(o.LabelSelector)
		if err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
		names := slices.Sorted(maps.Keys(e.server.kept[e.resource]))
		for _, name := range names {
			object := e.server.kept[e.resource][name]
			if name <= o.Continue || !selector.Matches(labels.Set(object.GetLabels())) {
				continue
			}
			if o.Limit > 0 && len(list.Items) == int(o.Limit) {
				list.SetContinue(list.Items[len(list.Items)-1].GetName())
				break
			}
			list.Items = append(list.Items, *object.DeepCopy())
		}
		list.SetResourceVersion(strconv.Itoa(e.server.version))
		return &unstructured.Unstructured{}, nil
	})
	return list, err
}

// A watcher is a watch.
type watcher struct {
	server   *apiServer
	resource schema.GroupVersionResource
	selector labels.Selector
	channel  chan watch.Event
	stopped  bool
}

func (e endpoint) Watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	s := e.server
	s.mu.Lock()
	before := s.before
	s.mu.Unlock()
	if before != nil {
		if err := before("watch", e.resource, ""); err != nil {
			return nil, err
		}
	}
	selector, err := labels.Parse(o.LabelSelector)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if selector.Empty() {
		s.t.Error("a watch is of everything")
	}
	from, _ := strconv.Atoi(o.ResourceVersion)
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &watcher{server: s, resource: e.resource, selector: selector, channel: make(chan watch.Event, 10_000)}
	for _, c := range s.events {
		if c.version > from {
			w.send(c)
		}
	}
	s.watchers = append(s.watchers, w)
	context.AfterFunc(ctx, w.Stop)
	return w, nil
}

func (w *watcher) ResultChan() <-chan watch.Event { return w.channel }

func (w *watcher) Stop() {
	w.server.mu.Lock()
	defer w.server.mu.Unlock()
	w.end()
}

func (w *watcher) end() {
	if !w.stopped {
		w.stopped = true
		close(w.channel)
	}
}

// send tells of a change. The server is locked.
func (w *watcher) send(c change) {
	if !w.stopped && !w.server.deaf && c.resource == w.resource && w.selector.Matches(labels.Set(c.object.GetLabels())) {
		w.channel <- watch.Event{Type: c.kind, Object: c.object.DeepCopy()}
	}
}

// keep keeps an object under a new version. The server is locked.
func (s *apiServer) keep(r schema.GroupVersionResource, kind watch.EventType, object *unstructured.Unstructured) *unstructured.Unstructured {
	s.version++
	object.SetResourceVersion(strconv.Itoa(s.version))
	s.kept[r][object.GetName()] = object
	if kind == watch.Deleted || object.GetDeletionTimestamp() != nil && len(object.GetFinalizers()) == 0 {
		kind = watch.Deleted
		delete(s.kept[r], object.GetName())
	}
	c := change{s.version, r, kind, object.DeepCopy()}
	s.events = append(s.events, c)
	for _, w := range s.watchers {
		w.send(c)
	}
	return object
}

// What others do is not a request of ours.

// add adds an object.
func (s *apiServer) add(r schema.GroupVersionResource, text string) {
	s.t.Helper()
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON([]byte(text)); err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if object.GetUID() == "" {
		object.SetUID(types.UID("uid-" + strconv.Itoa(s.version+1)))
	}
	s.keep(r, watch.Added, object)
}

// change merges something into an object, if it is there.
func (s *apiServer) change(r schema.GroupVersionResource, name, patch string) {
	s.t.Helper()
	var changes map[string]any
	if err := json.Unmarshal([]byte(patch), &changes); err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if object := s.kept[r][name]; object != nil {
		s.keep(r, watch.Modified, &unstructured.Unstructured{Object: merge(object.DeepCopy().Object, changes)})
	}
}

// delete deletes an object, or marks it as deleted if finalizers hold it.
func (s *apiServer) delete(r schema.GroupVersionResource, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	object := s.kept[r][name].DeepCopy()
	if len(object.GetFinalizers()) == 0 {
		s.keep(r, watch.Deleted, object)
		return
	}
	now := metav1.NewTime(time.Now())
	object.SetDeletionTimestamp(&now)
	s.keep(r, watch.Modified, object)
}

// get returns an object; nil if there is none.
func (s *apiServer) get(r schema.GroupVersionResource, name string) *unstructured.Unstructured {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept[r][name] == nil {
		return nil
	}
	return s.kept[r][name].DeepCopy()
}

// breakWatches ends all watches, as a server does from time to time.
func (s *apiServer) breakWatches() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.watchers {
		w.end()
	}
}

// fail lets requests fail, as long as the function returns errors.
func (s *apiServer) fail(before func(verb string, r schema.GroupVersionResource, name string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = before
}

// made returns the requests since it was asked last, without those of the watch.
func (s *apiServer) made() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	made := slices.DeleteFunc(s.requests, func(r string) bool { return strings.HasPrefix(r, "list pipelineruns testdag") })
	s.requests = nil
	return made
}
