// Command konflux shows what the rules make of a test graph of Konflux, before or beside the controller that carries it
// out.
//
//	konflux validate DIR
//	konflux plan DIR
//
// DIR is a folder of YAML or JSON as kubectl get -o yaml prints it: IntegrationTestScenarios, a ComponentGroup, and for
// plan a Snapshot, PipelineRuns and TaskRuns, one or many in a file, in lists or not. Objects of other kinds, and
// scenarios of other applications or groups than the Snapshot's, are passed over, and counted.
//
// validate is for a pull request that changes the graph: it tells every mistake, a line each. plan is for whoever asks
// why a scenario does not start: it prints the graph, the verdict on each scenario with its reason, what a controller
// would create, cancel and write now, and the annotation as it would be. Nothing is done, and no cluster is asked.
//
//	kubectl get integrationtestscenarios,componentgroups,snapshots/app-x7k2,pipelineruns,taskruns -o yaml > now/objects.yaml
//	konflux plan now
//
// Without a Snapshot in the folder the plan is for a new one, which every context without a condition is for. If its
// condition AppStudioIntegrationStatus has the reason Canceled, a newer Snapshot took its place.
//
// # Exit codes
//
//	0  no mistake; or the plan is shown
//	1  validate found mistakes
//	2  the arguments or the folder could not be read, or nothing can be planned; the error says why
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler/konflux"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

const (
	exitGood     = 0
	exitMistakes = 1
	exitNotKnown = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the whole program, and returns its exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	code, err := perform(ctx, args, stdout, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitNotKnown
	}
	if err != nil {
		fmt.Fprintf(stderr, "konflux: %s\n", strings.ReplaceAll(err.Error(), "\n", "\nkonflux: "))
	}
	return code
}

func perform(ctx context.Context, args []string, stdout, stderr io.Writer) (code int, err error) {
	s, err := parse(args, stderr)
	if err != nil {
		return exitNotKnown, err
	}
	f, err := readFolder(ctx, s.dir)
	if err != nil {
		return exitNotKnown, err
	}
	if f.others > 0 {
		fmt.Fprintf(stderr, "konflux: objects of other kinds, passed over: %d\n", f.others)
	}
	if f.elsewhere > 0 {
		fmt.Fprintf(stderr, "konflux: scenarios of other applications, passed over: %d\n", f.elsewhere)
	}
	if s.command == "validate" {
		return validate(f, s, stdout)
	}
	plan, err := konflux.Next(f.objects, s.options, s.now)
	if err != nil {
		return exitNotKnown, err
	}
	return exitGood, show(stdout, f.objects.Snapshot, plan, s.options.Keys)
}

// validate prints every mistake.
func validate(f *folder, s *settings, stdout io.Writer) (code int, err error) {
	if err := konflux.Validate(f.objects.Scenarios, f.objects.Group, s.options); err != nil {
		_, failed := fmt.Fprintln(stdout, strings.ReplaceAll(err.Error(), "konflux: ", ""))
		return exitMistakes, failed
	}
	o := s.options
	g, err := konflux.Graph(f.everywhere(), f.objects.Group, f.objects.Snapshot, o)
	if err != nil {
		return exitMistakes, err
	}
	edges := 0
	for id := range g.All() {
		for range g.Parents(id) {
			edges++
		}
	}
	_, err = fmt.Fprintf(stdout, "%d scenarios, %d edges, no mistakes\n", g.Len(), edges)
	return exitGood, err
}

// settings are what the arguments say.
type settings struct {
	command, dir string
	options      konflux.Options
	now          time.Time
}

// The families of prefixes. What Pipelines as Code tells, and the names of Snapshots, have no newer ones.
var (
	appstudio = konflux.Keys{Test: "test.appstudio.openshift.io", Pipelines: "pipelines.appstudio.openshift.io",
		Resource: "appstudio.openshift.io", PAC: "pac.test.appstudio.openshift.io", Own: "testdag.example.com"}
	newer = konflux.Keys{Test: "integration.konflux-ci.dev", Pipelines: "pipelines.konflux-ci.dev",
		Resource: "appstudio.openshift.io", PAC: "pac.test.appstudio.openshift.io", Own: "testdag.example.com"}
)

func parse(args []string, stderr io.Writer) (*settings, error) {
	set := flag.NewFlagSet("konflux", flag.ContinueOnError)
	set.SetOutput(stderr)
	profile := set.String("profile", "ComponentGroup", "what a parent means of which neither onFail nor failFast is given: ADR48, the child waits for a pass; ComponentGroup, for an end")
	skipped := set.String("skipped", "passes", "what a test that says SKIPPED comes to: passes, as the integration-service has it; fails, as Conforma has it")
	keys := set.String("keys", "appstudio", "the prefixes of labels and annotations: appstudio; konflux, the newer ones, with the older read too")
	own := set.String("own", appstudio.Own, "the prefix of the controller's own annotations")
	signed := set.Bool("signed", false, "a run is over when Tekton Chains has signed it")
	now := set.String("now", "", "the time, as in 2026-11-24T08:00:00Z (default: the clock)")
	set.Usage = func() {
		fmt.Fprint(stderr, "konflux validate [flags] DIR tells every mistake in the scenarios and their order; exit 1 if there is one.\n"+
			"konflux plan [flags] DIR shows what would be done now, and why.\nBoth exit with 2 if they cannot tell.\n\n")
		set.PrintDefaults()
	}
	if len(args) == 0 || args[0] != "validate" && args[0] != "plan" {
		set.Usage()
		if len(args) > 0 && (args[0] == "-h" || args[0] == "-help" || args[0] == "--help") {
			return nil, flag.ErrHelp
		}
		return nil, errors.New("want a command: validate or plan")
	}
	if err := set.Parse(args[1:]); err != nil {
		return nil, err
	}
	s := &settings{command: args[0], dir: set.Arg(0), options: konflux.Options{Keys: appstudio, Signed: *signed}, now: time.Now().UTC()}
	return s, errors.Join(s.folder(set.NArg()), s.profile(*profile), s.skipped(*skipped), s.keys(*keys, *own), s.clock(*now))
}

func (s *settings) folder(given int) error {
	if given != 1 {
		return fmt.Errorf("want one folder after the flags, not %d", given)
	}
	return nil
}

func (s *settings) profile(name string) error {
	for _, p := range []dag.Profile{dag.ADR48, dag.ComponentGroup} {
		if p.String() == name {
			s.options.Profile = p
			return nil
		}
	}
	return fmt.Errorf("-profile: unknown %q; want ADR48 or ComponentGroup", name)
}

func (s *settings) skipped(name string) error {
	choice, ok := map[string]pipelinerun.Skipped{"passes": pipelinerun.SkippedPasses, "fails": pipelinerun.SkippedFails}[name]
	if s.options.Skipped = choice; !ok {
		return fmt.Errorf("-skipped: unknown %q; want passes or fails", name)
	}
	return nil
}

func (s *settings) keys(name, own string) error {
	switch name {
	case "appstudio":
	case "konflux":
		s.options.Keys, s.options.LegacyKeys = newer, []konflux.Keys{appstudio}
		s.options.LegacyKeys[0].Own = own
	default:
		return fmt.Errorf("-keys: unknown %q; want appstudio or konflux", name)
	}
	s.options.Keys.Own = own
	return nil
}

func (s *settings) clock(text string) (err error) {
	if text == "" {
		return nil
	}
	if s.now, err = time.Parse(time.RFC3339, text); err != nil {
		return fmt.Errorf("-now: %w", err)
	}
	return nil
}
