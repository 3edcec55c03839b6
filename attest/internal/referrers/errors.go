package referrers

import (
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/internal/fault"
)

// ErrNoImage is attest.ErrNoImage.
var ErrNoImage = errors.New("no such image: push it before its evidence, or correct its repository and digest")

// A CandidateError is attest.CandidateError.
type CandidateError struct {
	Manifest v1.Hash // manifest that lists it; zero if a tag could not be read
	Envelope v1.Hash // blob that could not be read; zero if it was the manifest
	Err      error   // why
}

func (e *CandidateError) Error() string {
	text := "attest: unreadable statement"
	if e.Envelope != (v1.Hash{}) {
		text += " " + e.Envelope.String()
	}
	if e.Manifest != (v1.Hash{}) {
		text += " in manifest " + e.Manifest.String()
	}
	return text + ": " + fault.Cause(e.Err, named(e.Manifest), named(e.Envelope))
}

// Unwrap returns the cause.
func (e *CandidateError) Unwrap() error { return e.Err }

func named(digest v1.Hash) string {
	if digest == (v1.Hash{}) {
		return ""
	}
	return digest.String()
}

// A ViewError is attest.ViewError.
type ViewError struct {
	Tag string // the view

	// Immutable says that the tag exists and the registry refuses to rewrite it, as repositories with immutable tags do.
	// The record is safe, and a reader finds it by the tag of its own; other tools do not see it. To write again changes
	// nothing: allow tags that begin with "sha256-" to be rewritten, or set Options.WithoutViews.
	Immutable bool

	Err error // why
}

func (e *ViewError) Error() string {
	if e.Immutable {
		return fmt.Sprintf("attest: view %s is immutable and does not show all of the record, which is safe (do not write again; "+
			"allow the tag to be rewritten, or set Options.WithoutViews): %s", e.Tag, fault.Cause(e.Err, e.Tag))
	}
	return fmt.Sprintf("attest: view %s does not show all of the record: %s", e.Tag, fault.Cause(e.Err, e.Tag))
}

// Unwrap returns the cause.
func (e *ViewError) Unwrap() error { return e.Err }
