package mutation

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

var mutate = flag.Bool("mutate", false, "run the tests of package scheduler once for each breakage, which takes minutes")

var every = flag.Int("every", 1, "with -mutate, take only every so manieth breakage")

const scheduler = "../../scheduler"

// A mutation puts one text in the place of another.
type mutation struct {
	line     int // of the table
	file     string
	old, new string
	skip     bool // it is applied, no more
}

func (m mutation) String() string {
	return fmt.Sprintf("testdata/mutations.txt:%d: %s: %q becomes %q", m.line, m.file, m.old, m.new)
}

// TestMutations checks that each breakage of the table can be applied; with -mutate that the tests of package scheduler
// fail under each.
func TestMutations(t *testing.T) {
	all := read(t)
	if len(all) < 180 {
		t.Fatalf("the table has %d breakages", len(all))
	}
	work := make(chan mutation)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for m := range work {
				broken := m.apply(t)
				if *mutate && !m.skip && broken != "" {
					m.run(t, broken)
				}
			}
		})
	}
	tried := 0
	for i, m := range all {
		m.skip = i%max(1, *every) != 0
		if !m.skip {
			tried++
		}
		work <- m
	}
	close(work)
	workers.Wait()
	if *mutate && !t.Failed() {
		t.Logf("caught %d of %d tried, of %d in the table", tried, tried, len(all))
	}
}

// apply returns the file with the breakage.
func (m mutation) apply(t *testing.T) string {
	text, err := os.ReadFile(filepath.Join(scheduler, m.file))
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

// run runs the tests of package scheduler with the broken file in the place of the real one.
func (m mutation) run(t *testing.T, broken string) {
	dir := t.TempDir()
	real, err := filepath.Abs(filepath.Join(scheduler, m.file))
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
	// What explores all states takes longest, and is asked last. Then those that draw what happens try harder.
	for _, some := range [][]string{
		{"-skip=TestExplore", "-timeout=1m"}, {"-run=TestExplore", "-timeout=5m"}, {"-skip=TestExplore", "-timeout=5m", "-rapid.checks=2000"},
	} {
		args := append([]string{"test", "-overlay", filepath.Join(dir, "overlay.json"), "-vet=off", "-failfast", scheduler}, some...)
		test := exec.Command("go", args...)
		// A breakage is to be noticed without what package rapid keeps of those before.
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
func read(t *testing.T) []mutation {
	t.Helper()
	text, err := os.ReadFile("testdata/mutations.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []mutation
	var m mutation
	flush := func() {
		if m.old != "" {
			m.old, m.new = strings.TrimSuffix(m.old, "\n"), strings.TrimSuffix(m.new, "\n")
			all = append(all, m)
		}
		m = mutation{}
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
