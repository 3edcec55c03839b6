package cosign_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/cosign"
	"github.com/testdag/testdag/attest/intoto"
)

// A scan of an image is attested, and whoever has the public key finds the newest one.
func Example() {
	quiet := log.New(io.Discard, "", 0)
	server := httptest.NewUnstartedServer(registry.New(registry.Logger(quiet), registry.WithReferrersSupport(true)))
	server.Config.ErrorLog = quiet
	server.Start()
	defer server.Close()
	image, err := pushImage(strings.TrimPrefix(server.URL, "http://") + "/team/app")
	if err != nil {
		log.Fatal(err)
	}
	private, public, err := cosign.GenerateKey([]byte("password"))
	if err != nil {
		log.Fatal(err)
	}

	// Who scans has the private key.
	signer, err := cosign.LoadSigner(private, []byte("password"))
	if err != nil {
		log.Fatal(err)
	}
	finished := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	record, err := attest.NewWriter(signer, attest.Options{}).Write(context.Background(), image, "trivy-scan", intoto.Vulns{
		Scanner: intoto.Scanner{
			URI:    "pkg:github/aquasecurity/trivy@v0.69.0",
			DB:     intoto.ScannerDB{LastUpdate: finished.Add(-6 * time.Hour)},
			Result: []intoto.Finding{{ID: "CVE-2026-1234", Severity: []intoto.Severity{{Method: "nvd", Score: "low"}}}},
		},
		Metadata: intoto.ScanMetadata{StartedOn: finished.Add(-time.Minute), FinishedOn: finished},
	})
	if err != nil {
		log.Fatal(err)
	}

	// Who decides has the public key.
	verifier, err := cosign.LoadVerifier(public)
	if err != nil {
		log.Fatal(err)
	}
	evidence, err := attest.NewResolver(verifier, attest.Options{}).Newest(context.Background(), image,
		intoto.Test{Name: "trivy-scan", PredicateType: intoto.VulnsType})
	if err = errors.Join(err, evidence.Err()); err != nil {
		log.Fatal(err)
	}
	for _, finding := range evidence.Predicate.(intoto.Vulns).Scanner.Result {
		fmt.Println(evidence.Time.Format(time.DateTime), finding.ID, finding.Severity)
	}
	fmt.Println("read from its record:", evidence.Manifest == record.Digest)
	// Output:
	// 2026-03-01 12:00:00 CVE-2026-1234 [{nvd low}]
	// read from its record: true
}

// A key may be anywhere that signs: here it stands for one in a hardware token. The statement goes into a sigstore
// bundle; a Writer makes and stores one where its options say intoto.EncodingBundle.
func ExampleNewSigner() {
	_, token, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	signer, err := cosign.NewSigner(token)
	if err != nil {
		log.Fatal(err)
	}
	statement := []byte(`{"_type":"https://in-toto.io/Statement/v1"}`)
	bundle, err := signer.(intoto.BundleSigner).SignBundle(context.Background(), intoto.PayloadType, statement)
	if err != nil {
		log.Fatal(err)
	}
	payload, err := attest.Candidate{MediaType: intoto.BundleType, Bytes: bundle}.Payload()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", payload)
	// Output: {"_type":"https://in-toto.io/Statement/v1"}
}

// Whom to believe is said in full: a subject alone could be of any issuer. All mistakes are told at once.
func ExampleLoadIdentityVerifier() {
	trustedRoot := []byte(`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`)
	_, err := cosign.LoadIdentityVerifier(trustedRoot,
		cosign.Identity{Subject: "https://github.com/acme/app/.github/workflows/scan.yml@refs/heads/main", Issuer: "https://token.actions.githubusercontent.com"},
		cosign.Identity{SubjectRegexp: `.*@acme\.example`},
	)
	fmt.Println(err)
	// Output:
	// attest: trustedRoot.certificateAuthorities: required
	// attest: trustedRoot.tlogs: required where there are no timestampAuthorities
	// attest: identities[1].issuer: required, or a regular expression in its place
}

// pushImage puts an empty image into a repository.
func pushImage(repo string) (name.Digest, error) {
	img := mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1)
	h, err := img.Digest()
	if err != nil {
		return name.Digest{}, err
	}
	d, err := name.NewDigest(repo + "@" + h.String())
	if err != nil {
		return name.Digest{}, err
	}
	return d, remote.Write(d, img)
}
