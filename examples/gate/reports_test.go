package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/intoto"
)

// scannedInBuild attaches the report of a scan to the image, and the provenance of the task that made it and that the
// key signed: a recording of Chains with two more results.
func (w *world) scannedInBuild(report string) {
	w.Helper()
	artifact := mutate.MediaType(mutate.ConfigMediaType(empty.Image, "application/vnd.oci.empty.v1+json"),
		types.OCIManifestSchema1)
	artifact, err := mutate.AppendLayers(artifact,
		static.NewLayer([]byte(report), "application/vnd.redhat.clair-report+json"))
	if err != nil {
		w.Fatal(err)
	}
	manifest := w.do(artifact.Digest())
	if err := remote.Write(w.image.Context().Digest(manifest.String()), artifact); err != nil {
		w.Fatal(err)
	}
	recorded, err := os.ReadFile("../../attest/provenance/testdata/taskrun-v2alpha3-slsa-tekton.json")
	if err != nil {
		w.Fatal(err)
	}
	var statement map[string]any
	if err := json.Unmarshal(bytes.ReplaceAll(recorded, []byte(strings.Repeat("c0ffee00", 8)),
		[]byte(w.do(v1.NewHash(w.image.DigestStr())).Hex)), &statement); err != nil {
		w.Fatal(err)
	}
	details := statement["predicate"].(map[string]any)["runDetails"].(map[string]any)
	for name, result := range map[string]string{
		"REPORTS":     fmt.Sprintf(`{%q:%q}`, w.image.DigestStr(), manifest),
		"SCAN_OUTPUT": `{"vulnerabilities":{"critical":1},"unpatched_vulnerabilities":{}}`,
	} {
		text, _ := json.Marshal(result)
		details["byproducts"] = append(details["byproducts"].([]any), map[string]any{
			"name": "taskRunResults/" + name, "mediaType": "application/json", "content": base64.StdEncoding.EncodeToString(text),
		})
	}
	payload, err := json.Marshal(statement)
	if err != nil {
		w.Fatal(err)
	}
	w.attest(payload)
}

// attest attaches a provenance of the image that the key signed.
func (w *world) attest(payload []byte) {
	w.Helper()
	envelope, err := w.signer.Sign(w.Context(), intoto.PayloadType, payload)
	if err != nil {
		w.Fatal(err)
	}
	held, err := mutate.Append(empty.Image, mutate.Addendum{
		Layer:       static.NewLayer(envelope, intoto.EnvelopeType),
		Annotations: map[string]string{attest.AnnotationPredicateType: intoto.ProvenanceType},
	})
	if err != nil {
		w.Fatal(err)
	}
	tag := strings.ReplaceAll(w.image.DigestStr(), ":", "-") + ".att"
	if err := remote.Write(w.image.Context().Tag(tag), held); err != nil {
		w.Fatal(err)
	}
}

// on returns the arguments that every call needs, to judge on that day.
func (w *world) on(day string) []string {
	args := w.args()
	args[slices.Index(args, "-effective-time")+1] = day
	return args
}

// A finding of a scan that ran in the build denies, is waived for a while, and denies again.
func TestReportsOfTheBuild(t *testing.T) {
	w := newWorld(t)
	w.scannedInBuild(fmt.Sprintf(`{"manifest_hash":%q,"packages":{"1":{"id":"1","name":"tar","version":"1.34"}},"environments":{"1":[{"package_db":"x"}]},
		"vulnerabilities":{"1":{"id":"1","name":"CVE-2026-1","normalized_severity":"Critical","fixed_in_version":"1.35"}},"package_vulnerabilities":{"1":["1"]}}`,
		w.image.DigestStr()))
	w.file("policy.yaml", "{required_in_build: [{tasks: [clamav-scan]}], "+trusted+"}")
	w.wants(w.gate(w.args()...), exitDenied, "vulnerability.denied", "CVE-2026-1 in tar 1.34: critical, fixed in 1.35")
	w.file("policy.yaml", "{required_in_build: [{tasks: [clamav-scan]}], "+trusted+`, waivers: [
		{finding: CVE-2026-1, package: tar, images: ["`+w.image.Context().Name()+`"], until: 2026-04-01, who: ada, why: not reached}]}`)
	w.wants(w.gate(w.args()...), exitAllowed)
	w.wants(w.gate(w.on("2026-03-20")...), exitAllowed, "waiver.expiring", "2026-04-01")
	w.wants(w.gate(w.on("2026-04-01")...), exitDenied, "vulnerability.denied", "waiver.expired", "counts again")
}
