package stage

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"github.com/testdag/testdag/internal/cluster"
)

var (
	figuresFlag = flag.Bool("figures", false, "measure large graphs, and print a table")
	sizeFlag    = flag.Int("size", 500, "with -figures: scenarios in the large graph, and tasks in the Pipeline beside it")
)

// A figure is what a load cost.
type figure struct {
	load               string
	runs               int
	first, all         time.Duration // until the first of them is created, and until all is over
	decisions          float64
	decision           time.Duration // on average
	requests           int           // of the controller
	kinds              map[string]int
	server             float64 // requests to the API server of everybody
	memory, memoryMost int64   // of the controller
	tekton             int64   // of Tekton's controller at most
	note               string
}

// What large graphs cost on this machine, beside a Pipeline of Tekton in the same order. The pods end at once, so that
// nothing but the overhead is measured.
func TestFigures(t *testing.T) {
	if !*figuresFlag {
		t.Skip("-figures is not given: nothing is measured")
	}
	var all []figure
	t.Run("graph", func(t *testing.T) {
		all = append(all, measure(t, fmt.Sprintf("1 graph of %d", *sizeFlag), 1, *sizeFlag))
	})
	t.Run("graphs", func(t *testing.T) { all = append(all, measure(t, "50 graphs of 10", 50, 10)) })
	t.Run("pipeline", func(t *testing.T) { all = append(all, measurePipeline(t, *sizeFlag)) })
	t.Log("\n" + table(all))
}

// fresh returns a stage of its own, so that nothing of another load is counted.
func fresh(t *testing.T) *Stage {
	t.Helper()
	s, err := Open(t.Context(), cluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { logsOf(t, s); _ = s.Close() })
	if err := s.Namespace(t.Context(), "load"); err != nil {
		t.Fatal(err)
	}
	return s
}

func scenarioName(i int) string { return fmt.Sprintf("scenario-%03d", i) }

// parents returns what a scenario waits for: in layers of a tenth, two of the layer before.
func parents(i, n int) []int {
	layer := max(n/10, 1)
	if i < layer {
		return nil
	}
	first, second := i-layer, (i/layer-1)*layer+(i+1)%layer
	if first == second {
		return []int{first}
	}
	return []int{first, second}
}

// measure runs graphs, and waits for their ends.
func measure(t *testing.T, load string, graphs, size int) figure {
	s, ctx := fresh(t), within(t, time.Hour)
	if err := s.apply(ctx, Pipelines, nothing("nothing", 1)); err != nil {
		t.Fatal(err)
	}
	p := proxyFor(t, s, "")
	c := start(t, s, "a", "-kubeconfig="+p.kubeconfig, "-leader-election=false", "-namespaces=load", "-state-bytes=262144")
	if err := c.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	w := watch(t, s)
	before, begin := served(t, s), time.Now()
	for i := range graphs {
		if err := s.apply(ctx, ConfigMaps, large(fmt.Sprintf("graph-%02d", i), size)); err != nil {
			t.Fatal(err)
		}
	}
	f := figure{load: load, runs: graphs * size}
	for passed := 0; passed < graphs; passed = outcomes(t, ctx, s) {
		time.Sleep(200 * time.Millisecond)
	}
	w.mu.Lock()
	f.first, f.all = w.first.Sub(begin), time.Since(begin)
	w.mu.Unlock()
	f.server = served(t, s) - before
	f.ofController(t, ctx, c, p)
	f.tekton = s.Memory()[cluster.Tekton]
	if n := len(w.of("load")); n != f.runs {
		t.Errorf("%d PipelineRuns; want %d", n, f.runs)
	}
	return f
}

func (f *figure) ofController(t *testing.T, ctx context.Context, c *Controller, p *proxy) {
	t.Helper()
	m := figures(t, ctx, c)
	f.decisions = m["testdag_decision_seconds_count"]
	f.decision = time.Duration(m["testdag_decision_seconds_sum"] / f.decisions * float64(time.Second))
	p.mu.Lock()
	f.kinds = p.requests
	for _, n := range p.requests {
		f.requests += n
	}
	p.mu.Unlock()
	var err error
	if f.memory, f.memoryMost, err = c.Memory(); err != nil {
		t.Error(err)
	}
}

// outcomes returns how many graphs have passed.
func outcomes(t *testing.T, ctx context.Context, s *Stage) (passed int) {
	t.Helper()
	list, err := s.Client.Resource(ConfigMaps).Namespace("load").List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list.Items {
		switch outcome := o.GetAnnotations()["own.testdag.dev/outcome"]; outcome {
		case "passed":
			passed++
		case "":
		default:
			t.Fatalf("%s: %s", o.GetName(), outcome)
		}
	}
	return passed
}

// large returns a graph in a ConfigMap.
func large(name string, n int) *unstructured.Unstructured {
	var scenarios, group strings.Builder
	for i := range n {
		fmt.Fprintf(&scenarios, "---\n{kind: IntegrationTestScenario, metadata: {name: %s}, spec: {resolverRef: {name: nothing}}}\n", scenarioName(i))
		for k, parent := range parents(i, n) {
			if k == 0 {
				fmt.Fprintf(&group, "    %s:\n", scenarioName(i))
			}
			fmt.Fprintf(&group, "    - {name: %s, onFail: skip}\n", scenarioName(parent))
		}
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": name, "namespace": "load", "labels": map[string]any{"testdag.dev/graph": "true"}},
		"data":     map[string]any{"scenarios.yaml": scenarios.String(), "group.yaml": "kind: ComponentGroup\nspec:\n  testGraph:\n" + group.String()},
	}}
}

// nothing returns a pipeline of tasks that do nothing, in the order of the graph.
func nothing(name string, n int) *unstructured.Unstructured {
	var tasks []any
	for i := range n {
		after := []any{}
		for _, parent := range parents(i, n) {
			after = append(after, scenarioName(parent))
		}
		tasks = append(tasks, map[string]any{"name": scenarioName(i), "runAfter": after, "taskSpec": map[string]any{
			"steps": []any{map[string]any{"name": "none", "image": "registry.test/none", "script": "exit 0"}},
		}})
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "tekton.dev/v1", "kind": "Pipeline", "metadata": map[string]any{"name": name, "namespace": "load"},
		"spec": map[string]any{"tasks": tasks},
	}}
}

// measurePipeline runs the same graph as one PipelineRun. If Tekton does not take it, it says why, and half of it is
// tried.
func measurePipeline(t *testing.T, n int) figure {
	s, ctx := fresh(t), within(t, time.Hour)
	var note []string
	for ; ; n /= 2 {
		f, err := pipelineOf(t, ctx, s, n)
		if err == nil {
			f.note = strings.Join(note, "; ")
			return f
		}
		note = append(note, fmt.Sprintf("%d tasks: %v", n, err))
		t.Log(note[len(note)-1])
		if n < 10 {
			t.Fatal("no Pipeline runs")
		}
	}
}

func pipelineOf(t *testing.T, ctx context.Context, s *Stage, n int) (figure, error) {
	t.Helper()
	name := fmt.Sprintf("pipeline-%d", n)
	if err := s.apply(ctx, Pipelines, nothing(name, n)); err != nil {
		return figure{}, err
	}
	before, begin := served(t, s), time.Now()
	run := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": map[string]any{"name": name},
		"spec": map[string]any{"pipelineRef": map[string]any{"name": name}, "timeouts": map[string]any{"pipeline": "1h"}},
	}}
	if _, err := s.Client.Resource(PipelineRuns).Namespace("load").Create(ctx, run, metav1.CreateOptions{}); err != nil {
		return figure{}, err
	}
	f := figure{load: fmt.Sprintf("1 Pipeline of %d tasks", n), runs: n}
	for {
		if f.first == 0 {
			list, err := s.Client.Resource(TaskRuns).Namespace("load").List(ctx, metav1.ListOptions{Limit: 1})
			if err == nil && len(list.Items) > 0 {
				f.first = time.Since(begin)
			}
		}
		o, err := s.Client.Resource(PipelineRuns).Namespace("load").Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return figure{}, err
		}
		if status, message := ended(o); status == "False" {
			return figure{}, fmt.Errorf("after %s: %s", time.Since(begin).Round(time.Second), message)
		} else if status == "True" {
			break
		}
		pause := 200 * time.Millisecond
		if f.first == 0 {
			pause = 10 * time.Millisecond
		}
		time.Sleep(pause)
	}
	f.all, f.server, f.tekton = time.Since(begin), served(t, s)-before, s.Memory()[cluster.Tekton]
	return f, nil
}

func ended(o *unstructured.Unstructured) (status, message string) {
	text, err := json.Marshal(o.Object["status"])
	if err != nil {
		return "", ""
	}
	var s struct {
		Conditions []struct{ Type, Status, Message string }
	}
	if err := json.Unmarshal(text, &s); err != nil || len(s.Conditions) == 0 {
		return "", ""
	}
	return s.Conditions[0].Status, s.Conditions[0].Message
}

// served returns how many requests the API server has answered to everybody, without watches.
func served(t *testing.T, s *Stage) (sum float64) {
	t.Helper()
	client, err := rest.HTTPClientFor(s.Config())
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Config().Host+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if !strings.HasPrefix(line, "apiserver_request_total{") || strings.Contains(line, `verb="WATCH"`) {
			continue
		}
		value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += value
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return sum
}

// table prints figures for a README.
func table(all []figure) string {
	var b strings.Builder
	row := func(name string, value func(figure) string) {
		fmt.Fprintf(&b, "| %s |", name)
		for _, f := range all {
			fmt.Fprintf(&b, " %s |", value(f))
		}
		b.WriteByte('\n')
	}
	mib := func(n int64) string {
		if n == 0 {
			return "–"
		}
		return fmt.Sprintf("%d MiB", n>>20)
	}
	row("", func(f figure) string { return f.load })
	row("---", func(figure) string { return "--:" })
	row("until the first is created", func(f figure) string { return f.first.Round(time.Millisecond).String() })
	row("until all is over", func(f figure) string { return f.all.Round(100 * time.Millisecond).String() })
	row("decisions", func(f figure) string { return dash(f.decisions, "%.0f") })
	row("a decision, on average", func(f figure) string {
		if f.decision == 0 {
			return "–"
		}
		return f.decision.Round(10 * time.Microsecond).String()
	})
	row("requests of the controller, per run", func(f figure) string { return dash(float64(f.requests)/float64(f.runs), "%.1f") })
	row("requests of everybody, per run", func(f figure) string { return dash(f.server/float64(f.runs), "%.1f") })
	row("memory of the controller at the end, at most", func(f figure) string {
		if f.memory == 0 {
			return "–"
		}
		return mib(f.memory) + ", " + mib(f.memoryMost)
	})
	row("memory of Tekton's controller at most", func(f figure) string { return mib(f.tekton) })
	for _, f := range all {
		if f.kinds != nil {
			fmt.Fprintf(&b, "\n%s: %v", f.load, f.kinds)
		}
		if f.note != "" {
			fmt.Fprintf(&b, "\n%s: %s", f.load, f.note)
		}
	}
	return b.String()
}

func dash(n float64, format string) string {
	if n == 0 {
		return "–"
	}
	return fmt.Sprintf(format, n)
}
