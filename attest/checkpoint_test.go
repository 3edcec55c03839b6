package attest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/checkpoint"
	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
)

var someImage = name.MustParseReference("registry.example.com/team/app").Context().Digest(attesttest.Coffee.String())

func markAt(d time.Duration, statements ...string) checkpoint.Mark {
	m := checkpoint.Mark{Time: attesttest.Noon.Add(d)}
	for _, s := range statements {
		m = m.Merge(checkpoint.Mark{Time: m.Time, Statements: []v1.Hash{registry.Describe([]byte(s), "").Digest}})
	}
	return m
}

// A checkpoint that cannot be asked or moved on is an error, not a missing mark.
func TestCheckpointThatFails(t *testing.T) {
	for _, c := range []brokenCheckpoint{{seen: errors.New("no seen")}, {advance: errors.New("no advance")}} {
		w := newWorld(t, true)
		k := newKey(t, "k")
		w.write(k, "scan", outcome(intoto.Passed, 0))
		w.opts.Checkpoint = c
		if _, err := w.newest(k, testResultOf("scan")); !errors.Is(err, errors.Join(c.seen, c.advance)) && !strings.Contains(fmt.Sprint(err), "checkpoint: no ") {
			t.Errorf("got %v", err)
		}
	}
}

// What is of the future is not remembered: everything that comes until then would be a step back.
func TestFutureIsNotRemembered(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	w.opts.Checkpoint = checkpoint.Dir(t.TempDir())
	w.attach(w.sign(k, w.statementOf(intoto.TestResultType, `{"result":"PASSED","configuration":[{"name":"scan"}],"timestamp":"2027-01-01T00:00:00Z"}`)), nil)
	e := w.mustNewest(k, testResultOf("scan"))
	wantProblem(t, Future, e.Problem)
	if m, err := w.opts.Checkpoint.Seen(t.Context(), w.Image, testResultOf("scan")); err != nil || !m.IsZero() {
		t.Errorf("remembered %v, %v", m, err)
	}
}

// Reading again what was seen before writes nothing.
func TestCheckpointIsLeftAlone(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	w.write(k, "scan", outcome(intoto.Passed, 0))
	w.opts.Checkpoint = checkpoint.Dir(t.TempDir())
	w.mustNewest(k, testResultOf("scan"))
	seen, err := w.opts.Checkpoint.Seen(t.Context(), w.Image, testResultOf("scan"))
	if err != nil {
		t.Fatal(err)
	}
	w.opts.Checkpoint = fixedCheckpoint{t, seen}
	w.mustNewest(k, testResultOf("scan"))
}

type fixedCheckpoint struct {
	t    *testing.T
	mark checkpoint.Mark
}

func (c fixedCheckpoint) Seen(context.Context, name.Digest, intoto.Test) (checkpoint.Mark, error) {
	return c.mark, nil
}

func (c fixedCheckpoint) Advance(_ context.Context, _ name.Digest, _ intoto.Test, m checkpoint.Mark) error {
	c.t.Errorf("advanced to %v", m)
	return nil
}

type brokenCheckpoint struct{ seen, advance error }

func (c brokenCheckpoint) Seen(context.Context, name.Digest, intoto.Test) (checkpoint.Mark, error) {
	return checkpoint.Mark{}, c.seen
}

func (c brokenCheckpoint) Advance(context.Context, name.Digest, intoto.Test, checkpoint.Mark) error {
	return c.advance
}

func TestCheckpointIsMovedOnByWhatIsBelieved(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		ours, theirs := newKey(t, "ours"), newKey(t, "theirs")
		w.opts.Checkpoint = checkpoint.Dir(t.TempDir())
		seen := func() time.Time {
			t.Helper()
			m, err := w.opts.Checkpoint.Seen(t.Context(), w.Image, testResultOf("scan"))
			if err != nil {
				t.Fatal(err)
			}
			return m.Time
		}
		first := w.write(ours, "scan", outcome(intoto.Failed, -time.Hour))
		if e := w.mustNewest(ours, testResultOf("scan")); e.Completeness != Unproven || e.Problem != nil {
			t.Errorf("at first: %q, %v", e.Completeness, e.Problem)
		}
		if e := w.mustNewest(ours, testResultOf("scan")); e.Completeness != Remembered || e.Problem != nil {
			t.Errorf("again: %q, %v", e.Completeness, e.Problem)
		}
		w.write(theirs, "scan", outcome(intoto.Passed, 0)) // is not believed, so it must not be waited for
		if e := w.mustNewest(ours, testResultOf("scan")); e.Problem == nil || !seen().Equal(attesttest.Noon.Add(-time.Hour)) {
			t.Errorf("foreign: %v, mark at %s", e.Problem, seen())
		}
		w.write(ours, "scan", outcome(intoto.Passed, time.Second))
		w.remove(first) // something newer came, so it may go
		if e := w.mustNewest(ours, testResultOf("scan")); e.Problem != nil || e.Result != intoto.Passed || !seen().Equal(attesttest.Noon.Add(time.Second)) {
			t.Errorf("newer: %v, mark at %s", e.Problem, seen())
		}
	})
}

// Of two of the same instant one is deleted. The other is as new, and still something is gone.
func TestOneOfTiedDeleted(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		w.opts.Checkpoint = checkpoint.Dir(t.TempDir())
		w.write(k, "scan", outcome(intoto.Passed, 0))
		failed := w.write(k, "scan", outcome(intoto.Failed, 0))
		w.mustNewest(k, testResultOf("scan"))
		w.remove(failed)
		e := w.mustNewest(k, testResultOf("scan"))
		if r := wantProblem(t, RolledBack, e.Problem); len(r.Records) != 1 || e.Result != intoto.Unknown {
			t.Errorf("got %+v, result %q", r, e.Result)
		}
	})
}

// With everything deleted there is no evidence, and the checkpoint says that there was.
func TestEverythingDeleted(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	w.opts.Checkpoint = checkpoint.Dir(t.TempDir())
	r := w.write(k, "scan", outcome(intoto.Failed, 0))
	w.mustNewest(k, testResultOf("scan"))
	w.remove(r)
	_, err := w.newest(k, testResultOf("scan"))
	wantProblem(t, RolledBack, err)
	if !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestRolledBack(t *testing.T) {
	at := func(d time.Duration, payload string) Evidence {
		return Evidence{Time: attesttest.Noon.Add(d), payload: []byte(payload), Statement: &intoto.Statement{}}
	}
	tied := at(0, "a")
	tied.Tied = []Evidence{at(0, "a"), at(0, "b")}
	for _, tt := range []struct {
		name   string
		seen   checkpoint.Mark
		newest Evidence
		gone   int // statements; -1 if nothing is wrong
	}{
		{"nothing was seen", checkpoint.Mark{}, at(0, "a"), -1},
		{"something newer came", markAt(0, "a"), at(1, "b"), -1},
		{"the same", markAt(0, "a"), at(0, "a"), -1},
		{"one more of the same time", markAt(0, "a"), tied, -1},
		{"another of the same time", markAt(0, "a"), at(0, "b"), 1},
		{"one of two is gone", markAt(0, "a", "c"), tied, 1},
		{"older", markAt(0, "a"), at(-1, "b"), 1},
		{"the same, dated by another clock", markAt(0, "a"), at(-1, "a"), -1},
		{"nothing is left", markAt(0, "a"), Evidence{}, 1},
		{"a mark without statements", checkpoint.Mark{Time: attesttest.Noon}, at(-1, "a"), 0},
	} {
		err := rolledBack(tt.seen, tt.newest)
		if tt.gone < 0 {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		if r := wantProblem(t, RolledBack, err); len(r.Records) != tt.gone {
			t.Errorf("%s: %v", tt.name, r.Records)
		}
	}
}

// eachCheckpoint runs a test with every implementation. Each call of open stands for another process.
func eachCheckpoint(t *testing.T, f func(t *testing.T, open func() checkpoint.Store)) {
	t.Helper()
	t.Run("directory", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "marks")
		f(t, func() checkpoint.Store { return checkpoint.Dir(dir) })
	})
	eachRegistry(t, func(t *testing.T, w *world) {
		repo, err := name.NewRepository(w.Image.Context().RegistryStr() + "/gate/marks")
		if err != nil {
			t.Fatal(err)
		}
		f(t, func() checkpoint.Store { return checkpoint.Repository(repo, w.opts.Access) })
	})
}
