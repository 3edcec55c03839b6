package stage

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"

	"github.com/testdag/testdag/internal/cluster"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// TestMain builds the controller and brings a control plane up, for all tests together. Where there can be none, it says
// so, and no test runs.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := errors.Join(Build(context.Background()), fetchDefinitions()); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	cluster.Main(house{m}, cluster.Etcd, cluster.APIServer, cluster.Tekton, cluster.Resolvers)
}

// A house opens the stage when the first test asks for it, and closes it after the last.
type house struct{ *testing.M }

var theStage struct {
	once sync.Once
	*Stage
	err error
}

func (h house) Run() int {
	code := h.M.Run()
	var err error
	if theStage.Stage != nil {
		err = theStage.Close()
	}
	if err := errors.Join(err, Clean()); err != nil {
		fmt.Println(err)
		return 1
	}
	return code
}

// open returns the  When the test fails, it tells what the components said last.
func open(t *testing.T) *Stage {
	t.Helper()
	theStage.once.Do(func() {
		begin := time.Now()
		theStage.Stage, theStage.err = Open(context.Background(), cluster.Options{})
		t.Logf("the cluster started in %s", time.Since(begin).Round(time.Millisecond))
	})
	if theStage.err != nil {
		t.Fatal(theStage.err)
	}
	t.Cleanup(func() { logsOf(t, theStage.Stage) })
	return theStage.Stage
}

// logsOf tells of a test that failed what everybody said last.
func logsOf(t *testing.T, s *Stage) {
	if t.Failed() {
		logs, _ := filepath.Glob(filepath.Join(s.Dir(), "*.log"))
		for _, log := range logs {
			t.Logf("%s:\n%s", log, lastOf(log))
		}
	}
}

// lastOf returns the end of a file.
func lastOf(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}

// within bounds a test: what is not there after so long never comes.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeoutCause(t.Context(), d, fmt.Errorf("%s are over", d))
	t.Cleanup(cancel)
	return ctx
}

// start starts a controller that ends with the test at the latest.
func start(t *testing.T, s *Stage, name string, args ...string) *Controller {
	t.Helper()
	c, err := s.Start(strings.ReplaceAll(t.Name(), "/", "-")+"-"+name, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Kill(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// A witness remembers every PipelineRun that was ever there, whoever deletes it.
type witness struct {
	mu    sync.Mutex
	ids   map[string]map[string]bool // UIDs, by namespace and name
	first time.Time                  // when one was seen first
}

func watch(t *testing.T, s *Stage) *witness {
	t.Helper()
	w := &witness{ids: map[string]map[string]bool{}}
	informer := dynamicinformer.NewDynamicSharedInformerFactory(s.Client, 0).ForResource(PipelineRuns).Informer()
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: w.see, UpdateFunc: func(_, o any) { w.see(o) }, DeleteFunc: w.see,
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); informer.Run(ctx.Done()) }()
	t.Cleanup(func() { cancel(); <-done })
	if !cache.WaitForCacheSync(t.Context().Done(), informer.HasSynced) {
		t.Fatal("PipelineRuns cannot be watched")
	}
	return w
}

func (w *witness) see(o any) {
	if gone, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = gone.Obj
	}
	run, ok := o.(metav1.Object)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.ids) == 0 {
		w.first = time.Now()
	}
	name := run.GetNamespace() + "/" + run.GetName()
	if w.ids[name] == nil {
		w.ids[name] = map[string]bool{}
	}
	w.ids[name][string(run.GetUID())] = true
}

// of returns the names of the PipelineRuns of a namespace, and how many were created of each.
func (w *witness) of(namespace string) map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	found := map[string]int{}
	for name, ids := range w.ids {
		if run, ok := strings.CutPrefix(name, namespace+"/"); ok {
			found[run] = len(ids)
		}
	}
	return found
}

// An end is how a graph ended, without what differs from graph to graph: times, and the hashes in names.
type end struct {
	Outcome   string
	Scenarios []string          // what the status annotation says
	State     string            // the state annotation
	Runs      map[string]string // of every PipelineRun: how it ended
	Held      []string          // PipelineRuns that still have a finalizer
}

// endOf tells how a graph ended.
func endOf(t *testing.T, seen *Seen) end {
	t.Helper()
	state, err := seen.State.Format()
	if err != nil {
		t.Fatal(err)
	}
	e := end{Outcome: seen.Outcome, State: state, Runs: map[string]string{}}
	for _, s := range seen.Statuses {
		e.Scenarios = append(e.Scenarios, fmt.Sprintf("%s: %s, %s as %s, after %v", s.Scenario, s.Status, s.Details, plain(s.RunName), s.RunAfter))
	}
	for _, run := range seen.Runs {
		e.Runs[plain(run.Name)] = how(run)
		if len(run.Finalizers) > 0 {
			e.Held = append(e.Held, plain(run.Name))
		}
	}
	return e
}

// plain returns the name of a run without the hash: it holds the UID of the ConfigMap.
func plain(name string) string { return name[:max(0, strings.LastIndexByte(name, '-'))] }

// how tells how a PipelineRun ended, and whether a plan stopped it.
func how(run pipelinerun.PipelineRun) string {
	for _, c := range run.Status.Conditions {
		if c.Type == "Succeeded" {
			if run.Annotations["own.testdag.dev/stopped"] != "" {
				return c.Reason + ", stopped"
			}
			return c.Reason
		}
	}
	return "not begun"
}

// theEnd is that of the play without a disturbance.
var theEnd = end{
	Outcome: "passed",
	Scenarios: []string{
		"clamav-scan: TestPassed, passed as clamav-scan-1, after []",
		"dast-tests: TestPassed, passed as dast-tests-4, after []",
		"operator-deployment: TestPassed, passed as operator-deployment-1, after []",
		"operator-scorecard: TestPassed, passed as operator-scorecard-1, after [operator-deployment]",
		"verify: TestPassed, passed as verify-2, after [clamav-scan dast-tests operator-scorecard]",
		"e2e-test: TestPassed, passed as e2e-test-1, after [verify]",
	},
	State: `{"version":1,"runs":{"version":1,"scenarios":[{"id":"clamav-scan","run":1,"phase":"passed"},` +
		`{"id":"dast-tests","run":4,"phase":"passed","forced":true,"want":4},{"id":"e2e-test","run":1,"phase":"passed","on":[5,2]},` +
		`{"id":"operator-deployment","run":1,"phase":"passed"},{"id":"operator-scorecard","run":1,"phase":"passed","on":[3,1]},` +
		`{"id":"verify","run":2,"phase":"passed","on":[0,1,1,4,4,1]}]}}`,
	Runs: map[string]string{
		"clamav-scan-1": "Succeeded", "dast-tests-1": "Succeeded", "dast-tests-2": "Succeeded", "dast-tests-3": "Succeeded", "dast-tests-4": "Succeeded",
		"operator-deployment-1": "Succeeded", "operator-scorecard-1": "Succeeded", "verify-1": "Cancelled, stopped", "verify-2": "Succeeded", "e2e-test-1": "Succeeded",
	},
}

// plays plays the graph in several namespaces at once, while something disturbs. Every graph must end as if nothing had
// happened, with no run lost and none created twice.
func plays(t *testing.T, ctx context.Context, s *Stage, namespaces []string, disturb func(*witness)) {
	t.Helper()
	w := watch(t, s)
	ends := make([]end, len(namespaces))
	var players sync.WaitGroup
	for i, namespace := range namespaces {
		players.Go(func() {
			seen, err := playOne(ctx, s, namespace)
			if err != nil {
				t.Error(err)
				return
			}
			ends[i] = endOf(t, seen)
		})
	}
	disturb(w)
	players.Wait()
	for i, e := range ends {
		if diff := cmp.Diff(theEnd, e); diff != "" {
			t.Errorf("%s ended otherwise (-want +got):\n%s", namespaces[i], diff)
		}
		once(t, w, namespaces[i])
	}
}

func playOne(ctx context.Context, s *Stage, namespace string) (*Seen, error) {
	var g *Graph
	if err := again(ctx, func() (err error) { g, err = s.Graph(ctx, namespace); return err }); err != nil {
		return nil, err
	}
	return g.Play(ctx)
}

// once checks that each run was created once, and that no other was there.
func once(t *testing.T, w *witness, namespace string) {
	t.Helper()
	created := map[string]int{}
	for name, n := range w.of(namespace) {
		created[plain(name)] += n
	}
	want := map[string]int{}
	for name := range theEnd.Runs {
		want[name] = 1
	}
	if diff := cmp.Diff(want, created); diff != "" {
		t.Errorf("%s: how often PipelineRuns were created (-want +got):\n%s", namespace, diff)
	}
}

var namespacesMade atomic.Int64

// names returns so many names of namespaces for a test, which no test before had.
func names(t *testing.T, n int) (all []string) {
	base := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(t.Name(), "Test"), "/", "-"))
	for range n {
		all = append(all, fmt.Sprintf("%s-%d", base, namespacesMade.Add(1)))
	}
	return all
}

// figures logs figures of a controller.
func figures(t *testing.T, ctx context.Context, c *Controller) map[string]float64 {
	t.Helper()
	m, err := c.Metrics(ctx)
	if err != nil {
		t.Error(err)
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if strings.HasPrefix(name, "testdag_") && strings.HasSuffix(name, "_total") || name == "rest_client_requests_total" || name == "testdag_decision_seconds_count" {
			lines = append(lines, fmt.Sprintf("%s %g", name, m[name]))
		}
	}
	t.Log(strings.Join(lines, ", "))
	return m
}
