package referrers

import (
	"testing"

	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/internal/registry"
)

// FuzzManifest reads bytes as what registries list and serve.
func FuzzManifest(f *testing.F) {
	for _, s := range []string{
		`{}`, `[`, `null`, `{"layers":null}`, `{"manifests":[],"layers":[]}`,
		`{"artifactType":"application/vnd.in-toto+json","layers":[{"mediaType":"application/vnd.dsse.envelope.v1+json","digest":"sha256:` + attesttest.SomeHex + `","size":2,"data":"e30="}]}`,
		`{"manifests":[{"digest":"sha256:` + attesttest.SomeHex + `","annotations":{"predicateType":"p","io.github.testdag.test":"t","org.opencontainers.image.created":"2026-03-01T12:00:00Z"}}]}`,
		`{"name":"x","tags":["sha256-` + attesttest.SomeHex + `.att.0123"]}`, `{"tags":null}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseManifest(b, registry.DefaultLimits)
		if err == nil && (m.Layers == nil) == (m.Manifests == nil) {
			t.Errorf("both or neither: %q", b)
		}
		for _, d := range append(m.Manifests, m.Layers...) {
			if h := ReadHints(d.Annotations); h.Complete() && (h.Created.IsZero() || h.Test == "" || h.PredicateType == "") {
				t.Errorf("hints %+v of %q", h, b)
			}
			_ = d.Platform.String()
		}
		if e := parseEntry(registry.Document{Bytes: b}, registry.DefaultLimits); e.Err == nil && err != nil {
			t.Errorf("entry of %q although %v", b, err)
		}
		if tags, err := parseTags(b, registry.DefaultLimits); err == nil {
			_ = unlisted(tags, []Pointer{{Ref: "sha256:" + attesttest.SomeHex}})
		}
	})
}
