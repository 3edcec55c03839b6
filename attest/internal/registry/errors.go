package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/testdag/testdag/attest/internal/fault"
)

// An Error reports that a registry did not do what it was asked.
type Error struct {
	// Op is what was asked: "connect", "list referrers", "list tags", "list records", "read manifest", "read blob",
	// "read back", "write blob", "write manifest", "delete manifest".
	Op     string
	Ref    string // repository, tag or digest it was asked about
	Status int    // HTTP status of the answer, 0 if there was none
	Err    error  // the cause
}

func (e *Error) Error() string {
	return fmt.Sprintf("attest: %s %s: %s", e.Op, e.Ref, fault.Cause(e.Err, e.Ref))
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Without returns the text without what the text around it has said: the ref that both are about.
func (e *Error) Without(said []string) string {
	about := func(s string) bool { return s != "" && strings.HasSuffix(e.Ref, s) }
	if slices.ContainsFunc(said, about) {
		return e.Op + ": " + fault.Cause(e.Err, said...)
	}
	return e.Error()
}

// A locatedError says in which request a limit was reached.
type locatedError struct {
	err     error
	op, ref string
}

func (e *locatedError) Error() string { return fmt.Sprintf("%s (%s %s)", e.err, e.op, e.ref) }

func (e *locatedError) Unwrap() error { return e.err }

// Wrap names the operation, and takes the status from the cause. What has been named already keeps its name.
func Wrap(op, ref string, err error) error {
	var named *Error
	var located *locatedError
	var limit *fault.LimitError
	switch {
	case errors.As(err, &named), errors.As(err, &located):
		return err
	case errors.As(err, &limit):
		return &locatedError{err, op, ref}
	}
	out := &Error{Op: op, Ref: ref, Err: err}
	var answer *transport.Error
	if errors.As(err, &answer) {
		out.Status = answer.StatusCode
	}
	return out
}

// A refusedError adds to a registry's refusal of a manifest which part of it is probably to blame.
type refusedError struct {
	err    error
	advice string
}

func (e *refusedError) Error() string { return e.err.Error() + ": " + e.advice }

func (e *refusedError) Unwrap() error { return e.err }

// refusal explains why a registry has refused to store a manifest, as far as its answer and the manifest show.
// Registries older than OCI 1.1 know only some types of config, and neither artifactType nor subject.
func refusal(err error, manifest []byte) error {
	var failed *Error
	if !errors.As(err, &failed) || !refuses(failed) {
		return err
	}
	var m struct {
		ArtifactType    string
		Config, Subject *struct{ MediaType string }
	}
	_ = json.Unmarshal(manifest, &m) // our own
	text := strings.ToLower(strings.ReplaceAll(failed.Err.Error(), " ", ""))
	var parts, blamed []string
	add := func(part string, words ...string) {
		parts = append(parts, part)
		if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) }) {
			blamed = append(blamed, part)
		}
	}
	if m.Config != nil && m.Config.MediaType == EmptyConfigType {
		add(fmt.Sprintf("the config media type %q", m.Config.MediaType), "config", "oci.empty")
	}
	if m.ArtifactType != "" {
		add(fmt.Sprintf("artifactType %q", m.ArtifactType), "artifacttype")
	}
	if m.Subject != nil {
		add("subject", "subject", "referrer")
	}
	var advice string
	switch {
	case len(blamed) > 0:
		advice = "the registry refuses " + strings.Join(blamed, " and ")
	case len(parts) > 0:
		advice = "the registry probably refuses " + strings.Join(parts, ", otherwise ")
	default:
		return err
	}
	explained := *failed
	explained.Err = &refusedError{failed.Err, advice + ": allow it in the settings of the registry, or use one that supports OCI 1.1"}
	return &explained
}

// refuses reports whether a registry finds fault with a manifest, not with its blobs, its tag or the user.
func refuses(e *Error) bool {
	var answer *transport.Error
	if errors.As(e, &answer) && len(answer.Errors) > 0 {
		return slices.ContainsFunc(answer.Errors, func(d transport.Diagnostic) bool {
			return d.Code == transport.ManifestInvalidErrorCode || d.Code == transport.UnsupportedErrorCode
		})
	}
	return e.Status == http.StatusBadRequest || e.Status == http.StatusUnsupportedMediaType
}

// IsNotFound reports whether a registry said that it does not have what was asked for.
func IsNotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}
