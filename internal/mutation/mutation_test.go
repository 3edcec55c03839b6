package mutation

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
)

var (
	mutate = flag.Bool("mutate", false, "run the tests of the broken package once for each breakage, which takes minutes")
	of     = flag.String("of", "", "with -mutate, break only this `package`")
	slice  = flag.String("slice", "1/1", "with -mutate, `k/n` takes every nth breakage, beginning with the kth")
)

// A subject is a package whose rules are broken.
type subject struct {
	dir   string
	table string
	least int        // breakages that the table must have
	tests [][]string // flags of the test binary, one run after the other until one notices
}

var subjects = []subject{
	{
		// What explores all states takes longest, and is asked last. Then those that draw what happens try harder.
		"../../scheduler", "testdata/scheduler.txt", 180, [][]string{
			{"-test.skip=TestExplore", "-test.timeout=1m"}, {"-test.run=TestExplore", "-test.timeout=5m"}, {"-test.skip=TestExplore", "-test.timeout=5m", "-rapid.checks=2000"},
		},
	},
	{
		// What has many histories or many scenarios takes longest, and is asked last.
		"../../scheduler/konflux", "testdata/konflux.txt", 100, [][]string{
			{"-test.skip=TestHistories|TestSize$|TestSizeOfHistory", "-test.timeout=1m", "-rapid.checks=30"}, {"-test.timeout=5m"},
		},
	},
	{"../../scheduler/pipelinerun", "testdata/pipelinerun.txt", 50, [][]string{{"-test.timeout=1m"}}},
	{
		// What writes much, waits, or draws what happens takes longest, and is asked last.
		"../../attest", "testdata/attest.txt", 80, [][]string{
			{"-test.skip=TestAttacks|TestViewsOfLarge|TestAnnotationsChangeNoAnswer|TestSixteenWriters|TestTimeIsBounded", "-test.timeout=2m"},
			{"-test.timeout=5m"},
		},
	},
	{"../../attest/policy", "testdata/policy.txt", 180, [][]string{{"-test.timeout=1m"}, {"-test.timeout=1m", "-rapid.checks=2000"}}},
	{"../../attest/policy/report", "testdata/report.txt", 40, [][]string{{"-test.timeout=1m"}, {"-test.timeout=1m", "-rapid.checks=2000"}}},
}

// A mutation puts one text in the place of another.
type mutation struct {
	subject
	line     int // of the table
	file     string
	old, new string
}

func (m mutation) String() string {
	return fmt.Sprintf("%s:%d: %s: %q becomes %q", m.table, m.line, m.file, m.old, m.new)
}

// TestMutations checks that each breakage of the tables can be applied; with -mutate that the tests of the package fail
// under each.
func TestMutations(t *testing.T) {
	var all []mutation
	for _, s := range subjects {
		table := s.read(t)
		if len(table) < s.least {
			t.Fatalf("%s has %d breakages", s.table, len(table))
		}
		if kept, _ := filepath.Glob(filepath.Join(s.dir, "testdata/rapid/*/*.fail")); *mutate && len(kept) > 0 {
			t.Fatalf("package rapid would try %q on every breakage; remove it", kept)
		}
		all = append(all, table...)
	}
	for _, m := range all {
		m.apply(t)
	}
	if *mutate && !t.Failed() {
		tryOut(t, chosen(t, all))
	}
}

// chosen returns the breakages that the flags ask for.
func chosen(t *testing.T, all []mutation) (some []mutation) {
	var first, every int
	if n, err := fmt.Sscanf(*slice, "%d/%d", &first, &every); n != 2 || first < 1 || first > every {
		t.Fatalf("-slice %s: want k/n with k from 1 to n (%v)", *slice, err)
	}
	for _, m := range all {
		if *of != "" && m.dir != "../../"+*of {
			continue
		}
		if first--; first == 0 {
			some, first = append(some, m), every
		}
	}
	if len(some) == 0 {
		t.Fatalf("-of %q -slice %s: there is no such breakage", *of, *slice)
	}
	return some
}

// tryOut runs the tests of the broken package for each breakage.
func tryOut(t *testing.T, some []mutation) {
	work := make(chan mutation)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for m := range work {
				m.run(t, m.apply(t))
			}
		})
	}
	for _, m := range some {
		work <- m
	}
	close(work)
	workers.Wait()
	if !t.Failed() {
		t.Logf("caught %d of %d", len(some), len(some))
	}
}

// apply returns the file with the breakage.
func (m mutation) apply(t *testing.T) string {
	text, err := os.ReadFile(filepath.Join(m.dir, m.file))
	if err != nil {
		t.Error(err)
		return ""
	}
	if !strings.Contains(string(text), m.old) {
		t.Errorf("%s: not there any more", m)
		return ""
	}
	return strings.Replace(string(text), m.old, m.new, 1)
}

// run runs the tests of the package with the broken file in the place of the real one.
func (m mutation) run(t *testing.T, broken string) {
	dir := t.TempDir()
	real, err := filepath.Abs(filepath.Join(m.dir, m.file))
	if err != nil {
		t.Error(err)
		return
	}
	place := filepath.Join(dir, filepath.Base(m.file))
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {real: place}})
	if err != nil {
		t.Error(err)
		return
	}
	for path, text := range map[string]string{place: broken, filepath.Join(dir, "overlay.json"): string(overlay)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Error(err)
			return
		}
	}
	for _, suite := range m.suites() {
		noticed, err := suite.notices(filepath.Join(dir, "overlay.json"), filepath.Join(dir, "broken.test"))
		if err != nil {
			t.Errorf("%s: %v", m, err)
		}
		if noticed || err != nil {
			return
		}
	}
	t.Errorf("%s: SURVIVED", m)
}

// A suite is the tests of one package, run once for each set of flags until one notices.
type suite struct {
	dir   string
	flags [][]string
}

// suites returns the tests that may notice the breakage: those beside the file, if it is in a package below the subject, and
// then those of the subject itself.
func (m mutation) suites() []suite {
	all := []suite{{m.dir, m.tests}}
	beside := filepath.Dir(filepath.Join(m.dir, m.file))
	if tests, _ := filepath.Glob(filepath.Join(beside, "*_test.go")); beside != filepath.Clean(m.dir) && len(tests) > 0 {
		all = append([]suite{{beside, [][]string{{"-test.timeout=2m"}}}}, all...)
	}
	return all
}

// notices builds the tests with an overlay, and reports whether they fail. An error says that they could not be run.
func (s suite) notices(overlay, binary string) (bool, error) {
	build := exec.Command("go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", binary, s.dir)
	if out, err := build.CombinedOutput(); err != nil {
		return false, fmt.Errorf("does not build: %w\n%s", err, out)
	}
	for _, flags := range s.flags {
		test := exec.Command(binary, append([]string{"-test.failfast"}, flags...)...)
		test.Dir = s.dir
		// Package rapid is to keep nothing: the next breakage would be tried with it.
		test.Env = append(os.Environ(), "RAPID_NOFAILFILE=true", "RAPID_SHRINKTIME=1s")
		out, err := test.CombinedOutput()
		switch {
		case err == nil:
		case noticed.Match(out):
			return true, nil
		default:
			return false, fmt.Errorf("the tests did not run: %w\n%s", err, out)
		}
	}
	return false, nil
}

// noticed matches the output of tests that failed, or that a breakage kept from coming to an end.
var noticed = regexp.MustCompile(`(?m)^(\s*--- FAIL: |panic: |fatal error: |runtime: goroutine stack exceeds)`)

// read reads the table.
func (s subject) read(t *testing.T) []mutation {
	t.Helper()
	text, err := os.ReadFile(s.table)
	if err != nil {
		t.Fatal(err)
	}
	var all []mutation
	m := mutation{subject: s}
	seen := map[[3]string]bool{}
	flush := func() {
		if m.old != "" {
			m.old, m.new = strings.TrimSuffix(m.old, "\n"), strings.TrimSuffix(m.new, "\n")
			if twin := [3]string{m.file, m.old, m.new}; seen[twin] {
				t.Errorf("%s: stands in the table twice", m)
			} else {
				seen[twin] = true
			}
			all = append(all, m)
		}
		m = mutation{subject: s}
	}
	for i, line := range strings.Split(string(text), "\n") {
		switch {
		case line == "":
			flush()
		case line[0] == '#':
		case line[0] == '-':
			m.old += line[1:] + "\n"
		case line[0] == '+':
			m.new += line[1:] + "\n"
		default:
			m.file, m.line = line, i+1
		}
	}
	flush()
	return all
}
