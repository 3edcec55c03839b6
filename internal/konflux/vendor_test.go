package konflux

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An import of scheduler/konflux adds at most four modules to the go.mod of the integration-service, and to its vendor
// folder less than 8,000 lines that are not of the library. A module that it has already, such as zap, is not counted.
func TestVendored(t *testing.T) {
	theirs, lines := theirRequirements(t), map[string]int{}
	dec := json.NewDecoder(bytes.NewReader(goList(t, "-deps", "-json=Dir,Module", library+"/scheduler/konflux")))
	for {
		var p struct {
			Dir    string
			Module *struct{ Path string }
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if p.Module != nil && theirs[p.Module.Path] == "" {
			lines[p.Module.Path] += linesOf(t, p.Dir)
		}
	}
	others := 0
	for path, n := range lines {
		t.Logf("%s: %d lines are new", path, n)
		if path != library {
			others += n
		}
	}
	if len(lines) < 2 || len(lines) > 4 || others >= 8000 {
		t.Errorf("got %d new modules and %d lines of others, want 2 to 4 modules and less than 8000 lines",
			len(lines), others)
	}
}

// linesOf counts the lines that the go command puts into a vendor folder.
func linesOf(t *testing.T, dir string) (n int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		n += bytes.Count(text, []byte("\n"))
	}
	return n
}
