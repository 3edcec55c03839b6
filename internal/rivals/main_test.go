package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The program as a whole, at a size that takes no time.
func TestCompare(t *testing.T) {
	var out strings.Builder
	const only = "^(decide|cascade|build)/(testdag|state machine|csr, names|natessilva/dag)$"
	if err := compare([]string{"-largest", "1000", "-only", only}, "no-such-file", &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| | 1,000 |\n|---|--:|\n| **decide**: state machine (floor) | ", "| **testdag** | ",
		"| **build**: csr, names (floor)", "| natessilva/dag † | ", "A `Machine` takes ", "without its names", " processors, ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("there is no %q in\n%s", want, out.String())
		}
	}
}

// What cannot be written is an error before anything is measured.
func TestWrite(t *testing.T) {
	readme := filepath.Join(t.TempDir(), "README.md")
	fails := func(want error, args ...string) {
		t.Helper()
		if err := compare(append(args, "-write"), readme, io.Discard, io.Discard); !errors.Is(err, want) {
			t.Errorf("%v: %v, want %v", args, err, want)
		}
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(readme, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	fails(os.ErrNotExist)
	for _, text := range []string{"", sectionBegin, sectionEnd + sectionBegin} {
		write(text)
		fails(errNoSection)
	}
	write("before\n" + sectionBegin + "old\n" + sectionEnd + "after\n")
	fails(errPartial, "-only", "^rerun")
	const text = "new\n"
	if err := writeSection(readme, text); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(readme)
	if want := "before\n" + sectionBegin + text + sectionEnd + "after\n"; err != nil || string(written) != want {
		t.Errorf("%v, written:\n%s", err, written)
	}
}
