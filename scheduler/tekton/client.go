package tekton

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// Limits bound what a [Client] does. The zero Limits serve.
type Limits struct {
	// Timeout is how long one request may take. The default, 0, is 30 seconds.
	Timeout time.Duration

	// Page is how many objects are asked for at once. The default, 0, is 100: a PipelineRun may well have 100 KiB.
	Page int

	// Objects is how many PipelineRuns, and how many TaskRuns, Runs returns at most. The default, 0, is 20,000.
	Objects int
}

// A Client makes the requests of a controller that carries out plans, in one namespace. Each may be made twice: what is
// done already is success. It keeps nothing, and serves several goroutines at once.
type Client struct {
	cluster   dynamic.Interface
	namespace string
	limits    Limits
}

// NewClient returns a Client for a namespace. Mind that the limits of a rest.Config that says nothing else, 5 requests a
// second, are those of a person at a keyboard.
func NewClient(cluster dynamic.Interface, namespace string, limits Limits) (*Client, error) {
	var mistakes []error
	refuse := func(bad bool, option, problem string, args ...any) {
		if bad {
			mistakes = append(mistakes, &OptionError{option, fmt.Sprintf(problem, args...)})
		}
	}
	refuse(cluster == nil, "the cluster", "is nil; make one with dynamic.NewForConfig")
	refuse(namespace == "", "the namespace", "is empty; name the one of the PipelineRuns")
	refuse(limits.Timeout < 0, "Limits.Timeout", "is %s; want 0 or more", limits.Timeout)
	refuse(limits.Page < 0, "Limits.Page", "is %d; want 0 or more", limits.Page)
	refuse(limits.Objects < 0, "Limits.Objects", "is %d; want 0 or more", limits.Objects)
	if len(mistakes) > 0 {
		return nil, errors.Join(mistakes...)
	}
	limits.Timeout = cmp.Or(limits.Timeout, 30*time.Second)
	limits.Page = cmp.Or(limits.Page, 100)
	limits.Objects = cmp.Or(limits.Objects, 20_000)
	return &Client{cluster, namespace, limits}, nil
}

func (c *Client) resource(r schema.GroupVersionResource) dynamic.ResourceInterface {
	return c.cluster.Resource(r).Namespace(c.namespace)
}

// request makes one request, in its time.
func request[T any](ctx context.Context, c *Client, do func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, c.limits.Timeout)
	defer cancel()
	return do(ctx)
}

// Create creates a PipelineRun. If one of its name is there, it is success if that one is the same run: it has each label
// of it, no annotation of it with another value, and is owned by the same. Otherwise it is a *[TakenError]. An error that
// no further attempt will mend is a *[RefusedError]; [Retryable] tells of the others.
func (c *Client) Create(ctx context.Context, run pipelinerun.PipelineRun) error {
	_, _, err := c.create(ctx, run, run.Meta)
	return err
}

// create returns the PipelineRun that is there after it, and whether it was there before, as told by what the run is known by.
func (c *Client) create(ctx context.Context, run pipelinerun.PipelineRun, by pipelinerun.Meta) (there *pipelinerun.PipelineRun, before bool, err error) {
	object, err := toObject(run)
	if err != nil {
		return nil, false, &RefusedError{Name: run.Name, Reason: err.Error(), Err: err}
	}
	object, err = request(ctx, c, func(ctx context.Context) (*unstructured.Unstructured, error) {
		return c.resource(pipelineRuns).Create(ctx, object, metav1.CreateOptions{})
	})
	switch {
	case apierrors.IsAlreadyExists(err):
		if there, err = c.read(ctx, run.Name); err != nil {
			return nil, true, err
		}
		return there, true, same(by, there.Meta)
	case err != nil:
		return nil, false, failed("create", run.Name, err)
	}
	there, err = toRun(object)
	return there, false, err
}

// read returns a PipelineRun as it is now.
func (c *Client) read(ctx context.Context, name string) (*pipelinerun.PipelineRun, error) {
	object, err := request(ctx, c, func(ctx context.Context) (*unstructured.Unstructured, error) {
		return c.resource(pipelineRuns).Get(ctx, name, metav1.GetOptions{})
	})
	if err != nil {
		return nil, fmt.Errorf("tekton: cannot read PipelineRun %s: %w", name, err)
	}
	return toRun(object)
}

// same says what tells a PipelineRun that is there from the one that is wanted.
func same(want, got pipelinerun.Meta) error {
	for _, key := range slices.Sorted(maps.Keys(want.Labels)) {
		if value, ok := got.Labels[key]; !ok || value != want.Labels[key] {
			return &TakenError{want.Name, fmt.Sprintf("its label %s is %q, not %q", key, value, want.Labels[key])}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(want.Annotations)) {
		if value, ok := got.Annotations[key]; ok && value != want.Annotations[key] {
			return &TakenError{want.Name, fmt.Sprintf("its annotation %s is %q, not %q", key, value, want.Annotations[key])}
		}
	}
	for _, owner := range want.OwnerReferences {
		if !slices.ContainsFunc(got.OwnerReferences, func(o pipelinerun.OwnerReference) bool { return o.UID == owner.UID }) {
			return &TakenError{want.Name, fmt.Sprintf("it is not owned by %s %s (%s)", owner.Kind, owner.Name, owner.UID)}
		}
	}
	return nil
}

// Cancel asks for the end of a PipelineRun: it writes spec.status, CancelledRunFinally unless another is given, and the
// annotations at once. What is gone, is over or was asked to end by somebody is left as it is, so that it stays to be seen
// who did it first.
func (c *Client) Cancel(ctx context.Context, cancel pipelinerun.Cancellation) error {
	_, err := c.cancel(ctx, cancel, nil)
	return err
}

// cancel returns the PipelineRun that is there after it; nil if there is none. seen saves a request.
func (c *Client) cancel(ctx context.Context, cancel pipelinerun.Cancellation, seen *pipelinerun.PipelineRun) (*pipelinerun.PipelineRun, error) {
	return c.edit(ctx, "cancel", cancel.Name, seen, func(run *pipelinerun.PipelineRun) map[string]any {
		if run.Over() || run.Spec.Status != "" {
			return nil
		}
		metadata := map[string]any{}
		if len(cancel.Annotations) > 0 { // null would remove those that are there
			metadata["annotations"] = cancel.Annotations
		}
		return map[string]any{"metadata": metadata, "spec": map[string]any{"status": cmp.Or(cancel.Status, pipelinerun.CancelStatus)}}
	})
}

// Release removes finalizers from a PipelineRun, so that it can be deleted, and leaves those of others. One that is gone has
// none.
func (c *Client) Release(ctx context.Context, name string, finalizers ...string) error {
	_, err := c.edit(ctx, "release", name, nil, func(run *pipelinerun.PipelineRun) map[string]any {
		rest := slices.DeleteFunc(slices.Clone(run.Finalizers), func(f string) bool { return slices.Contains(finalizers, f) })
		if len(rest) == len(run.Finalizers) {
			return nil
		}
		return map[string]any{"metadata": map[string]any{"finalizers": rest}}
	})
	return err
}

const maxEdits = 5

// edit changes a PipelineRun, and only as it was read: somebody else's change in between makes it read again. So does a
// refusal, once: Tekton's webhook lets nobody change what is over. change returns nil if there is nothing to change. edit
// returns the PipelineRun that is there after it; nil if there is none.
func (c *Client) edit(ctx context.Context, verb, name string, seen *pipelinerun.PipelineRun, change func(*pipelinerun.PipelineRun) map[string]any) (*pipelinerun.PipelineRun, error) {
	var first string // UID of the run that is meant
	for attempt := 1; ; attempt++ {
		if seen == nil {
			var err error
			if seen, err = c.read(ctx, name); err != nil {
				return nil, ignoreNotFound(err)
			}
		}
		if first = cmp.Or(first, seen.UID); seen.UID != first {
			return nil, nil // it is gone, and another one has its name
		}
		patch := change(seen)
		if patch == nil {
			return seen, nil
		}
		patch["metadata"].(map[string]any)["resourceVersion"] = seen.ResourceVersion
		object, err := c.patch(ctx, pipelineRuns, name, patch)
		if err == nil {
			return toRun(object)
		}
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		err = failed(verb, name, err)
		if attempt == maxEdits || !apierrors.IsConflict(err) && (Retryable(err) || attempt > 1) {
			return nil, err
		}
		seen = nil
	}
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// patch merges a change into an object.
func (c *Client) patch(ctx context.Context, resource schema.GroupVersionResource, name string, change map[string]any) (*unstructured.Unstructured, error) {
	text, err := json.Marshal(change)
	if err != nil {
		return nil, err
	}
	return request(ctx, c, func(ctx context.Context) (*unstructured.Unstructured, error) {
		return c.resource(resource).Patch(ctx, name, types.MergePatchType, text, metav1.PatchOptions{})
	})
}

// Runs returns the PipelineRuns and TaskRuns whose labels match a selector; an empty one matches all. Tekton gives TaskRuns
// the labels of their PipelineRun. TaskRuns are read last, so that those of a run that is over are there.
func (c *Client) Runs(ctx context.Context, selector string) ([]pipelinerun.PipelineRun, []pipelinerun.TaskRun, error) {
	runs, err := list(ctx, c, pipelineRuns, selector, func(object *unstructured.Unstructured) (pipelinerun.PipelineRun, error) {
		run, err := toRun(object)
		if err != nil {
			return pipelinerun.PipelineRun{}, err
		}
		return *run, nil
	})
	if err != nil {
		return nil, nil, err
	}
	tasks, err := c.tasks(ctx, selector)
	if err != nil {
		return nil, nil, err
	}
	return runs, tasks, nil
}

func (c *Client) tasks(ctx context.Context, selector string) ([]pipelinerun.TaskRun, error) {
	return list(ctx, c, taskRuns, selector, func(object *unstructured.Unstructured) (task pipelinerun.TaskRun, err error) {
		return task, convert(object, &task)
	})
}

const maxLists = 3

// list reads all pages. A list whose next page has expired meanwhile begins anew.
func list[T any](ctx context.Context, c *Client, resource schema.GroupVersionResource, selector string, convert func(*unstructured.Unstructured) (T, error)) ([]T, error) {
	var all []T
	options := metav1.ListOptions{LabelSelector: selector, Limit: int64(c.limits.Page)}
	for attempt := 1; ; {
		page, err := request(ctx, c, func(ctx context.Context) (*unstructured.UnstructuredList, error) {
			return c.resource(resource).List(ctx, options)
		})
		if (apierrors.IsResourceExpired(err) || apierrors.IsGone(err)) && attempt < maxLists {
			attempt++
			all, options.Continue = nil, ""
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("tekton: cannot list %s: %w", resource.Resource, err)
		}
		if len(all)+len(page.Items) > c.limits.Objects {
			return nil, &LimitError{resource.Resource, c.limits.Objects}
		}
		for i := range page.Items {
			one, err := convert(&page.Items[i])
			if err != nil {
				return nil, fmt.Errorf("tekton: cannot read %s %s: %w", resource.Resource, page.Items[i].GetName(), err)
			}
			all = append(all, one)
		}
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return all, nil
		}
	}
}
