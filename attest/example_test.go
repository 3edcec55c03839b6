package attest_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/checkpoint"
	"github.com/testdag/testdag/attest/cosign"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/provenance"
	"github.com/testdag/testdag/scheduler"
)

// A scan is written, and the newest evidence of another test decides. The README shows this.
func ExampleResolver_Newest() {
	gate := func(ctx context.Context, image name.Digest, signer intoto.Signer, verifier attest.Verifier, vulns intoto.Vulns) error {
		record, err := attest.NewWriter(signer, attest.Options{}).Write(ctx, image, "clair-scan", vulns)
		if err != nil {
			return err
		}
		fmt.Println("written:", record) // its repository and digest
		test := intoto.Test{Name: "e2e-test", PredicateType: intoto.TestResultType}
		evidence, err := attest.NewResolver(verifier, attest.Options{}).Newest(ctx, image, test)
		if err = errors.Join(err, evidence.Err()); err != nil {
			return err // nothing there, or nobody whom we trust vouches for the newest
		}
		if evidence.Result != intoto.Passed {
			return fmt.Errorf("%s: %q", test.Name, evidence.Result) // vulns have no result: look at evidence.Predicate
		}
		return nil
	}
	fmt.Println(gate(context.Background(), name.Digest{}, nil, nil, intoto.Vulns{}))
	// Output:
	// attest: image: required
	// attest: signer: required; only intoto.EncodingStatement does without
}

// A gate for images whose tests ran as Tekton tasks. The statements need no signature: Chains signed the runs that made
// them. What the scheduler knows of the runs shows whether evidence is missing, and what was seen once must not be gone.
func ExampleByProvenance() {
	gate := func(ctx context.Context, image name.Digest, runs []attest.Run, chainsPublicKey []byte) error {
		chains, err := cosign.LoadVerifier(chainsPublicKey)
		if err != nil {
			return err
		}
		verifier, err := attest.ByProvenance(chains, provenance.Trust{
			Builders: []string{"https://tekton.dev/chains/v2"},
			Tasks:    []provenance.TaskRule{{Pattern: "oci://quay.io/konflux-ci/tekton-catalog/task-*"}},
		})
		if err != nil {
			return err
		}
		resolver := attest.NewResolver(verifier, attest.Options{
			MaxAge:     30 * 24 * time.Hour,
			Checkpoint: checkpoint.Dir("/var/lib/gate"),
		}).Expecting(attest.ExpectRuns(image, runs...)...)
		newest, err := resolver.NewestAll(ctx, image,
			intoto.Test{Name: "clamav-scan", PredicateType: intoto.TestResultType},
			intoto.Test{Name: "e2e-test", PredicateType: intoto.TestResultType})
		for _, e := range newest {
			if e.Result != intoto.Passed || e.Completeness != attest.Expected {
				err = errors.Join(err, fmt.Errorf("%s: %q, completeness %q", e.Test.Name, e.Result, e.Completeness), e.Err())
			}
		}
		return err
	}
	fmt.Println(gate(context.Background(), name.Digest{}, nil, []byte("no key")))
	// Output:
	// attest: load public key: PEM decoding failed
}

// A scheduler knows which runs are over, and its snapshot holds no times. A caller that has kept when runs began says
// so: then older evidence of the test is not taken for that of its newest run.
func ExampleExpectRuns() {
	runs := scheduler.Snapshot{}.Observe(scheduler.Finished(scheduler.Ref{ID: "clamav-scan", Run: 2}, scheduler.PhasePassed))
	began := map[string]time.Time{"clamav-scan#2": time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} // from the caller's store

	image, err := name.NewDigest("quay.io/team/app@sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a")
	if err != nil {
		fmt.Println(err)
	}
	var over []attest.Run
	for id, status := range runs {
		if status.Phase == scheduler.PhasePassed || status.Phase == scheduler.PhaseFailed {
			over = append(over, attest.Run{Test: string(id), Name: scheduler.Ref{ID: id, Run: status.Run}.String()})
		}
	}
	expected := attest.ExpectRuns(image, over...)
	for i, x := range expected {
		expected[i].NotBefore = began[x.Run]
	}
	for _, x := range expected {
		fmt.Println(x.Run, "began at", x.NotBefore.Format(time.RFC3339))
	}
	// Output:
	// clamav-scan#2 began at 2026-03-01T12:00:00Z
}
