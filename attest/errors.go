package attest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/testdag/testdag/internal/strictjson"
)

// ErrNotFound is wrapped by [Resolver.Newest] when the image has no statement of the test at all.
var ErrNotFound = errors.New("no evidence")

// ErrNoImage is wrapped by [Writer.Write] when the registry has no image of that digest, and by a [Resolver] when it
// finds not even the repository.
var ErrNoImage = errors.New("no such image: push it before its evidence, or correct its repository and digest")

// A FieldError reports one mistake in a statement, a predicate or an argument, or that bytes from a registry are not
// what was asked for. Several come joined by [errors.Join].
type FieldError struct {
	Field   string // path as in JSON, "scanner.result[0].id", or what was asked for, "blob sha256:..."
	Problem string // what is wrong: "required"
}

func (e *FieldError) Error() string { return fmt.Sprintf("attest: %s: %s", e.Field, e.Problem) }

// Without returns the text without what the text around it has said: the digest that both are about.
func (e *FieldError) Without(said []string) string {
	_, name, ok := strings.Cut(e.Field, " ")
	about := func(s string) bool { return s != "" && strings.HasSuffix(s, name) }
	if ok && slices.ContainsFunc(said, about) {
		return e.Problem
	}
	return e.Error()
}

// A LimitError reports that something is larger than the [Limits] allow, or than a [Verifier] takes.
type LimitError struct {
	// What was counted: "manifest bytes", "page bytes", "link bytes", "envelope bytes", "statement bytes", "foreign bytes", "total
	// bytes", "total foreign bytes", "result bytes", "statements", "pages", "signatures", "log entries", "timestamps",
	// "view layers", "JSON depth", "JSON values", "total values", "request milliseconds", "call milliseconds". Of the
	// reports that attest/scan reads: "report bytes", "value bytes" (of one piece, a text or all that is kept of a
	// finding), "findings", "object names", "tool extensions", "XML depth".
	What  string
	Limit int64 // the most that is allowed
	Got   int64 // how much there is, or at least is, since reading stops at the limit
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("attest: %s: %d is over the limit of %d", e.What, e.Got, e.Limit)
}

// A RegistryError reports that a registry did not do what it was asked.
type RegistryError struct {
	// Op is what was asked: "connect", "list referrers", "list tags", "list records", "read manifest", "read blob",
	// "read back", "write blob", "write manifest", "delete manifest".
	Op     string
	Ref    string // repository, tag or digest it was asked about
	Status int    // HTTP status of the answer, 0 if there was none
	Err    error  // the cause
}

func (e *RegistryError) Error() string {
	return fmt.Sprintf("attest: %s %s: %s", e.Op, e.Ref, cause(e.Err, e.Ref))
}

// Unwrap returns the cause.
func (e *RegistryError) Unwrap() error { return e.Err }

// Without returns the text without what the text around it has said: the ref that both are about.
func (e *RegistryError) Without(said []string) string {
	about := func(s string) bool { return s != "" && strings.HasSuffix(e.Ref, s) }
	if slices.ContainsFunc(said, about) {
		return e.Op + ": " + cause(e.Err, said...)
	}
	return e.Error()
}

// A wrappedError says what was going on.
type wrappedError struct {
	doing string
	err   error
}

func wrap(doing string, err error) error { return &wrappedError{doing, err} }

func (e *wrappedError) Error() string { return "attest: " + e.doing + ": " + cause(e.err) }

func (e *wrappedError) Unwrap() error { return e.err }

// prefix matches the name of the package where an error begins within a text.
var prefix = regexp.MustCompile(`(^|\n|: |; |\()(?:attest: )+`)

// cause is the text of an error inside another one. It leaves out what the other says: the name of the package, and the
// ref or the digest that both are about.
func cause(err error, said ...string) string {
	text := fmt.Sprint(err)
	if e, ok := err.(interface{ Without(said []string) string }); ok {
		text = e.Without(said)
	}
	return prefix.ReplaceAllString(text, "$1")
}

// A locatedError says in which request a limit was reached.
type locatedError struct {
	err     error
	op, ref string
}

func (e *locatedError) Error() string { return fmt.Sprintf("%s (%s %s)", e.err, e.op, e.ref) }

func (e *locatedError) Unwrap() error { return e.err }

// registryError names the operation, and takes the status from the cause. What has been named already keeps its name.
func registryError(op, ref string, err error) error {
	var named *RegistryError
	var located *locatedError
	var limit *LimitError
	switch {
	case errors.As(err, &named), errors.As(err, &located):
		return err
	case errors.As(err, &limit):
		return &locatedError{err, op, ref}
	}
	out := &RegistryError{Op: op, Ref: ref, Err: err}
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
	var failed *RegistryError
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
	if m.Config != nil && m.Config.MediaType == emptyConfigType {
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
func refuses(e *RegistryError) bool {
	var answer *transport.Error
	if errors.As(e, &answer) && len(answer.Errors) > 0 {
		return slices.ContainsFunc(answer.Errors, func(d transport.Diagnostic) bool {
			return d.Code == transport.ManifestInvalidErrorCode || d.Code == transport.UnsupportedErrorCode
		})
	}
	return e.Status == http.StatusBadRequest || e.Status == http.StatusUnsupportedMediaType
}

// isNotFound reports whether a registry said that it does not have what was asked for.
func isNotFound(err error) bool {
	var e *RegistryError
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}

// A CandidateError reports something found at an image that may be a statement and could not be read, or is of a
// version that is not understood. It might have been the newest statement of any test, unless the referrers API says of
// which, so nothing about the image is certain until it has been repaired or deleted, or is named in
// [Options.UnsafeIgnoreStatements].
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
	return text + ": " + cause(e.Err, named(e.Manifest), named(e.Envelope))
}

// Unwrap returns the cause.
func (e *CandidateError) Unwrap() error { return e.Err }

func named(digest v1.Hash) string {
	if digest == (v1.Hash{}) {
		return ""
	}
	return digest.String()
}

// A KeyError reports a signed statement that none of the trusted keys has signed. A verifier made by [AnyOf] returns one
// KeyError for all of its keys.
type KeyError struct {
	// Claimed are the ids of keys that the signatures name. The signer chose them, so they prove nothing. Empty if the
	// signatures name no key: cosign writes none, Tekton Chains does.
	Claimed []string

	// Trusted are the keys that were tried, as in [Voucher.Name].
	Trusted []string
}

func (e *KeyError) Error() string {
	by := "a key that the signature does not name"
	if len(e.Claimed) > 0 {
		by = "key " + strings.Join(quoted(e.Claimed), ", ")
	}
	not := "none of the trusted keys "
	if len(e.Trusted) == 1 {
		not = "not by the trusted key "
	}
	return fmt.Sprintf("attest: signed by %s, and %s%s", by, not, strings.Join(e.Trusted, ", "))
}

// quoted returns ids that others wrote, as they may stand in a message.
func quoted(ids []string) []string {
	var all []string
	for _, id := range ids[:min(len(ids), 3)] {
		all = append(all, fmt.Sprintf("%.100q", id))
	}
	return all
}

// joinKeys returns errors in which one [KeyError] stands for those of all keys that a verifier tried, since each of them
// looked at the same signatures.
func joinKeys(errs []error) []error {
	var one *KeyError
	var joined []error
	for _, err := range errs {
		key, ok := err.(*KeyError)
		switch {
		case !ok:
			joined = append(joined, err)
		case one == nil:
			one = &KeyError{Claimed: key.Claimed, Trusted: slices.Clone(key.Trusted)}
			joined = append(joined, one)
		default:
			one.Trusted = append(one.Trusted, key.Trusted...)
		}
	}
	return joined
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// A ViewError reports that statements are safely recorded, but that a tag other tools read does not show all of them.
// The next [Writer.Write] or [Writer.Repair] tries again.
type ViewError struct {
	Tag string // the view

	// Immutable says that the tag exists and the registry refuses to rewrite it, as repositories with immutable tags do.
	// The record is safe, and a [Resolver] finds it by the tag of its own; other tools do not see it. To write again changes
	// nothing: allow tags that begin with "sha256-" to be rewritten, or set Options.WithoutViews.
	Immutable bool

	Err error // why
}

func (e *ViewError) Error() string {
	if e.Immutable {
		return fmt.Sprintf("attest: view %s is immutable and does not show all of the record, which is safe (do not write again; "+
			"allow the tag to be rewritten, or set Options.WithoutViews): %s", e.Tag, cause(e.Err, e.Tag))
	}
	return fmt.Sprintf("attest: view %s does not show all of the record: %s", e.Tag, cause(e.Err, e.Tag))
}

// Unwrap returns the cause.
func (e *ViewError) Unwrap() error { return e.Err }

// decode decodes strictly and names the limit that was hit.
func decode(data []byte, v any, limits strictjson.Limits) error {
	err := strictjson.Decode(data, v, limits)
	var limit *strictjson.LimitError
	if errors.As(err, &limit) {
		return &LimitError{What: "JSON " + limit.What, Limit: int64(limit.Limit), Got: int64(limit.Limit) + 1}
	}
	return err
}
