package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// repository returns the content of this repository, to be changed at will.
func repository(t *testing.T) fstest.MapFS {
	t.Helper()
	top, all := os.DirFS("../.."), fstest.MapFS{}
	err := fs.WalkDir(top, ".", func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.Name() == ".git":
			return fs.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		text, err := fs.ReadFile(top, file)
		all[file] = &fstest.MapFile{Data: text, Mode: info.Mode()}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// someMachine is a machine with every tool, at version 1.
func someMachine() *machine {
	return &machine{
		settings: []string{"GOVERSION=go1.26.8"}, corpus: "some corpus",
		tool: func(name string) (string, error) { return name + " 1", nil },
	}
}

// keys returns the key of each part of each step that can be taken over.
func keys(t *testing.T, repository fs.FS, m *machine) map[string]string {
	t.Helper()
	tree, err := readTree(repository)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, s := range steps(tree) {
		parts := s.parts
		if strings.HasPrefix(s.name, "mutations") { // its parts have the same reads
			parts = []part{{reads: parts[0].reads}}
		}
		for _, p := range parts {
			key, err := tree.key(m, s, p)
			if err != nil {
				t.Fatal(err)
			}
			all[strings.TrimSpace(s.name+" "+p.name)] = key
		}
	}
	return all
}

// A key stands for everything that a part depends on: one byte of that, and the part runs again; nothing else does. All rules
// about the repository as a whole read all of it.
func TestOneByteRunsTheRightStepsAgain(t *testing.T) {
	const whole = "race internal/checks, race internal/repo"
	now := repository(t)
	before := keys(t, now, someMachine())
	for _, row := range []struct{ change, again string }{
		{"README.md", whole},
		{"LICENSE", whole},
		{".ci/run", whole},
		{"internal/tools/go.mod", whole}, // staticcheck is never taken over
		{"dag/testdata/note.txt", "race dag, " + whole},
		{"scheduler/testdata/rules/names", "race scheduler, race internal/mutation, histories of the rules, exploration, " +
			"mutations of scheduler, fuzz scheduler/FuzzSnapshotJSON, " + whole},
		{"scheduler/process/results_test.go", "race scheduler/process, race internal/mutation, systems darwin, systems windows, " + whole},
		{"scheduler/konflux/next_test.go", "race scheduler/konflux, race internal/mutation, systems darwin, systems windows, histories of konflux, " +
			"mutations of scheduler/konflux, fuzz scheduler/konflux/FuzzState, fuzz scheduler/konflux/FuzzStatuses, " + whole},
		{"scheduler/konflux/next.go", "race scheduler/konflux, race scheduler/tekton, race examples/konflux, race internal/mutation, systems darwin, systems windows, " +
			"histories of konflux, internal/konflux, examples/controller, mutations of scheduler/konflux, " +
			"fuzz scheduler/konflux/FuzzState, fuzz scheduler/konflux/FuzzStatuses, " + whole},
		{"attest/provenance/testdata/taskrun-v1.json", "race attest, race attest/intoto, race attest/provenance, race examples/gate, race internal/mutation, " +
			"internal/chains, mutations of attest, fuzz attest/intoto/FuzzEnvelope, fuzz attest/intoto/FuzzOuterType, " +
			"fuzz attest/intoto/FuzzStatement, fuzz attest/provenance/FuzzParseProvenance, " + whole},
		{"attest/scan/trivy.go", "race attest/scan, race attest/policy, race attest/policy/report, race examples/attest-report, " +
			"race examples/gate, race examples/quickstart, race internal/mutation, internal/chains, internal/registries, " +
			"mutations of attest/policy, mutations of attest/policy/report, fuzz attest/policy/FuzzParse, " +
			"fuzz attest/policy/FuzzParseImages, fuzz attest/scan/FuzzEvidence, fuzz attest/scan/FuzzReports, " +
			"fuzz attest/scan/FuzzTestFormats, " + whole},
		{"examples/gate/output.go", "race examples/gate, internal/registries, " + whole},
		{"examples/controller/config/base/role.yaml", "examples/controller, " + whole},
		{"examples/controller/internal/stage/kill_test.go", "examples/controller, " + whole},
		{"examples/controller/controller.go", "examples/controller, " + whole},
		{"internal/cluster/build/main.go", "internal/cluster, examples/controller, " + whole},
		{"internal/cluster/pins/etcd.sum", "internal/cluster, examples/controller, " + whole},
		{"internal/cluster/runner_test.go", "internal/cluster, " + whole},
		{"internal/chains/sign_test.go", "internal/chains, " + whole},
		{"internal/interop/go.sum", "internal/interop, internal/registries, " + whole},
		{"internal/konflux/go.mod", "internal/konflux, " + whole},
		{"internal/registries/writers_test.go", "internal/registries, " + whole},
		{"internal/registries/pins/oras.sum", "internal/registries, " + whole},
		{"internal/rivals/table.go", "internal/rivals, " + whole},
		{"internal/mutation/testdata/policy.txt", "race internal/mutation, mutations of attest/policy, " + whole},
		{"a program: docker-registry", "internal/registries"},
		{"a program: sh", "race scheduler/process, race examples/attest-report, race examples/quickstart"},
		{"the corpus", "race attest/policy, race attest/provenance, race attest/scan, race dag/dagfile, race examples/konflux, internal/chains, " +
			"mutations of attest, mutations of attest/policy, fuzz attest/policy/FuzzParse, fuzz attest/policy/FuzzParseImages, " +
			"fuzz attest/provenance/FuzzParseProvenance, fuzz attest/scan/FuzzEvidence, fuzz attest/scan/FuzzReports, " +
			"fuzz attest/scan/FuzzTestFormats, fuzz dag/dagfile/FuzzParse"},
	} {
		t.Run(row.change, func(t *testing.T) {
			files, m := maps.Clone(now), someMachine()
			change(t, files, m, row.change)
			var again []string
			for name, key := range keys(t, files, m) {
				if key != before[name] {
					again = append(again, name)
				}
			}
			want := strings.Split(row.again, ", ")
			slices.Sort(want)
			slices.Sort(again)
			if diff := cmp.Diff(want, again); diff != "" {
				t.Errorf("these run again (-want +got):\n%s", diff)
			}
		})
	}
}

// change changes one byte of one thing.
func change(t *testing.T, files fstest.MapFS, m *machine, what string) {
	t.Helper()
	switch tool, isTool := strings.CutPrefix(what, "a program: "); {
	case isTool:
		before := m.tool
		m.tool = func(name string) (string, error) {
			hash, err := before(name)
			return strings.Replace(hash, tool+" 1", tool+" 2", 1), err
		}
	case what == "the corpus":
		m.corpus += "!"
	case strings.HasSuffix(what, "note.txt"): // a new file
		files[what] = &fstest.MapFile{}
	case files[what] == nil:
		t.Fatalf("there is no %s", what)
	default:
		files[what] = &fstest.MapFile{Data: append(slices.Clone(files[what].Data), '\n'), Mode: files[what].Mode}
	}
}

// Everything that all parts depend on runs all of them again.
func TestWhatEveryKeyHolds(t *testing.T) {
	now := repository(t)
	before := keys(t, now, someMachine())
	for what, change := range map[string]func(fstest.MapFS, *machine){
		"go.mod":     func(files fstest.MapFS, m *machine) { change(t, files, m, "go.mod") },
		"go.sum":     func(files fstest.MapFS, m *machine) { change(t, files, m, "go.sum") },
		"Go version": func(_ fstest.MapFS, m *machine) { m.settings = []string{"GOVERSION=go1.26.9"} },
		"variable":   func(_ fstest.MapFS, m *machine) { m.settings = append(m.settings, "RAPID_CHECKS=7") },
	} {
		files, m := maps.Clone(now), someMachine()
		change(files, m)
		after := keys(t, files, m)
		if len(after) != len(before) || len(after) < 40 {
			t.Fatalf("%s: %d keys, %d before", what, len(after), len(before))
		}
		for name, key := range after {
			if key == before[name] {
				t.Errorf("%s is taken over although another %s is there", name, what)
			}
		}
	}
}

// The commands of a step, its variables and the arguments of a part are in the key, and so are permissions.
func TestKeyHoldsArguments(t *testing.T) {
	files, m := fstest.MapFS{"go.mod": {}, "p/p.go": {Data: []byte("package p\n")}}, someMachine()
	key := func(s step, p part) string {
		tree, err := readTree(files)
		if err != nil {
			t.Fatal(err)
		}
		key, err := tree.key(m, &s, p)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	r := reads{packages: []string{"p"}}
	all := map[string]string{
		"plain":     key(step{name: "s", commands: []string{"go test"}}, part{reads: r}),
		"command":   key(step{name: "s", commands: []string{"go test -race"}}, part{reads: r}),
		"variable":  key(step{name: "s", commands: []string{"go test"}, env: []string{"A=1"}}, part{reads: r}),
		"arguments": key(step{name: "s", commands: []string{"go test"}}, part{args: []string{"-v"}, reads: r}),
		"name":      key(step{name: "other", commands: []string{"go test"}}, part{reads: r}),
		"tool":      key(step{name: "s", commands: []string{"go test"}}, part{reads: reads{packages: []string{"p"}, tools: []string{"sh"}}}),
	}
	files["p/p.go"].Mode = 0o755
	all["permission"] = key(step{name: "s", commands: []string{"go test"}}, part{reads: r})
	if keys := slices.Compact(slices.Sorted(maps.Values(all))); len(keys) != len(all) {
		t.Errorf("%d keys for %d different parts: %v", len(keys), len(all), all)
	}
	files["p/p.go"].Mode, files["p/p.go"].ModTime = 0, time.Now()
	if key(step{name: "s", commands: []string{"go test"}}, part{reads: r}) != all["plain"] {
		t.Error("the time of a file changes its key")
	}
}

// The table names packages and folders that are there, and its budgets fit into the hour that a bare machine may take.
func TestTable(t *testing.T) {
	tree, err := readTree(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	var sum time.Duration
	names := map[string]bool{}
	for _, s := range steps(tree) {
		if sum += s.budget; s.budget <= 0 || names[s.name] {
			t.Errorf("%s has a budget of %s, or stands there twice", s.name, s.budget)
		}
		names[s.name] = true
		if s.always != (len(s.parts) == 0) {
			t.Errorf("%s has %d parts; always: %t", s.name, len(s.parts), s.always)
		}
		for _, command := range s.commands {
			if strings.Contains(command+" ", " test ") && !strings.Contains(command, "-count=1") && !strings.Contains(command, "-fuzz") {
				t.Errorf("%s: %q may be answered by Go's test cache, which sees less than the key", s.name, command)
			}
		}
		for _, p := range s.parts {
			if len(tree.files(p.reads)) < 3 {
				t.Errorf("%s %s reads %v alone", s.name, p.name, tree.files(p.reads))
			}
			for _, file := range p.paths {
				if !slices.ContainsFunc(slices.Collect(maps.Keys(tree.hash)), func(f string) bool { return isBelow(f, []string{file}) }) {
					t.Errorf("%s %s reads %s, which is not there", s.name, p.name, file)
				}
			}
			for _, folder := range slices.Concat(p.packages, p.programs) {
				if tree.packages[folder] == nil {
					t.Errorf("%s %s: there is no package %s", s.name, p.name, folder)
				}
			}
		}
	}
	if sum > planned {
		t.Errorf("the budgets are %s together, %s is planned", sum, planned)
	}
	for _, folder := range tree.modules {
		if folder != "." && folder != "internal/tools" && !names[folder] {
			t.Errorf("module %s has no step", folder)
		}
	}
}

// A stage is a repository with one package, and a run whose commands are noted and take a second.
type stage struct {
	run
	files    fstest.MapFS
	commands []string
	out      bytes.Buffer
	fail     string // the command that fails
	prints   string // by each command
	during   func() // happens during each command
}

func newStage(t *testing.T) *stage {
	s := &stage{files: fstest.MapFS{
		"go.mod": {}, "p/p.go": {Data: []byte("package p\n")}, "q/q.go": {Data: []byte("package q\n")},
	}}
	s.run = run{
		out: &s.out, machine: someMachine(), passed: passed{t.TempDir()},
		read: func() (*tree, error) { return readTree(s.files) },
		carryOut: func(ctx context.Context, out io.Writer, env, command []string) error {
			s.commands = append(s.commands, strings.Join(append(env, command...), " "))
			if s.during != nil {
				s.during()
			}
			time.Sleep(time.Second)
			fmt.Fprint(out, s.prints)
			if s.fail != "" && strings.Contains(s.commands[len(s.commands)-1], s.fail) {
				return errors.New("exit status 1")
			}
			return context.Cause(ctx)
		},
	}
	return s
}

// ran carries out steps and returns the commands.
func (s *stage) ran(t *testing.T, steps ...*step) []string {
	t.Helper()
	s.commands, s.used = nil, nil
	s.out.Reset()
	if err := s.all(t.Context(), steps); err != nil {
		t.Errorf("%v\n%s", err, &s.out)
	}
	return s.commands
}

func partOf(folder string) part {
	return part{name: folder, args: []string{"./" + folder}, reads: reads{packages: []string{folder}}}
}

func TestTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		always := &step{name: "tests", always: true, budget: time.Minute, commands: []string{"go test ./..."}}
		race := &step{
			name: "race", together: true, budget: time.Minute, commands: []string{"go test {part}"},
			parts: []part{partOf("p"), partOf("q")},
		}
		check := func(when string, want ...string) {
			t.Helper()
			if diff := cmp.Diff(want, s.ran(t, always, race)); diff != "" {
				t.Errorf("%s (-want +got):\n%s\n%s", when, diff, &s.out)
			}
		}
		check("on a bare machine", "go test ./...", "go test ./p ./q")
		check("the same once more", "go test ./...")
		for _, text := range []string{"taken over: p, passed 2000-01-01 00:00:02 UTC in 1s, key ", "race      0s    60s  0    2"} {
			if !strings.Contains(s.out.String(), text) {
				t.Errorf("it does not print %q:\n%s", text, &s.out)
			}
		}
		s.files["q/q.go"].Data = []byte("package q // another\n")
		check("after a change of q", "go test ./...", "go test ./q")
		s.fresh = true
		check("taking nothing over", "go test ./...", "go test ./p ./q")
		s.fresh = false
		time.Sleep(keptFor)
		check("a month later", "go test ./...", "go test ./p ./q")
	})
}

// A part that failed, and one whose files changed while it ran, is not taken over. The step after a failure does not run.
func TestKeepsOnlyPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		one := &step{name: "one", budget: time.Minute, commands: []string{"go vet", "go test {part}"}, parts: []part{partOf("p")}}
		two := &step{name: "two", budget: time.Minute, commands: []string{"go run {part}"}, parts: []part{partOf("p")}}
		s.fail = "go test"
		err := s.all(t.Context(), []*step{one, two})
		if f := (*failure)(nil); !errors.As(err, &f) || f.step != "one" {
			t.Errorf("the error is %v", err)
		}
		s.fail = ""
		s.during = func() { s.files["p/p.go"].Data = append(s.files["p/p.go"].Data, '\n') }
		want := []string{"go vet", "go test ./p", "go run ./p"}
		if diff := cmp.Diff(want, s.ran(t, one, two)); diff != "" {
			t.Errorf("after a failure (-want +got):\n%s", diff)
		}
		s.during = nil
		if diff := cmp.Diff(want, s.ran(t, one, two)); diff != "" || strings.Contains(s.out.String(), "not kept") {
			t.Errorf("after a change (-want +got):\n%s\n%s", diff, &s.out)
		}
		if got := s.ran(t, one, two); len(got) > 0 {
			t.Errorf("nothing changed, and %q ran", got)
		}
	})
}

// Of packages that run together those that passed are kept, although another one failed.
func TestKeepsWhatPassedBesideAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		race := &step{
			name: "race", together: true, budget: time.Minute, commands: []string{"go test {part}"},
			parts: []part{partOf("p"), partOf("q")},
		}
		s.fail, s.prints = "go test", "ok  \t"+module+"/p\t1.0s\n--- FAIL: TestQ\nFAIL\t"+module+"/q\t1.0s\n"
		if err := s.all(t.Context(), []*step{race}); err == nil {
			t.Error("a package failed, and the step passed")
		}
		s.fail, s.prints = "", ""
		if got := s.ran(t, race); !slices.Equal(got, []string{"go test ./q"}) {
			t.Errorf("%q ran", got)
		}
	})
}

// A sampled step spends its budget. The same content has the same sample, and nothing runs again; each further commit tries a
// fifth of the budget more until nothing is left out. What depends on a change begins anew. A step that comes late has at
// least a fifth of its budget.
func TestSamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		sampled := &step{name: "fuzz", sampled: true, budget: 10 * time.Second, commands: []string{"go test {part}"}}
		for i := range 16 {
			sampled.parts = append(sampled.parts, part{name: fmt.Sprint(i), args: []string{fmt.Sprint(i)}, reads: reads{packages: []string{"p"}}})
		}
		commit := func(text string) { s.files["q/q.go"].Data = []byte("package q // " + text + "\n") }
		tried := map[string]bool{}
		check := func(when string, want int, left string) {
			t.Helper()
			got := s.ran(t, sampled)
			if len(got) != want || !strings.Contains(s.out.String(), left) {
				t.Errorf("%s %d parts ran, want %d; and %q:\n%s", when, len(got), want, left, &s.out)
			}
			for _, command := range got {
				if tried[command] {
					t.Errorf("%s %q ran again", when, command)
				}
				tried[command] = true
			}
		}
		check("at first", 10, "10   0           6")
		check("the same once more", 0, "left out: 6 parts")
		commit("another")
		check("of another commit", 2, "2    10          4")
		commit("a third")
		check("of a third commit", 2, "2    12          2")
		commit("a fourth")
		check("of a fourth commit", 2, "2    14          0")
		commit("a fifth")
		check("of a fifth commit", 0, "0    16          0")

		s.fresh = true
		order := s.ran(t, sampled)
		commit("a sixth")
		if slices.Equal(order, s.ran(t, sampled)) {
			t.Error("another commit has the same sample")
		}
		slow := &step{name: "slow", always: true, budget: planned - time.Minute, commands: []string{"slow"}}
		s.during = func() {
			if s.commands[len(s.commands)-1] == "slow" {
				time.Sleep(75 * time.Minute)
			}
		}
		if late := s.ran(t, slow, sampled)[1:]; len(late) != 2 || !strings.Contains(s.out.String(), "over by 961s") {
			t.Errorf("late, %q ran:\n%s", late, &s.out)
		}
	})
}

func TestChosen(t *testing.T) {
	table := []*step{{name: "tests", gate: true}, {name: "fuzz"}, {name: "race", gate: true}}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "tests fuzz race"}, {[]string{"gate"}, "tests race"}, {[]string{"race", "fuzz"}, "fuzz race"},
		{[]string{"fuzz", "lint"}, `unknown step "lint": want none for everything, gate for the quick part, or names of steps`},
	} {
		some, err := chosen(table, tt.args)
		var names []string
		for _, s := range some {
			names = append(names, s.name)
		}
		if got := strings.Join(names, " ") + fmt.Sprint(err); got != tt.want+"<nil>" && got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.args, got, tt.want)
		}
	}
}

// Nothing hangs: after the limit the run ends, and says so.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.carryOut = func(ctx context.Context, _ io.Writer, _, _ []string) error { <-ctx.Done(); return context.Cause(ctx) }
		err := s.all(t.Context(), []*step{{name: "endless", always: true, commands: []string{"endless"}, budget: time.Minute}})
		if err == nil || !strings.Contains(err.Error(), `step "endless" failed: the checks took more than 1h25m0s`) {
			t.Errorf("the error is %v", err)
		}
		if time.Since(s.begin) != limit {
			t.Errorf("it took %s", time.Since(s.begin))
		}
	})
}
