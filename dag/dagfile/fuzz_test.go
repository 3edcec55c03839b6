package dagfile_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/dag/dagfile"
)

// FuzzParse holds Parse to three promises: it returns, each mistake is an *Error, and what it reads can be written and
// read again.
func FuzzParse(f *testing.F) {
	sample, err := os.ReadFile(filepath.Join("testdata", "componentgroup.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sample, uint8(dag.ADR48))
	f.Fuzz(func(t *testing.T, data []byte, profile uint8) {
		o := dagfile.Options{Name: "graph.yaml", MaxBytes: 1 << 16}
		file, err := dagfile.Parse(bytes.NewReader(data), dag.Profile(profile), o)
		if err != nil {
			allPlaced(t, err)
			return
		}
		text := write(t, dagfile.WriteJSON, file.Graph)
		again, err := dagfile.Parse(bytes.NewReader(text), 0, dagfile.Options{})
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if !again.Graph.Equal(file.Graph) {
			t.Fatalf("another graph:\n%s", text)
		}
		for id, command := range file.Commands {
			if _, ok := file.Graph.Index(id); !ok || len(command) == 0 {
				t.Fatalf("command %q of %q", command, id)
			}
		}
		write(t, dagfile.WriteDOT, file.Graph)
		write(t, dagfile.WriteMermaid, file.Graph)
	})
}

func allPlaced(t *testing.T, err error) {
	mistakes := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		mistakes = joined.Unwrap()
	}
	for _, m := range mistakes {
		var e *dagfile.Error
		if !errors.As(m, &e) || e.Name != "graph.yaml" || e.Line < 0 || e.Column < 0 || e.Err == nil {
			t.Fatalf("no place: %#v", m)
		}
	}
}
