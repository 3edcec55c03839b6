package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/scan"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// convert reads the report, see [scan.Evidence]. Standard input may never end, so a signal does not wait for it.
func (p program) convert(ctx context.Context, s *settings) (intoto.Predicate, error) {
	type answer struct {
		predicate intoto.Predicate
		err       error
	}
	done := make(chan answer, 1)
	go func() {
		predicate, err := p.read(s)
		done <- answer{predicate, err}
	}()
	select {
	case a := <-done:
		return a.predicate, a.err
	case <-ctx.Done():
		return nil, errors.New("the report was not read")
	}
}

func (p program) read(s *settings) (intoto.Predicate, error) {
	s.options.Now = p.now
	switch {
	case s.failed != "":
		return scan.Evidence(nil, errors.New(s.failed), s.options)
	case s.report == "-":
		return scan.Evidence(p.in, nil, s.options)
	}
	f, err := os.Open(s.report)
	if err != nil {
		return scan.Evidence(nil, err, s.options)
	}
	defer f.Close()
	return scan.Evidence(f, nil, s.options)
}

// noteOf returns the note of a predicate.
func noteOf(predicate intoto.Predicate) string {
	switch p := predicate.(type) {
	case intoto.Vulns:
		return p.Note
	case intoto.TestResult:
		return p.Note
	}
	return ""
}

// flagOf says which flag gives what an option of package scan does.
var flagOf = map[string]string{
	"Scanner.URI":           "scanner",
	"Scanner.DB.LastUpdate": "db-updated",
	"Started":               "started",
	"Finished":              "finished",
}

// explain says in flags what package scan says in options.
func explain(err error) error {
	var other *scan.ImageError
	var times *scan.TimeError
	switch {
	case errors.As(err, &other) && len(other.Named) == 0:
		return &mistake{"require-digest", err.Error()}
	case errors.As(err, &other):
		return &mistake{"report", err.Error() + "; give the report of this one, or -any-image if it is the same in another place or of an index"}
	case errors.As(err, &times) && times.StartedBy != "":
		return &mistake{"finished", times.Says("-started", "-finished")}
	case times != nil:
		return &mistake{"started", times.Says("-started", "-finished")}
	}
	lacks := lacksIn(err)
	if len(lacks) == 0 {
		return err
	}
	var all []error
	for _, l := range lacks {
		all = append(all, &mistake{flagOf[l.Option], fmt.Sprintf("required, since the %s report does not say %s", l.Format, l.Lacks())})
	}
	return errors.Join(all...)
}

// lacksIn returns every LackError in err.
func lacksIn(err error) []*scan.LackError {
	switch e := err.(type) { //nolint:errorlint // it walks through what errors.Join has joined
	case *scan.LackError:
		return []*scan.LackError{e}
	case interface{ Unwrap() []error }:
		var all []*scan.LackError
		for _, one := range e.Unwrap() {
			all = append(all, lacksIn(one)...)
		}
		return all
	}
	return nil
}

// show prints the statement.
func (p program) show(s *settings, predicate intoto.Predicate) error {
	statement, err := attest.NewStatement(s.image, s.test, predicate)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(statement, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.out, "%s\n", text)
	return err
}

// write leaves the evidence on the image, and tells Chains of it.
func (p program) write(ctx context.Context, s *settings, signer intoto.Signer, predicate intoto.Predicate) error {
	record, err := attest.NewWriter(signer, attest.Options{Encoding: s.form}).Write(ctx, s.image, s.test, predicate)
	var view *attest.ViewError
	switch {
	case errors.As(err, &view):
		p.say("%v; the evidence itself is there", err)
	case err != nil && record.Digest != (v1.Hash{}):
		return fmt.Errorf("the evidence is stored as %s, and may not be found: %w", record.Digest, err)
	case err != nil:
		return err
	}
	at := record.Repository.Digest(record.Digest.String())
	if s.results != "" {
		if err := pipelinerun.WriteArtifact(s.results, s.prefix, scheduler.Artifact{URI: record.Repository.Name(), Digest: record.Digest.String()}); err != nil {
			return fmt.Errorf("the evidence is on the image, as %s, and its results are not written: %w", at, err)
		}
	}
	fmt.Fprintln(p.out, tell(s.test, predicate), at)
	if newer, err := findNewer(ctx, s, predicate); err != nil {
		p.say("it is not known whether newer evidence is there: %v", err)
	} else if newer != "" {
		p.say("what was written does not decide: %s", newer)
	}
	return nil
}

// An unverified reader takes every statement as it is. What is newer is told, and nothing is judged by it.
type unverified struct{}

func (unverified) Verify(_ context.Context, c attest.Candidate) ([]byte, attest.Identity, error) {
	payload, err := c.Payload()
	return payload, attest.Identity{Kind: "nobody"}, err
}

// findNewer says which evidence of the test decides in place of what was written, and nothing if that does.
func findNewer(ctx context.Context, s *settings, written intoto.Predicate) (string, error) {
	vulns, isVulns := written.(intoto.Vulns)
	result, _ := written.(intoto.TestResult)
	at := cmp.Or(vulns.Metadata.FinishedOn, result.Timestamp)
	newest, err := attest.NewResolver(unverified{}, attest.Options{}).NewestAll(ctx, s.image,
		intoto.Test{Name: s.test, PredicateType: intoto.VulnsType}, intoto.Test{Name: s.test, PredicateType: intoto.TestResultType})
	if err != nil {
		return "", err
	}
	for _, e := range newest {
		switch {
		case e.Statement == nil && errors.Is(e.Problem, attest.ErrNotFound):
		case e.Statement == nil:
			return e.Problem.Error(), nil
		case (e.Time.IsZero() || e.Time.After(at)) && (!isVulns || e.Test.PredicateType == intoto.VulnsType):
			return fmt.Sprintf("%s is in %s", newerAt(e.Time), s.image.Context().Digest(e.Manifest.String())), nil
		case isVulns && errors.Is(e.Problem, attest.Overruled):
			return e.Problem.Error(), nil
		}
	}
	return "", nil
}

// newerAt says of when evidence is that may be newer.
func newerAt(at time.Time) string {
	if at.IsZero() {
		return "evidence of it without a time, which may be newer,"
	}
	return "newer evidence of it, of " + at.UTC().Format(time.RFC3339Nano) + ","
}

// tell says in a line what the evidence is.
func tell(test string, predicate intoto.Predicate) string {
	switch v := predicate.(type) {
	case intoto.Vulns:
		return fmt.Sprintf("%s: vulns, findings: %d, in", test, len(v.Scanner.Result))
	case intoto.TestResult:
		return fmt.Sprintf("%s: %s, failures: %d, warnings: %d, in", test, v.Result, v.Failures, v.Warnings)
	}
	return test
}
