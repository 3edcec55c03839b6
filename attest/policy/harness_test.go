package policy

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/provenance"
)

// noon is the time in every test.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var (
	image = imageOf("registry.example/team/app@sha256:" + strings.Repeat("a", 64))
	other = imageOf("registry.example/team/app@sha256:" + strings.Repeat("b", 64))

	mirrored = imageOf("mirror.example/copy@sha256:" + strings.Repeat("a", 64)) // image under another name
)

var errBroken = errors.New("broken")

func imageOf(ref string) name.Digest {
	d, err := name.NewDigest(ref)
	if err != nil {
		panic(err)
	}
	return d
}

func hash(text string) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%x", sha256.Sum256([]byte(text)))}
}

func hashOf(image name.Digest) v1.Hash {
	h, err := v1.NewHash(image.DigestStr())
	if err != nil {
		panic(err)
	}
	return h
}

// A change makes evidence differ from what the functions below make.
type change func(*attest.Evidence)

func evidence(p intoto.Predicate, test string, d time.Duration, changes []change) attest.Evidence {
	e := attest.Evidence{
		Test: intoto.Test{Name: test, PredicateType: p.PredicateType()}, Image: image, Predicate: p, Statement: &intoto.Statement{},
		Time: noon.Add(d), Clock: attest.ClockPredicate, VerifiedBy: attest.Identity{Kind: "key", Name: "ours"},
	}
	e.Manifest = hash(fmt.Sprint(e.Test, e.Time, p))
	if r, ok := p.(intoto.TestResult); ok {
		e.Result = r.Result
	}
	for _, change := range changes {
		change(&e)
	}
	if e.Problem != nil {
		e.Result = intoto.Unknown
	}
	return e
}

// tested is evidence that a test ended so at noon plus d.
func tested(test string, r intoto.Result, d time.Duration, changes ...change) attest.Evidence {
	return evidence(intoto.TestResult{Result: r, Timestamp: noon.Add(d)}, test, d, changes)
}

// scanned is evidence of a scan that ended at noon plus d.
func scanned(test string, d time.Duration, findings []intoto.Finding, changes ...change) attest.Evidence {
	v := intoto.Vulns{Scanner: intoto.Scanner{Result: findings}, Metadata: intoto.ScanMetadata{FinishedOn: noon.Add(d)}}
	return evidence(v, test, d, changes)
}

// finding is one with a severity in a word, and annotations given as key and value.
func finding(id, word string, annotations ...string) intoto.Finding {
	f := intoto.Finding{ID: id, Severity: []intoto.Severity{{Method: "scanner", Score: word}}}
	if len(annotations) > 0 {
		f.Annotations = []map[string]any{{}}
	}
	for i := 0; i+1 < len(annotations); i += 2 {
		f.Annotations[0][annotations[i]] = annotations[i+1]
	}
	return f
}

func problem(err error) change { return func(e *attest.Evidence) { e.Problem = err } }

// absentOf is what a Resolver says of a test without evidence.
func absentOf(test string, more ...error) attest.Evidence {
	errs := append([]error{fmt.Errorf("attest: %w of %q", attest.ErrNotFound, test)}, more...)
	return attest.Evidence{Test: intoto.Test{Name: test, PredicateType: intoto.TestResultType}, Image: image, Problem: errors.Join(errs...)}
}

// built is a build that finished at noon plus d.
func built(d time.Duration, tasks ...provenance.Task) attest.Build {
	return attest.Build{
		Image: image, Manifest: hash("build" + d.String()), VerifiedBy: attest.Identity{Kind: "key", Name: "chains"},
		Provenance: &provenance.Provenance{Kind: "PipelineRun", Finished: noon.Add(d), Tasks: tasks, Complete: true},
	}
}

// task is one of a build, that ended at noon plus d. Results are given as name and text.
func task(name string, d time.Duration, results ...string) provenance.Task {
	t := provenance.Task{Name: name, Status: "Succeeded", Finished: noon.Add(d), Results: map[string]json.RawMessage{}}
	for i := 0; i+1 < len(results); i += 2 {
		t.Results[results[i]], _ = json.Marshal(results[i+1])
	}
	return t
}

func status(status string, t provenance.Task) provenance.Task {
	t.Status = status
	return t
}

const (
	testFailed  = `{"result":"FAILURE","timestamp":"2026-03-01T11:00:00+00:00","successes":1,"failures":1,"warnings":0}`
	testPassed  = `{"result":"SUCCESS","timestamp":"2026-03-01T11:00:00+00:00","successes":1,"failures":0,"warnings":0}`
	testWarned  = `{"result":"WARNING","timestamp":"2026-03-01T11:00:00+00:00","successes":1,"failures":0,"warnings":1}`
	testSkipped = `{"result":"SKIPPED","timestamp":"2026-03-01T11:00:00+00:00","successes":0,"failures":0,"warnings":0}`
	testErrored = `{"result":"ERROR","timestamp":"2026-03-01T11:00:00+00:00","successes":0,"failures":0,"warnings":0}`
)

// requires is a policy that requires each task.
func requires(tasks ...string) Policy { return Policy{Required: entries(tasks)} }

// inBuild is a policy that requires each task in the build.
func inBuild(tasks ...string) Policy { return Policy{RequiredInBuild: entries(tasks)} }

func entries(tasks []string) []Entry { return []Entry{since(time.Time{}, tasks...)} }

// since is an entry in force from an instant on. "a|b" are alternatives.
func since(from time.Time, tasks ...string) Entry {
	e := Entry{EffectiveOn: from}
	for _, t := range tasks {
		e.Tasks = append(e.Tasks, strings.Split(t, "|"))
	}
	return e
}

func judged(t testing.TB, p Policy, evidence []attest.Evidence, builds ...attest.Build) Report {
	t.Helper()
	r, err := p.Judge(Input{Image: image, Evidence: evidence, Builds: builds, Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// brief is a report in lines: "violation test.failed scan".
func brief(r Report) []string {
	lines := []string{}
	for _, part := range []struct {
		kind  string
		notes []Note
	}{{"violation", r.Violations}, {"warning", r.Warnings}, {"waived", r.Waived}, {"success", r.Successes}} {
		for _, n := range part.notes {
			lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s", part.kind, n.Metadata.Code, strings.Join(n.Metadata.Term, "|"))))
		}
	}
	return lines
}
