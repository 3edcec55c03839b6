package main

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/testdag/testdag/scheduler/konflux"
)

// Every sample of the integration-service reads, or is refused with the right reason. The folder is not ours and need
// not be there; TESTDAG_CORPUS names the one that it is in.
func TestCorpus(t *testing.T) {
	dir := os.Getenv("TESTDAG_CORPUS")
	if dir == "" {
		t.Skip("TESTDAG_CORPUS is not set: the samples of the integration-service are not read")
	}
	dir = filepath.Join(dir, "konflux")
	files := map[string]func(*testing.T, string){
		"componentgroup.yaml": corpusGroup, "integrationtestscenario.yaml": corpusScenario,
		"status-annotations.jsonl": corpusStatuses, "SOURCES.txt": func(*testing.T, string) {},
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(files) {
		t.Errorf("%d files; want %d", len(entries), len(files))
	}
	for _, e := range entries {
		check, ok := files[e.Name()]
		if !ok {
			t.Errorf("%s is not listed here", e.Name())
			continue
		}
		t.Run(e.Name(), func(t *testing.T) { check(t, filepath.Join(dir, e.Name())) })
	}
}

// beside returns a folder with a copy of a file and one of our own.
func beside(t *testing.T, path, own string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, map[string]string{"theirs.yaml": string(text), "ours.yaml": own})
}

func corpusGroup(t *testing.T, path string) {
	var scenarios strings.Builder
	for _, name := range []string{"clamav-scan", "dast-tests", "deployment", "e2e-test", "operator-scorecard", "verify"} {
		scenarios.WriteString("---\nkind: IntegrationTestScenario\nmetadata: {name: " + name + "}\n")
	}
	stdout, stderr, code := call(t, "plan", "-now", "2026-11-24T09:00:00Z", beside(t, path, scenarios.String()))
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	golden(t, "corpus-componentgroup", stdout)
	// Its scenarios alone are missing.
	stdout, _, code = call(t, "validate", beside(t, path, ""))
	if code != 1 || strings.Count(stdout, "there is no IntegrationTestScenario of this name\n") != 6 || strings.Count(stdout, "\n") != 6 {
		t.Errorf("exit %d: %s", code, stdout)
	}
}

func corpusScenario(t *testing.T, path string) {
	stdout, stderr, code := call(t, "plan", "-now", "2026-11-24T09:00:00Z", beside(t, path, ""))
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	golden(t, "corpus-integrationtestscenario", stdout)
}

func corpusStatuses(t *testing.T, path string) {
	want := []string{
		"",
		"",
		`entry 0, "scenario2": unknown status "Warning"; want one of [Pending InProgress `,
		`entry 0, "scenario-1": lastUpdateTime is missing`,
		`entry 0: scenario is missing`,
		`entry 0, "%s": lastUpdateTime: parsing time`,
		`entry 0, "%s": lastUpdateTime: parsing time`,
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	n := 0
	for lines := bufio.NewScanner(file); lines.Scan(); n++ {
		var line struct{ Annotation string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil || n >= len(want) {
			t.Fatalf("line %d: %v", n+1, err)
		}
		list, err := konflux.ParseStatuses(line.Annotation)
		switch {
		case want[n] == "" && (err != nil || len(list) != 1):
			t.Errorf("line %d: %v, %v", n+1, list, err)
		case want[n] != "" && (err == nil || !strings.Contains(err.Error(), want[n])):
			t.Errorf("line %d: got %v; want %s", n+1, err, want[n])
		}
	}
	if n != len(want) {
		t.Errorf("%d lines; want %d", n, len(want))
	}
}
