package policy

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/checkpoint"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/provenance"
)

// believer believes everything that is a statement.
type believer struct{}

func (believer) Verify(_ context.Context, c attest.Candidate) ([]byte, attest.Identity, error) {
	payload, err := c.Payload()
	return payload, attest.Identity{Kind: "key", Name: "anybody"}, err
}

// One call finds what the policy asks about, and judges.
func TestGate(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true)))
	defer server.Close()
	digest, err := empty.Image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	image := imageOf(strings.TrimPrefix(server.URL, "http://") + "/team/app@" + digest.String())
	if err := remote.Write(image, empty.Image); err != nil {
		t.Fatal(err)
	}
	w := attest.NewWriter(nil, attest.Options{Encoding: intoto.EncodingStatement})
	for test, result := range map[string]intoto.Result{"scan": intoto.Passed, "lint": intoto.Failed} {
		if _, err := w.Write(t.Context(), image, test, intoto.TestResult{Result: result, Timestamp: noon}); err != nil {
			t.Fatal(err)
		}
	}
	trusting, err := attest.ByProvenance(believer{}, provenance.Trust{})
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]attest.Verifier{"a key": believer{}, "provenance too": attest.AnyOf(believer{}, trusting)} {
		r := attest.NewResolver(v, attest.Options{})
		got, err := Policy{Required: entries([]string{"scan", "e2e"}),
			RequiredInBuild: entries([]string{"init"})}.Gate(t.Context(), r, Input{Image: image, Now: noon})
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"violation required.missing e2e", "violation required_in_build.missing init", "success test.passed scan"}
		if diff := cmp.Diff(want, brief(got)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	// A policy about builds alone asks for no evidence: asking for no test asks for all, and marks in the checkpoint what
	// this policy has not looked at.
	marks := checkpoint.Dir(t.TempDir())
	asking := attest.NewResolver(believer{}, attest.Options{Checkpoint: marks, Now: func() time.Time { return noon }})
	if _, err := inBuild("init").Gate(t.Context(), asking, Input{Image: image, Now: noon}); err != nil {
		t.Fatal(err)
	}
	scan := intoto.Test{Name: "scan", PredicateType: intoto.TestResultType}
	if m, err := marks.Seen(t.Context(), image, scan); err != nil || !m.IsZero() {
		t.Errorf("marked %v, %v", m, err)
	}
	r := attest.NewResolver(believer{}, attest.Options{})
	_, err = Policy{}.Gate(t.Context(), r, Input{Image: image, Now: noon})
	if diff := cmp.Diff([]string{"required"}, fields(t, err)); diff != "" {
		t.Error(diff)
	}
	server.Close()
	var down *attest.RegistryError
	if _, err := requires("scan").Gate(t.Context(), r, Input{Image: image, Now: noon}); !errors.As(err, &down) {
		t.Errorf("without evidence: %v", err)
	}
	if _, err := inBuild("init").Gate(t.Context(), attest.NewResolver(trusting, attest.Options{}),
		Input{Image: image, Now: noon}); !errors.As(err, &down) {
		t.Errorf("without builds: %v", err)
	}
}
