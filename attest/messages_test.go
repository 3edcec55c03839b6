package attest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/testdag/testdag/attest/checkpoint"
	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
)

// saidOnce matches what a message needs to say only once.
var saidOnce = regexp.MustCompile(`attest: |(list|read|write|delete) [a-z]+ \S+|sha256[:-][0-9a-f]{64}`)

// repeated returns what a message says twice, empty if nothing.
func repeated(message string) string {
	seen := map[string]bool{}
	for _, part := range saidOnce.FindAllString(message, -1) {
		if seen[part] {
			return part
		}
		seen[part] = true
	}
	return ""
}

// Errors within errors say once which package speaks, what was asked for, and of what.
func TestMessagesDoNotRepeatThemselves(t *testing.T) {
	digest, other := registry.Describe([]byte("a"), "").Digest, registry.Describe([]byte("b"), "").Digest
	ref := "registry.test/team/app@" + digest.String()
	limit := &intoto.LimitError{What: "pages", Limit: 1, Got: 2}
	refused := &RegistryError{Op: "read manifest", Ref: ref, Status: 403, Err: errors.New("DENIED")}
	field := &intoto.FieldError{Field: "manifest " + digest.String(), Problem: "its bytes have another digest"}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{registry.Wrap("list referrers", ref, registry.Wrap("list referrers", ref, limit)),
			"attest: pages: 2 is over the limit of 1 (list referrers " + ref + ")"},
		{registry.Wrap("list referrers", ref, refused), "attest: read manifest " + ref + ": DENIED"},
		{&RegistryError{Op: "read back", Ref: ref, Status: 0, Err: refused}, "attest: read back " + ref + ": read manifest: DENIED"},
		{registry.Wrap("read back", ref, field), "attest: read back " + ref + ": its bytes have another digest"},
		{&CandidateError{Manifest: digest, Envelope: v1.Hash{}, Err: refused}, "attest: unreadable statement in manifest " + digest.String() + ": read manifest: DENIED"},
		{&CandidateError{Manifest: digest, Envelope: v1.Hash{}, Err: field}, "attest: unreadable statement in manifest " + digest.String() + ": its bytes have another digest"},
		{&CandidateError{Manifest: other, Envelope: digest, Err: &intoto.FieldError{Field: "blob " + digest.String(), Problem: "longer than the 3 bytes declared"}},
			"attest: unreadable statement " + digest.String() + " in manifest " + other.String() + ": longer than the 3 bytes declared"},
		{&CandidateError{Manifest: other, Envelope: v1.Hash{}, Err: field}, "attest: unreadable statement in manifest " + other.String() + ": manifest " + digest.String() + ": its bytes have another digest"},
		{&CandidateError{Err: fault.Wrap("statement", limit)}, "attest: unreadable statement: statement: pages: 2 is over the limit of 1"},
		{&ViewError{Tag: "tag", Err: &RegistryError{Op: "write manifest", Ref: "registry.test/team/app:tag", Status: 403, Err: errors.New("DENIED")}},
			"attest: view tag does not show all of the record: write manifest: DENIED"},
		{&ViewError{Tag: "tag", Err: &CandidateError{Manifest: digest, Envelope: v1.Hash{}, Err: limit}},
			"attest: view tag does not show all of the record: unreadable statement in manifest " + digest.String() + ": pages: 2 is over the limit of 1"},
		{&Problem{Kind: Unverified, Manifest: digest, Err: fault.Wrap("envelope", limit)}, "attest: nobody vouches for the statement in manifest " + digest.String() + ": envelope: pages: 2 is over the limit of 1"},
		{&Problem{Kind: Unverified, Manifest: digest, Err: errors.Join(limit, refused)}, "attest: nobody vouches for the statement in manifest " + digest.String() +
			": pages: 2 is over the limit of 1\nread manifest " + ref + ": DENIED"},
		{&Problem{Kind: Unverified, Manifest: digest, Err: noProvenance(digest)}, "attest: nobody vouches for the statement in manifest " + digest.String() +
			strings.Replace(": "+noProvenance(digest).Error(), digest.String(), "the statement's manifest", 1)},
		{fault.Wrap("verify", fault.Wrap("sign", limit)), "attest: verify: sign: pages: 2 is over the limit of 1"},
		{fault.Wrap("sign", fmt.Errorf("attest: use private key: %w", limit)), "attest: sign: use private key: pages: 2 is over the limit of 1"},
		{fault.Wrap("sign", errors.New("attest: attest: no key")), "attest: sign: no key"},
		{&RegistryError{Op: "list records", Ref: ref, Status: 0, Err: fmt.Errorf("not listed (%v)", &ViewError{Tag: "tag", Err: limit})},
			"attest: list records " + ref + ": not listed (view tag does not show all of the record: pages: 2 is over the limit of 1)"},
		{fault.Wrap("checkpoint", refused), "attest: checkpoint: read manifest " + ref + ": DENIED"},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

// The same of errors as calls return them.
func TestMessagesOfCalls(t *testing.T) {
	for _, part := range []string{"/v2/", "/referrers/", "/manifests/sha256-", "/manifests/sha256:", "/blobs/", "/tags/list"} {
		for _, status := range []int{400, 401, 403, 404, 429, 500} {
			eachRegistry(t, func(t *testing.T, w *world) {
				k := newKey(t, "k")
				w.opts.InlineBytes, w.opts.Attempts = -1, 1
				w.write(k, "scan", outcome(intoto.Passed, 0))
				w.Answers(status, func(r *http.Request) bool { return strings.Contains(r.URL.Path, part) })
				_, read := w.newest(k, testResultOf("scan"))
				_, write := NewWriter(k, w.opts).Write(context.Background(), w.Image, "scan", outcome(intoto.Failed, 0))
				_, seen := checkpoint.Repository(w.Image.Context(), w.opts.Access).Seen(context.Background(), w.Image, testResultOf("scan"))
				for _, err := range []error{read, write, seen} {
					for _, line := range strings.Split(fmt.Sprint(err), "\n") {
						if again := repeated(line); again != "" {
							t.Errorf("%d at %s: %q twice in %s", status, part, again, line)
						}
					}
				}
			})
		}
	}
}

// A registry that refuses a manifest is asked for what it refuses.
func TestRefusedManifests(t *testing.T) {
	const (
		config   = `the config media type "application/vnd.oci.empty.v1+json"`
		artifact = `artifactType "application/vnd.in-toto+json"`
		what     = ": allow it in the settings of the registry, or use one that supports OCI 1.1"
		perhaps  = "the registry probably refuses " + config + ", otherwise " + artifact + ", otherwise subject" + what
	)
	for _, tt := range []struct {
		status int
		body   string
		want   string // in the message; empty if nothing is added
	}{
		{400, `{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid"}]}`, perhaps},
		{400, ``, perhaps},
		{415, ``, perhaps},
		{404, `{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid"}]}`, perhaps},
		{405, `{"errors":[{"code":"UNSUPPORTED","message":"the operation is unsupported"}]}`, perhaps},
		{400, `{"errors":[{"code":"MANIFEST_INVALID","message":"unknown config media type"}]}`, "the registry refuses " + config + what},
		{400, `{"errors":[{"code":"MANIFEST_INVALID","detail":{"message":"application/vnd.oci.empty.v1+json is not allowed"}}]}`, "the registry refuses " + config + what},
		{400, `{"errors":[{"code":"MANIFEST_INVALID","message":"Additional property artifactType is not allowed"}]}`, "the registry refuses " + artifact + what},
		{400, `{"errors":[{"code":"MANIFEST_INVALID","message":"additional properties 'subject', 'artifactType' not allowed"}]}`, "the registry refuses " + artifact + " and subject" + what},
		{400, `{"errors":[{"code":"UNSUPPORTED","message":"referrers are off"}]}`, "the registry refuses subject" + what},
		{400, `{"errors":[{"code":"TAG_INVALID","message":"tag invalid"}]}`, ""},
		{400, `{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown"}]}`, ""},
		{403, `{"errors":[{"code":"DENIED","message":"denied"}]}`, ""},
		{404, ``, ""},
	} {
		w := newWorld(t, true)
		w.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
				rw.WriteHeader(tt.status)
				_, _ = rw.Write([]byte(tt.body))
				return true
			}
			return false
		})
		_, err := NewWriter(newKey(t, "k"), w.opts).Write(t.Context(), w.Image, "scan", outcome(intoto.Passed, 0))
		e := attesttest.As[*RegistryError](t, err)
		if e.Status != tt.status || !strings.HasSuffix(err.Error(), tt.want) || tt.want == "" && strings.Contains(err.Error(), "refuses") {
			t.Errorf("%d %s: got status %d, %s", tt.status, tt.body, e.Status, err)
		}
		if tt.body != "" {
			attesttest.As[*transport.Error](t, err)
		}
	}
}

// Of a manifest that has nothing of OCI 1.1 nothing is said.
func TestRefusedManifestOfCosign(t *testing.T) {
	w := newWorld(t, true)
	w.Answers(http.StatusBadRequest, func(r *http.Request) bool { return r.Method == http.MethodPut })
	err := w.repo().Put(t.Context(), "tag", types.OCIManifestSchema1, []byte(`{"config":{"mediaType":"application/vnd.oci.image.config.v1+json"}}`))
	if strings.Contains(fmt.Sprint(err), "refuses") {
		t.Error(err)
	}
}

// errors.Join(err, e.Err()) is all that a caller has to look at.
func TestErrOfEvidence(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	w.write(k, "good", outcome(intoto.Passed, 0))
	w.write(newKey(t, "another"), "theirs", outcome(intoto.Passed, 0))
	ask := func(test string) (Evidence, error) { return w.newest(k, testResultOf(test)) }

	e, err := ask("good")
	if err := errors.Join(err, e.Err()); err != nil || e.Result != intoto.Passed {
		t.Error(err)
	}
	e, err = ask("theirs")
	wantProblem(t, Unverified, errors.Join(err, e.Err()))
	e, err = ask("absent")
	if err := errors.Join(err, e.Err()); !errors.Is(err, ErrNotFound) || strings.Count(err.Error(), "attest:") != 1 {
		t.Errorf("got %v", err)
	}
	all, err := NewResolver(k, w.opts).NewestAll(t.Context(), w.Image, testResultOf("good"), testResultOf("theirs"), testResultOf("absent"))
	if err != nil || len(all) != 3 || all[0].Err() != nil || !errors.Is(all[1].Err(), Unverified) || !errors.Is(all[2].Err(), ErrNotFound) {
		t.Errorf("got %v, %v", all, err)
	}
	for e, err := range NewResolver(k, w.opts).All(t.Context(), w.Image) {
		if got := errors.Join(err, e.Err()); (got == nil) != (e.Test.Name == "good") {
			t.Errorf("%q: %v", e.Test.Name, got)
		}
	}

	// What could not be asked is not told to be absent.
	w.Answers(http.StatusForbidden, func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/referrers/") })
	e, err = ask("good")
	if err := errors.Join(err, e.Err()); err == nil || errors.Is(err, ErrNotFound) || strings.Count(err.Error(), "attest:") != 1 {
		t.Errorf("got %v", err)
	}
	for e, err := range NewResolver(k, w.opts).All(t.Context(), w.Image) {
		if err := errors.Join(err, e.Err()); err == nil || strings.Count(err.Error(), "attest:") != 1 {
			t.Errorf("got %v", err)
		}
	}

	// Evidence that comes from nowhere, as a map returns it, is no good evidence.
	if err := (map[intoto.Test]Evidence{}[testResultOf("scan")]).Err(); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
}
