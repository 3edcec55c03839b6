package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler/konflux"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// settings are what flags and environment say.
type settings struct {
	kubeconfig string
	kind       string
	namespaces string
	workers    int
	qps        float32
	debug      bool

	leaderElection  bool
	leaderNamespace string
	metricsAddress  string
	healthAddress   string
	grace           time.Duration

	profile, skipped string
	keys             konflux.Keys // empty where the kind decides
	options          konflux.Options

	serviceAccount string
	timeout        time.Duration
	requestTimeout time.Duration
}

// environmentPrefix begins the names of variables that stand for flags.
const environmentPrefix = "TESTDAG_"

// parse reads the flags, and from the environment those that are not given. It reports every mistake in them.
func parse(args []string, environment func(string) (string, bool), usage io.Writer) (*settings, error) {
	s := &settings{}
	set := flag.NewFlagSet("controller", flag.ContinueOnError)
	set.SetOutput(usage)
	s.register(set)
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	if set.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", set.Arg(0))
	}
	if err := fromEnvironment(set, environment); err != nil {
		return nil, err
	}
	return s, s.check()
}

func (s *settings) register(set *flag.FlagSet) {
	set.StringVar(&s.kubeconfig, "kubeconfig", "", "how to reach the cluster (default: as kubectl, or as the service account of the pod)")
	set.StringVar(&s.kind, "kind", "auto", "the objects that are reconciled: snapshot, configmap, or auto: Snapshots where the cluster has them")
	set.StringVar(&s.namespaces, "namespaces", "", "the namespaces to work in, with commas between them (default: all)")
	set.IntVar(&s.workers, "workers", 4, "how many objects are worked at at once")
	set.Func("qps", "how many requests to the API server a second; 0 or less lets the API server decide (default 0)", s.setQPS)
	set.BoolVar(&s.debug, "debug", false, "log every decision")

	set.BoolVar(&s.leaderElection, "leader-election", true, "let one of several controllers do the work")
	set.StringVar(&s.leaderNamespace, "leader-election-namespace", "", "where the lease is (default: the namespace of the pod)")
	set.StringVar(&s.metricsAddress, "metrics-address", ":8080", "where /metrics is served; 0 for nowhere")
	set.StringVar(&s.healthAddress, "health-address", ":8081", "where /healthz and /readyz are served; 0 for nowhere")
	set.DurationVar(&s.grace, "grace", 20*time.Second, "how long to finish what is begun when asked to end")

	set.StringVar(&s.profile, "profile", "ComponentGroup", "what a parent means of which neither onFail nor failFast is given: ADR48, the child waits for a pass; ComponentGroup, for an end")
	set.StringVar(&s.skipped, "skipped", "passes", "what a test that says SKIPPED comes to: passes, as the integration-service has it; fails, as Conforma has it")
	set.BoolVar(&s.options.Signed, "signed", false, "a run is over when Tekton Chains has signed it")
	set.DurationVar(&s.options.Patience, "patience", 5*time.Minute, "how long after the end of a run is waited for its signature and its TaskRuns")
	set.IntVar(&s.options.StateBytes, "state-bytes", 64<<10, "how large the annotation with the state may be")
	set.StringVar(&s.keys.Test, "key-test", "", "prefix of labels and annotations of tests (default: that of Konflux; for ConfigMaps testdag.dev)")
	set.StringVar(&s.keys.Pipelines, "key-pipelines", "", "prefix of labels of kinds of PipelineRuns (default: likewise)")
	set.StringVar(&s.keys.Resource, "key-resource", "", "prefix of labels of names of Snapshots and components (default: likewise)")
	set.StringVar(&s.keys.PAC, "key-pac", "", "prefix of what Pipelines as Code told, which is handed on to runs (default: that of Konflux; for ConfigMaps pac.testdag.dev)")
	set.StringVar(&s.keys.Own, "key-own", "", "prefix of annotations that only this controller reads (default own.testdag.dev)")

	set.StringVar(&s.serviceAccount, "service-account", "", "the service account that runs use (default: that of Tekton)")
	set.DurationVar(&s.timeout, "timeout", 0, "how long a run may take (default: that of Tekton)")
	set.DurationVar(&s.requestTimeout, "request-timeout", 30*time.Second, "how long a request to the API server may take")
}

func (s *settings) setQPS(text string) error {
	n, err := strconv.ParseFloat(text, 32)
	if err == nil && (math.IsNaN(n) || math.IsInf(n, 0)) {
		err = errors.New("want a number")
	}
	s.qps = float32(n)
	return err
}

// fromEnvironment sets the flags that were not given.
func fromEnvironment(set *flag.FlagSet, environment func(string) (string, bool)) error {
	given := map[string]bool{}
	set.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var mistakes []error
	set.VisitAll(func(f *flag.Flag) {
		name := environmentPrefix + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := environment(name)
		if !ok || given[f.Name] {
			return
		}
		if err := set.Set(f.Name, value); err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %q: %w", name, value, err))
		}
	})
	return errors.Join(mistakes...)
}

func (s *settings) check() error {
	var mistakes []error
	if s.workers < 1 {
		mistakes = append(mistakes, fmt.Errorf("-workers: %d; want at least 1", s.workers))
	}
	if s.qps <= 0 {
		s.qps = -1
	}
	for _, d := range []struct {
		flag  string
		value time.Duration
	}{{"timeout", s.timeout}, {"grace", s.grace}} {
		if d.value < 0 {
			mistakes = append(mistakes, fmt.Errorf("-%s: %s; want 0 or more", d.flag, d.value))
		}
	}
	if s.requestTimeout <= 0 {
		mistakes = append(mistakes, fmt.Errorf("-request-timeout: %s; want more than 0", s.requestTimeout))
	}
	return errors.Join(append(mistakes, s.setProfile(), s.setSkipped())...)
}

func (s *settings) setProfile() error {
	for _, p := range []dag.Profile{dag.ADR48, dag.ComponentGroup} {
		if p.String() == s.profile {
			s.options.Profile = p
			return nil
		}
	}
	return fmt.Errorf("-profile: unknown %q; want ADR48 or ComponentGroup", s.profile)
}

func (s *settings) setSkipped() error {
	choice, ok := map[string]pipelinerun.Skipped{"passes": pipelinerun.SkippedPasses, "fails": pipelinerun.SkippedFails}[s.skipped]
	if s.options.Skipped = choice; !ok {
		return fmt.Errorf("-skipped: unknown %q; want passes or fails", s.skipped)
	}
	return nil
}

// within returns the namespaces to work in; none are all.
func (s *settings) within() (names []string) {
	for name := range strings.SplitSeq(s.namespaces, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// complete returns the keys, those of the kind where none are given.
func complete(keys, kind konflux.Keys) konflux.Keys {
	for _, k := range []struct{ given, other *string }{
		{&keys.Test, &kind.Test}, {&keys.Pipelines, &kind.Pipelines}, {&keys.Resource, &kind.Resource}, {&keys.PAC, &kind.PAC}, {&keys.Own, &kind.Own},
	} {
		if *k.given == "" {
			*k.given = *k.other
		}
	}
	return keys
}

// template and timeouts are those parts of the PipelineRuns that the flags decide; nil if they do not.
func (s *settings) template() json.RawMessage {
	if s.serviceAccount == "" {
		return nil
	}
	text, _ := json.Marshal(map[string]string{"serviceAccountName": s.serviceAccount}) // text has a form in JSON
	return text
}

func (s *settings) timeouts() json.RawMessage {
	if s.timeout == 0 {
		return nil
	}
	text, _ := json.Marshal(map[string]string{"pipeline": s.timeout.String()})
	return text
}
