package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest"
)

// Every reader gives the same answer, whether or not there are statements of all tests.
func TestReadersDoTheSameWork(t *testing.T) {
	s, err := newStage()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for _, size := range []int{1, 2, 9, 10, 23} {
		from, err := s.fill(t.Context(), size)
		if err != nil {
			t.Fatal(err)
		}
		var first answer
		for _, r := range readers {
			a, err := r.read(t.Context(), s, from)
			if err != nil {
				t.Fatalf("%s: %v", r.name, err)
			}
			if err := r.check(a, from); err != nil {
				t.Errorf("%s: %v", r.name, err)
			}
			if first.newest == nil {
				first = a
			}
			if diff := cmp.Diff(first.newest, a.newest); diff != "" {
				t.Errorf("%s and %s (-+): %s", readers[0].name, r.name, diff)
			}
		}
	}
}

// What was put there for attest to read looks like what it writes.
func TestRecordsAreAlike(t *testing.T) {
	s, err := newStage()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	image, err := s.push(t.Context(), "team/records", "app")
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.write(t.Context(), shelf{image: image}, 0)
	if err != nil {
		t.Fatal(err)
	}
	written, err := s.write(t.Context(), shelf{image: image}, 3)
	if err != nil {
		t.Fatal(err)
	}
	var m v1.Manifest
	if err := json.Unmarshal(written.Bytes, &m); err != nil {
		t.Fatal(err)
	}
	made, err := alike(first.Bytes, m.Layers[0].Data, 3)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(written.Bytes), string(made)); diff != "" {
		t.Errorf("(-written +made): %s", diff)
	}
}

// A reader that left something out, or took an older statement, does not come into the table.
func TestWrongAnswersAreNoticed(t *testing.T) {
	outcome := func(i int) attest.TestResult {
		return attest.TestResult{Configuration: []attest.ResourceDescriptor{{Name: testOf(i)}}, Timestamp: timeOf(i)}
	}
	of := func(outcomes ...int) (a answer) {
		for _, i := range outcomes {
			a.add(outcome(i))
		}
		return a
	}
	from := shelf{size: 12}
	for _, tt := range []struct {
		name string
		all  bool
		got  answer
		want string
	}{
		{"right", true, of(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11), ""},
		{"right, newest only", false, of(2, 3, 4, 5, 6, 7, 8, 9, 10, 11), ""},
		{"one less", true, of(0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11), "verified 11"},
		{"an older one", false, of(0, 2, 3, 4, 5, 6, 7, 8, 9, 11), "newest of test-0"},
		{"a test less", false, of(2, 3, 4, 5, 6, 7, 8, 9, 10, 10), "found 9 tests"},
		{"nothing", false, of(), "verified 0"},
	} {
		err := reader{all: tt.all}.check(tt.got, from)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

// The program as people call it, on little.
func TestCompare(t *testing.T) {
	readme := filepath.Join(t.TempDir(), "README.md")
	before := "before\n" + sectionBegin + "old\n" + sectionEnd + "after\n"
	if err := os.WriteFile(readme, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-sizes", "1,2", "-delays", "0,1ms", "-turns", "1", "-readme", readme}
	var out strings.Builder
	if err := compare(t.Context(), args, &out, t.Output()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| statements at the image | | 1 | 2 |\n", "| | ms, 1ms more a request |", "| **stock cosign, its `.att`** | requests | 3 | 4 |\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
	if got := readFile(t, readme); got != before {
		t.Errorf("the README was changed without -write: %s", got)
	}
	if err := compare(t.Context(), append(args, "-write"), &out, t.Output()); err != nil {
		t.Fatal(err)
	}
	got := readFile(t, readme)
	if !strings.HasPrefix(got, "before\n"+sectionBegin+"To find") || !strings.HasSuffix(got, sectionEnd+"after\n") || strings.Contains(got, "old") {
		t.Errorf("with -write the README is\n%s", got)
	}
}

func TestWrongFlags(t *testing.T) {
	bare := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(bare, []byte(sectionEnd), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"-sizes", "10,1"}, {"-sizes", "0"}, {"-sizes", "1001"}, {"-sizes", ""}, {"-sizes", "1e3"},
		{"-delays", "-1s"}, {"-delays", "20"}, {"-turns", "0"}, {"more"},
		{"-write", "-readme", bare}, {"-write", "-readme", bare + ".not"},
	} {
		var out strings.Builder
		if err := compare(context.Background(), args, &out, t.Output()); err == nil || out.Len() > 0 {
			t.Errorf("%q: got %v, %s", args, err, &out)
		}
	}
	if _, err := withSection(bare, ""); !errors.Is(err, errNoSection) {
		t.Errorf("got %v", err)
	}
}

// What would take too long, or did at a smaller size, is left out.
func TestTooLong(t *testing.T) {
	m := &meter{options: options{sizes: []int{1, 10, 100}, limit: time.Second}}
	for _, tt := range []struct {
		smaller []time.Duration
		size    int
		want    bool
	}{
		{nil, 1, false},
		{[]time.Duration{time.Millisecond}, 10, false},
		{[]time.Duration{200 * time.Millisecond}, 10, true},
		{[]time.Duration{time.Millisecond, 0}, 100, true},
	} {
		var smaller []cell
		for _, d := range tt.smaller {
			smaller = append(smaller, cell{times: []time.Duration{d}})
		}
		if got := m.tooLong(smaller, 0, tt.size); got != tt.want {
			t.Errorf("after %v, size %d: got %v", tt.smaller, tt.size, got)
		}
	}
}

func TestNumbers(t *testing.T) {
	for want, got := range map[string]string{
		"–": milliseconds(0), "0.4": milliseconds(440 * time.Microsecond), "9.9": milliseconds(9940 * time.Microsecond),
		"10": milliseconds(9960 * time.Microsecond), "616": milliseconds(616 * time.Millisecond),
		"10,900": milliseconds(10900 * time.Millisecond), "1,000,007": number(1000007), "12": number(12),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
