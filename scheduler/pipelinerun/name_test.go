package pipelinerun

import (
	"flag"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
)

var manyNames = flag.Int("names", 100_000, "how many names of runs are compared with each other")

var dns1035 = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)

// oddNames are names that no IntegrationTestScenario has, beside some that one has.
var oddNames = []string{
	"scan", "", "-", "--", "1", "7-zip", "Scan", "scan-", "scan-1", "scan-1-x", "scan-10", "scan_2", "héllo", "日本語", "\xff\xfe", "a b", "a\nb",
	strings.Repeat("a", 63), strings.Repeat("a", 300), strings.Repeat("-", 300), strings.Repeat("é", 150), "a" + strings.Repeat("-", 60),
}

// drawnName draws any text as a name, one of the odd ones as often.
func drawnName() *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom(oddNames), rapid.String(), rapid.StringMatching(`[a-z][-a-z0-9]{0,62}`))
}

func refOf(scenario string, run int) scheduler.Ref {
	return scheduler.Ref{ID: dag.ID(scenario), Run: run}
}

func TestRunNameGolden(t *testing.T) {
	snapshot := Meta{Name: "app-x1", UID: "7e1f"}
	for _, tt := range []struct {
		scenario string
		run      int
		want     string
	}{
		{"clamav-scan", 2, "clamav-scan-2-" + runHash(snapshot, refOf("clamav-scan", 2))},
		{"", 1, "s-1-" + runHash(snapshot, refOf("", 1))},
		{"7-Zip", 1, "s7-zip-1-" + runHash(snapshot, refOf("7-Zip", 1))},
		{"--", 3, "s-3-" + runHash(snapshot, refOf("--", 3))},
		{"aé", 1, "a-1-" + runHash(snapshot, refOf("aé", 1))},
		{"az09-AZ", 1, "az09-az-1-" + runHash(snapshot, refOf("az09-AZ", 1))},
		{strings.Repeat("a", 300), 12, strings.Repeat("a", 43) + "-12-" + runHash(snapshot, refOf(strings.Repeat("a", 300), 12))},
	} {
		if got := RunName(snapshot, refOf(tt.scenario, tt.run)); got != tt.want {
			t.Errorf("%q#%d: got %s; want %s", tt.scenario, tt.run, got, tt.want)
		}
	}
	// The names outlive a release: another one would start everything again.
	if got, want := RunName(snapshot, refOf("scan", 1)), "scan-1-nei4ymbykrhpdn5a"; got != want {
		t.Errorf("got %s; want %s, as in every release", got, want)
	}
}

func TestRunName(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		snapshot := Meta{Name: drawnName().Draw(t, "snapshot"), UID: drawnName().Draw(t, "UID")}
		scenario, run := drawnName().Draw(t, "scenario"), rapid.OneOf(rapid.IntRange(1, 30), rapid.IntRange(1, 1<<62)).Draw(t, "run")
		name := RunName(snapshot, refOf(scenario, run))
		if !dns1035.MatchString(name) {
			t.Errorf("%q is not a DNS-1035 label", name)
		}
		if again := RunName(snapshot, refOf(scenario, run)); again != name {
			t.Errorf("%q at first and then %q", name, again)
		}
		if n, ok := RunNumber(snapshot, dag.ID(scenario), name); !ok || n != run {
			t.Errorf("RunNumber(%q) is %d, %v; want %d", name, n, ok, run)
		}
		other := drawnName().Draw(t, "other")
		for what, got := range map[string]func() (int, bool){
			"another scenario": func() (int, bool) { return RunNumber(snapshot, dag.ID(other), name) },
			"another UID":      func() (int, bool) { return RunNumber(Meta{Name: snapshot.Name, UID: other}, dag.ID(scenario), name) },
			"another Snapshot": func() (int, bool) { return RunNumber(Meta{Name: other, UID: snapshot.UID}, dag.ID(scenario), name) },
		} {
			if _, ok := got(); ok && other != scenario && other != snapshot.UID && other != snapshot.Name {
				t.Errorf("%q is taken for a run of %s %q", name, what, other)
			}
		}
		for _, copied := range []string{name + "x", name + "-x", name + "-1", "x" + name, name[1:], name[:len(name)-1], strings.Replace(name, "-", "-0", 1)} {
			if n, ok := RunNumber(snapshot, dag.ID(scenario), copied); ok {
				t.Errorf("%q, a copy of %q, is taken for run %d", copied, name, n)
			}
		}
	})
}

// What is no name of a run is none, whatever it looks like.
func TestRunNumberRefuses(t *testing.T) {
	snapshot := Meta{Name: "app-x1", UID: "7e1f"}
	for _, run := range []int{0, -1} {
		if n, ok := RunNumber(snapshot, "scan", RunName(snapshot, refOf("scan", run))); ok {
			t.Errorf("run %d is taken for run %d", run, n)
		}
	}
	hash := runHash(snapshot, refOf("scan", 1))
	for _, name := range []string{"", "-", "--", "scan", "scan-1", "1-" + hash, "scan-" + hash, "scan-+1-" + hash, "scan-01-" + hash, "scan-99999999999999999999-" + hash, "other-1-" + hash, "scan-2-" + hash} {
		if n, ok := RunNumber(snapshot, "scan", name); ok {
			t.Errorf("%q is taken for run %d", name, n)
		}
	}
}

// The parts of what is hashed cannot run into each other.
func TestRunNamesOfNeighbors(t *testing.T) {
	seen := map[string]string{}
	for _, uid := range []string{"", "a", "ab", "1", "1:a"} {
		for _, name := range []string{"", "b", "bc", "1", "a1:b"} {
			for _, scenario := range []string{"", "c", "bc", "1", "11"} {
				for _, run := range []int{1, 11, 111} {
					got := runHash(Meta{UID: uid, Name: name}, refOf(scenario, run))
					what := fmt.Sprintf("%q %q %q %d", uid, name, scenario, run)
					if seen[got] != "" {
						t.Errorf("%s and %s have the hash %s", seen[got], what, got)
					}
					seen[got] = what
				}
			}
		}
	}
}

func TestManyRunNames(t *testing.T) {
	seen := make(map[string]bool, *manyNames)
	for i := range *manyNames {
		snapshot := Meta{Name: fmt.Sprint("app-", i%10), UID: fmt.Sprint(i / 100_000)}
		name := RunName(snapshot, refOf(fmt.Sprint("scan-", i/100%100), 1+i/10%10+i/10_000%10*10))
		if seen[name] {
			t.Fatalf("%s is the name of two runs", name)
		}
		seen[name] = true
	}
}

// Names outlive a release: a controller that is upgraded must find the runs of the one before.
func TestRunNamesAreKept(t *testing.T) {
	s := Meta{Name: "app-x7k2", UID: "5d0c2f4e-8a1b-4c7d-9e6f-3b2a1c0d9e8f"}
	for run, want := range map[scheduler.Ref]string{
		{ID: "clamav-scan", Run: 1}: "clamav-scan-1-eczucf4imnngutj3",
		{ID: "clamav-scan", Run: 2}: "clamav-scan-2-q6gtvc75gi3x6wk2",
		{ID: "verify", Run: 10}:     "verify-10-ogabupesg5pxqkfs",
		{ID: "a-scenario-whose-name-is-as-long-as-a-label-can-be-63-characters", Run: 1}: "a-scenario-whose-name-is-as-long-as-a-label-1-gs7kpvwkz74zkpfc",
	} {
		if got := RunName(s, run); got != want {
			t.Errorf("%s: got %s; want %s", run, got, want)
		}
	}
}
