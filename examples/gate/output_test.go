package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/policy/report"
)

// Each format goes to standard output, or to a file beside the table. Package report says what is in it.
func TestOutput(t *testing.T) {
	w := newWorld(t)
	table := w.gate(w.args()...)
	for format, want := range map[string]string{
		"table": "\n✘ required.missing  nothing tells of the required test unit-tests\n", "color": "\x1b[31m✘ required.missing\x1b[0m",
		"json": `"components": [`, "junit": "<testsuites ", "sarif": `"version": "2.1.0"`, "markdown": "### ✘ `",
	} {
		c := w.gate(w.args("-output", format)...)
		w.wants(c, exitDenied, want)
		path := filepath.Join(w.dir, "report")
		if again := w.gate(w.args("-output", format, "-output-file", path)...); again != table {
			t.Errorf("with a file it is %+v", again)
		}
		w.holds(path, c.stdout)
	}
}

// Colours are for terminals alone, and not if the environment says so.
func TestColor(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, tt := range []struct {
		env    string
		stdout io.Writer
		want   bool
	}{
		{"", null, true}, {"NO_COLOR=1", null, false}, {"TERM=dumb", null, false}, {"", file, false}, {"", new(bytes.Buffer), false},
	} {
		o, err := parse([]string{"-image", someImage, "-policy", "p", "-key", "k"}, func(key string) string {
			value, _ := strings.CutPrefix(tt.env, key+"=")
			if value == tt.env {
				return ""
			}
			return value
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := o.printed(tt.stdout) == report.Color; got != tt.want {
			t.Errorf("%q, %T: colours are %v", tt.env, tt.stdout, got)
		}
	}
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"CVE-1 in Größe": "CVE-1 in Größe", "": "", "a\nb": `"a\nb"`, "a\xff": `"a\xff"`, "\u009b": `"\u009b"`,
	} {
		if got := printable(text); got != want {
			t.Errorf("%q is %s", text, got)
		}
	}
}

// An error shows what a registry answered.
func TestHostileError(t *testing.T) {
	got := told(fmt.Errorf("one\x1b[2J\ntwo"))
	if want := `"one\x1b[2J"` + "\ntwo"; got != want {
		t.Errorf("got %q", got)
	}
}

// TEST_OUTPUT tells all three ends apart.
func TestTestOutput(t *testing.T) {
	tests := []struct {
		name string
		do   func(w *world) []string
		code int
		want string
	}{
		{"allowed", func(w *world) []string { w.leave("unit-tests", ended(intoto.Passed, noon)); return nil },
			exitAllowed, `{"result":"SUCCESS","timestamp":"2026-03-02T00:00:00Z","successes":1,"failures":0,"warnings":0}`},
		{"denied", func(*world) []string { return nil },
			exitDenied, `{"result":"FAILURE","timestamp":"2026-03-02T00:00:00Z","successes":0,"failures":1,"warnings":0}`},
		{"no policy", func(*world) []string { return []string{"-policy", "missing"} },
			exitNotKnown, `{"result":"ERROR","timestamp":"2026-03-02T00:00:00Z","successes":0,"failures":0,"warnings":0}`},
		{"bad arguments", func(*world) []string { return []string{"-nonsense"} },
			exitNotKnown, `{"result":"ERROR","timestamp":"2026-03-02T00:00:00Z","successes":0,"failures":0,"warnings":0}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			path := filepath.Join(w.dir, "TEST_OUTPUT")
			if c := w.gate(w.args(append([]string{"-test-output", path}, test.do(w)...)...)...); c.code != test.code {
				t.Errorf("%+v", c)
			}
			w.holds(path, test.want)
		})
	}
}

// What an earlier call left is gone if this one could not judge, and no half of a file is left.
func TestFilesAreWholeOrNotThere(t *testing.T) {
	w := newWorld(t)
	w.leave("unit-tests", ended(intoto.Passed, noon))
	reports := filepath.Join(w.dir, "reports")
	if err := os.Mkdir(reports, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(reports, "report.json")
	file := func() (names []string) {
		entries, err := os.ReadDir(reports)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	args := w.args("-output", "json", "-output-file", path)
	for _, more := range [][]string{{"-policy", "missing"}, {"-nonsense"}} {
		w.wants(w.gate(args...), exitAllowed)
		if diff := cmp.Diff([]string{"report.json"}, file()); diff != "" {
			t.Fatal(diff)
		}
		w.wants(w.gate(append(slices.Clone(args), more...)...), exitNotKnown)
		if diff := cmp.Diff([]string(nil), file()); diff != "" {
			t.Errorf("after %v: %s", more, diff)
		}
	}

	var told bytes.Buffer // nobody reads what is printed
	if code := run(t.Context(), args, nothing, broken{}, &told); code != exitNotKnown || !strings.Contains(told.String(), "nobody listens") {
		t.Errorf("exit code %d: %s", code, &told)
	}
	if diff := cmp.Diff([]string(nil), file()); diff != "" {
		t.Error(diff)
	}
}

// A policy that is named as the place for the report is still there afterwards.
func TestWhatIsReadIsNotReplaced(t *testing.T) {
	for _, flag := range []string{"-output-file", "-test-output"} {
		for _, file := range []string{"policy.yaml", "cosign.pub", "root.json", "runs.json"} {
			w := newWorld(t)
			w.file("root.json", "root")
			w.file("runs.json", "runs")
			before, err := os.ReadFile(filepath.Join(w.dir, file))
			if err != nil {
				t.Fatal(err)
			}
			link := filepath.Join(w.dir, "link") // the same file by another name
			if err := os.Link(filepath.Join(w.dir, file), link); err != nil {
				t.Fatal(err)
			}
			c := w.gate(w.args("-trusted-root", filepath.Join(w.dir, "root.json"), "-identity", "a", "-issuer", "b",
				"-expect", filepath.Join(w.dir, "runs.json"), flag, link)...)
			w.wants(c, exitNotKnown, "link is to be read")
			w.holds(link, string(before))
		}
	}
}

type broken struct{}

// Write fails.
func (broken) Write([]byte) (int, error) { return 0, errors.New("nobody listens") }
