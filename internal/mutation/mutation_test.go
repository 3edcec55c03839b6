package mutation

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var mutate = flag.Bool("mutate", false, "run the tests of the broken package once for each breakage, which takes minutes")

var (
	of   = flag.String("of", "", "with -mutate, break only this `package`")
	seed = flag.Uint64("seed", 0, "with -mutate, a `number` that chooses the order of the breakages")
	span = flag.Duration("for", 0, "with -mutate, begin no further breakage after this `time`; 0 is no limit")
)

// A subject is a package whose rules are broken.
type subject struct {
	dir   string
	table string
	least int        // breakages that the table must have
	tests [][]string // flags of go test, one run after the other until one notices
}

var subjects = []subject{
	{
		// What explores all states takes longest, and is asked last. Then those that draw what happens try harder.
		"../../scheduler", "testdata/scheduler.txt", 180, [][]string{
			{"-skip=TestExplore", "-timeout=1m"}, {"-run=TestExplore", "-timeout=5m"}, {"-skip=TestExplore", "-timeout=5m", "-rapid.checks=2000"},
		},
	},
	{
		// What has many histories or many scenarios takes longest, and is asked last.
		"../../scheduler/konflux", "testdata/konflux.txt", 100, [][]string{
			{"-skip=TestHistories|TestSize$|TestSizeOfHistory|TestManyRunNames", "-timeout=1m", "-rapid.checks=30"}, {"-timeout=5m"},
		},
	},
	{
		// What writes much, waits, or draws what happens takes longest, and is asked last.
		"../../attest", "testdata/attest.txt", 80, [][]string{
			{"-skip=TestAttacks|TestViewsOfLarge|TestAnnotationsChangeNoAnswer|TestSixteenWriters|TestTimeIsBounded", "-timeout=2m"},
			{"-timeout=5m"},
		},
	},
	{"../../attest/policy", "testdata/policy.txt", 180, [][]string{{"-timeout=1m"}, {"-timeout=1m", "-rapid.checks=2000"}}},
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
		tryOut(t, all)
	}
}

// tryOut runs the tests of the broken package for each breakage, or for as many as there is time for.
func tryOut(t *testing.T, all []mutation) {
	all = slices.DeleteFunc(all, func(m mutation) bool { return *of != "" && m.dir != "../../"+*of })
	if len(all) == 0 {
		t.Fatalf("-of %s: there is no table for it", *of)
	}
	rand.New(rand.NewPCG(*seed, 0)).Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
	begin, tried := time.Now(), 0
	work := make(chan mutation)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for m := range work {
				m.run(t, m.apply(t))
			}
		})
	}
	for _, m := range all {
		if *span > 0 && tried > 0 && time.Since(begin) >= *span {
			break
		}
		work <- m
		tried++
	}
	close(work)
	workers.Wait()
	if !t.Failed() {
		t.Logf("caught %d of %d tried, of %d in the tables", tried, tried, len(all))
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
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {real: filepath.Join(dir, m.file)}})
	if err != nil {
		t.Error(err)
		return
	}
	for name, text := range map[string]string{m.file: broken, "overlay.json": string(overlay)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Error(err)
			return
		}
	}
	for _, some := range m.tests {
		args := append([]string{"test", "-overlay", filepath.Join(dir, "overlay.json"), "-vet=off", "-failfast", m.dir}, some...)
		test := exec.Command("go", args...)
		// Package rapid is to keep nothing: the next breakage would be tried with it.
		test.Env = append(os.Environ(), "RAPID_NOFAILFILE=true", "RAPID_SHRINKTIME=1s")
		out, err := test.CombinedOutput()
		switch {
		case strings.Contains(string(out), "[build failed]"):
			t.Errorf("%s: does not build:\n%s", m, out)
			return
		case err != nil:
			return
		}
	}
	t.Errorf("%s: SURVIVED", m)
}

// read reads the table.
func (s subject) read(t *testing.T) []mutation {
	t.Helper()
	text, err := os.ReadFile(s.table)
	if err != nil {
		t.Fatal(err)
	}
	var all []mutation
	m := mutation{subject: s}
	flush := func() {
		if m.old != "" {
			m.old, m.new = strings.TrimSuffix(m.old, "\n"), strings.TrimSuffix(m.new, "\n")
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
