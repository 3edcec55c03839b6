package tekton

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// A watcher watches the PipelineRuns of a scope. What it knows lags behind the cluster, and it says so where it matters.
type watcher struct {
	client   *Client
	selector string
	log      logger

	synced chan struct{} // closed when all was seen once
	stop   context.CancelFunc

	mu        sync.Mutex
	err       error // the last one of the list or watch
	seen      map[string]*pipelinerun.PipelineRun
	gone      map[string]*pipelinerun.PipelineRun // what was followed when it was deleted, as it was last
	followers map[string][]chan struct{}
	following int
	closing   bool // nobody may follow any more
	first     bool // synced is closed
}

// watchFor begins to watch, and goes on until ctx ends and nobody follows any more: a run that is stopped because ctx ended
// is still to be seen to its end.
func watchFor(ctx context.Context, c *Client, selector string, log logger) *watcher {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	l := &watcher{
		client: c, selector: selector, log: log, stop: stop,
		synced: make(chan struct{}), seen: map[string]*pipelinerun.PipelineRun{},
		gone: map[string]*pipelinerun.PipelineRun{}, followers: map[string][]chan struct{}{},
	}
	expected := &unstructured.Unstructured{}
	expected.SetGroupVersionKind(pipelineRuns.GroupVersion().WithKind("PipelineRun"))
	reflector := cache.NewReflectorWithOptions(l.listerWatcher(), expected, l, cache.ReflectorOptions{
		Name: "testdag",
		// There is nothing to be done then; but without a period it waits for a channel of the whole program, which no
		// test with a clock of its own can have.
		ResyncPeriod: time.Hour,
	})
	reflector.WatchListPageSize = int64(c.limits.Page)
	// What it would print is told to the log.
	go reflector.RunWithContext(logr.NewContext(background, logr.Discard()))
	context.AfterFunc(ctx, l.close)
	return l
}

func (l *watcher) listerWatcher() cache.ListerWatcher {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.LabelSelector = l.selector
			list, err := request(ctx, l.client, func(ctx context.Context) (*unstructured.UnstructuredList, error) {
				return l.client.resource(pipelineRuns).List(ctx, o)
			})
			return list, l.note("list", err)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = l.selector
			w, err := l.client.resource(pipelineRuns).Watch(ctx, o)
			return w, l.note("watch", err)
		},
	}
}

// note keeps an error, to be told if nothing better comes.
func (l *watcher) note(verb string, err error) error {
	if err == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = fmt.Errorf("tekton: cannot %s PipelineRuns: %w", verb, err)
	l.log.warn("watch interrupted", "error", err)
	return err
}

// sync waits until all was seen once.
func (l *watcher) sync(ctx context.Context) error {
	select {
	case <-l.synced:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(context.Cause(ctx), l.err)
}

// close ends the watch as soon as nobody follows.
func (l *watcher) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closing = true
	if l.following == 0 {
		l.stop()
	}
}

// follow returns a channel that has something to receive whenever there is news of a PipelineRun, and a function that ends
// that. It is false when the watch has ended.
func (l *watcher) follow(name string) (news <-chan struct{}, forget func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return nil, nil, false
	}
	l.following++
	channel := make(chan struct{}, 1)
	l.followers[name] = append(l.followers[name], channel)
	return channel, func() { l.forget(name, channel) }, true
}

func (l *watcher) forget(name string, channel chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.following--
	rest := slices.DeleteFunc(l.followers[name], func(c chan struct{}) bool { return c == channel })
	if l.followers[name] = rest; len(rest) == 0 {
		delete(l.followers, name)
		delete(l.gone, name)
	}
	if l.closing && l.following == 0 {
		l.stop()
	}
}

// get returns a PipelineRun as it was seen last, and whether it was deleted since. What was never seen may be there all the
// same.
func (l *watcher) get(name string) (run *pipelinerun.PipelineRun, deleted bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if run := l.seen[name]; run != nil {
		return run, false
	}
	return l.gone[name], l.gone[name] != nil
}

// tell tells whoever follows. The lock is held.
func (l *watcher) tell(name string) {
	for _, channel := range l.followers[name] {
		select {
		case channel <- struct{}{}:
		default: // there is news already
		}
	}
}

// put keeps what was seen. The lock is held.
func (l *watcher) put(object any) (name string, err error) {
	found := object.(*unstructured.Unstructured)
	run, err := toRun(found)
	if err != nil {
		l.log.warn("PipelineRun cannot be read", "error", err)
		return found.GetName(), err
	}
	l.seen[run.Name] = run
	delete(l.gone, run.Name)
	return run.Name, nil
}

// drop keeps what is gone only for those who follow. The lock is held.
func (l *watcher) drop(name string, last *pipelinerun.PipelineRun) {
	delete(l.seen, name)
	if len(l.followers[name]) > 0 && last != nil {
		l.gone[name] = last
	}
	l.tell(name)
}

// Add, Update, Delete, Replace and Resync are called by the reflector.

func (l *watcher) Add(object any) error { return l.Update(object) }

func (l *watcher) Update(object any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	name, err := l.put(object)
	if err == nil {
		l.tell(name)
	}
	return err
}

func (l *watcher) Delete(object any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	name, err := l.put(object) // it may be over since it was seen last
	if err == nil {
		l.drop(name, l.seen[name])
	}
	return err
}

func (l *watcher) Replace(objects []any, _ string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.seen
	l.seen = make(map[string]*pipelinerun.PipelineRun, len(objects))
	for _, object := range objects {
		name, err := l.put(object)
		if last := before[name]; err != nil && last != nil {
			l.seen[name] = last // it is there, whatever it is
		}
		l.tell(name)
	}
	for name, last := range before {
		if l.seen[name] == nil {
			l.drop(name, last)
		}
	}
	if !l.first {
		l.first = true
		close(l.synced)
	}
	return nil
}

func (l *watcher) Resync() error { return nil }
