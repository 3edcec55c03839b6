package referrers

import (
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/intoto"
)

// listedHints is ReadHints for the annotations that a list gives of a manifest. Some registries drop annotations from
// their lists, and some cut long values off. Nothing may be passed over because of half a value, so hints that may be
// cut are not complete. A list that shortens costs requests and hides nothing.
//
// The digests that a writer annotates show whether a list cuts: they are its longest values of known length. If one
// is there and is no digest, nothing that the list says is whole. If one is missing, or the test's name is as long as
// they are, the name may be cut.
func listedHints(annotations map[string]string) Hints {
	h := ReadHints(annotations)
	if isCut(h.Envelope) || isCut(h.Payload) {
		return Hints{}
	}
	if !h.Misnamed() && (h.Envelope == "" || h.Payload == "" || len(h.Test) >= len(h.Payload)) {
		h.Test = ""
	}
	t := h.PredicateType
	if intoto.MayBeginFamily(t) || isPrefix(t, intoto.ProvenanceType) || isPrefix(t, intoto.ProvenanceTypeV02) {
		h.PredicateType = ""
	}
	return h
}

// isCut reports whether there is a value that should be a digest and is none.
func isCut(digest string) bool {
	_, err := v1.NewHash(digest)
	return digest != "" && err != nil
}

// isPrefix reports whether short is the beginning of long, and not all of it. What was cut within a character ends with one
// that stands for no text.
func isPrefix(short, long string) bool {
	return short != long && strings.HasPrefix(long, strings.TrimRight(short, "\ufffd"))
}

// differ returns an error for each hint of a list that is not what the manifest says. A hint that is missing is no
// contradiction. Neither is the beginning of a value, as long as the hints are not complete: then nothing was passed
// over because of them.
func (h Hints) differ(manifest Hints) []error {
	var c fault.Checklist
	for _, f := range []struct{ annotation, listed, own string }{
		{AnnotationPredicateType, h.PredicateType, manifest.PredicateType},
		{AnnotationTest, h.Test, manifest.Test},
		{AnnotationCreated, spell(h), spell(manifest)},
		{AnnotationEnvelope, h.Envelope, manifest.Envelope},
		{AnnotationPayload, h.Payload, manifest.Payload},
	} {
		if f.listed == f.own || !h.Complete() && isPrefix(f.listed, f.own) { // what is missing is a beginning, too
			continue
		}
		c.Add("annotations."+f.annotation, fmt.Sprintf("the registry lists %q, and the manifest has %q: compare the two, and "+
			"let the registry rebuild its list, or delete the manifest if it is not yours", f.listed, f.own))
	}
	return c
}

// spell returns the time of hints as text, empty if there is none.
func spell(h Hints) string {
	if h.Created.IsZero() {
		return ""
	}
	return fault.Stamp(h.Created)
}
