package main

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/go-logr/zapr"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/testdag/testdag/scheduler/konflux"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// newManager puts the controller together. Nothing is read but which kinds the cluster has.
func newManager(config *rest.Config, s *settings, log *zap.Logger) (manager.Manager, error) {
	kind, err := discover(config, s.kind)
	if err != nil {
		return nil, err
	}
	options := s.options
	options.Keys = complete(s.keys, kind.keys())
	if _, err := konflux.Next(konflux.Objects{}, options, time.Time{}); err != nil {
		return nil, err // mistakes in the options
	}
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	ctrl.SetLogger(zapr.NewLogger(log))
	m, err := ctrl.NewManager(config, manager.Options{
		Scheme: scheme, Cache: cached(kind, options.Keys, s.within()), Logger: zapr.NewLogger(log),
		LeaderElection: s.leaderElection, LeaderElectionID: "controller.testdag.dev", LeaderElectionNamespace: s.leaderNamespace,
		LeaderElectionReleaseOnCancel: true, // the program ends right after
		Metrics:                       server.Options{BindAddress: s.metricsAddress},
		HealthProbeBindAddress:        s.healthAddress, GracefulShutdownTimeout: &s.grace,
	})
	if err != nil {
		return nil, err
	}
	log.Info("reconciling", zap.String("kind", kind.version().Kind), zap.Strings("namespaces", s.within()))
	return m, add(m, config, kind, options, s, log)
}

// discover asks the cluster which kinds it has.
func discover(config *rest.Config, name string) (kind, error) {
	web, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	mapper, err := apiutil.NewDynamicRESTMapper(config, web)
	if err != nil {
		return nil, err
	}
	return chooseKind(name, mapper)
}

func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	addKinds(scheme)
	return scheme, corev1.AddToScheme(scheme)
}

// cached says what is kept of the cluster in memory: the runs that carry the label of a Snapshot, and of them what is
// looked at.
func cached(k kind, keys konflux.Keys, namespaces []string) cache.Options {
	shared := true
	ours := labels.NewSelector()
	if is, err := labels.NewRequirement(keys.Resource+"/snapshot", selection.Exists, nil); err == nil {
		ours = ours.Add(*is)
	}
	o := cache.Options{DefaultTransform: cache.TransformStripManagedFields(), ByObject: map[client.Object]cache.ByObject{
		&pipelineRun{}: {Label: ours, Transform: slim, UnsafeDisableDeepCopy: &shared},
		&taskRun{}:     {Label: ours, UnsafeDisableDeepCopy: &shared},
	}}
	if _, ok := k.(configMaps); ok {
		o.ByObject[&corev1.ConfigMap{}] = cache.ByObject{Label: labels.SelectorFromSet(labels.Set{graphLabel: "true"})}
	}
	for _, name := range namespaces {
		if o.DefaultNamespaces == nil {
			o.DefaultNamespaces = map[string]cache.Config{}
		}
		o.DefaultNamespaces[name] = cache.Config{}
	}
	return o
}

// slim drops of a PipelineRun what nobody looks at.
func slim(in any) (any, error) {
	run, ok := in.(*pipelineRun)
	if !ok {
		return in, nil
	}
	run.ManagedFields = nil
	run.Spec = pipelinerun.PipelineRunSpec{Status: run.Spec.Status}
	run.Status.ChildReferences = slices.DeleteFunc(run.Status.ChildReferences, func(c pipelinerun.ChildReference) bool {
		return c.Kind != "" && c.Kind != "TaskRun" // it has no results
	})
	return run, nil
}

// add adds the controller, its health and its metrics to the manager.
func add(m manager.Manager, config *rest.Config, k kind, options konflux.Options, s *settings, log *zap.Logger) error {
	requests, err := dynamic.NewForConfigAndClient(config, m.GetHTTPClient())
	if err != nil {
		return err
	}
	r := &reconciler{
		kind: k, options: options, cluster: m.GetClient(), events: m.GetEventRecorder("testdag-controller"),
		metrics: newMetrics(ctrlmetrics.Registry), log: log, now: time.Now,
		requests: requests, timeout: s.requestTimeout, template: s.template(), timeouts: s.timeouts(),
	}
	err = m.GetFieldIndexer().IndexField(context.Background(), &pipelineRun{}, bySnapshot, r.snapshotOf)
	if err != nil {
		return err
	}
	if err := m.GetFieldIndexer().IndexField(context.Background(), &taskRun{}, bySnapshot, r.snapshotOf); err != nil {
		return err
	}
	b := ctrl.NewControllerManagedBy(m).Named("graph").For(k.one()).
		Watches(&pipelineRun{}, handler.EnqueueRequestsFromMapFunc(r.toObject), builder.WithPredicates(runChanges)).
		Watches(&taskRun{}, handler.EnqueueRequestsFromMapFunc(r.toObject), builder.WithPredicates(taskChanges)).
		WithOptions(controller.Options{MaxConcurrentReconciles: s.workers, RateLimiter: backoff()})
	if err := k.watch(b, m.GetClient()).Complete(r); err != nil {
		return err
	}
	if err := m.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	return m.AddReadyzCheck("cache", func(*http.Request) error { return synced(m.GetCache()) })
}

// backoff lets an object that fails wait for longer and longer, but not for so long that people wonder.
func backoff() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](50*time.Millisecond, 30*time.Second)
}

// synced reports whether the cache has been filled.
func synced(c cache.Cache) error {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if !c.WaitForCacheSync(ctx) {
		return errors.New("the cache is being filled")
	}
	return nil
}
